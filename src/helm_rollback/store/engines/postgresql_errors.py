"""What PostgreSQL's errors mean."""

from __future__ import annotations

from typing import Final

import psycopg
from sqlalchemy.exc import DBAPIError

from helm_rollback.domain.errors import LedgerCorrupt, StoreUnavailable
from helm_rollback.store.errors import LedgerRuleBroken

_CONFLICTS: Final = {"40001", "40P01"}
"""Serialization failure, deadlock: the transaction was undone for another's sake."""
_CORRUPT: Final = {"XX001", "XX002"}
_PROBLEMS: Final = {
    "25006": "the database is read-only (is it a standby?)",
    "25P03": "the transaction waited for too long and was ended",
    "42501": "this user may not do that to the ledger's tables",
    "53100": "the disk is full",
    "53200": "memory ran out",
    "53300": "the database has no connection free",
    "55P03": "another transaction holds what this one needs",
    "57014": "the database took too long",
    "57P01": "the database shuts down",
    "57P02": "the database crashed",
    "57P03": "the database starts or shuts down",
}
_UNREACHABLE: Final = "the database can not be reached"


def translated(error: DBAPIError) -> Exception:
    told, code = error.orig, sqlstate(error)
    if isinstance(told, psycopg.IntegrityError | psycopg.DataError):
        return LedgerRuleBroken(_message(told))
    if code in _CORRUPT:
        return LedgerCorrupt("a page of its database is damaged")
    if not code or code.startswith("08"):
        return StoreUnavailable(_UNREACHABLE)
    return StoreUnavailable(_PROBLEMS.get(code, "the database reports an error"))


def is_conflict(error: DBAPIError) -> bool:
    return sqlstate(error) in _CONFLICTS


def why_unusable(error: OSError | DBAPIError | StoreUnavailable | LedgerCorrupt) -> str:
    told = translated(error) if isinstance(error, DBAPIError) else error
    why = told.problem if isinstance(told, StoreUnavailable) else str(told)
    said = error.orig if isinstance(error, DBAPIError) else None
    return f"{why}: {_message(said)}" if isinstance(said, psycopg.Error) else why


def sqlstate(error: DBAPIError) -> str:
    """PostgreSQL's code; empty where the server never said one, as when it can not be reached."""
    return getattr(error.orig, "sqlstate", None) or ""


def _message(error: psycopg.Error) -> str:
    """What the server, or the driver on the way to it, said, in one line."""
    return error.diag.message_primary or " ".join(str(error).split())

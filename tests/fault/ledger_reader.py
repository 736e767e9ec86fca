"""The ledger's rows, read from the database itself: not through the service, and not with its code."""

from __future__ import annotations

import json
import sqlite3
from base64 import b64encode
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

Row = Mapping[str, Any]
Query = Callable[[str], list[dict[str, Any]]]
"""Runs one SELECT on a database that may be in use."""

TABLES = ("release", "operation", "event", "revision", "payload")


@dataclass(frozen=True, kw_only=True)
class LedgerRows:
    """All of a ledger."""

    release: list[Row]
    operation: list[Row]
    event: list[Row]
    """By release and sequence."""
    revision: list[Row]
    payload: list[Row]

    def events(self, release_id: str) -> list[Row]:
        return [row for row in self.event if row["release_id"] == release_id]

    def payload_bytes(self, digest: str) -> bytes:
        """The archived record with that digest."""
        row = next(row for row in self.payload if row["digest"] == digest)
        return content(row)


def content(payload: Row) -> bytes:
    """What was archived: Helm's `data.release`, of which the ledger leaves the base64 off."""
    body = bytes(payload["body"])
    return b64encode(body) if payload["encoding"] == "gzip" else body


def digest(payload: Row) -> str:
    return sha256(content(payload)).hexdigest()


def read_ledger(query: Query) -> LedgerRows:
    """Everything, table by table: for a ledger that nobody writes any more."""
    order = {"event": "release_id, sequence", "revision": '"key"'}
    rows = {table: query(f"SELECT * FROM {table} ORDER BY {order.get(table, 1)}") for table in TABLES}  # noqa: S608
    return LedgerRows(**{table: [_plain(row) for row in found] for table, found in rows.items()})


def query_postgresql(url: str) -> Query:
    def query(statement: str) -> list[dict[str, Any]]:
        with psycopg.connect(url, autocommit=True, connect_timeout=5, row_factory=dict_row) as connection:
            return connection.execute(statement).fetchall()

    return query


def query_sqlite(path: Path) -> Query:
    def query(statement: str) -> list[dict[str, Any]]:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(statement)]

    return query


_JSON = {"change", "failure", "selection", "leftover_objects"}


def _plain(row: dict[str, Any]) -> Row:
    return {name: _value(name, value) for name, value in row.items()}


def _value(name: str, value: Any) -> Any:
    """JSON as what it says, times as aware datetimes: engines keep both in their own ways."""
    if name in _JSON and isinstance(value, str):
        return json.loads(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, str) and (name.endswith("_time") or name in {"time", "lease_expires", "helm_until"}):
        return datetime.fromisoformat(value).replace(tzinfo=UTC)
    return value

"""All that differs from one database engine to another.

Only SQLite so far. Another engine adds its branch here: how connections are made
and transactions begin, who may open the database, which clock counts, how an
insert passes over what is there, what its errors mean, and in `triggers.py` how
a rule is spelled.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import re
import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, make_url
from sqlalchemy.dialects.sqlite import Insert, insert
from sqlalchemy.exc import ArgumentError, DBAPIError

from helm_rollback.domain.errors import LedgerCorrupt, StoreUnavailable
from helm_rollback.store.errors import LedgerInUse, LedgerRuleBroken, LedgerUnusable

log = logging.getLogger(__name__)

BUSY_TIMEOUT_MS: Final = 5_000
OLDEST_SQLITE: Final = (3, 35, 0)
"""The first with RETURNING."""

Now = Callable[[Connection], datetime]
"""The ledger's clock. SQLite's is that of its only process; on PostgreSQL it will be the server's."""


def database_path(url: str) -> Path:
    """The file of a SQLite ledger. Raises LedgerUnusable for any other URL."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise LedgerUnusable(f"{url!r} is not a database URL; write sqlite:////path/to/ledger.db") from error
    if parsed.get_backend_name() != "sqlite":
        raise LedgerUnusable(f"there is no ledger on {parsed.get_backend_name()} yet; use sqlite:////path/to/ledger.db")
    if not parsed.database or parsed.database == ":memory:":
        raise LedgerUnusable("a ledger must outlive its process; name a file: sqlite:////path/to/ledger.db")
    return Path(parsed.database).absolute()


# --- one process at a time ------------------------------------------------------------


class ProcessLock:
    """The right to open a SQLite database: no second process, so no second writer and no second checkpointer.

    An advisory lock on a file beside the database. The kernel frees it with the
    process, however that ends. The file stays, since removing it would let two
    processes lock two files of one name.
    """

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(database.name + ".lock")
        self._descriptor = -1

    def acquire(self) -> None:
        """Raises LedgerInUse where another process has it."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise LedgerInUse(
                f"the ledger beside {self._path} is open in another process (pid {holder}); "
                "stop that one first, or give this one another --database"
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def make_file(database: Path) -> None:
    """Create the database's folder and file, readable by nobody else: payloads may hold secrets."""
    database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(database, os.O_RDWR | os.O_CREAT, 0o600))


# --- connections ----------------------------------------------------------------------


def writing_engine(database: Path) -> Engine:
    """For the one connection that writes, and so the only one that checkpoints."""
    return _engine(
        URL.create("sqlite", database=str(database)),
        begin="BEGIN IMMEDIATE",
        pragmas=(
            "journal_mode=WAL",
            "synchronous=FULL",  # an acknowledged operation survives a power cut
            "foreign_keys=ON",
            "recursive_triggers=ON",  # else INSERT OR REPLACE deletes past the triggers
        ),
    )


def reading_engine(database: Path, connections: int) -> Engine:
    """For connections that can neither write nor checkpoint, not even when the last one closes."""
    url = URL.create("sqlite", database=database.as_uri(), query={"mode": "ro", "uri": "true"})
    return _engine(url, begin="BEGIN", connections=connections)


def _engine(url: URL, *, begin: str, pragmas: tuple[str, ...] = (), connections: int = 1) -> Engine:
    engine = create_engine(
        url,
        pool_size=connections,
        max_overflow=0,
        pool_reset_on_return=None,  # every transaction is ended where it was begun
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: Any) -> None:
        # The driver's own transactions begin too late: only at the first write.
        connection.isolation_level = None
        for pragma in (f"busy_timeout={BUSY_TIMEOUT_MS}", "trusted_schema=OFF", *pragmas):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def begin_transaction(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def insert_if_absent(table: Table) -> Insert:
    """Insert unless a unique key is taken; the statement's rowcount tells which."""
    return insert(table).on_conflict_do_nothing()


def has_wal_reset_bug(version: tuple[int, int, int]) -> bool:
    """Whether two connections that checkpoint at once may corrupt the file (sqlite.org/wal.html#walresetbug)."""
    return (3, 7, 0) <= version < (3, 51, 3) and not (
        (3, 44, 6) <= version < (3, 45, 0) or (3, 50, 7) <= version < (3, 51, 0)
    )


def check_version() -> None:
    """Refuse a SQLite that is too old, warn of one with a known fault."""
    version = sqlite3.sqlite_version_info
    if version < OLDEST_SQLITE:
        raise LedgerUnusable(f"SQLite {sqlite3.sqlite_version} is too old; use a Python with 3.35 or newer")
    if has_wal_reset_bug(version):
        log.warning(
            "SQLite %s has the WAL-reset bug (fixed in 3.51.3); never open the ledger with another program "
            "while this one runs",
            sqlite3.sqlite_version,
        )


# --- what errors mean -----------------------------------------------------------------


_PROBLEMS: Final = {
    "SQLITE_FULL": "the disk is full",
    "SQLITE_READONLY": "the database is read-only",
    "SQLITE_IOERR": "the database file can not be read or written (is the disk full or failing?)",
    "SQLITE_BUSY": "the database is busy",
    "SQLITE_LOCKED": "the database is busy",
    "SQLITE_CANTOPEN": "the database file can not be opened",
    "SQLITE_NOMEM": "memory ran out",
    "SQLITE_INTERRUPT": "the statement was interrupted",
}
_CORRUPT: Final = {"SQLITE_CORRUPT": "its database file is damaged", "SQLITE_NOTADB": "its file is no SQLite database"}


def translated(error: DBAPIError) -> Exception:
    """The domain's error for a database's; SQL and driver texts stay in the cause, for the log."""
    code = _code(error)
    if "Could not decode" in str(error.orig):  # the driver's own words; SQLite has no code for it
        return LedgerCorrupt("a stored text is damaged")
    if code in _CORRUPT:
        return LedgerCorrupt(_CORRUPT[code])
    if code == "SQLITE_CONSTRAINT":
        return LedgerRuleBroken(str(error.orig))
    return StoreUnavailable(_PROBLEMS.get(code, "the database reports an error"))


def _code(error: DBAPIError) -> str:
    """SQLite's primary error code by name; extended ones begin with it."""
    name = getattr(error.orig, "sqlite_errorname", None) or ""
    match = re.match(r"SQLITE_[A-Z]+", name)
    return match[0] if match else ""


_ADVICE: Final = {
    errno.EACCES: "this user may not write there; give it the folder, or choose another --database",
    errno.EPERM: "this user may not write there; give it the folder, or choose another --database",
    errno.EROFS: "the file system is read-only; mount it writable, or choose another --database",
    errno.ENOSPC: "the disk is full; free some space, or choose another --database",
    errno.EDQUOT: "the disk quota is used up; free some space, or choose another --database",
    errno.EISDIR: "that is a folder; name a file in it",
    errno.ENOTDIR: "a part of that path is a file; choose another --database",
    errno.EEXIST: "a part of that path is a file; choose another --database",
}


def unusable(database: Path, error: OSError | DBAPIError | StoreUnavailable | LedgerCorrupt) -> LedgerUnusable:
    """Why opening failed, and what to do about it."""
    return LedgerUnusable(f"the ledger {database} can not be opened: {_why(error)}")


def _why(error: OSError | DBAPIError | StoreUnavailable | LedgerCorrupt) -> str:
    if isinstance(error, OSError):
        number = error.errno or 0
        return _ADVICE.get(number) or f"{os.strerror(number)}; choose another --database"
    told = translated(error) if isinstance(error, DBAPIError) else error
    if isinstance(told, LedgerCorrupt):
        return f"{told}; restore a backup, or choose another --database"
    if isinstance(told, StoreUnavailable):
        return f"{told.problem}; free space or give this user the right to write, or choose another --database"
    return str(told)

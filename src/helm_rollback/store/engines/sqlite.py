"""SQLite: a ledger in one file, for one process. One connection writes, some read."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError

from helm_rollback.store.engines import sqlite_errors
from helm_rollback.store.engines.database import OpeningError
from helm_rollback.store.engines.process_lock import ProcessLock
from helm_rollback.store.errors import LedgerUnusable
from helm_rollback.store.rules import Rule
from helm_rollback.store.wakeups import Wakeups

log = logging.getLogger(__name__)

BUSY_TIMEOUT_MS: Final = 5_000
OLDEST_SQLITE: Final = (3, 35, 0)
"""The first with RETURNING."""


class SqliteDatabase:
    """A file, and the lock beside it.

    One writer has an eighth of the worst latency of eight, and its order of commits
    is the order of the events.
    """

    shared = False
    writers = 1
    readers = 4

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = ProcessLock(path)

    @classmethod
    def of(cls, url: URL) -> SqliteDatabase:
        """Raises LedgerUnusable where the URL names no file."""
        if not url.database or url.database == ":memory:":
            raise LedgerUnusable("a ledger must outlive its process; name a file: sqlite:////path/to/ledger.db")
        return cls(Path(url.database).absolute())

    # --- opening ---

    def occupy(self) -> None:
        _check_version()
        _make_file(self._path)
        self._lock.acquire()

    def leave(self) -> None:
        self._lock.release()

    def exists(self) -> bool:
        return self._path.exists()

    def unusable(self, error: OpeningError) -> LedgerUnusable:
        return LedgerUnusable(f"the ledger {self._path} can not be opened: {sqlite_errors.why_unusable(error)}")

    # --- connections and transactions ---

    def writing_engine(self) -> Engine:
        """For the one connection that writes, and so the only one that checkpoints."""
        return _engine(
            URL.create("sqlite", database=str(self._path)),
            begin="BEGIN IMMEDIATE",
            pragmas=(
                "journal_mode=WAL",
                "synchronous=FULL",  # an acknowledged operation survives a power cut
                "foreign_keys=ON",
                "recursive_triggers=ON",  # else INSERT OR REPLACE deletes past the triggers
            ),
            connections=self.writers,
        )

    def reading_engine(self) -> Engine:
        """For connections that can neither write nor checkpoint, not even when the last one closes."""
        url = URL.create("sqlite", database=self._path.as_uri(), query={"mode": "ro", "uri": "true"})
        return _engine(url, begin="BEGIN", connections=self.readers)

    def migrating_engine(self) -> Engine:
        return self.writing_engine()

    def now(self, _connection: Connection) -> datetime:
        return datetime.now(UTC)

    def translated(self, error: DBAPIError) -> Exception:
        return sqlite_errors.translated(error)

    def is_conflict(self, _error: DBAPIError) -> bool:
        return False

    # --- tables and rules ---

    def begin_migrating(self, connection: Connection) -> None:
        """Its transactions begin with the write lock held."""

    def spelled(self, rule: Rule) -> str:
        if rule.change == "TRUNCATE":
            return ""
        when = f" WHEN {rule.condition(differs='IS NOT')}" if rule.when else ""
        return (
            f"CREATE TRIGGER {rule.trigger} BEFORE {rule.change} ON {rule.table} FOR EACH ROW{when} "
            f"BEGIN SELECT RAISE(ABORT, 'rule {rule.trigger}'); END"
        )

    def triggers(self, connection: Connection) -> dict[str, str]:
        made = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"))
        return {row.name: row.sql for row in made}

    def make_triggers(self, connection: Connection, rules: Sequence[Rule]) -> None:
        for rule in rules:
            connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {rule.trigger}")
            connection.exec_driver_sql(self.spelled(rule))

    # --- others ---

    def hints(self, _wakeups: Wakeups) -> None:
        return None


def _make_file(path: Path) -> None:
    """Create the database's folder and file, readable by nobody else: payloads may hold secrets."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def _engine(url: URL, *, begin: str, pragmas: tuple[str, ...] = (), connections: int) -> Engine:
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


def has_wal_reset_bug(version: tuple[int, int, int]) -> bool:
    """Whether two connections that checkpoint at once may corrupt the file (sqlite.org/wal.html#walresetbug)."""
    return (3, 7, 0) <= version < (3, 51, 3) and not (
        (3, 44, 6) <= version < (3, 45, 0) or (3, 50, 7) <= version < (3, 51, 0)
    )


def _check_version() -> None:
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

"""Ledgers for tests, made as the service makes them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import Connection
from support.samples import Clock

from helm_rollback.store import SqlLedger
from helm_rollback.store.dialect import writing_engine


def sqlite_url(folder: Path) -> str:
    return f"sqlite:///{folder / 'ledger.db'}"


@contextmanager
def opened(url: str, clock: Clock | None = None) -> Iterator[SqlLedger]:
    """An open ledger at `url`, closed at the end. Its clock stands unless a test moves it."""
    ledger = SqlLedger.open(url, clock=clock or Clock())
    try:
        yield ledger
    finally:
        ledger.close()


@dataclass(frozen=True)
class SqliteDatabase:
    """Where a test's ledger lives, and a way past the ledger to its tables."""

    path: Path

    @property
    def url(self) -> str:
        return f"sqlite:///{self.path}"

    @contextmanager
    def raw(self) -> Iterator[Connection]:
        """A transaction of somebody who types SQL by hand, on a connection such as the ledger's own."""
        engine = writing_engine(self.path)
        try:
            with engine.begin() as connection:
                yield connection
        finally:
            engine.dispose()


def make_ledger(folder: Path) -> None:
    """Put a migrated, empty ledger there, if there is none: a copy takes no time, migrating takes half a test's."""
    target = folder / "ledger.db"
    if not target.exists():
        target.write_bytes(_migrated())
        target.chmod(0o600)


@cache
def _migrated() -> bytes:
    with TemporaryDirectory() as name:
        folder = Path(name)
        SqlLedger.open(sqlite_url(folder), clock=Clock()).close()
        return (folder / "ledger.db").read_bytes()

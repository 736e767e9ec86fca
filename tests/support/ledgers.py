"""Ledgers for tests, made as the service makes them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import pytest
from sqlalchemy import Connection, Engine
from support.postgres import PostgresServer
from support.samples import Clock

from helm_rollback.store import LedgerUnusable, SqlLedger
from helm_rollback.store.engines.database import database_at
from helm_rollback.store.migrate import Migrations


def sqlite_url(folder: Path) -> str:
    return f"sqlite:///{folder / 'ledger.db'}"


@contextmanager
def opened(url: str, clock: Clock | None = None) -> Iterator[SqlLedger]:
    """An open ledger at `url`, migrated, closed at the end. Its clock stands unless a test moves it."""
    ledger = SqlLedger.open(url, clock=clock or Clock(), migrations=Migrations.APPLY)
    try:
        yield ledger
    finally:
        ledger.close()


def refused(url: str, **options: Migrations) -> str:
    """Why the ledger at `url` is not opened."""
    with pytest.raises(LedgerUnusable) as error:
        SqlLedger.open(url, clock=Clock(), **options)
    return str(error.value)


class AnyDatabase(Protocol):
    """Where a test's ledger lives, and a way past the ledger to its tables."""

    @property
    def url(self) -> str: ...

    def migrate(self) -> None:
        """Put an empty ledger there, fast: a copy takes no time, migrating takes half a test's."""

    @contextmanager
    def raw(self) -> Iterator[Connection]:
        """A transaction of somebody who types SQL by hand, on a connection such as the ledger's own."""
        with _disposed(database_at(self.url).writing_engine()) as engine, engine.begin() as connection:
            yield connection

    def drop_rule(self, trigger: str) -> None:
        """As somebody would who means to change history."""
        with self.raw() as connection:
            connection.exec_driver_sql(f"DROP TRIGGER {trigger}{self._of_table(trigger)}")

    def _of_table(self, trigger: str) -> str:
        return ""


class SqliteDatabase(AnyDatabase):
    """A file that is not there yet."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def url(self) -> str:
        return f"sqlite:///{self.path}"

    def migrate(self) -> None:
        make_ledger(self.path.parent)


class PostgresDatabase(AnyDatabase):
    """A database of a server; an empty one, unless it is migrated before anything else."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._url = ""

    @property
    def url(self) -> str:
        self._url = self._url or self._server.create_database(migrated=False)
        return self._url

    def migrate(self) -> None:
        assert not self._url, "it is in use"
        self._url = self._server.create_database()

    def _of_table(self, trigger: str) -> str:
        return f" ON {trigger.partition('_')[0]}"


@contextmanager
def _disposed(engine: Engine) -> Iterator[Engine]:
    try:
        yield engine
    finally:
        engine.dispose()


def make_ledger(folder: Path) -> None:
    """Put a migrated, empty ledger there, if there is none."""
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

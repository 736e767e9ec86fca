"""One suite for every engine: a test that takes `ledger` or `database` runs on each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.databases import postgres, run_postgres
from support.ledgers import AnyDatabase, PostgresDatabase, SqliteDatabase, opened
from support.samples import Clock

from helm_rollback.store import SqlLedger

__all__ = ["postgres", "run_postgres"]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> AnyDatabase:
    if request.param == "postgresql":
        return PostgresDatabase(request.getfixturevalue("postgres"))
    return SqliteDatabase(tmp_path / "ledger.db")


@pytest.fixture
def ledger(database: AnyDatabase, clock: Clock) -> Iterator[SqlLedger]:
    database.migrate()
    with opened(database.url, clock) as ledger:
        yield ledger

"""One suite for every engine: a test that takes `ledger` or `database` runs on each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.ledgers import SqliteDatabase, make_ledger, opened
from support.samples import Clock

from helm_rollback.store import SqlLedger


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> SqliteDatabase:
    assert request.param == "sqlite"
    return SqliteDatabase(tmp_path / "ledger.db")


@pytest.fixture
def ledger(database: SqliteDatabase, clock: Clock) -> Iterator[SqlLedger]:
    make_ledger(database.path.parent)
    with opened(database.url, clock) as ledger:
        yield ledger

"""A database that fails at run time: told in words, nothing half done, and over when it is over."""

from __future__ import annotations

from typing import cast

import pytest
from support.ledgers import SqliteDatabase, opened
from support.samples import SHOP, a_release, a_transition

from helm_rollback.application.ports import LedgerTransaction, LedgerView
from helm_rollback.domain.errors import StoreUnavailable
from helm_rollback.store import SqlLedger
from helm_rollback.store.transaction import Transaction
from helm_rollback.store.view import View


def disturb(tx: LedgerTransaction, pragma: str) -> None:
    cast("Transaction", tx)._connection.exec_driver_sql(f"PRAGMA {pragma}").close()


@pytest.mark.parametrize(
    ("pragma", "problem"),
    [
        ("max_page_count=1", "the disk is full"),
        ("query_only=ON", "the database is read-only"),
    ],
)
async def test_a_write_that_fails_is_undone_told_in_words_and_may_succeed_later(
    ledger: SqlLedger, pragma: str, problem: str
) -> None:
    await ledger.write(lambda tx: tx.add_release(a_release()))
    await ledger.write(lambda tx: disturb(tx, pragma))

    def too_much(tx: LedgerTransaction) -> None:
        tx.append(SHOP, a_transition())
        tx.archive(b"x" * 1_000_000)

    with pytest.raises(StoreUnavailable) as failed:
        await ledger.write(too_much)

    assert failed.value.problem == problem
    assert "INSERT" not in str(failed.value)
    assert await ledger.read(lambda view: view.events(SHOP, after=0, limit=9)) == []
    await ledger.write(too_much)
    assert len(await ledger.read(lambda view: view.events(SHOP, after=0, limit=9))) == 1


async def test_a_reader_can_not_write(ledger: SqlLedger) -> None:
    def write(view: LedgerView) -> None:
        cast("View", view)._connection.exec_driver_sql("INSERT INTO observed_cluster (cluster, resource_version, update_time) VALUES ('east', 1, '')")

    with pytest.raises(StoreUnavailable, match="read-only"):
        await ledger.read(write)

    assert await ledger.read(lambda view: view.observed_version("east")) is None


async def test_a_lock_that_another_program_holds_is_told_as_busy(
    database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("helm_rollback.store.dialect.BUSY_TIMEOUT_MS", 0)
    with opened(database.url) as ledger:
        with database.raw(), pytest.raises(StoreUnavailable, match="busy"):
            await ledger.write(lambda tx: tx.add_release(a_release()))

        await ledger.write(lambda tx: tx.add_release(a_release()))

"""A file that fails at run time, or was tampered with: told in words, nothing half done, over when it is over."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy.exc import IntegrityError
from support.ledgers import SqliteDatabase, opened
from support.samples import NOON, SHOP, Clock, a_release, a_revision, a_transition, an_operation, operation_id

from helm_rollback.application.ports import LedgerTransaction, LedgerView
from helm_rollback.domain.errors import LedgerCorrupt, StoreUnavailable
from helm_rollback.domain.operation import OperationState
from helm_rollback.store import SqlLedger
from helm_rollback.store.transaction import Transaction
from helm_rollback.store.view import View


@pytest.fixture
def database(tmp_path: Path) -> SqliteDatabase:
    return SqliteDatabase(tmp_path / "ledger.db")


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
        cast("View", view)._connection.exec_driver_sql(
            "INSERT INTO observed_cluster (cluster, resource_version, update_time) VALUES ('east', 1, '')"
        )

    with pytest.raises(StoreUnavailable, match="read-only"):
        await ledger.read(write)

    assert await ledger.read(lambda view: view.observed_version("east")) is None


async def test_a_lock_that_another_program_holds_is_told_as_busy(
    database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("helm_rollback.store.engines.sqlite.BUSY_TIMEOUT_MS", 0)
    with opened(database.url) as ledger:
        with database.raw(), pytest.raises(StoreUnavailable, match="busy"):
            await ledger.write(lambda tx: tx.add_release(a_release()))

        await ledger.write(lambda tx: tx.add_release(a_release()))


async def test_a_text_that_is_damaged_on_disk_is_told_as_such(database: SqliteDatabase) -> None:
    with opened(database.url) as ledger:
        await ledger.write(lambda tx: tx.add_release(a_release()))
    with database.raw() as connection:
        connection.exec_driver_sql("UPDATE release SET chart_name = CAST(x'ff' AS TEXT)")

    with opened(database.url) as ledger, pytest.raises(LedgerCorrupt, match="damaged"):
        await ledger.read(lambda view: view.release(SHOP))


@pytest.mark.parametrize("table", ["ledger", "event", "payload", "release", "revision", "operation"])
async def test_a_row_can_not_be_replaced_by_an_insert(database: SqliteDatabase, table: str) -> None:
    """INSERT OR REPLACE deletes, and without recursive_triggers it does so past the rules."""

    def fill(tx: LedgerTransaction) -> None:
        tx.add_release(a_release())
        tx.add_revision(a_revision(payload_digest=tx.archive(b"a record")))
        tx.add_operation(an_operation())
        tx.append(SHOP, a_transition())

    with opened(database.url) as ledger:
        await ledger.write(fill)

    with pytest.raises(IntegrityError, match=f"rule {table}_is_not_deleted"), database.raw() as connection:
        connection.exec_driver_sql(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}")  # noqa: S608


async def test_after_a_restart_all_is_free_at_once_and_old_tokens_hold_nothing(database: SqliteDatabase) -> None:
    """Whoever held the leases is gone: else the database could not have been opened."""
    clock, lease, grace = Clock(), timedelta(seconds=30), timedelta(seconds=2)

    def accept(tx: LedgerTransaction) -> None:
        tx.add_release(a_release())
        tx.add_operation(an_operation())

    with opened(database.url, clock) as before:
        await before.write(accept)
        await before.write(lambda tx: tx.claim(owner="before", lease=lease, grace=grace, limit=1))
        await before.write(lambda tx: tx.update_operation(an_operation(state=OperationState.RUNNING, attempt=1)))

    with opened(database.url, clock) as after:
        assert not await after.write(lambda tx: tx.holds(operation_id(1), owner="before", token=1))
        assert not await after.write(lambda tx: tx.renew(operation_id(1), owner="before", token=1, lease=lease))
        [taken] = await after.write(lambda tx: tx.claim(owner="after", lease=lease, grace=grace, limit=1))

    assert (taken.operation.operation_id, taken.token, taken.helm_until) == (operation_id(1), 2, NOON + lease)

"""A transaction is done whole or not at all, and a reader sees one moment."""

from __future__ import annotations

import asyncio
import threading

import pytest
from support.samples import BLOG, SHOP, Clock, a_release, a_revision, a_transition, an_operation

from helm_rollback.application.ports import Ledger, LedgerTransaction, LedgerView
from helm_rollback.domain.history import OperationTransition
from helm_rollback.store import LedgerRuleBroken


async def test_a_write_returns_what_its_body_returns(ledger: Ledger) -> None:
    assert await ledger.write(lambda tx: tx.ledger_id) == await ledger.read(lambda view: view.ledger_id)


async def test_all_of_a_write_is_undone_when_its_body_raises(ledger: Ledger) -> None:
    await ledger.write(lambda tx: tx.add_release(a_release()))

    def half_done(tx: LedgerTransaction) -> None:
        tx.add_release(a_release(BLOG))
        tx.add_revision(a_revision())
        tx.add_operation(an_operation())
        tx.append(SHOP, a_transition())
        tx.archive(b"a record")
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        await ledger.write(half_done)

    def what_is_there(view: LedgerView) -> list[object]:
        return [
            view.release(BLOG),
            view.revision(SHOP, 1, incarnation=1),
            view.operation(an_operation().operation_id),
            *view.events(SHOP, after=0, limit=10),
        ]

    assert await ledger.read(what_is_there) == [None, None, None]


async def test_a_sequence_that_was_undone_is_given_again(ledger: Ledger) -> None:
    await ledger.write(lambda tx: tx.add_release(a_release()))

    def undone(tx: LedgerTransaction) -> None:
        assert tx.append(SHOP, a_transition()).sequence == 1
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await ledger.write(undone)

    assert (await ledger.write(lambda tx: tx.append(SHOP, a_transition()))).sequence == 1


async def test_a_write_that_breaks_a_rule_is_undone_and_the_ledger_goes_on(ledger: Ledger) -> None:
    await ledger.write(lambda tx: tx.add_release(a_release()))

    def breaks_a_rule(tx: LedgerTransaction) -> None:
        tx.append(SHOP, a_transition())
        tx.add_revision(a_revision(0))

    with pytest.raises(LedgerRuleBroken, match="revision_number_range"):
        await ledger.write(breaks_a_rule)

    assert await ledger.read(lambda view: view.events(SHOP, after=0, limit=10)) == []
    assert (await ledger.write(lambda tx: tx.append(SHOP, a_transition()))).sequence == 1


async def test_a_cancelled_caller_does_not_stop_the_write(ledger: Ledger) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def slow(tx: LedgerTransaction) -> None:
        tx.add_release(a_release())
        begun.set()
        assert may_end.wait(10)
        tx.append(SHOP, a_transition())

    running = asyncio.create_task(ledger.write(slow))
    await asyncio.to_thread(begun.wait, 10)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    with ledger.watch(SHOP) as wakeup:
        may_end.set()
        assert await wakeup.wait(10)

    assert len(await ledger.read(lambda view: view.events(SHOP, after=0, limit=10))) == 1


async def test_a_write_that_waits_for_its_turn_is_done_though_its_caller_is_cancelled(ledger: Ledger) -> None:
    def add(tx: LedgerTransaction) -> None:
        tx.add_release(a_release())
        tx.append(SHOP, a_transition())

    may_end = threading.Event()
    first = asyncio.create_task(ledger.write(lambda tx: may_end.wait(10)))
    second = asyncio.create_task(ledger.write(add))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    with ledger.watch(SHOP) as wakeup:
        may_end.set()
        assert await wakeup.wait(10)

    assert await first
    assert await ledger.read(lambda view: view.release(SHOP)) is not None


async def test_a_reader_sees_one_moment_while_others_write(ledger: Ledger) -> None:
    await ledger.write(lambda tx: tx.add_release(a_release()))
    looked, written = threading.Event(), threading.Event()

    def look_twice(view: LedgerView) -> list[int]:
        before = len(view.events(SHOP, after=0, limit=10))
        looked.set()
        assert written.wait(10)
        return [before, len(view.events(SHOP, after=0, limit=10))]

    reading = asyncio.create_task(ledger.read(look_twice))
    await asyncio.to_thread(looked.wait, 10)
    await ledger.write(lambda tx: tx.append(SHOP, a_transition()))
    written.set()

    assert await reading == [0, 0]
    assert len(await ledger.read(lambda view: view.events(SHOP, after=0, limit=10))) == 1


async def test_a_transaction_sees_its_own_changes(ledger: Ledger) -> None:
    def write_and_look(tx: LedgerTransaction) -> list[object]:
        tx.add_release(a_release())
        operation = an_operation()
        tx.add_operation(operation)
        event = tx.append(SHOP, OperationTransition(operation=operation))
        return [tx.live_operation(SHOP) == operation, tx.events(SHOP, after=0, limit=5) == [event]]

    assert await ledger.write(write_and_look) == [True, True]


async def test_the_ledgers_time_is_its_clocks(ledger: Ledger, clock: Clock) -> None:
    assert await ledger.read(lambda view: view.now()) == clock()
    assert await ledger.write(lambda tx: tx.now()) == clock()

"""Whoever watches is woken by what was committed, and by nothing else."""

from __future__ import annotations

import asyncio

import pytest
from support.samples import BLOG, SHOP, a_release, a_transition, an_operation, finished

from helm_rollback.application.ports import Ledger, LedgerTransaction
from helm_rollback.domain.operation import OperationState

SOON = 10.0
"""Never reached where the wake-up comes."""
NOT_AT_ALL = 0.0


@pytest.fixture
async def shop(ledger: Ledger) -> Ledger:
    def add(tx: LedgerTransaction) -> None:
        tx.add_release(a_release(SHOP))
        tx.add_release(a_release(BLOG))

    await ledger.write(add)
    return ledger


async def append(ledger: Ledger) -> None:
    await ledger.write(lambda tx: tx.append(SHOP, a_transition()))


async def test_an_event_wakes_who_waits_for_its_release(shop: Ledger) -> None:
    with shop.watch(SHOP) as first, shop.watch(SHOP) as second:
        waiting = [asyncio.create_task(wakeup.wait(SOON)) for wakeup in (first, second)]
        await append(shop)

        assert [await one for one in waiting] == [True, True]


async def test_an_event_that_came_before_the_wait_ends_it_at_once(shop: Ledger) -> None:
    with shop.watch(SHOP) as wakeup:
        await append(shop)

        assert await wakeup.wait(NOT_AT_ALL)


async def test_several_events_wake_once(shop: Ledger) -> None:
    with shop.watch(SHOP) as wakeup:
        await append(shop)
        await append(shop)

        assert [await wakeup.wait(NOT_AT_ALL) for _ in range(2)] == [True, False]


async def test_an_event_is_there_when_its_wakeup_comes(shop: Ledger) -> None:
    with shop.watch(SHOP) as wakeup:
        writing = asyncio.create_task(append(shop))
        assert await wakeup.wait(SOON)

        assert len(await shop.read(lambda view: view.events(SHOP, after=0, limit=9))) == 1
        await writing


async def test_who_watches_another_release_sleeps_on(shop: Ledger) -> None:
    with shop.watch(BLOG) as wakeup:
        await append(shop)

        assert not await wakeup.wait(NOT_AT_ALL)


async def test_what_was_undone_wakes_nobody(shop: Ledger) -> None:
    def undone(tx: LedgerTransaction) -> None:
        tx.append(SHOP, a_transition())
        tx.add_operation(an_operation())
        raise RuntimeError

    with shop.watch(SHOP) as events, shop.watch_operations() as operations:
        with pytest.raises(RuntimeError):
            await shop.write(undone)

        assert [await events.wait(NOT_AT_ALL), await operations.wait(NOT_AT_ALL)] == [False, False]


async def test_a_cancelled_writers_event_wakes_all_the_same(shop: Ledger) -> None:
    with shop.watch(SHOP) as wakeup:
        writing = asyncio.create_task(append(shop))
        await asyncio.sleep(0)
        writing.cancel()

        assert await wakeup.wait(SOON)


async def test_an_accepted_operation_wakes_the_worker(shop: Ledger) -> None:
    with shop.watch_operations() as wakeup:
        await shop.write(lambda tx: tx.add_operation(an_operation()))

        assert await wakeup.wait(NOT_AT_ALL)


async def test_a_history_event_alone_does_not_wake_the_worker(shop: Ledger) -> None:
    with shop.watch_operations() as wakeup:
        await append(shop)

        assert not await wakeup.wait(NOT_AT_ALL)


async def test_the_end_of_an_operation_does_not_wake_the_worker(shop: Ledger) -> None:
    await shop.write(lambda tx: tx.add_operation(an_operation()))
    with shop.watch_operations() as wakeup:
        await shop.write(lambda tx: tx.update_operation(an_operation(state=OperationState.RUNNING)))
        await shop.write(lambda tx: tx.update_operation(finished(an_operation())))

        assert not await wakeup.wait(NOT_AT_ALL)


async def test_after_the_watch_nobody_is_kept(shop: Ledger) -> None:
    with shop.watch(SHOP) as gone:
        pass
    with shop.watch(SHOP) as here:
        await append(shop)

        assert [await gone.wait(NOT_AT_ALL), await here.wait(NOT_AT_ALL)] == [False, True]

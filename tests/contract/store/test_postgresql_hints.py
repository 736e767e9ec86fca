"""Replicas hear of one another's writes soon, and learn of them all the same where nothing is heard."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from statistics import median

import psycopg
import pytest
from support.ledger_programs import APPEND_WHEN_ASKED, other_process
from support.ledgers import PostgresDatabase, opened
from support.postgres import PostgresServer
from support.samples import BLOG, SHOP, a_release, a_transition, an_operation

from helm_rollback.application.ports import LedgerTransaction
from helm_rollback.domain.release import ReleaseId
from helm_rollback.store import SqlLedger, hints

SOON = 10.0
"""Never reached where the wake-up comes."""
MOMENT = 0.5
"""Long enough for a hint that is not to come."""

Replicas = tuple[SqlLedger, SqlLedger]


@pytest.fixture
def database(postgres: PostgresServer) -> PostgresDatabase:
    return PostgresDatabase(postgres)


@pytest.fixture
def only_hints(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is woken just to be sure."""
    monkeypatch.setattr(hints, "SAFETY_TICK", 3600.0)


@pytest.fixture
async def replicas(database: PostgresDatabase, only_hints: None) -> AsyncIterator[Replicas]:
    database.migrate()
    async with AsyncExitStack() as running:
        here = running.enter_context(opened(database.url))
        there = running.enter_context(opened(database.url))
        await running.enter_async_context(here.sharing())
        await running.enter_async_context(there.sharing())
        await here.write(add_releases)
        await until_heard(here, there)
        yield here, there


def add_releases(tx: LedgerTransaction) -> None:
    tx.add_release(a_release(SHOP))
    tx.add_release(a_release(BLOG))


async def append(ledger: SqlLedger) -> None:
    await ledger.write(lambda tx: tx.append(SHOP, a_transition()))


async def until_heard(here: SqlLedger, there: SqlLedger) -> None:
    """Until the one hears the other, and what was told to begin with is over."""
    with there.watch(BLOG) as wakeup:
        async with asyncio.timeout(SOON):
            while await wakeup.wait(MOMENT):  # everybody is woken once the connection listens
                pass
            await here.write(lambda tx: tx.append(BLOG, a_transition()))
            while not await wakeup.wait(MOMENT):
                await here.write(lambda tx: tx.append(BLOG, a_transition()))


async def test_a_write_in_one_process_is_read_in_another_within_50_ms(
    replicas: Replicas, database: PostgresDatabase
) -> None:
    _, reader = replicas
    delays = []
    with other_process(APPEND_WHEN_ASKED, database.url) as writer, reader.watch(SHOP) as wakeup:
        assert writer.stdin is not None
        assert writer.stdout is not None
        for number in range(1, 22):
            print(file=writer.stdin, flush=True)
            assert await wakeup.wait(SOON)
            [event] = await reader.read(lambda view, after=number - 1: view.events(SHOP, after=after, limit=9))  # type: ignore[misc]
            read = time.monotonic()
            assert event.sequence == number
            written = float(await asyncio.to_thread(writer.stdout.readline))  # one machine has one such clock
            delays.append(read - written)

    assert median(delays) < 0.05


async def test_an_operation_accepted_here_wakes_the_worker_there(replicas: Replicas) -> None:
    here, there = replicas
    with there.watch_operations() as wakeup:
        await here.write(lambda tx: tx.add_operation(an_operation()))

        assert await wakeup.wait(SOON)


async def test_who_watches_another_release_sleeps_on(replicas: Replicas) -> None:
    here, there = replicas
    with there.watch(BLOG) as other, there.watch_operations() as operations, there.watch(SHOP) as this:
        await append(here)

        assert await this.wait(SOON)
        assert [await other.wait(MOMENT), await operations.wait(0)] == [False, False]


async def test_who_wrote_wakes_its_own_watchers_once(replicas: Replicas) -> None:
    here, there = replicas
    with here.watch(SHOP) as own, there.watch(SHOP) as others:
        await append(here)

        assert await own.wait(SOON)
        assert await others.wait(SOON)
        assert not await own.wait(MOMENT)


async def test_many_writes_are_told_in_few_hints(replicas: Replicas, database: PostgresDatabase) -> None:
    with psycopg.connect(database.url, autocommit=True) as listening:
        listening.execute(f"LISTEN {hints.CHANNEL}")
        await asyncio.gather(*(append(replicas[0]) for _ in range(100)))
        told = await asyncio.to_thread(lambda: list(listening.notifies(timeout=1)))

    assert 1 <= len(told) <= 60


async def test_more_releases_than_one_hint_can_name_are_all_told(replicas: Replicas) -> None:
    here, there = replicas
    ids = [ReleaseId("default", "n" * 63, f"{'r' * 40}-{number}") for number in range(150)]

    def change_all(tx: LedgerTransaction) -> None:
        for release_id in ids:
            tx.add_release(a_release(release_id))
            tx.append(release_id, a_transition())

    async with AsyncExitStack() as watching:
        wakeups = [watching.enter_context(there.watch(release_id)) for release_id in ids]
        await here.write(change_all)

        assert all([await wakeup.wait(SOON) for wakeup in wakeups])


async def test_a_listener_that_is_cut_off_hears_again(
    replicas: Replicas, database: PostgresDatabase, postgres: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    here, there = replicas
    with there.watch(SHOP) as wakeup:
        with caplog.at_level(logging.WARNING):
            cut_listeners(database, postgres)
            assert await wakeup.wait(SOON), "everybody is woken when it hears again"
        assert "hints of other processes are not heard" in caplog.text

        await until_heard(here, there)
        await wakeup.wait(0)
        await append(here)
        assert await wakeup.wait(SOON)


async def test_a_voice_that_is_cut_off_speaks_again(
    replicas: Replicas, database: PostgresDatabase, postgres: PostgresServer
) -> None:
    here, there = replicas
    postgres.execute(
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database.url.rpartition('/')[2]}' "  # noqa: S608
        "AND query LIKE '%pg_notify%' AND pid <> pg_backend_pid()"
    )

    await until_heard(here, there)


def cut_listeners(database: PostgresDatabase, postgres: PostgresServer) -> None:
    cut = postgres.execute(
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database.url.rpartition('/')[2]}' "  # noqa: S608
        "AND query LIKE 'LISTEN%'"
    )
    assert len(cut) == 2


@pytest.mark.parametrize(
    ("tick", "heard"), [("DEAF_TICK", False), ("SAFETY_TICK", True)], ids=["while deaf", "to be sure"]
)
async def test_everybody_is_woken_now_and_then(
    database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch, tick: str, heard: bool
) -> None:
    monkeypatch.setattr(hints, "SAFETY_TICK", 3600.0)
    monkeypatch.setattr(hints, "DEAF_TICK", 0.05)
    monkeypatch.setattr(hints, tick, 0.05)
    if not heard:
        monkeypatch.setattr(hints.Hints, "_hear", unheard_of)
    database.migrate()
    with opened(database.url) as ledger, ledger.watch(SHOP) as release, ledger.watch_operations() as operations:
        async with ledger.sharing():
            for _ in range(3):
                assert await release.wait(SOON)
                assert await operations.wait(SOON)


async def unheard_of(_hints: hints.Hints) -> None:
    raise psycopg.OperationalError("no way there")


async def test_what_somebody_types_by_hand_wakes_everybody_and_harms_nobody(
    replicas: Replicas, database: PostgresDatabase, postgres: PostgresServer
) -> None:
    here, there = replicas
    with there.watch(SHOP) as wakeup:
        postgres.execute(f"NOTIFY {hints.CHANNEL}, 'hello\nworld'", url=database.url)
        assert await wakeup.wait(SOON)

    await until_heard(here, there)


async def test_after_sharing_nothing_is_left_running(database: PostgresDatabase) -> None:
    database.migrate()
    before = asyncio.all_tasks()
    with opened(database.url) as ledger:
        async with ledger.sharing():
            await asyncio.sleep(0)

    assert asyncio.all_tasks() == before

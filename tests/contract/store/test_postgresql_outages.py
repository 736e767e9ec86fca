"""A server that goes, hangs, or says no: told in words and within seconds, and over when it is over."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import cast

import psycopg
import pytest
from support.databases import RunPostgres
from support.ledgers import opened
from support.postgres import PostgresServer
from support.samples import SHOP, a_release, a_transition

from helm_rollback.application.ports import LedgerTransaction, LedgerView
from helm_rollback.domain.errors import StoreUnavailable
from helm_rollback.store import SqlLedger
from helm_rollback.store.engines import postgresql
from helm_rollback.store.engines.postgresql_connection import Limits
from helm_rollback.store.view import View

IMPATIENT = Limits(statement=1, lock=0.5, idle_in_transaction=1)
ALL_OF_IT = 12.0
"""Seconds after which something hangs: a turn, a connection, an answer, and a machine that is busy."""


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture
def server(own_server: PostgresServer) -> Iterator[PostgresServer]:
    """A server that these tests, and no others, may harm."""
    yield own_server
    own_server.stop()
    own_server.start()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql, "LIMITS", IMPATIENT)
    monkeypatch.setattr("helm_rollback.store.ledger.PATIENCE", 1.0)


@pytest.fixture
def url(server: PostgresServer) -> str:
    return server.create_database()


@pytest.fixture
def ledger(url: str) -> Iterator[SqlLedger]:
    with opened(url) as ledger:
        yield ledger


def append(tx: LedgerTransaction) -> int:
    if tx.lock_release(SHOP) is None:
        tx.add_release(a_release())
    return tx.append(SHOP, a_transition()).sequence


async def sequences(ledger: SqlLedger) -> list[int]:
    return [event.sequence for event in await ledger.read(lambda view: view.events(SHOP, after=0, limit=99))]


def sleep_in_the_database(view: LedgerView, seconds: float) -> None:
    cast("View", view)._connection.exec_driver_sql(f"SELECT pg_sleep({seconds})")


@contextmanager
def told(problem: str) -> Iterator[None]:
    began = time.monotonic()
    with pytest.raises(StoreUnavailable) as failed:
        yield
    assert problem in failed.value.problem
    assert time.monotonic() - began < ALL_OF_IT


async def test_a_restart_between_two_calls_is_not_noticed(server: PostgresServer, ledger: SqlLedger) -> None:
    await ledger.write(append)
    await sequences(ledger)

    server.restart()

    assert await ledger.write(append) == 2
    assert await sequences(ledger) == [1, 2]


async def test_a_crash_in_the_middle_of_a_write_undoes_it(server: PostgresServer, ledger: SqlLedger) -> None:
    await ledger.write(append)

    def crashing(tx: LedgerTransaction) -> None:
        append(tx)
        server.crash()
        append(tx)

    with told("the database can not be reached"):
        await ledger.write(crashing)
    server.start()

    assert await ledger.write(append) == 2


async def test_while_the_server_is_away_every_call_says_so(server: PostgresServer, ledger: SqlLedger) -> None:
    await ledger.write(append)
    server.stop()

    for _ in range(3):
        with told("can not be reached"):
            await ledger.write(append)
        with told("can not be reached"):
            await sequences(ledger)
    server.start()

    assert await ledger.write(append) == 2


async def test_a_server_that_hangs_is_given_up_by_all_and_comes_back(server: PostgresServer, ledger: SqlLedger) -> None:
    """More calls than threads: those in the threads get no answer, the others no turn."""
    await ledger.write(append)
    began = time.monotonic()
    server.pause()
    writes = [ledger.write(append) for _ in range(20)]
    reads = [sequences(ledger) for _ in range(20)]
    answers = await asyncio.gather(*writes, *reads, return_exceptions=True)
    assert time.monotonic() - began < ALL_OF_IT
    server.resume()

    problems = {answer.problem if isinstance(answer, StoreUnavailable) else str(answer) for answer in answers}
    assert problems == {"the database can not be reached", "too much else is to be done"}
    assert await ledger.write(append) >= 2
    found = await sequences(ledger)
    assert found == list(range(1, len(found) + 1))


async def test_where_every_connection_is_busy_a_call_is_told_so_and_nothing_is_done(ledger: SqlLedger) -> None:
    may_end = threading.Event()
    busy = [asyncio.create_task(ledger.write(lambda tx: may_end.wait(ALL_OF_IT))) for _ in range(8)]
    await asyncio.sleep(0)

    with told("too much else is to be done"):
        await ledger.write(append)
    may_end.set()
    await asyncio.gather(*busy)

    assert await ledger.write(append) == 1


async def test_a_lock_that_another_holds_is_not_waited_for_for_ever(url: str, ledger: SqlLedger) -> None:
    await ledger.write(append)
    with psycopg.connect(url) as another:
        another.execute("SELECT * FROM release FOR UPDATE")
        with told("another transaction holds"):
            await ledger.write(append)

    assert await ledger.write(append) == 2


async def test_who_stands_still_in_a_transaction_loses_its_locks(ledger: SqlLedger) -> None:
    """A replica that is paused there must not stop all others."""
    await ledger.write(append)
    holds, over = threading.Event(), threading.Event()

    def standing_still(tx: LedgerTransaction) -> None:
        append(tx)
        holds.set()
        assert over.wait(ALL_OF_IT)
        append(tx)

    still = asyncio.create_task(ledger.write(standing_still))
    assert await asyncio.to_thread(holds.wait, ALL_OF_IT)
    async with asyncio.timeout(ALL_OF_IT):
        while True:
            try:
                assert await ledger.write(append) == 2
                break
            except StoreUnavailable:
                continue
    over.set()

    with told("waited for too long"):
        await still
    assert await sequences(ledger) == [1, 2]


async def test_a_statement_that_takes_too_long_is_ended(ledger: SqlLedger) -> None:
    with told("took too long"):
        await ledger.read(lambda view: sleep_in_the_database(view, 60))
    with told("took too long"):
        await ledger.write(lambda tx: sleep_in_the_database(tx, 60))

    assert await ledger.write(append) == 1


async def test_a_reader_can_not_write(ledger: SqlLedger) -> None:
    def write(view: LedgerView) -> None:
        cast("View", view)._connection.exec_driver_sql("UPDATE observed_cluster SET resource_version = 1")

    with told("read-only"):
        await ledger.read(write)

    assert await ledger.write(append) == 1


async def test_a_standby_is_no_ledger(server: PostgresServer, ledger: SqlLedger) -> None:
    """After a failover the old primary may come back as one."""
    await ledger.write(append)
    server.stop()
    server.become_standby()
    server.start()

    with told("can not be reached"):
        await ledger.write(append)
    with told("can not be reached"):
        await sequences(ledger)
    server.promote()

    assert await ledger.write(append) == 2


async def test_a_server_out_of_connections_is_told_and_those_that_are_open_go_on(
    run_postgres: RunPostgres,
) -> None:
    server = run_postgres(max_connections=8, superuser_reserved_connections=0, max_wal_senders=0)
    with opened(server.create_database()) as ledger, ExitStack() as others:
        await ledger.write(append)
        for _ in range(7):
            others.enter_context(psycopg.connect(server.url()))

        with told("can not be reached"):
            await sequences(ledger)
        assert await ledger.write(append) == 2
        others.close()

        assert await sequences(ledger) == [1, 2]


async def test_a_text_with_nul_is_stored_without(ledger: SqlLedger) -> None:
    """PostgreSQL has no NUL, and Helm's texts may hold any character."""
    await ledger.write(lambda tx: tx.add_release(a_release(chart_name="sh\0p")))

    release = await ledger.read(lambda view: view.release(SHOP))
    assert release is not None
    assert release.chart_name == "sh�p"

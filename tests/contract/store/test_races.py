"""What two replicas do at once ends as if they had done it one after the other, and nothing hangs."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TypeVar

import pytest
from support.ledgers import AnyDatabase, PostgresDatabase, opened
from support.samples import BLOG, SHOP, Clock, a_release, a_transition, an_operation, operation_id

from helm_rollback.application.ports import LedgerTransaction
from helm_rollback.domain.errors import OperationInProgress, RequestIdReused
from helm_rollback.domain.release import ReleaseId
from helm_rollback.store import SqlLedger

LEASE = timedelta(seconds=30)
GRACE = timedelta(seconds=1)
REQUEST = "01890a5d-ac96-774b-bcce-b302099a8057"
ALL_OF_IT = 30.0
"""Seconds after which something hangs."""

T = TypeVar("T")
Replicas = tuple[SqlLedger, SqlLedger]


@pytest.fixture
def replicas(database: AnyDatabase, ledger: SqlLedger, clock: Clock) -> Iterator[Replicas]:
    """Two on one ledger; where only one process may have it, that one twice."""
    if not isinstance(database, PostgresDatabase):
        yield ledger, ledger
        return
    with opened(database.url, clock) as other:
        yield ledger, other


async def at_once(
    replicas: Replicas, times: int, body_of: Callable[[int], Callable[[LedgerTransaction], T]]
) -> list[T | BaseException]:
    """Run as many bodies at once, in turns on both."""
    async with asyncio.timeout(ALL_OF_IT):
        return await asyncio.gather(
            *(replicas[number % 2].write(body_of(number)) for number in range(times)), return_exceptions=True
        )


def kinds(answers: list[T | BaseException]) -> Counter[str]:
    return Counter(type(answer).__name__ for answer in answers)


async def test_of_many_operations_one_is_accepted(replicas: Replicas) -> None:
    await replicas[0].write(lambda tx: tx.add_release(a_release()))

    def accept(number: int) -> Callable[[LedgerTransaction], str]:
        def body(tx: LedgerTransaction) -> str:
            release = tx.lock_release(SHOP)
            assert release is not None
            if release.active_operation_id:
                raise OperationInProgress(SHOP, release.active_operation_id)
            tx.add_operation(an_operation(number + 1))
            tx.append(SHOP, a_transition())
            return operation_id(number + 1)

        return body

    answers = await at_once(replicas, 40, accept)

    assert kinds(answers) == {"str": 1, "OperationInProgress": 39}
    events = await replicas[1].read(lambda view: view.events(SHOP, after=0, limit=99))
    assert [event.sequence for event in events] == [1]


async def test_without_any_lock_the_index_lets_one_operation_in(replicas: Replicas) -> None:
    await replicas[0].write(lambda tx: tx.add_release(a_release()))

    answers = await at_once(replicas, 20, lambda number: lambda tx: tx.add_operation(an_operation(number + 1)))

    assert kinds(answers) == {"NoneType": 1, "OperationInProgress": 19}


async def test_a_request_id_names_one_operation_also_of_two_releases(replicas: Replicas) -> None:
    await replicas[0].write(lambda tx: tx.add_release(a_release(SHOP)))
    await replicas[0].write(lambda tx: tx.add_release(a_release(BLOG)))

    def accept(number: int) -> Callable[[LedgerTransaction], None]:
        release_id = (SHOP, BLOG)[number // 2 % 2]
        return lambda tx: tx.add_operation(an_operation(number + 1, release_id, request_id=REQUEST))

    answers = await at_once(replicas, 8, accept)

    assert kinds(answers) == {"NoneType": 1, "RequestIdReused": 7}
    told = {error.operation_id for error in answers if isinstance(error, RequestIdReused)}
    named = await replicas[0].read(lambda view: view.operation_of_request(REQUEST))
    assert named is not None
    assert told == {named.operation_id}


async def test_sequences_have_no_gap_and_no_double(replicas: Replicas) -> None:
    await replicas[0].write(lambda tx: tx.add_release(a_release()))

    def append(number: int) -> Callable[[LedgerTransaction], int]:
        def body(tx: LedgerTransaction) -> int:
            event = tx.append(SHOP, a_transition(number + 1))
            if number % 10 == 7:
                raise RuntimeError("undone")
            return event.sequence

        return body

    answers = await at_once(replicas, 60, append)

    assert sorted(answer for answer in answers if isinstance(answer, int)) == list(range(1, 55))
    events = await replicas[0].read(lambda view: view.events(SHOP, after=0, limit=99))
    assert [event.sequence for event in events] == list(range(1, 55))
    assert [event.time for event in events] == sorted(event.time for event in events)


async def test_a_release_that_two_adopt_is_adopted_once(replicas: Replicas) -> None:
    def adopt(number: int) -> Callable[[LedgerTransaction], bool]:
        def body(tx: LedgerTransaction) -> bool:
            if tx.lock_release(SHOP) is None:
                tx.add_release(a_release(last_sequence=0))
            release = tx.lock_release(SHOP)
            assert release is not None
            if release.last_sequence == 0:
                tx.append(SHOP, a_transition())
            return release.last_sequence == 0

        return body

    answers = await at_once(replicas, 10, adopt)

    assert Counter(answers) == {True: 1, False: 9}


async def test_one_payload_archived_at_once_is_one(replicas: Replicas) -> None:
    digests = await at_once(replicas, 12, lambda _: lambda tx: tx.archive(b"a record" * 10_000))

    assert len(set(digests)) == 1
    assert await replicas[1].read(lambda view: view.payload(str(digests[0]))) == b"a record" * 10_000


async def test_every_operation_is_claimed_once(replicas: Replicas) -> None:
    def accept(tx: LedgerTransaction) -> None:
        for number in range(30):
            release_id = ReleaseId("default", "prod", f"shop-{number}")
            tx.add_release(a_release(release_id))
            tx.add_operation(an_operation(number, release_id))

    await replicas[0].write(accept)
    claims = await at_once(
        replicas, 16, lambda number: lambda tx: tx.claim(owner=f"{number}", lease=LEASE, grace=GRACE, limit=4)
    )

    taken = [claim.operation.operation_id for one in claims if isinstance(one, list) for claim in one]
    assert sorted(taken) == [operation_id(number) for number in range(30)]
    assert all(isinstance(one, list) and len(one) <= 4 for one in claims)


async def test_a_cluster_is_claimed_by_one(replicas: Replicas) -> None:
    tokens = await at_once(
        replicas, 10, lambda number: lambda tx: tx.claim_observation("default", owner=f"{number}", lease=LEASE)
    )

    assert Counter(tokens) == {1: 1, None: 9}


async def test_who_waited_for_a_release_sees_what_was_done_to_it_meanwhile(replicas: Replicas) -> None:
    """Also in other tables: an operation that was accepted meanwhile is the release's active one."""
    await replicas[0].write(lambda tx: tx.add_release(a_release()))
    locked, may_end = threading.Event(), threading.Event()

    def accept(tx: LedgerTransaction) -> None:
        tx.lock_release(SHOP)
        locked.set()
        assert may_end.wait(ALL_OF_IT)
        tx.add_operation(an_operation())
        tx.append(SHOP, a_transition())

    accepting = asyncio.create_task(replicas[0].write(accept))
    assert await asyncio.to_thread(locked.wait, ALL_OF_IT)
    waiting = asyncio.create_task(replicas[1].write(lambda tx: tx.lock_release(SHOP)))
    done, _ = await asyncio.wait([waiting], timeout=0.2)
    assert not done, "it did not wait"
    may_end.set()
    await accepting

    release = await waiting
    assert release is not None
    assert (release.active_operation_id, release.last_sequence) == (operation_id(1), 1)


async def test_transactions_that_lock_each_other_out_are_both_done(replicas: Replicas) -> None:
    """Whoever is undone for the other's sake is run again by the ledger."""
    await replicas[0].write(lambda tx: tx.add_release(a_release(SHOP)))
    await replicas[0].write(lambda tx: tx.add_release(a_release(BLOG)))

    def crosswise(number: int) -> Callable[[LedgerTransaction], None]:
        first, second = (SHOP, BLOG) if number % 2 else (BLOG, SHOP)

        def body(tx: LedgerTransaction) -> None:
            tx.append(first, a_transition())
            tx.append(second, a_transition())

        return body

    assert kinds(await at_once(replicas, 6, crosswise)) == {"NoneType": 6}
    assert len(await replicas[1].read(lambda view: view.events(SHOP, after=0, limit=99))) == 6
    assert len(await replicas[1].read(lambda view: view.events(BLOG, after=0, limit=99))) == 6

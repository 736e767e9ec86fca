"""A replica is paused past its lease, wherever that hits it: another ends what it began, and it writes nothing more.

It is paused before the first call that its worker makes, in the next world before the
second, and so on until it comes to its end: no call is left out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.fakes import Chart, HelmRun, Hold, Point, RunEnd, hook
from support.ledgers import opened, sqlite_url
from support.recovery import killed_at, with_two_revisions
from support.samples import SHOP
from support.service import eventually, rollback_request
from support.standing_still import LEASE, Replica, replica
from support.streams import tell
from support.world import Choices, World

from helm_rollback.application import observation_turn, refresh
from helm_rollback.application.lease import GRACE
from helm_rollback.domain.operation import Operation, OperationState
from helm_rollback.servicer.translate.history import history_event
from helm_rollback.store import SqlLedger


@pytest.fixture(autouse=True)
def _nobody_waits_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observation_turn, "_TICK", 0.01)
    monkeypatch.setattr(refresh, "OBSERVER_HEAD_START", 0.05)


@dataclass(frozen=True, kw_only=True)
class Story:
    """What the paused replica has to do."""

    begin: Callable[[World], Awaitable[str]]
    """Makes an operation that waits to be claimed; its id."""
    runs: tuple[HelmRun, ...] = ()
    """How its Helm ends, where it does not succeed."""
    attempts: int = 0
    """How often Helm was started before."""
    least_calls: int
    """How often it can be paused, at the least."""


async def fresh(world: World) -> str:
    with_two_revisions(world)
    service = await world.start(Choices(works=False))
    accepted = (await service.rollbacks.Rollback(rollback_request())).operation
    await world.kill()
    return accepted.operation_id


async def left_pending(world: World) -> str:
    with_two_revisions(world)
    return await killed_at(world, Point.AFTER_CREATE)


async def left_pending_with_a_hook(world: World) -> str:
    with_two_revisions(world, Chart(version="1.0.0", hooks=(hook("pre-rollback"),)))
    return await killed_at(world, Point.AFTER_CREATE)


STORIES = {
    "a rollback whose Helm is killed": Story(begin=fresh, runs=(HelmRun(end=RunEnd.KILLED_AT_CREATE),), least_calls=10),
    "a dead attempt whose record is removed": Story(begin=left_pending, attempts=1, least_calls=12),
    "a dead attempt whose record is set failed": Story(begin=left_pending_with_a_hook, attempts=1, least_calls=6),
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
async def test_a_replica_that_was_paused_past_its_lease_writes_nothing_more(story: Story, tmp_path: Path) -> None:
    call = 1
    while await _paused_before(call, story, tmp_path / str(call)):
        call += 1

    assert call > story.least_calls


@pytest.mark.parametrize("point", [Point.BEFORE_CREATE, Point.BEFORE_SUPERSEDE])
async def test_a_rollback_whose_write_came_after_its_lease_is_run_anew(point: Point, tmp_path: Path) -> None:
    """The ledger was away for longer than the lease, and is back before anyone else could take over."""
    world = World(folder=tmp_path)
    operation_id = await fresh(world)
    with opened(sqlite_url(tmp_path), world.clock) as ledger:
        async with replica(world, ledger, "one") as only:
            hold = only.helm.hold(point)
            await eventually(lambda: _held_or_ended(hold, ledger, operation_id), "Helm is in its middle")
            world.clock.move(LEASE + GRACE)
            hold.release()
            await eventually(lambda: _ended(ledger, operation_id), "it is run anew")
        operation = await _operation(ledger, operation_id)

    assert (operation.state, operation.attempt) == (OperationState.SUCCEEDED, 2)
    assert len(only.helm.started) == 2


async def _paused_before(call: int, story: Story, folder: Path) -> bool:
    """Pause a replica there, and let another take over; False where it came to its end before."""
    folder.mkdir()  # noqa: ASYNC240 - a test's own
    world = World(folder=folder)
    operation_id = await story.begin(world)
    with opened(sqlite_url(folder), world.clock) as ledger:
        async with replica(world, ledger, "one") as paused:
            paused.helm.scripts.extend(story.runs)
            paused.standstill.begin_before(call)
            await eventually(
                lambda: _paused_or_ended(paused, ledger, operation_id), "it stands still, or ends the operation"
            )
            if not paused.standstill.began.is_set():
                return False
            world.clock.move(LEASE + GRACE)
            await _check_take_over(story, world, ledger, paused, operation_id)
    return True


async def _check_take_over(story: Story, world: World, ledger: SqlLedger, paused: Replica, operation_id: str) -> None:
    """Another goes on; the paused one wakes in its middle, and nothing comes of that."""
    async with replica(world, ledger, "two") as other:
        hold = other.helm.hold(Point.AFTER_CREATE)
        await eventually(
            lambda: _held_or_ended(hold, ledger, operation_id), "another is in its middle, or has ended it"
        )
        await eventually(lambda: _all_seen(world, ledger), "another observes")
        before = await _told(ledger), world.by_hand.stored

        paused.standstill.end()
        await paused.idle()

        assert (await _told(ledger), world.by_hand.stored) == before
        hold.release()
        await eventually(lambda: _ended(ledger, operation_id), "another ends it")
        await other.idle()
        operation = await _operation(ledger, operation_id)
        _check_outcome(world, operation)
        runs = story.attempts + len(paused.helm.started) + len(other.helm.started)
        assert runs <= operation.attempt <= story.attempts + 2
        await _check_stream_goes_on(world, ledger)


def _check_outcome(world: World, operation: Operation) -> None:
    """The operation says what the cluster shows, and left nothing pending."""
    statuses = world.by_hand.statuses
    if operation.state is OperationState.SUCCEEDED:
        assert statuses == {1: "superseded", 2: "superseded", 3: "deployed"}
    else:
        assert (operation.result_revision, statuses[3]) == (3, "failed")


async def _check_stream_goes_on(world: World, ledger: SqlLedger) -> None:
    """What happens next is told once, whoever observes by now."""
    await eventually(lambda: _all_seen(world, ledger), "all is seen")
    told = await _told(ledger)
    world.by_hand.upgrade(Chart(version="4.0.0"))
    await eventually(lambda: _all_seen(world, ledger), "the upgrade is seen")

    rest = (await _told(ledger))[len(told) :]
    assert rest[0] == "revision 4 → PENDING_UPGRADE"
    assert rest[-1] == "revision 4 PENDING_UPGRADE → DEPLOYED"
    assert len(rest) == 3


async def _operation(ledger: SqlLedger, operation_id: str) -> Operation:
    operation = await ledger.read(lambda view: view.operation(operation_id))
    assert operation is not None
    return operation


async def _ended(ledger: SqlLedger, operation_id: str) -> bool:
    return (await _operation(ledger, operation_id)).state.is_terminal


async def _paused_or_ended(paused: Replica, ledger: SqlLedger, operation_id: str) -> bool:
    stands_still = paused.standstill.began.is_set() and not paused.standstill.under_way
    return stands_still or await _ended(ledger, operation_id)


async def _held_or_ended(hold: Hold, ledger: SqlLedger, operation_id: str) -> bool:
    return hold.reached.is_set() or await _ended(ledger, operation_id)


async def _all_seen(world: World, ledger: SqlLedger) -> bool:
    version = await ledger.read(lambda view: view.observed_version(world.cluster.name))
    return version is not None and version >= world.cluster.resource_version


async def _told(ledger: SqlLedger) -> list[str]:
    events = await ledger.read(lambda view: view.events(SHOP, after=0, limit=100))
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    return [tell(history_event(event)) for event in events]

"""Helm before 4.3 can not stamp its record.

What it wrote is known by what the fence let through; after a kill, by number, text,
content and time.
"""

from __future__ import annotations

from contextlib import nullcontext
from datetime import timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from support.fakes import Chart, FakeHelm, HelmRun, Point, RunEnd, hook
from support.recovery import (
    ON_BOTH_ENGINES,
    history,
    killed_at,
    killed_while_the_cluster_is_away,
    outcome_after_restart,
    reason,
    with_two_revisions,
)
from support.service import rollback_request
from support.world import Choices, World

from helm_rollback.v1.release_pb2 import Failure, Operation
from helm_rollback.v1.release_service_pb2 import GetRevisionRequest

pytestmark = ON_BOTH_ENGINES

SHOP = "default.prod.shop"


@pytest.fixture
async def world(world: World) -> World:
    world.helm = FakeHelm(world.fence, writes_stamp=False)
    with_two_revisions(world)
    return world


async def rolled_back(world: World, choices: Choices | None = None) -> Operation:
    service = await world.start(choices)
    request = rollback_request(wait_timeout=Duration(seconds=20), reason="orders fail")
    return (await service.rollbacks.Rollback(request, metadata=(("x-helm-rollback-actor", "ada"),))).operation


@pytest.mark.parametrize("observes", [True, False], ids=["observed", "unobserved"])
async def test_its_rollback_succeeds_and_its_revision_is_ours(world: World, observes: bool) -> None:
    operation = await rolled_back(world, Choices(observes=observes))

    assert (operation.state, operation.result_revision) == (Operation.SUCCEEDED, 3)
    assert world.by_hand.stored[3]["info"]["description"] == "Rollback to 1"
    await world.stop()
    service = await world.start()
    revision = (await service.releases.GetRevision(GetRevisionRequest(release_id=SHOP, revision=3))).revision
    assert (revision.operation_id, revision.actor, revision.reason) == (operation.operation_id, "ada", "orders fail")


@pytest.mark.parametrize(
    ("end", "why", "applied"),
    [
        (RunEnd.APPLY_FAILS, "OBJECT_REJECTED", Failure.NOT_APPLIED),
        (RunEnd.WAIT_FAILS, "WAIT_TIMED_OUT", Failure.APPLIED),
        (RunEnd.KILLED_AFTER_SUPERSEDE, "INTERRUPTED", Failure.APPLIED),
    ],
)
async def test_its_failures_are_told_as_they_are_and_nothing_stays_pending(
    world: World, end: RunEnd, why: str, applied: Failure.Applied.ValueType
) -> None:
    world.helm.scripts.append(HelmRun(end=end))

    operation = await rolled_back(world)

    assert (reason(operation), operation.failure.applied, operation.result_revision) == (why, applied, 3)
    assert world.by_hand.statuses[3] == "failed"


async def test_someone_elses_rollback_in_between_is_an_external_change(world: World) -> None:
    hold = world.helm.hold(Point.BEFORE_CREATE)
    service = await world.start()
    accepted = (await service.rollbacks.Rollback(rollback_request())).operation
    await hold.reached.wait()
    world.by_hand.rollback(1)
    hold.release()

    operation = await service.settled(accepted.operation_id)

    assert (reason(operation), operation.result_revision) == ("EXTERNAL_CHANGE", 0)


# --- after a kill: number, text, content and time stand for the stamp -----------------


async def test_a_deployed_record_means_that_it_worked_and_is_marked_as_ours(world: World) -> None:
    killed = await killed_at(world, Point.AFTER_END)

    service = await world.start()
    operation = await service.settled(killed)

    assert (operation.state, operation.attempt, operation.result_revision) == (Operation.SUCCEEDED, 1, 3)
    assert operation.outcome_evidence == Operation.RECONSTRUCTED
    revision = (await service.releases.GetRevision(GetRevisionRequest(release_id=SHOP, revision=3))).revision
    assert revision.operation_id == killed


async def test_it_worked_though_others_have_gone_on_since(world: World) -> None:
    with world.cluster.watch_held():
        killed = await killed_at(world, Point.AFTER_END)
        world.by_hand.upgrade(Chart(version="4.0.0"))
        world.cluster.forget_changes()

    operation = await outcome_after_restart(world, killed)

    assert (operation.state, operation.result_revision) == (Operation.SUCCEEDED, 3)
    assert operation.outcome_evidence == Operation.RECONSTRUCTED


@pytest.mark.parametrize("point", [Point.AFTER_CREATE, Point.BEFORE_SUPERSEDE, Point.AFTER_SUPERSEDE])
async def test_a_dead_attempts_record_is_removed_before_the_next(world: World, point: Point) -> None:
    killed = await killed_at(world, point)

    service = await world.start()
    operation = await service.settled(killed)

    assert (operation.state, operation.attempt, operation.result_revision) == (Operation.SUCCEEDED, 2, 3)
    assert world.by_hand.statuses == {1: "superseded", 2: "superseded", 3: "deployed"}
    assert (await history(service)).count("record 3 removed") == 1


async def test_where_a_hook_may_have_run_nothing_is_repeated(world: World) -> None:
    world.by_hand.upgrade(Chart(version="3.0.0", hooks=(hook("pre-rollback"),)))
    world.by_hand.upgrade(Chart(version="4.0.0"))
    killed = await killed_at(world, Point.AFTER_CREATE, target=3)

    operation = await outcome_after_restart(world, killed)

    assert (reason(operation), operation.result_revision) == ("INTERRUPTED", 5)
    assert operation.outcome_evidence == Operation.RECONSTRUCTED
    assert world.by_hand.statuses[5] == "failed"
    assert len(world.helm.started) == 1


async def test_where_someone_has_gone_on_over_its_pending_record_nothing_is_run(world: World) -> None:
    killed = await killed_at(world, Point.AFTER_CREATE)
    world.by_hand.rollback(2)

    operation = await outcome_after_restart(world, killed)

    assert (reason(operation), operation.result_revision) == ("INTERRUPTED", 3)
    assert len(world.helm.started) == 1


@pytest.mark.parametrize("watched", [True, False], ids=["watched", "unwatched"])
@pytest.mark.parametrize(
    ("end", "why", "applied"),
    [
        (RunEnd.APPLY_FAILS, "OBJECT_REJECTED", Failure.UNKNOWN),
        (RunEnd.WAIT_FAILS, "WAIT_TIMED_OUT", Failure.APPLIED),
    ],
)
async def test_a_failed_record_is_told_with_helms_own_text(
    world: World, end: RunEnd, why: str, applied: Failure.Applied.ValueType, watched: bool
) -> None:
    """Helm has written the cause over the target, which the ledger may never have seen."""
    world.helm.scripts.append(HelmRun(end=end))
    with nullcontext() if watched else world.cluster.watch_held():
        killed = await killed_at(world, Point.AFTER_END)
        if not watched:
            world.cluster.forget_changes()

    operation = await outcome_after_restart(world, killed)

    assert (reason(operation), operation.failure.applied, operation.result_revision) == (why, applied, 3)
    assert operation.outcome_evidence == Operation.RECONSTRUCTED
    assert operation.failure.message == world.by_hand.stored[3]["info"]["description"]


async def test_someone_elses_same_rollback_long_after_is_not_taken_for_ours(world: World) -> None:
    killed = await killed_at(world, Point.BEFORE_CREATE)
    world.clock.move(timedelta(minutes=10))
    world.by_hand.rollback(1)

    operation = await outcome_after_restart(world, killed)

    assert (reason(operation), operation.failure.applied) == ("OUTCOME_UNKNOWN", Failure.UNKNOWN)
    assert len(world.helm.started) == 1


async def test_someone_elses_same_rollback_is_not_taken_for_ours_since_we_claimed_again_after_it(world: World) -> None:
    killed = await killed_at(world, Point.BEFORE_CREATE)
    world.clock.move(timedelta(minutes=10))
    world.by_hand.rollback(1)
    await killed_while_the_cluster_is_away(world)

    operation = await outcome_after_restart(world, killed)

    assert (reason(operation), operation.failure.applied) == ("OUTCOME_UNKNOWN", Failure.UNKNOWN)
    assert len(world.helm.started) == 1


async def test_someone_elses_same_rollback_in_the_same_seconds_is_what_was_asked_for(world: World) -> None:
    """It can not be told from ours, and the release is where it should be; the evidence says how that is known."""
    killed = await killed_at(world, Point.BEFORE_CREATE)
    world.by_hand.rollback(1)

    operation = await outcome_after_restart(world, killed)

    assert (operation.state, operation.result_revision) == (Operation.SUCCEEDED, 3)
    assert operation.outcome_evidence == Operation.RECONSTRUCTED
    assert len(world.helm.started) == 1


async def test_someone_elses_rollback_to_another_revision_is_an_external_change(world: World) -> None:
    killed = await killed_at(world, Point.BEFORE_CREATE)
    world.by_hand.rollback(2)

    assert reason(await outcome_after_restart(world, killed)) == "EXTERNAL_CHANGE"


async def test_an_end_that_was_overwritten_unseen_is_never_guessed(world: World) -> None:
    with world.cluster.watch_held():
        killed = await killed_at(world, Point.AFTER_END)
        world.by_hand.uninstall(keep_history=True)
        world.cluster.forget_changes()

    operation = await outcome_after_restart(world, killed)

    assert (reason(operation), operation.failure.applied) == ("OUTCOME_UNKNOWN", Failure.UNKNOWN)


async def test_after_a_kill_before_its_record_it_is_run_again(world: World) -> None:
    killed = await killed_at(world, Point.BEFORE_CREATE)

    operation = await outcome_after_restart(world, killed)

    assert (operation.state, operation.attempt) == (Operation.SUCCEEDED, 2)


async def test_someone_elses_upgrade_after_a_kill_is_an_external_change(world: World) -> None:
    killed = await killed_at(world, Point.BEFORE_CREATE)
    world.by_hand.upgrade(Chart(version="3.0.0"))

    assert reason(await outcome_after_restart(world, killed)) == "EXTERNAL_CHANGE"

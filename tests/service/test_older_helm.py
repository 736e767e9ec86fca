"""Helm before 4.3 can not stamp its record: what it wrote is known by what the fence let through."""

from __future__ import annotations

import pytest
from google.protobuf.duration_pb2 import Duration
from support.fakes import Chart, FakeHelm, HelmRun, Point, RunEnd
from support.recovery import killed_at, outcome_after_restart, reason, with_two_revisions
from support.service import rollback_request
from support.world import Choices, World

from helm_rollback.v1.release_pb2 import Failure, Operation
from helm_rollback.v1.release_service_pb2 import GetRevisionRequest

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


@pytest.mark.parametrize("point", [Point.AFTER_CREATE, Point.AFTER_END])
async def test_after_a_kill_its_record_could_be_anyones_and_nothing_is_guessed(world: World, point: Point) -> None:
    killed = await killed_at(world, point)

    operation = await outcome_after_restart(world, killed)

    assert (reason(operation), operation.failure.applied) == ("OUTCOME_UNKNOWN", Failure.UNKNOWN)
    assert len(world.helm.started) == 1


async def test_after_a_kill_before_its_record_it_is_run_again(world: World) -> None:
    killed = await killed_at(world, Point.BEFORE_CREATE)

    operation = await outcome_after_restart(world, killed)

    assert (operation.state, operation.attempt) == (Operation.SUCCEEDED, 2)


async def test_someone_elses_upgrade_after_a_kill_is_an_external_change(world: World) -> None:
    killed = await killed_at(world, Point.BEFORE_CREATE)
    world.by_hand.upgrade(Chart(version="3.0.0"))

    assert reason(await outcome_after_restart(world, killed)) == "EXTERNAL_CHANGE"

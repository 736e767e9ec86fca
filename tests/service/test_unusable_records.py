"""Where Helm could not do it, it is not started, and the outcome says what is amiss."""

from __future__ import annotations

import pytest
from google.protobuf.duration_pb2 import Duration
from support.recovery import reason, with_two_revisions
from support.service import rollback_request
from support.world import World

from helm_rollback.v1.release_pb2 import Failure, Operation
from helm_rollback.v1.release_service_pb2 import GetReleaseRequest


async def rolled_back(world: World) -> Operation:
    """The outcome of a rollback to revision 1."""
    service = await world.start()
    return (await service.rollbacks.Rollback(rollback_request(wait_timeout=Duration(seconds=20)))).operation


async def seen(world: World) -> None:
    """The ledger knows the release; then the service is away."""
    service = await world.start()
    await service.releases.GetRelease(GetReleaseRequest(release_id="default.prod.shop"))
    await world.stop()


def assert_nothing_was_run(world: World, operation: Operation) -> None:
    assert world.helm.started == []
    assert (operation.attempt, operation.failure.applied) == (0, Failure.NOT_APPLIED)


async def test_a_target_that_helm_has_pruned_is_told_as_that(world: World) -> None:
    with_two_revisions(world)
    await seen(world)
    world.by_hand.forget(1)

    operation = await rolled_back(world)

    assert reason(operation) == "HELM_FAILED"
    assert "no longer stores revision 1" in operation.failure.message
    assert_nothing_was_run(world, operation)


@pytest.mark.parametrize(("damaged", "told"), [(1, "record of revision 1"), (2, "record of the current revision 2")])
async def test_a_record_that_can_not_be_read_is_told_as_that(world: World, damaged: int, told: str) -> None:
    with_two_revisions(world)
    await seen(world)
    world.cluster.damage("prod", "shop", damaged)

    operation = await rolled_back(world)

    assert reason(operation) == "RECORD_MISMATCH"
    assert f"{told} can not be read" in operation.failure.message
    assert_nothing_was_run(world, operation)

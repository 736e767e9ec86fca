"""Somebody deletes a record by hand and upgrades: Helm uses the number again, and another revision bears it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from support.fakes import Chart, HelmRun, Point, RunEnd
from support.recovery import SHOP, outcome_after_restart, reason, with_two_revisions
from support.service import rollback_request
from support.world import Choices, World

from helm_rollback.v1.release_pb2 import Failure, Operation
from helm_rollback.v1.release_service_pb2 import GetRevisionRequest


async def test_a_base_whose_number_was_used_again_is_another_release(world: World) -> None:
    world.release(revisions=3)
    service = await world.start(Choices(works=False))
    accepted = (await service.rollbacks.Rollback(rollback_request(expected_current_revision=3))).operation
    await world.kill()
    world.clock.move(timedelta(seconds=1))
    world.by_hand.forget(3)
    world.by_hand.upgrade(Chart(version="9.9.9"))

    ended = await outcome_after_restart(world, accepted.operation_id)

    assert (reason(ended), ended.failure.applied) == ("EXTERNAL_CHANGE", Failure.NOT_APPLIED)
    assert world.helm.started == []


async def test_taking_over_a_dead_upgrade_does_not_take_over_the_live_one_after_it(world: World) -> None:
    world.release()
    world.by_hand.begin_upgrade(Chart(version="3.0.0"))
    service = await world.start(Choices(works=False))
    request = rollback_request(expected_current_revision=3, take_over_pending=True)
    accepted = (await service.rollbacks.Rollback(request)).operation
    await world.kill()
    world.clock.move(timedelta(seconds=1))
    world.by_hand.forget(3)
    world.by_hand.begin_upgrade(Chart(version="4.0.0"))

    ended = await outcome_after_restart(world, accepted.operation_id)

    assert reason(ended) == "EXTERNAL_CHANGE"
    assert world.by_hand.statuses[3] == "pending-upgrade"


@pytest.mark.parametrize("stamped", [True, False], ids=["Helm 4.3", "older Helm"])
async def test_somebodys_upgrade_by_the_number_of_our_record_is_not_ours(world: World, stamped: bool) -> None:
    world.helm._writes_stamp = stamped
    with_two_revisions(world)
    service = await world.start()
    hold = world.helm.hold(Point.AFTER_CREATE)
    world.helm.scripts.append(HelmRun(end=RunEnd.KILLED_AT_CREATE))
    accepted = (await service.rollbacks.Rollback(rollback_request())).operation
    await hold.reached.wait()
    await service.until_observed(world.cluster)
    world.by_hand.forget(3)
    world.by_hand.upgrade(Chart(version="7.0.0"))
    await service.until_observed(world.cluster)
    hold.release()

    ended = await service.settled(accepted.operation_id)

    assert (reason(ended), ended.failure.applied, ended.result_revision) == ("OUTCOME_UNKNOWN", Failure.UNKNOWN, 0)
    foreign = await service.releases.GetRevision(GetRevisionRequest(release_id=SHOP, revision=3))
    assert (foreign.revision.chart_version, foreign.revision.operation_id) == ("7.0.0", "")
    assert ended.state == Operation.FAILED

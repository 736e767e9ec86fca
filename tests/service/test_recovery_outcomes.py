"""What a killed service's successor makes of a record that is final, or gone; and of a cluster that is away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from support.fakes import Chart, HelmRun, Point, RunEnd
from support.recovery import ON_BOTH_ENGINES, SHOP, killed_at, outcome_after_restart, reason, with_two_revisions
from support.service import eventually, rollback_request
from support.world import Choices, World

from helm_rollback.v1 import rollback_service_pb2 as pb
from helm_rollback.v1.release_pb2 import Failure, Operation
from helm_rollback.v1.release_service_pb2 import GetRevisionRequest

pytestmark = ON_BOTH_ENGINES

# --- its record was final -------------------------------------------------------------


async def test_a_deployed_record_means_that_it_worked(world: World) -> None:
    with_two_revisions(world)
    killed = await killed_at(world, Point.AFTER_END)

    ended = await outcome_after_restart(world, killed)

    assert (ended.state, ended.result_revision, ended.attempt) == (Operation.SUCCEEDED, 3, 1)
    assert ended.outcome_evidence == Operation.RECONSTRUCTED
    assert len(world.helm.started) == 1


@pytest.mark.parametrize("then", ["upgrade", "uninstall"])
async def test_it_worked_though_others_have_gone_on_since(world: World, then: str) -> None:
    with_two_revisions(world)
    killed = await killed_at(world, Point.AFTER_END)
    if then == "upgrade":
        world.by_hand.upgrade(Chart(version="4.0.0"))
    else:
        world.by_hand.uninstall(keep_history=True)

    ended = await outcome_after_restart(world, killed)

    assert (ended.state, ended.outcome_evidence) == (Operation.SUCCEEDED, Operation.RECONSTRUCTED)
    assert len(world.helm.started) == 1


async def test_a_superseded_record_that_nobody_saw_deployed_is_proved_by_its_successor(world: World) -> None:
    with_two_revisions(world)
    with world.cluster.watch_held():
        killed = await killed_at(world, Point.AFTER_END)
        world.by_hand.upgrade(Chart(version="4.0.0"))
        world.cluster.forget_changes()

    ended = await outcome_after_restart(world, killed)

    assert (ended.state, ended.outcome_evidence) == (Operation.SUCCEEDED, Operation.RECONSTRUCTED)


async def test_a_failed_record_is_told_with_helms_own_text(world: World) -> None:
    with_two_revisions(world)
    world.helm.scripts.append(HelmRun(end=RunEnd.APPLY_FAILS))
    killed = await killed_at(world, Point.AFTER_END)

    ended = await outcome_after_restart(world, killed)

    assert (reason(ended), ended.result_revision) == ("OBJECT_REJECTED", 3)
    assert ended.outcome_evidence == Operation.RECONSTRUCTED
    assert "field is immutable" in ended.failure.message
    assert len(world.helm.started) == 1


# --- its stamp was overwritten, unseen ------------------------------------------------


@pytest.mark.parametrize("then", ["nothing", "upgrade"])
async def test_a_failed_record_whose_first_version_bears_the_stamp_is_told_with_helms_own_text(
    world: World, then: str
) -> None:
    with_two_revisions(world)
    world.helm.scripts.append(HelmRun(end=RunEnd.APPLY_FAILS))
    killed = await _killed_unseen(world, then)

    service = await world.start(Choices(observes=False))
    ended = await service.settled(killed)

    assert (reason(ended), ended.result_revision) == ("OBJECT_REJECTED", 3)
    assert ended.outcome_evidence == Operation.RECONSTRUCTED
    assert "field is immutable" in ended.failure.message
    revision = (await service.releases.GetRevision(GetRevisionRequest(release_id=SHOP, revision=3))).revision
    assert revision.operation_id == killed
    assert len(world.helm.started) == 1


async def test_a_version_that_was_deployed_shows_that_it_worked_before_it_was_uninstalled(world: World) -> None:
    with_two_revisions(world)
    killed = await _killed_unseen(world, "uninstall")

    service = await world.start(Choices(observes=False))
    ended = await service.settled(killed)

    assert (ended.state, ended.result_revision) == (Operation.SUCCEEDED, 3)
    assert ended.outcome_evidence == Operation.RECONSTRUCTED


async def test_someone_elses_failed_rollback_to_the_same_target_is_not_told_as_ours(world: World) -> None:
    with_two_revisions(world)
    killed = await killed_at(world, Point.BEFORE_CREATE)
    world.by_hand.rollback(1, fails_to_apply=True)

    ended = await outcome_after_restart(world, killed)

    assert (reason(ended), ended.result_revision) == ("OUTCOME_UNKNOWN", 0)
    assert len(world.helm.started) == 1


@pytest.mark.parametrize("then", ["nothing", "upgrade", "uninstall", "purge", "damage"])
async def test_an_end_whose_stamp_was_overwritten_unseen_is_never_guessed(world: World, then: str) -> None:
    """Neither "nothing was run" nor another run: Helm was started, and may have written what is gone."""
    with_two_revisions(world)
    if then in ("nothing", "upgrade"):
        world.helm.scripts.append(HelmRun(end=RunEnd.APPLY_FAILS))
    killed = await _killed_unseen(world, then, forgotten=True)

    ended = await outcome_after_restart(world, killed)

    assert (reason(ended), ended.failure.applied) == ("OUTCOME_UNKNOWN", Failure.UNKNOWN)
    assert ended.outcome_evidence == Operation.RECONSTRUCTED
    assert len(world.helm.started) == 1


async def _killed_unseen(world: World, then: str, *, forgotten: bool = False) -> str:
    """Kill a service that saw nothing of its Helm's run; then others go on. `forgotten`: etcd has compacted it all."""
    with world.cluster.watch_held():
        killed = await killed_at(world, Point.AFTER_END)
        match then:
            case "upgrade":
                world.by_hand.upgrade(Chart(version="4.0.0"))
            case "uninstall" | "purge":
                world.by_hand.uninstall(keep_history=then == "uninstall")
            case "damage":
                world.cluster.damage("prod", "shop", 3)
        if forgotten:
            world.cluster.forget_changes()
    return killed


# --- the cluster is away, or the server drains ----------------------------------------


async def test_it_waits_for_a_cluster_that_is_away_and_goes_on_then(world: World) -> None:
    with_two_revisions(world)
    killed = await killed_at(world, Point.AFTER_CREATE)
    with world.cluster.away():
        service = await world.start()
        request = pb.GetOperationRequest(operation_id=killed)
        assert (await service.rollbacks.GetOperation(request)).operation.state == Operation.RUNNING

    assert (await service.settled(killed)).state == Operation.SUCCEEDED


async def test_a_cluster_that_stays_away_too_long_leaves_the_outcome_unknown(world: World) -> None:
    with_two_revisions(world)
    killed = await killed_at(world, Point.AFTER_CREATE)
    list_release: Callable[..., Awaitable[Any]] = world.cluster.list_release
    looks: list[bool] = []

    async def counted(*arguments: Any) -> Any:
        looks.append(True)
        return await list_release(*arguments)

    async def away_for_a_while() -> bool:
        return len(looks) > 2

    vars(world.cluster)["list_release"] = counted
    with world.cluster.away():
        service = await world.start()
        await eventually(away_for_a_while, "the cluster was looked for in vain")
        world.clock.move(timedelta(days=3))
        ended = await service.settled(killed)

    assert (reason(ended), ended.failure.applied) == ("OUTCOME_UNKNOWN", Failure.UNKNOWN)


async def test_what_expired_while_nobody_was_there_is_not_run(world: World) -> None:
    with_two_revisions(world)
    service = await world.start(Choices(works=False))
    accepted = (await service.rollbacks.Rollback(rollback_request())).operation
    await world.kill()
    world.clock.move(timedelta(hours=2))

    ended = await outcome_after_restart(world, accepted.operation_id)

    assert (reason(ended), ended.failure.applied) == ("EXPIRED", Failure.NOT_APPLIED)
    assert world.helm.started == []


async def test_a_drain_lets_a_running_helm_end(world: World) -> None:
    with_two_revisions(world)
    service = await world.start()
    hold = world.helm.hold(Point.AFTER_CREATE)
    accepted = (await service.rollbacks.Rollback(rollback_request())).operation
    await hold.reached.wait()
    await service.server.drain()
    hold.release()
    await world.stop()

    ended = await outcome_after_restart(world, accepted.operation_id)

    assert (ended.state, ended.attempt, ended.outcome_evidence) == (Operation.SUCCEEDED, 1, Operation.OBSERVED)


async def test_a_drain_leaves_what_waits_for_the_cluster_to_the_successor(world: World) -> None:
    with_two_revisions(world)
    service = await world.start(Choices(works=False))
    accepted = (await service.rollbacks.Rollback(rollback_request())).operation
    await world.stop()
    with world.cluster.away():
        await world.start()
        await world.stop()

    assert (await outcome_after_restart(world, accepted.operation_id)).state == Operation.SUCCEEDED

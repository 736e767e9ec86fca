"""A service that is killed in the middle of a rollback: what its successor finds, and makes of it.

The rows are those of `domain/recovery.py`. Killed is the whole service, Helm with it;
the cluster and the ledger's file stay.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from support.fakes import Chart, Point, hook
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

from helm_rollback.v1.helm_options_pb2 import HelmOptions
from helm_rollback.v1.release_pb2 import Failure, Operation

pytestmark = ON_BOTH_ENGINES

WITH_HOOK = Chart(version="1.0.0", hooks=(hook("pre-rollback"),))


# --- Helm had written nothing ---------------------------------------------------------


async def test_what_was_only_accepted_is_carried_out_by_the_successor(world: World) -> None:
    with_two_revisions(world)
    service = await world.start(Choices(works=False))
    accepted = (await service.rollbacks.Rollback(rollback_request())).operation
    await world.kill()

    ended = await outcome_after_restart(world, accepted.operation_id)

    assert (ended.state, ended.attempt, ended.result_revision) == (Operation.SUCCEEDED, 1, 3)
    assert ended.outcome_evidence == Operation.OBSERVED


async def test_killed_before_helms_record_it_is_run_again(world: World) -> None:
    with_two_revisions(world)
    killed = await killed_at(world, Point.BEFORE_CREATE)

    ended = await outcome_after_restart(world, killed)

    assert (ended.state, ended.attempt, ended.result_revision) == (Operation.SUCCEEDED, 2, 3)
    assert world.by_hand.statuses == {1: "superseded", 2: "superseded", 3: "deployed"}


async def test_killed_before_helms_record_and_overtaken_it_is_an_external_change(world: World) -> None:
    with_two_revisions(world)
    killed = await killed_at(world, Point.BEFORE_CREATE)
    world.by_hand.upgrade(Chart(version="3.0.0"))

    ended = await outcome_after_restart(world, killed)

    assert (reason(ended), ended.result_revision) == ("EXTERNAL_CHANGE", 0)
    assert len(world.helm.started) == 1
    assert world.by_hand.statuses[3] == "deployed"


async def test_killed_before_helms_record_and_uninstalled_since_it_is_an_external_change(world: World) -> None:
    with_two_revisions(world)
    killed = await killed_at(world, Point.BEFORE_CREATE)
    world.by_hand.uninstall(keep_history=True)

    ended = await outcome_after_restart(world, killed)

    assert reason(ended) == "EXTERNAL_CHANGE"
    assert world.by_hand.statuses[2] == "uninstalled"
    assert len(world.helm.started) == 1


async def test_the_helm_of_the_dead_service_is_ended_first(world: World) -> None:
    with_two_revisions(world)
    killed = await killed_at(world, Point.BEFORE_CREATE)

    await outcome_after_restart(world, killed)

    assert [process.pid for process in world.helm.ended_orphans] == [1000]


# --- its record was pending -----------------------------------------------------------


@pytest.mark.parametrize("point", [Point.AFTER_CREATE, Point.BEFORE_SUPERSEDE, Point.AFTER_SUPERSEDE])
async def test_a_dead_attempts_record_is_removed_before_the_next(world: World, point: Point) -> None:
    with_two_revisions(world)
    killed = await killed_at(world, point)

    service = await world.start()
    ended = await service.settled(killed)

    assert (ended.state, ended.attempt, ended.result_revision) == (Operation.SUCCEEDED, 2, 3)
    assert world.by_hand.statuses == {1: "superseded", 2: "superseded", 3: "deployed"}
    told = await history(service)
    removed = told.index("record 3 removed")
    assert told[removed + 1] == "operation RUNNING"
    assert told[-1] == "operation SUCCEEDED"
    assert told.count("revision 3 → PENDING_ROLLBACK") == 2


async def test_where_a_hook_may_have_run_the_record_is_set_failed_and_nothing_is_repeated(world: World) -> None:
    with_two_revisions(world, WITH_HOOK)
    killed = await killed_at(world, Point.AFTER_CREATE)

    ended = await outcome_after_restart(world, killed)

    assert (reason(ended), ended.failure.applied) == ("INTERRUPTED", Failure.UNKNOWN)
    assert (ended.attempt, ended.result_revision) == (1, 3)
    assert ended.outcome_evidence == Operation.RECONSTRUCTED
    assert world.by_hand.statuses == {1: "superseded", 2: "deployed", 3: "failed"}
    assert world.by_hand.stored[3]["info"]["description"].startswith(f"[{killed}] Rollback to 1")
    assert len(world.helm.started) == 1


async def test_hooks_that_were_left_out_can_not_have_run(world: World) -> None:
    with_two_revisions(world, WITH_HOOK)
    killed = await killed_at(world, Point.AFTER_CREATE, helm_options=HelmOptions(disable_hooks=True))

    ended = await outcome_after_restart(world, killed)

    assert (ended.state, ended.attempt) == (Operation.SUCCEEDED, 2)


async def test_where_someone_has_gone_on_nothing_is_run(world: World) -> None:
    with_two_revisions(world)
    killed = await killed_at(world, Point.AFTER_CREATE)
    world.by_hand.rollback(2)

    ended = await outcome_after_restart(world, killed)

    assert (reason(ended), ended.result_revision) == ("INTERRUPTED", 3)
    assert world.by_hand.statuses == {1: "superseded", 2: "superseded", 3: "failed", 4: "deployed"}
    assert len(world.helm.started) == 1


async def test_a_record_that_was_removed_by_hand_makes_room_for_the_next_attempt(world: World) -> None:
    with_two_revisions(world)
    killed = await killed_at(world, Point.AFTER_CREATE)
    world.by_hand.forget(3)

    ended = await outcome_after_restart(world, killed)

    assert (ended.state, ended.attempt) == (Operation.SUCCEEDED, 2)


async def test_a_removed_record_is_not_made_again_where_a_hook_may_have_run(world: World) -> None:
    with_two_revisions(world, WITH_HOOK)
    killed = await killed_at(world, Point.AFTER_CREATE)
    world.by_hand.forget(3)

    ended = await outcome_after_restart(world, killed)

    assert (reason(ended), ended.failure.applied) == ("INTERRUPTED", Failure.UNKNOWN)
    assert len(world.helm.started) == 1


@pytest.mark.parametrize("then", ["uninstall", "purge", "damage"])
async def test_a_pending_record_that_tells_nothing_any_more_leaves_the_outcome_unknown(world: World, then: str) -> None:
    with_two_revisions(world)
    killed = await killed_at(world, Point.AFTER_CREATE)
    if then == "damage":
        world.cluster.damage("prod", "shop", 3)
    else:
        world.by_hand.uninstall(keep_history=then == "uninstall")

    ended = await outcome_after_restart(world, killed)

    assert (reason(ended), ended.failure.applied) == ("OUTCOME_UNKNOWN", Failure.UNKNOWN)
    assert len(world.helm.started) == 1


async def test_a_removed_record_whose_number_someone_used_is_not_touched(world: World) -> None:
    with_two_revisions(world)
    killed = await killed_at(world, Point.AFTER_CREATE)
    world.by_hand.forget(3)
    world.by_hand.upgrade(Chart(version="3.0.0"))

    ended = await outcome_after_restart(world, killed)

    assert reason(ended) == "OUTCOME_UNKNOWN"
    assert world.by_hand.statuses == {1: "superseded", 2: "superseded", 3: "deployed"}
    assert len(world.helm.started) == 1


async def test_after_three_attempts_it_is_given_up_and_the_release_left_usable(world: World) -> None:
    with_two_revisions(world)
    killed = await killed_at(world, Point.AFTER_CREATE)
    for _ in range(2):
        hold = world.helm.hold(Point.AFTER_CREATE)
        await world.start()
        await hold.reached.wait()
        await world.kill()
        hold.release()

    ended = await outcome_after_restart(world, killed)

    assert (reason(ended), ended.attempt) == ("INTERRUPTED", 3)
    assert world.by_hand.statuses == {1: "superseded", 2: "deployed", 3: "failed"}
    assert len(world.helm.started) == 3


async def test_what_was_interrupted_too_long_ago_is_not_repeated(world: World) -> None:
    with_two_revisions(world)
    killed = await killed_at(world, Point.AFTER_CREATE)
    world.clock.move(timedelta(days=3))

    ended = await outcome_after_restart(world, killed)

    assert (reason(ended), ended.attempt) == ("INTERRUPTED", 1)
    assert world.by_hand.statuses == {1: "superseded", 2: "deployed", 3: "failed"}


async def test_claims_that_started_nothing_do_not_make_an_interruption_younger(world: World) -> None:
    with_two_revisions(world)
    killed = await killed_at(world, Point.AFTER_CREATE)
    for _ in range(2):
        world.clock.move(timedelta(minutes=40))
        await killed_while_the_cluster_is_away(world)

    ended = await outcome_after_restart(world, killed)

    assert (reason(ended), ended.attempt) == ("INTERRUPTED", 1)
    assert world.by_hand.statuses == {1: "superseded", 2: "deployed", 3: "failed"}

"""After acceptance everything is an outcome: FAILED, with the reason, and how far it came."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from support.fakes import Chart, HelmRun, Point, RunEnd, config_map, hook, secret
from support.fakes.documents import an_object
from support.service import Service, eventually, rollback_request
from support.world import Choices, World

from helm_rollback.application.execution import CREDENTIALS_PATIENCE
from helm_rollback.application.ports import ServedKind
from helm_rollback.v1.error_reason_pb2 import ErrorReason
from helm_rollback.v1.release_pb2 import Failure, Operation

WAIT = Duration(seconds=20)
CONFLICT = (
    "conflict occurred while applying object prod/shop /v1, Kind=ConfigMap: Apply failed with 1 conflict: "
    'conflict with "kubectl-edit": .data.version'
)
TOO_LARGE = (
    'create: failed to create: Secret "sh.helm.release.v1.shop.v3" is invalid: data: Too long: may not be more than '
    "1048576 bytes"
)

RUNS = [
    (HelmRun(end=RunEnd.REFUSED_AT_ONCE), "HELM_FAILED", "NOT_APPLIED", None),
    (HelmRun(end=RunEnd.REFUSED_AT_ONCE, text=TOO_LARGE), "RECORD_TOO_LARGE", "NOT_APPLIED", None),
    (HelmRun(end=RunEnd.APPLY_FAILS), "OBJECT_REJECTED", "NOT_APPLIED", "failed"),
    (HelmRun(end=RunEnd.APPLY_FAILS, applied=True), "OBJECT_REJECTED", "PARTLY", "failed"),
    (HelmRun(end=RunEnd.APPLY_FAILS, text=CONFLICT), "APPLY_CONFLICT", "NOT_APPLIED", "failed"),
    (HelmRun(end=RunEnd.WAIT_FAILS), "WAIT_TIMED_OUT", "APPLIED", "failed"),
    (HelmRun(end=RunEnd.PRE_HOOK_FAILS), "HOOK_FAILED", "NOT_APPLIED", "failed"),
    (HelmRun(end=RunEnd.POST_HOOK_FAILS), "HOOK_FAILED", "APPLIED", "failed"),
    (HelmRun(end=RunEnd.KILLED_AT_CREATE), "INTERRUPTED", "NOT_APPLIED", "failed"),
    (HelmRun(end=RunEnd.KILLED_AFTER_SUPERSEDE), "INTERRUPTED", "APPLIED", "failed"),
]
"""Script of Helm's run, reason, applied, and what becomes of revision 3."""

HOOKS = {
    RunEnd.PRE_HOOK_FAILS: (hook("pre-rollback"),),
    RunEnd.POST_HOOK_FAILS: (hook("post-rollback"),),
}
ELSEWHERE = {"OUTCOME_UNKNOWN": "test_recovery_outcomes.py"}
REACHED_BELOW = {"KIND_NOT_SERVED", "RECORD_MISMATCH", "EXTERNAL_CHANGE", "EXPIRED"}


def two_revisions(world: World, first: Chart | None = None, second: Chart | None = None) -> None:
    world.by_hand.install(first or Chart(version="1.0.0"))
    world.by_hand.upgrade(second or Chart(version="2.0.0"))


async def rolled_back(world: World) -> Operation:
    service = await world.start()
    return (await service.rollbacks.Rollback(rollback_request(wait_timeout=WAIT))).operation


def failure_of(operation: Operation) -> tuple[str, str]:
    assert operation.state == Operation.FAILED, operation
    assert operation.HasField("end_time")
    assert operation.failure.message
    return ErrorReason.Name(operation.failure.error_reason), Failure.Applied.Name(operation.failure.applied)


def assert_nothing_was_run(world: World, operation: Operation) -> None:
    assert world.helm.started == []
    assert (operation.attempt, operation.result_revision) == (0, 0)
    assert operation.failure.applied == Failure.NOT_APPLIED
    assert not operation.HasField("start_time")


def test_every_outcome_is_reached() -> None:
    outcomes = {name for name, number in ErrorReason.items() if number >= 100}

    assert outcomes == {reason for _, reason, _, _ in RUNS} | REACHED_BELOW | set(ELSEWHERE)


@pytest.mark.parametrize(("run", "reason", "applied", "left"), RUNS)
async def test_a_run_that_fails_tells_why_and_how_far_it_came(
    world: World, run: HelmRun, reason: str, applied: str, left: str | None
) -> None:
    two_revisions(world, Chart(version="1.0.0", hooks=HOOKS.get(run.end, ())))
    world.helm.scripts.append(run)

    operation = await rolled_back(world)

    assert failure_of(operation) == (reason, applied)
    assert operation.result_revision == (3 if left else 0)
    assert world.by_hand.statuses.get(3) == left, "no operation of ours leaves a release pending"
    assert (operation.attempt, operation.outcome_evidence) == (1, Operation.OBSERVED)


async def test_what_helm_said_is_told_without_the_values_of_secrets(world: World) -> None:
    password = "correct horse battery"
    two_revisions(world, Chart(manifest=config_map() + secret(password=password)))
    text = f'Secret "shop" is invalid: data[password]: Invalid value: "{password}"'
    world.helm.scripts.append(HelmRun(end=RunEnd.APPLY_FAILS, text=text))

    operation = await rolled_back(world)

    assert 'Secret "shop" is invalid' in operation.failure.helm_output
    assert 'Secret "shop" is invalid' in operation.failure.message
    assert password.encode() not in operation.SerializeToString()


async def test_a_kind_that_is_not_served_is_found_before_helm_strands_the_release(world: World) -> None:
    two_revisions(world, Chart(manifest=an_object("example.org/v1", "Widget")))

    operation = await rolled_back(world)

    assert failure_of(operation)[0] == "KIND_NOT_SERVED"
    assert "example.org/v1 Widget" in operation.failure.message
    assert_nothing_was_run(world, operation)
    assert world.by_hand.statuses == {1: "superseded", 2: "deployed"}


async def test_a_kind_of_current_that_is_not_served_any_more_counts_too(world: World) -> None:
    two_revisions(world)
    world.cluster.served.remove(ServedKind("v1", "ConfigMap"))

    assert failure_of(await rolled_back(world))[0] == "KIND_NOT_SERVED"


async def test_a_record_that_someone_edited_is_not_rolled_back_to(world: World) -> None:
    two_revisions(world)
    service = await world.start()
    await service.until_observed(world.cluster)
    world.by_hand.edit(1, Chart(version="1.0.0", manifest=config_map(version="edited")))

    operation = (await service.rollbacks.Rollback(rollback_request(wait_timeout=WAIT))).operation

    assert failure_of(operation)[0] == "RECORD_MISMATCH"
    assert_nothing_was_run(world, operation)


async def test_a_release_that_changed_before_helm_was_started_is_left_alone(world: World) -> None:
    two_revisions(world)
    service = await world.start(Choices(works=False))
    accepted = (await service.rollbacks.Rollback(rollback_request())).operation
    await world.stop()
    world.by_hand.upgrade(Chart(version="3.0.0"))

    operation = await (await world.start()).settled(accepted.operation_id)

    assert failure_of(operation)[0] == "EXTERNAL_CHANGE"
    assert_nothing_was_run(world, operation)
    assert world.by_hand.statuses[3] == "deployed"


@pytest.mark.parametrize("observed", [True, False], ids=["observed", "unobserved"])
async def test_a_release_that_changes_before_helms_own_write_is_left_alone(world: World, observed: bool) -> None:
    two_revisions(world)
    service = await world.start()
    hold = world.helm.hold(Point.BEFORE_CREATE)
    accepted = (await service.rollbacks.Rollback(rollback_request())).operation
    await hold.reached.wait()
    with nullcontext() if observed else world.cluster.watch_held():
        world.by_hand.upgrade(Chart(version="3.0.0"))
        hold.release()
        operation = await service.settled(accepted.operation_id)

    assert failure_of(operation) == ("EXTERNAL_CHANGE", "NOT_APPLIED")
    assert operation.result_revision == 0
    assert world.by_hand.statuses == {1: "superseded", 2: "superseded", 3: "deployed"}
    assert world.by_hand.stored[3]["info"]["description"] == "Upgrade complete"


async def test_an_upgrade_that_takes_no_number_of_ours_is_seen_by_the_fence_too(world: World) -> None:
    """Current is another one's pending record, which Helm itself would build upon."""
    two_revisions(world)
    service = await world.start()
    hold = world.helm.hold(Point.BEFORE_CREATE)
    accepted = (await service.rollbacks.Rollback(rollback_request())).operation
    await hold.reached.wait()
    world.by_hand.begin_upgrade()
    world.by_hand.forget(3)
    world.by_hand.uninstall(keep_history=True)
    hold.release()

    operation = await service.settled(accepted.operation_id)

    assert failure_of(operation) == ("EXTERNAL_CHANGE", "NOT_APPLIED")
    assert world.by_hand.statuses == {1: "superseded", 2: "uninstalled"}


async def test_what_can_not_begin_in_time_expires(world: World) -> None:
    two_revisions(world)
    service = await world.start(Choices(works=False))
    request = rollback_request(expire_after=Duration(seconds=10))
    accepted = (await service.rollbacks.Rollback(request)).operation
    await world.stop()
    world.clock.move(timedelta(seconds=11))

    with world.cluster.away():
        operation = await (await world.start()).settled(accepted.operation_id)

    assert failure_of(operation)[0] == "EXPIRED"
    assert_nothing_was_run(world, operation)


async def test_permission_that_was_lost_after_acceptance_is_an_outcome(world: World) -> None:
    two_revisions(world)
    service = await world.start(Choices(works=False))
    accepted = (await service.rollbacks.Rollback(rollback_request())).operation
    await world.stop()
    world.cluster.denied |= {"list"}

    operation = await (await world.start()).settled(accepted.operation_id)

    assert failure_of(operation)[0] == "CLUSTER_PERMISSION_DENIED"
    assert_nothing_was_run(world, operation)


async def test_a_helm_that_went_after_acceptance_is_an_outcome(world: World) -> None:
    two_revisions(world)
    service = await world.start(Choices(works=False))
    accepted = (await service.rollbacks.Rollback(rollback_request())).operation
    await world.stop()
    world.helm.unavailable = "it was removed"

    operation = await (await world.start()).settled(accepted.operation_id)

    assert failure_of(operation) == ("HELM_UNAVAILABLE", "NOT_APPLIED")
    assert "it was removed" in operation.failure.message


async def test_an_api_server_that_refuses_our_last_word_is_named_in_the_message(world: World) -> None:
    two_revisions(world)
    world.helm.scripts.append(HelmRun(end=RunEnd.KILLED_AT_CREATE))
    world.cluster.denied |= {"update"}

    operation = await rolled_back(world)

    assert failure_of(operation)[0] == "INTERRUPTED"
    assert "its record stays pending-rollback" in operation.failure.message
    assert world.by_hand.statuses[3] == "pending-rollback"


async def run_while_denied(world: World, service: Service) -> str:
    """Let Helm run, and take the right to look away before its end; the operation's id, once that was noticed."""
    hold = world.helm.hold(Point.AFTER_END)
    accepted = (await service.rollbacks.Rollback(rollback_request())).operation
    await hold.reached.wait()
    world.cluster.denied |= {"list"}
    asked = world.cluster.requests["list"]
    hold.release()

    async def looked() -> bool:
        return world.cluster.requests["list"] > asked + 1

    await eventually(looked, "the service looks at the cluster, and again")
    return accepted.operation_id


async def test_a_right_that_comes_back_soon_after_helm_ran_was_waited_for(world: World) -> None:
    """Credentials are replaced, and roles, by taking the old ones away first."""
    two_revisions(world)
    world.helm.scripts.append(HelmRun(end=RunEnd.WAIT_FAILS))
    service = await world.start()
    operation_id = await run_while_denied(world, service)

    world.cluster.denied.clear()

    assert failure_of(await service.settled(operation_id)) == ("WAIT_TIMED_OUT", "APPLIED")


async def test_a_right_that_stays_away_after_helm_ran_leaves_the_outcome_unknown(world: World) -> None:
    two_revisions(world)
    world.helm.scripts.append(HelmRun(end=RunEnd.WAIT_FAILS))
    service = await world.start()
    operation_id = await run_while_denied(world, service)

    world.clock.move(CREDENTIALS_PATIENCE + timedelta(seconds=1))

    operation = await service.settled(operation_id)
    assert failure_of(operation) == ("OUTCOME_UNKNOWN", "UNKNOWN")
    assert "may not list secrets" in operation.failure.message


async def test_a_cluster_that_goes_while_helm_runs_is_waited_for(world: World) -> None:
    two_revisions(world)
    service = await world.start()
    hold = world.helm.hold(Point.AFTER_END)
    accepted = (await service.rollbacks.Rollback(rollback_request())).operation
    await hold.reached.wait()
    asked = world.cluster.requests["list"]
    with world.cluster.away():
        hold.release()

        async def looked() -> bool:
            return world.cluster.requests["list"] > asked

        await eventually(looked, "the service looks at the cluster")

    assert (await service.settled(accepted.operation_id)).state == Operation.SUCCEEDED

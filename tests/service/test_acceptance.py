"""What is accepted and what is refused: with its facts, in the order of the checks, and without a trace."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from support.calls import Refusal, refused
from support.fakes import Chart, Point
from support.service import Service, rollback_request
from support.world import Choices, World

from helm_rollback.v1 import rollback_service_pb2 as pb
from helm_rollback.v1.release_pb2 import Operation, Selection, SkippedRevision

SHOP = "default.prod.shop"
WAIT = Duration(seconds=20)
ID = "01890a5d-ac96-774b-bcce-b302099a8057"


async def rolled_back(service: Service, target: int = 1, **fields: Any) -> Operation:
    return (await service.rollbacks.Rollback(rollback_request(target, wait_timeout=WAIT, **fields))).operation


async def last_successful(service: Service, **fields: Any) -> Operation:
    request = pb.RollbackLastSuccessfulRequest(release_id=SHOP, wait_timeout=WAIT, **fields)
    return (await service.rollbacks.RollbackLastSuccessful(request)).operation


async def refused_without_a_trace(world: World, service: Service, call: Any) -> Refusal:
    """The refusal, after which the ledger has no operation and no event more, and Helm was not started."""
    await service.until_observed(world.cluster)
    before = (await service.event_count(SHOP), len(world.helm.started), await operation_count(service))

    told = await refused(call)

    assert (await service.event_count(SHOP), len(world.helm.started), await operation_count(service)) == before
    assert told.domain == "helm-rollback"
    assert told.metadata["releaseId"] == SHOP
    return told


async def operation_count(service: Service) -> int:
    return len((await service.rollbacks.ListOperations(pb.ListOperationsRequest())).operations)


# --- the facts ------------------------------------------------------------------------


async def test_a_revision_that_is_not_there_is_refused_with_current(world: World) -> None:
    world.release()
    service = await world.start()

    told = await refused_without_a_trace(world, service, rolled_back(service, 3))

    assert (told.code, told.reason) == (grpc.StatusCode.NOT_FOUND, "REVISION_NOT_FOUND")
    assert told.metadata == {"releaseId": SHOP, "revision": "3", "incarnation": "1", "currentRevision": "2"}


async def test_another_current_than_expected_is_refused_with_both(world: World) -> None:
    world.release()
    service = await world.start()

    told = await refused_without_a_trace(world, service, rolled_back(service, expected_current_revision=1))

    assert (told.code, told.reason) == (grpc.StatusCode.ABORTED, "CURRENT_REVISION_CHANGED")
    assert told.metadata == {"releaseId": SHOP, "expected": "1", "actual": "2"}


async def test_a_pending_release_is_refused_with_status_revision_and_since(world: World) -> None:
    world.release()
    since = world.by_hand.begin_upgrade()["info"]["last_deployed"]
    service = await world.start()

    told = await refused_without_a_trace(world, service, rolled_back(service))

    assert (told.code, told.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "RELEASE_PENDING")
    assert told.metadata == {"releaseId": SHOP, "status": "PENDING_UPGRADE", "revision": "3", "since": since}


async def test_a_blind_call_on_a_good_release_is_refused_with_current(world: World) -> None:
    world.release()
    service = await world.start()

    told = await refused_without_a_trace(world, service, last_successful(service))

    assert (told.code, told.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "CURRENT_IS_SUCCESSFUL")
    assert told.metadata == {"releaseId": SHOP, "currentRevision": "2"}


async def test_a_blind_retry_after_a_rollback_is_refused_with_current(world: World) -> None:
    world.release(revisions=3)
    service = await world.start()
    await rolled_back(service, 2)

    told = await refused_without_a_trace(world, service, last_successful(service))

    assert (told.code, told.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ALREADY_ROLLED_BACK")
    assert told.metadata == {"releaseId": SHOP, "currentRevision": "4"}


async def test_where_none_is_eligible_each_is_named_with_its_reason(world: World) -> None:
    world.by_hand.install(fails=True)
    world.by_hand.upgrade(fails=True)
    service = await world.start()

    told = await refused_without_a_trace(world, service, last_successful(service))

    assert (told.code, told.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "NO_SUCCESSFUL_REVISION")
    assert told.metadata["skipped"] == "2:CURRENT,1:NOT_SUCCESSFUL"


async def test_the_revision_that_the_records_do_not_prove_is_named(world: World) -> None:
    world.release().uninstall(keep_history=True)
    service = await world.start()

    told = await refused_without_a_trace(world, service, last_successful(service))

    assert (told.code, told.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "SUCCESS_UNPROVEN")
    assert told.metadata == {"releaseId": SHOP, "revision": "2"}


# --- the order of the checks ----------------------------------------------------------


async def test_the_first_of_several_obstacles_is_told(world: World) -> None:
    """syntax, request_id, cluster, release, expected revision, in progress, pending, target."""
    world.release()
    service = await world.start()
    hold = world.helm.hold(Point.BEFORE_CREATE)
    first = (await service.rollbacks.Rollback(rollback_request(request_id=ID))).operation
    await hold.reached.wait()

    async def told(target: int = 9, **fields: Any) -> str:
        return (await refused(rolled_back(service, target, **fields))).reason

    assert await told(-1, request_id=ID) == "INVALID_FIELD"
    assert await told(request_id=ID, release="staging.prod.shop") == "REQUEST_ID_REUSED"
    assert await told(release="staging.prod.shop", expected_current_revision=7) == "CLUSTER_NOT_CONFIGURED"
    assert await told(release="default.prod.nothing", expected_current_revision=7) == "RELEASE_NOT_FOUND"
    assert await told(expected_current_revision=7) == "CURRENT_REVISION_CHANGED"
    assert await told() == "OPERATION_IN_PROGRESS"
    hold.release()
    await service.settled(first.operation_id)
    world.by_hand.begin_upgrade()
    assert await told() == "RELEASE_PENDING"
    assert await told(take_over_pending=True, expected_current_revision=4) == "REVISION_NOT_FOUND"


# --- what is accepted -----------------------------------------------------------------


@pytest.mark.parametrize("target", [1, 2, 3])
async def test_any_stored_revision_is_a_target_failed_ones_and_current_too(world: World, target: int) -> None:
    world.release().upgrade(Chart(version="3.0.0"), fails=True)
    service = await world.start()

    operation = await rolled_back(service, target)

    assert (operation.state, operation.result_revision) == (Operation.SUCCEEDED, 4)
    assert world.by_hand.stored[4]["info"]["rollback_revision"] == target


async def test_a_dead_upgrade_is_taken_over_on_request(world: World) -> None:
    world.release()
    world.by_hand.begin_upgrade()
    service = await world.start()

    operation = await rolled_back(service, 2, take_over_pending=True, expected_current_revision=3)

    assert (operation.state, operation.base_revision) == (Operation.SUCCEEDED, 3)
    assert world.by_hand.statuses == {1: "superseded", 2: "superseded", 3: "pending-upgrade", 4: "deployed"}


@pytest.mark.parametrize("reason", ["orders fail", "ä" * 200])
async def test_helms_description_is_stamp_target_and_reason(world: World, reason: str) -> None:
    world.release()
    service = await world.start()

    operation = await rolled_back(service, reason=reason)

    description = world.by_hand.stored[3]["info"]["description"]
    assert description == f"[{operation.operation_id}] Rollback to 1: {reason}"


async def test_the_choice_explains_itself(world: World) -> None:
    world.release(revisions=3)
    service = await world.start()
    await service.until_observed(world.cluster)
    await rolled_back(service, 2)  # 4, which leaves 3
    world.by_hand.upgrade(Chart(version="5.0.0"), fails=True)

    operation = await last_successful(service)

    assert operation.state == Operation.SUCCEEDED
    assert (operation.target_revision, operation.selection.revision) == (4, 4)
    assert operation.selection.success_evidence == Selection.LEDGER
    skipped = [(one.revision, SkippedRevision.SkipReason.Name(one.skip_reason)) for one in operation.selection.skipped]
    assert skipped == [(5, "CURRENT")]
    assert all(one.explanation for one in operation.selection.skipped)
    assert operation.selection.skipped_count == 1


async def test_leaving_a_good_revision_is_possible_when_it_is_meant(world: World) -> None:
    world.release(revisions=3)
    service = await world.start()
    await rolled_back(service, 2)

    operation = await last_successful(service, expected_current_revision=4)

    skipped = [(one.revision, SkippedRevision.SkipReason.Name(one.skip_reason)) for one in operation.selection.skipped]
    assert operation.target_revision == 1
    assert skipped == [(4, "CURRENT"), (3, "ROLLED_BACK_FROM"), (2, "SAME_CONTENT")]


async def test_a_release_that_the_observer_never_saw_is_adopted_and_rolled_back(world: World) -> None:
    world.release()
    service = await world.start(Choices(observes=False))

    assert (await rolled_back(service)).state == Operation.SUCCEEDED

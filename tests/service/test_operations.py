"""Operations: what they tell, waiting for them, cancelling them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from support.calls import refused
from support.fakes import Point
from support.samples import operation_id
from support.service import Service, rollback_request
from support.world import Choices, World

from helm_rollback.v1 import rollback_service_pb2 as pb
from helm_rollback.v1.release_pb2 import Operation

SHOP = "default.prod.shop"
NOT_WORKING = Choices(works=False)


@pytest.fixture
async def world(world: World) -> World:
    world.release()
    return world


async def accepted(service: Service, release: str = SHOP, *, deadline: float | None = None, **fields: Any) -> Operation:
    request = rollback_request(release=release, **fields)
    return (await service.rollbacks.Rollback(request, timeout=deadline)).operation


async def waited(service: Service, made: Operation, *, deadline: float | None = None, **fields: Any) -> Operation:
    request = pb.WaitOperationRequest(operation_id=made.operation_id, **fields)
    return (await service.rollbacks.WaitOperation(request, timeout=deadline)).operation


async def cancelled(service: Service, made: Operation, **fields: Any) -> Operation:
    request = pb.CancelOperationRequest(operation_id=made.operation_id.upper(), **fields)
    return (await service.rollbacks.CancelOperation(request)).operation


async def listed(service: Service, **fields: Any) -> list[str]:
    answer = await service.rollbacks.ListOperations(pb.ListOperationsRequest(**fields))
    return [operation.operation_id for operation in answer.operations]


# --- what it tells --------------------------------------------------------------------


async def test_an_accepted_operation_tells_what_was_asked_for(world: World) -> None:
    service = await world.start(NOT_WORKING)

    request = rollback_request(reason="orders fail", expire_after=Duration(seconds=60))
    made = (await service.rollbacks.Rollback(request, metadata=(("x-helm-rollback-actor", "ada"),))).operation

    assert (made.state, made.type) == (Operation.PENDING, Operation.ROLLBACK)
    assert (made.base_revision, made.target_revision, made.result_revision) == (2, 1, 0)
    assert (made.actor, made.actor_verified, made.reason) == ("ada", False, "orders fail")
    assert made.expire_time.ToDatetime() - made.create_time.ToDatetime() == timedelta(seconds=60)
    assert not made.HasField("start_time")
    assert not made.HasField("end_time")
    assert (made.attempt, made.incarnation) == (0, 1)
    assert (
        made == (await service.rollbacks.GetOperation(pb.GetOperationRequest(operation_id=made.operation_id))).operation
    )


async def test_one_that_worked_tells_its_revision_and_how_that_is_known(world: World) -> None:
    service = await world.start()

    made = await accepted(service, wait_timeout=Duration(seconds=20))

    assert (made.state, made.result_revision, made.attempt) == (Operation.SUCCEEDED, 3, 1)
    assert made.outcome_evidence == Operation.OBSERVED
    assert made.HasField("start_time")
    assert made.HasField("end_time")
    assert not made.HasField("failure")


# --- waiting --------------------------------------------------------------------------


async def test_without_wait_timeout_the_answer_comes_at_once(world: World) -> None:
    service = await world.start(NOT_WORKING)

    assert (await accepted(service)).state == Operation.PENDING
    assert (await accepted(service, release=world.release("blog").release_id, wait_timeout=Duration())).state == 1


async def test_a_wait_ends_as_soon_as_the_operation_does(world: World) -> None:
    service = await world.start()

    assert (await accepted(service, wait_timeout=Duration(seconds=60))).state == Operation.SUCCEEDED


async def test_a_wait_that_is_too_short_answers_ok_with_the_operation_as_it_is(world: World) -> None:
    service = await world.start(NOT_WORKING)

    made = await accepted(service, wait_timeout=Duration(nanos=20_000_000))

    assert made.state == Operation.PENDING
    assert (await waited(service, made, timeout=Duration(nanos=20_000_000))).state == Operation.PENDING


async def test_a_wait_ends_before_the_calls_own_deadline(world: World) -> None:
    service = await world.start(NOT_WORKING)

    made = await accepted(service, wait_timeout=Duration(seconds=3600), deadline=0.3)

    assert made.state == Operation.PENDING
    assert await waited(service, made, deadline=0.3) == made


async def test_a_wait_of_no_time_only_looks(world: World) -> None:
    service = await world.start(NOT_WORKING)
    made = await accepted(service)

    assert await waited(service, made, timeout=Duration()) == made


async def test_a_wait_ends_with_the_drain(world: World) -> None:
    service = await world.start(NOT_WORKING)
    made = await accepted(service)
    waiting = asyncio.ensure_future(waited(service, made))
    second = asyncio.ensure_future(waited(service, made, timeout=Duration(nanos=1_000_000)))
    await second  # so the first is under way, too

    await service.server.drain()

    assert (await waiting).state == Operation.PENDING


async def test_the_operation_does_not_depend_on_the_call(world: World) -> None:
    service = await world.start()
    hold = world.helm.hold(Point.AFTER_CREATE)
    call = service.rollbacks.Rollback(rollback_request(wait_timeout=Duration(seconds=60)))
    await hold.reached.wait()

    call.cancel()
    hold.release()

    (made,) = await listed(service)
    assert (await service.settled(made)).state == Operation.SUCCEEDED


async def test_waiting_for_an_operation_that_is_not_there_is_refused(world: World) -> None:
    service = await world.start()

    told = await refused(waited(service, Operation(operation_id=operation_id(99))))

    assert (told.code, told.reason) == (grpc.StatusCode.NOT_FOUND, "OPERATION_NOT_FOUND")
    assert told.metadata == {"operationId": operation_id(99)}


# --- cancelling -----------------------------------------------------------------------


async def test_what_has_not_begun_is_cancelled_at_once_and_nothing_is_run(world: World) -> None:
    service = await world.start(NOT_WORKING)
    made = await accepted(service)

    gone = await cancelled(service, made, reason="wrong release")

    assert gone.state == Operation.CANCELLED
    assert gone.HasField("end_time")
    assert await cancelled(service, made) == gone
    await world.stop()
    service = await world.start()
    await service.settled((await accepted(service)).operation_id)
    assert len(world.helm.started) == 1


async def test_a_cancelled_operation_makes_room_for_the_next(world: World) -> None:
    service = await world.start(NOT_WORKING)
    await cancelled(service, await accepted(service))

    assert (await accepted(service)).state == Operation.PENDING


async def test_a_rollback_that_runs_can_not_be_cancelled(world: World) -> None:
    service = await world.start()
    hold = world.helm.hold(Point.AFTER_CREATE)
    made = await accepted(service)
    await hold.reached.wait()

    told = await refused(cancelled(service, made))

    assert (told.code, told.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "NOT_CANCELLABLE")
    assert told.metadata == {"operationId": made.operation_id, "state": "RUNNING", "releaseId": SHOP}
    hold.release()


async def test_what_has_ended_can_not_be_cancelled(world: World) -> None:
    service = await world.start()
    made = await accepted(service, wait_timeout=Duration(seconds=20))

    told = await refused(cancelled(service, made))

    assert (told.reason, told.metadata["state"]) == ("NOT_CANCELLABLE", "SUCCEEDED")

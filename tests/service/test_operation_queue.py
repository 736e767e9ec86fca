"""Many operations: how many go on at once, what waits, and how they are listed."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from support.calls import refused
from support.fakes import Chart, FakeCluster, FakeFence, FakeHelm, ForeignHelm, Point
from support.service import Service, rollback_request
from support.world import Adapters, Choices, World

from helm_rollback.application import worker
from helm_rollback.v1 import rollback_service_pb2 as pb
from helm_rollback.v1.error_reason_pb2 import ErrorReason
from helm_rollback.v1.release_pb2 import Failure, Operation

SHOP = "default.prod.shop"
NOT_WORKING = Choices(works=False)


@pytest.fixture
async def world(world: World) -> World:
    world.release()
    return world


async def accepted(service: Service, release: str = SHOP, **fields: Any) -> Operation:
    return (await service.rollbacks.Rollback(rollback_request(release=release, **fields))).operation


async def waited(service: Service, made: Operation, *, deadline: float | None = None, **fields: Any) -> Operation:
    request = pb.WaitOperationRequest(operation_id=made.operation_id, **fields)
    return (await service.rollbacks.WaitOperation(request, timeout=deadline)).operation


async def listed(service: Service, **fields: Any) -> list[str]:
    answer = await service.rollbacks.ListOperations(pb.ListOperationsRequest(**fields))
    return [operation.operation_id for operation in answer.operations]


# --- how many at once -----------------------------------------------------------------


async def test_of_two_at_once_one_runs_and_the_other_learns_its_id(world: World) -> None:
    service = await world.start()
    hold = world.helm.hold(Point.BEFORE_CREATE)

    answers = await asyncio.gather(accepted(service), accepted(service), return_exceptions=True)

    made = next(answer for answer in answers if isinstance(answer, Operation))
    error = next(answer for answer in answers if isinstance(answer, grpc.aio.AioRpcError))
    assert error.code() is grpc.StatusCode.ABORTED
    told = await refused(accepted(service))
    assert told.reason == "OPERATION_IN_PROGRESS"
    assert told.metadata == {"operationId": made.operation_id, "releaseId": SHOP}
    hold.release()
    await service.settled(made.operation_id)
    assert len(world.helm.started) == 1


async def test_only_so_many_helms_run_and_the_rest_wait_as_pending(world: World) -> None:
    service = await world.start(Choices(max_helm=2))
    hold = world.helm.hold(Point.BEFORE_CREATE)
    releases = [world.release(f"shop-{number}").release_id for number in range(6)]

    made = [await accepted(service, release=release) for release in releases]
    for operation in made[:2]:
        await service.until_state(operation.operation_id, Operation.RUNNING)
    states = [(await waited(service, operation, timeout=Duration(nanos=1))).state for operation in made]

    assert states == [Operation.RUNNING] * 2 + [Operation.PENDING] * 4
    hold.release()
    ended = [await service.settled(operation.operation_id) for operation in made]
    assert {operation.state for operation in ended} == {Operation.SUCCEEDED}
    assert world.helm.most_at_once == 2
    assert sorted(str(one.release_id) for one in world.helm.started) == releases


async def test_what_waits_longest_expires_though_more_waits_than_one_page_holds(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_PAGE", 1)
    service = await world.start(Choices(max_helm=1))
    hold = world.helm.hold(Point.AFTER_CREATE)
    await accepted(service)
    await hold.reached.wait()
    oldest = await accepted(service, release=world.release("blog").release_id, expire_after=Duration(seconds=5))
    await accepted(service, release=world.release("wiki").release_id)
    world.clock.move(timedelta(seconds=60))

    await service.until_state(oldest.operation_id, Operation.FAILED)
    hold.release()


async def test_what_waits_too_long_for_its_turn_expires_and_nothing_is_run(world: World) -> None:
    service = await world.start(Choices(max_helm=1))
    hold = world.helm.hold(Point.BEFORE_CREATE)
    first = await accepted(service)
    await hold.reached.wait()
    second = await accepted(service, release=world.release("blog").release_id, expire_after=Duration(seconds=60))

    world.clock.move(timedelta(seconds=61))
    hold.release()

    ended = await service.settled(second.operation_id)
    assert (ended.state, ended.failure.error_reason) == (Operation.FAILED, ErrorReason.EXPIRED)
    assert ended.failure.applied == Failure.NOT_APPLIED
    assert (ended.attempt, ended.HasField("start_time")) == (0, False)
    assert (await service.settled(first.operation_id)).state == Operation.SUCCEEDED
    assert len(world.helm.started) == 1


@pytest.mark.parametrize("at_most", [200, 1])
async def test_a_cluster_that_is_away_holds_up_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch, at_most: int
) -> None:
    """Its operation waits for it, and leaves the only Helm's place to others meanwhile, however many wait so."""
    monkeypatch.setattr(worker, "_CARRIED_AT_MOST", at_most)
    other = FakeCluster("other")
    other.clock = world.clock
    fence = FakeFence({"default": world.cluster, "other": other})
    world.adapters = Adapters(clusters={"default": world.cluster, "other": other}, helm=FakeHelm(fence), fence=fence)
    by_hand = ForeignHelm(other)
    by_hand.install(Chart(version="1.0.0"))
    by_hand.upgrade(Chart(version="2.0.0"))
    service = await world.start(Choices(max_helm=1, works=False))
    waits = await accepted(service)
    goes_on = await accepted(service, release="other.prod.shop")

    with world.cluster.away():
        working = asyncio.create_task(service.worker.run())
        await service.until_state(goes_on.operation_id, Operation.SUCCEEDED)
        request = pb.GetOperationRequest(operation_id=waits.operation_id)
        assert (await service.rollbacks.GetOperation(request)).operation.state == Operation.PENDING
    assert (await service.settled(waits.operation_id)).state == Operation.SUCCEEDED
    working.cancel()


# --- listing --------------------------------------------------------------------------


async def test_operations_are_listed_newest_first_and_by_release_and_state(world: World) -> None:
    service = await world.start()
    first = await accepted(service, wait_timeout=Duration(seconds=20))
    blog = await accepted(service, release=world.release("blog").release_id, wait_timeout=Duration(seconds=20))
    world.helm.hold(Point.BEFORE_CREATE)
    running = await accepted(service, target=2)
    await service.until_state(running.operation_id, Operation.RUNNING)

    assert await listed(service) == [running.operation_id, blog.operation_id, first.operation_id]
    assert await listed(service, release_id=SHOP) == [running.operation_id, first.operation_id]
    assert await listed(service, state=Operation.SUCCEEDED) == [blog.operation_id, first.operation_id]
    assert await listed(service, release_id=SHOP, state=Operation.RUNNING) == [running.operation_id]
    assert await listed(service, state=Operation.CANCELLED) == []


async def test_pages_hold_every_operation_once(world: World) -> None:
    service = await world.start(NOT_WORKING)
    made = [(await accepted(service, release=world.release(f"r{n}").release_id)).operation_id for n in range(5)]
    pages: list[list[str]] = []
    request = pb.ListOperationsRequest(state=Operation.PENDING, page_size=2)

    while True:
        answer = await service.rollbacks.ListOperations(request)
        pages.append([operation.operation_id for operation in answer.operations])
        if not answer.next_page_token:
            break
        request.page_token = answer.next_page_token

    assert [len(page) for page in pages] == [2, 2, 1]
    assert [one for page in pages for one in page] == made[::-1]
    request.state = Operation.RUNNING
    told = await refused(service.rollbacks.ListOperations(request))
    assert (told.reason, told.fields) == ("INVALID_FIELD", ("page_token",))

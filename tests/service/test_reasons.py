"""Every reason for which this version refuses a call is reached through a real channel."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from support.calls import Refusal, refused
from support.fakes import Chart, Point
from support.service import Service, rollback_request
from support.world import World

from helm_rollback.domain.errors import StoreUnavailable
from helm_rollback.v1 import release_service_pb2, rollback_service_pb2
from helm_rollback.v1.error_reason_pb2 import ErrorReason
from helm_rollback.v1.release_pb2 import Operation

SHOP = "default.prod.shop"
NOWHERE = str(uuid4())

NOT_YET = {
    "RELEASE_EXISTS",  # comes with Install
    "REVISION_MARKED_BAD",  # with MarkRevision
    "OVERLOADED",  # with a limit of calls
    "UNAUTHENTICATED",  # with authentication
    "PERMISSION_DENIED",
}

Scenario = Callable[[World, Service], Awaitable[Refusal]]
SCENARIOS: dict[str, tuple[grpc.StatusCode, Scenario]] = {}


def refuses(code: grpc.StatusCode, reason: str) -> Callable[[Scenario], Scenario]:
    """The scenario ends in a refusal with this code and reason."""

    def add(scenario: Scenario) -> Scenario:
        SCENARIOS[reason] = code, scenario
        return scenario

    return add


def put_back(service: Service, target: int = 1, release: str = SHOP, **fields: Any) -> Any:
    return service.rollbacks.Rollback(rollback_request(target, release, **fields))


def last_successful(service: Service, **fields: Any) -> Any:
    return service.rollbacks.RollbackLastSuccessful(
        rollback_service_pb2.RollbackLastSuccessfulRequest(release_id=SHOP, **fields)
    )


def history(service: Service, **fields: Any) -> Any:
    return service.rollbacks.StreamHistory(rollback_service_pb2.StreamHistoryRequest(release_id=SHOP, **fields))


def operation(service: Service, operation_id: str = NOWHERE) -> Any:
    return service.rollbacks.GetOperation(rollback_service_pb2.GetOperationRequest(operation_id=operation_id))


async def done(call: Any) -> Operation:
    """The call's operation, which must have worked."""
    made: Operation = (await call).operation
    assert made.state == Operation.SUCCEEDED, made
    return made


@contextmanager
def held(world: World) -> Iterator[None]:
    """Helm does not get on while the block lasts."""
    hold = world.helm.hold(Point.AFTER_CREATE)
    try:
        yield
    finally:
        hold.release()


def break_ledger(service: Service, problem: Exception) -> None:
    """Make every use of the ledger fail."""

    async def fail(body: Any) -> Any:
        raise problem

    service.ledger.read = service.ledger.write = fail  # type: ignore[method-assign]


@refuses(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
async def _(world: World, service: Service) -> Refusal:
    return await refused(put_back(service, target=0))


@refuses(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_RESUME_TOKEN")
async def _(world: World, service: Service) -> Refusal:
    return await refused(history(service, resume_token="from elsewhere"))


@refuses(grpc.StatusCode.NOT_FOUND, "RELEASE_NOT_FOUND")
async def _(world: World, service: Service) -> Refusal:
    return await refused(put_back(service))


@refuses(grpc.StatusCode.NOT_FOUND, "REVISION_NOT_FOUND")
async def _(world: World, service: Service) -> Refusal:
    world.release(revisions=2)
    return await refused(put_back(service, target=3))


@refuses(grpc.StatusCode.NOT_FOUND, "OPERATION_NOT_FOUND")
async def _(world: World, service: Service) -> Refusal:
    return await refused(operation(service))


@refuses(grpc.StatusCode.NOT_FOUND, "CLUSTER_NOT_CONFIGURED")
async def _(world: World, service: Service) -> Refusal:
    return await refused(put_back(service, release="staging.prod.shop"))


@refuses(grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")
async def _(world: World, service: Service) -> Refusal:
    world.release(revisions=3)
    await put_back(service, target=1, request_id=NOWHERE)
    return await refused(put_back(service, target=2, request_id=NOWHERE))


@refuses(grpc.StatusCode.FAILED_PRECONDITION, "NO_SUCCESSFUL_REVISION")
async def _(world: World, service: Service) -> Refusal:
    world.by_hand.install(fails=True)
    return await refused(last_successful(service))


@refuses(grpc.StatusCode.FAILED_PRECONDITION, "SUCCESS_UNPROVEN")
async def _(world: World, service: Service) -> Refusal:
    world.release(revisions=2).uninstall(keep_history=True)
    return await refused(last_successful(service))


@refuses(grpc.StatusCode.FAILED_PRECONDITION, "CURRENT_IS_SUCCESSFUL")
async def _(world: World, service: Service) -> Refusal:
    world.release()
    return await refused(last_successful(service))


@refuses(grpc.StatusCode.FAILED_PRECONDITION, "ALREADY_ROLLED_BACK")
async def _(world: World, service: Service) -> Refusal:
    world.release()
    await done(put_back(service, wait_timeout=Duration(seconds=20)))
    return await refused(last_successful(service))


@refuses(grpc.StatusCode.FAILED_PRECONDITION, "RELEASE_PENDING")
async def _(world: World, service: Service) -> Refusal:
    world.release().begin_upgrade(Chart(version="2.0.0"))
    return await refused(put_back(service))


@refuses(grpc.StatusCode.FAILED_PRECONDITION, "NOT_CANCELLABLE")
async def _(world: World, service: Service) -> Refusal:
    world.release()
    made = await done(put_back(service, wait_timeout=Duration(seconds=20)))
    return await refused(
        service.rollbacks.CancelOperation(rollback_service_pb2.CancelOperationRequest(operation_id=made.operation_id))
    )


@refuses(grpc.StatusCode.FAILED_PRECONDITION, "CLUSTER_PERMISSION_DENIED")
async def _(world: World, service: Service) -> Refusal:
    world.cluster.denied.add("list")
    return await refused(put_back(service))


@refuses(grpc.StatusCode.ABORTED, "OPERATION_IN_PROGRESS")
async def _(world: World, service: Service) -> Refusal:
    world.release()
    with held(world):
        await put_back(service)
        return await refused(put_back(service))


@refuses(grpc.StatusCode.ABORTED, "CURRENT_REVISION_CHANGED")
async def _(world: World, service: Service) -> Refusal:
    world.release(revisions=2)
    return await refused(put_back(service, expected_current_revision=1))


@refuses(grpc.StatusCode.OUT_OF_RANGE, "RESUME_POSITION_LOST")
async def _(world: World, service: Service) -> Refusal:
    world.release()
    return await refused(history(service, after_sequence=1000))


@refuses(grpc.StatusCode.UNAVAILABLE, "CLUSTER_UNREACHABLE")
async def _(world: World, service: Service) -> Refusal:
    with world.cluster.away():
        return await refused(put_back(service))


@refuses(grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
async def _(world: World, service: Service) -> Refusal:
    break_ledger(service, StoreUnavailable("database is locked"))
    return await refused(operation(service))


@refuses(grpc.StatusCode.UNAVAILABLE, "HELM_UNAVAILABLE")
async def _(world: World, service: Service) -> Refusal:
    world.helm.unavailable = "there is no program 'helm'"
    return await refused(put_back(service))


@refuses(grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING")
async def _(world: World, service: Service) -> Refusal:
    world.release()
    await service.server.drain()
    return await refused(put_back(service))


@refuses(grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS")
async def _(world: World, service: Service) -> Refusal:
    world.release()
    streams = [history(service) for _ in range(100)]
    for stream in streams:
        await stream.read()
    return await refused(history(service))


@refuses(grpc.StatusCode.INTERNAL, "INTERNAL")
async def _(world: World, service: Service) -> Refusal:
    break_ledger(service, RuntimeError("postgresql://admin:hunter2@db"))
    told = await refused(operation(service))
    assert "hunter2" not in f"{told.message}{told.metadata}"
    assert told.metadata["errorId"] in told.message
    return told


@pytest.mark.parametrize("reason", SCENARIOS)
async def test_is_reached_with_its_code(world: World, service: Service, reason: str) -> None:
    code, scenario = SCENARIOS[reason]

    told = await scenario(world, service)

    assert (told.code, told.reason) == (code, reason)


def test_no_reason_is_forgotten() -> None:
    refusals = {name for name, number in ErrorReason.items() if 0 < number < 100}

    assert refusals == set(SCENARIOS) | NOT_YET


@pytest.mark.parametrize("reason", ["RELEASE_NOT_FOUND", "CLUSTER_UNREACHABLE", "HELM_UNAVAILABLE", "SERVER_DRAINING"])
async def test_names_the_release_where_there_is_one(world: World, service: Service, reason: str) -> None:
    _, scenario = SCENARIOS[reason]

    told = await scenario(world, service)

    assert told.metadata["releaseId"] == SHOP


async def test_says_when_to_try_again_where_that_helps(world: World, service: Service) -> None:
    with world.cluster.away():
        told = await refused(put_back(service))

    assert told.retry_after is not None
    assert told.retry_after >= timedelta(seconds=1)


async def test_a_stream_that_no_release_has_is_refused_at_once(service: Service) -> None:
    told = await refused(history(service))

    assert (told.code, told.reason) == (grpc.StatusCode.NOT_FOUND, "RELEASE_NOT_FOUND")


async def test_looking_at_a_revision_that_is_not_there_is_refused(world: World, service: Service) -> None:
    world.release(revisions=1)
    request = release_service_pb2.GetRevisionRequest(release_id=SHOP, revision=7)

    told = await refused(service.releases.GetRevision(request))

    assert (told.code, told.reason) == (grpc.StatusCode.NOT_FOUND, "REVISION_NOT_FOUND")

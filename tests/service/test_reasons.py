"""Every reason for which this version refuses a call is reached through a real channel."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from service.in_process import Service, refusal
from support.calls import Refusal
from support.fakes import Chart, Point

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

Scenario = Callable[[Service], Awaitable[Refusal]]
SCENARIOS: dict[str, tuple[grpc.StatusCode, Scenario]] = {}


def refuses(code: grpc.StatusCode, reason: str) -> Callable[[Scenario], Scenario]:
    """The scenario ends in a refusal with this code and reason."""

    def add(scenario: Scenario) -> Scenario:
        SCENARIOS[reason] = code, scenario
        return scenario

    return add


def put_back(service: Service, target: int = 1, release: str = SHOP, **fields: Any) -> Any:
    return service.rollbacks.Rollback(
        rollback_service_pb2.RollbackRequest(release_id=release, target_revision=target, **fields)
    )


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
def held(service: Service) -> Iterator[None]:
    """Helm does not get on while the block lasts."""
    hold = service.helm.hold(Point.AFTER_CREATE)
    try:
        yield
    finally:
        hold.release()


@refuses(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
async def _(service: Service) -> Refusal:
    return await refusal(put_back(service, target=0))


@refuses(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_RESUME_TOKEN")
async def _(service: Service) -> Refusal:
    return await refusal(history(service, resume_token="from elsewhere"))


@refuses(grpc.StatusCode.NOT_FOUND, "RELEASE_NOT_FOUND")
async def _(service: Service) -> Refusal:
    return await refusal(put_back(service))


@refuses(grpc.StatusCode.NOT_FOUND, "REVISION_NOT_FOUND")
async def _(service: Service) -> Refusal:
    service.installed(revisions=2)
    return await refusal(put_back(service, target=3))


@refuses(grpc.StatusCode.NOT_FOUND, "OPERATION_NOT_FOUND")
async def _(service: Service) -> Refusal:
    return await refusal(operation(service))


@refuses(grpc.StatusCode.NOT_FOUND, "CLUSTER_NOT_CONFIGURED")
async def _(service: Service) -> Refusal:
    return await refusal(put_back(service, release="staging.prod.shop"))


@refuses(grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")
async def _(service: Service) -> Refusal:
    service.installed(revisions=3)
    await put_back(service, target=1, request_id=NOWHERE)
    return await refusal(put_back(service, target=2, request_id=NOWHERE))


@refuses(grpc.StatusCode.FAILED_PRECONDITION, "NO_SUCCESSFUL_REVISION")
async def _(service: Service) -> Refusal:
    service.release().install(fails=True)
    return await refusal(last_successful(service))


@refuses(grpc.StatusCode.FAILED_PRECONDITION, "SUCCESS_UNPROVEN")
async def _(service: Service) -> Refusal:
    service.installed(revisions=2).uninstall(keep_history=True)
    return await refusal(last_successful(service))


@refuses(grpc.StatusCode.FAILED_PRECONDITION, "CURRENT_IS_SUCCESSFUL")
async def _(service: Service) -> Refusal:
    service.installed()
    return await refusal(last_successful(service))


@refuses(grpc.StatusCode.FAILED_PRECONDITION, "ALREADY_ROLLED_BACK")
async def _(service: Service) -> Refusal:
    service.installed()
    await done(put_back(service, wait_timeout=Duration(seconds=20)))
    return await refusal(last_successful(service))


@refuses(grpc.StatusCode.FAILED_PRECONDITION, "RELEASE_PENDING")
async def _(service: Service) -> Refusal:
    service.installed().begin_upgrade(Chart(version="2.0.0"))
    return await refusal(put_back(service))


@refuses(grpc.StatusCode.FAILED_PRECONDITION, "NOT_CANCELLABLE")
async def _(service: Service) -> Refusal:
    service.installed()
    made = await done(put_back(service, wait_timeout=Duration(seconds=20)))
    return await refusal(
        service.rollbacks.CancelOperation(rollback_service_pb2.CancelOperationRequest(operation_id=made.operation_id))
    )


@refuses(grpc.StatusCode.FAILED_PRECONDITION, "CLUSTER_PERMISSION_DENIED")
async def _(service: Service) -> Refusal:
    service.cluster.denied.add("list")
    return await refusal(put_back(service))


@refuses(grpc.StatusCode.ABORTED, "OPERATION_IN_PROGRESS")
async def _(service: Service) -> Refusal:
    service.installed()
    with held(service):
        await put_back(service)
        return await refusal(put_back(service))


@refuses(grpc.StatusCode.ABORTED, "CURRENT_REVISION_CHANGED")
async def _(service: Service) -> Refusal:
    service.installed(revisions=2)
    return await refusal(put_back(service, expected_current_revision=1))


@refuses(grpc.StatusCode.OUT_OF_RANGE, "RESUME_POSITION_LOST")
async def _(service: Service) -> Refusal:
    service.installed()
    return await refusal(history(service, after_sequence=1000))


@refuses(grpc.StatusCode.UNAVAILABLE, "CLUSTER_UNREACHABLE")
async def _(service: Service) -> Refusal:
    with service.cluster.away():
        return await refusal(put_back(service))


@refuses(grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
async def _(service: Service) -> Refusal:
    service.ledger.problem = StoreUnavailable("database is locked")
    return await refusal(operation(service))


@refuses(grpc.StatusCode.UNAVAILABLE, "HELM_UNAVAILABLE")
async def _(service: Service) -> Refusal:
    service.helm.unavailable = "there is no program 'helm'"
    return await refusal(put_back(service))


@refuses(grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING")
async def _(service: Service) -> Refusal:
    service.installed()
    await service.server.drain()
    return await refusal(put_back(service))


@refuses(grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS")
async def _(service: Service) -> Refusal:
    service.installed()
    streams = [history(service) for _ in range(100)]
    for stream in streams:
        await stream.read()
    return await refusal(history(service))


@refuses(grpc.StatusCode.INTERNAL, "INTERNAL")
async def _(service: Service) -> Refusal:
    service.ledger.problem = RuntimeError("postgresql://admin:hunter2@db")
    told = await refusal(operation(service))
    assert "hunter2" not in f"{told.message}{told.metadata}"
    assert told.metadata["errorId"] in told.message
    return told


@pytest.mark.parametrize("reason", SCENARIOS)
async def test_is_reached_with_its_code(service: Service, reason: str) -> None:
    code, scenario = SCENARIOS[reason]

    told = await scenario(service)

    assert (told.code, told.reason) == (code, reason)


def test_no_reason_is_forgotten() -> None:
    refusals = {name for name, number in ErrorReason.items() if 0 < number < 100}

    assert refusals == set(SCENARIOS) | NOT_YET


@pytest.mark.parametrize("reason", ["RELEASE_NOT_FOUND", "CLUSTER_UNREACHABLE", "HELM_UNAVAILABLE", "SERVER_DRAINING"])
async def test_names_the_release_where_there_is_one(service: Service, reason: str) -> None:
    _, scenario = SCENARIOS[reason]

    told = await scenario(service)

    assert told.metadata["releaseId"] == SHOP


async def test_says_when_to_try_again_where_that_helps(service: Service) -> None:
    from google.rpc.error_details_pb2 import RetryInfo
    from grpc_status import rpc_status

    with service.cluster.away(), pytest.raises(grpc.aio.AioRpcError) as refused:
        await put_back(service)

    status: Any = rpc_status.from_call(refused.value)
    retry = RetryInfo()
    assert any(detail.Unpack(retry) for detail in status.details)
    assert retry.retry_delay.seconds >= 1


async def test_a_stream_that_no_release_has_is_refused_at_once(service: Service) -> None:
    told = await refusal(history(service))

    assert (told.code, told.reason) == (grpc.StatusCode.NOT_FOUND, "RELEASE_NOT_FOUND")


async def test_looking_at_a_revision_that_is_not_there_is_refused(service: Service) -> None:
    service.installed(revisions=1)
    request = release_service_pb2.GetRevisionRequest(release_id=SHOP, revision=7)

    told = await refusal(service.releases.GetRevision(request))

    assert (told.code, told.reason) == (grpc.StatusCode.NOT_FOUND, "REVISION_NOT_FOUND")

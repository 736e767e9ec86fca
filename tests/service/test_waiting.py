"""How long a call waits for an outcome, and what it answers then."""

from __future__ import annotations

import time
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from service.in_process import Service

from helm_rollback.v1 import rollback_service_pb2 as pb
from helm_rollback.v1.release_pb2 import Operation

SHOP = "default.prod.shop"
LONG = Duration(seconds=3600)


def put_back(service: Service, *, timeout: float | None = None, **fields: Any) -> Any:
    request = pb.RollbackRequest(release_id=SHOP, target_revision=1, **fields)
    return service.rollbacks.Rollback(request, timeout=timeout)


@pytest.mark.parametrize("fields", [{}, {"wait_timeout": Duration()}], ids=["absent", "zero"])
async def test_without_a_wait_the_answer_is_the_acceptance(idle_service: Service, fields: dict[str, Any]) -> None:
    idle_service.installed()

    answer = await put_back(idle_service, **fields)

    assert answer.operation.state == Operation.PENDING
    assert answer.resume_token


async def test_a_wait_ends_with_the_outcome(service: Service) -> None:
    service.installed()

    answer = await put_back(service, wait_timeout=LONG)

    assert (answer.operation.state, answer.operation.result_revision) == (Operation.SUCCEEDED, 3)


async def test_a_wait_ends_before_the_calls_deadline(idle_service: Service) -> None:
    idle_service.installed()

    answer = await put_back(idle_service, wait_timeout=LONG, timeout=1.0)

    assert answer.operation.state == Operation.PENDING


async def test_a_wait_ends_after_its_own_time(idle_service: Service) -> None:
    idle_service.installed()
    began = time.monotonic()

    answer = await put_back(idle_service, wait_timeout=Duration(nanos=50_000_000), timeout=20.0)

    assert answer.operation.state == Operation.PENDING
    assert time.monotonic() - began < 10


async def test_waiting_for_an_operation_goes_on_until_the_deadline(idle_service: Service) -> None:
    idle_service.installed()
    made = (await put_back(idle_service)).operation
    request = pb.WaitOperationRequest(operation_id=made.operation_id)

    answer = await idle_service.rollbacks.WaitOperation(request, timeout=1.0)

    assert answer.operation == made


async def test_waiting_for_no_time_only_looks(idle_service: Service) -> None:
    idle_service.installed()
    made = (await put_back(idle_service)).operation

    answer = await idle_service.rollbacks.WaitOperation(
        pb.WaitOperationRequest(operation_id=made.operation_id, timeout=Duration())
    )

    assert answer.operation == made


async def test_a_repeated_request_waits_for_the_first_ones_outcome(service: Service) -> None:
    service.installed()
    request_id = "01890a5d-ac96-774b-bcce-b302099a8057"
    first = await put_back(service, request_id=request_id)

    again = await put_back(service, request_id=request_id.upper(), wait_timeout=LONG)

    assert again.operation.operation_id == first.operation.operation_id
    assert again.operation.state == Operation.SUCCEEDED
    assert again.resume_token == first.resume_token


async def test_a_cancelled_operation_is_returned_as_it_is(idle_service: Service) -> None:
    idle_service.installed()
    made = (await put_back(idle_service)).operation
    request = pb.CancelOperationRequest(operation_id=made.operation_id.upper(), reason="not needed")

    cancelled = (await idle_service.rollbacks.CancelOperation(request)).operation
    again = (await idle_service.rollbacks.CancelOperation(request)).operation

    assert cancelled.state == Operation.CANCELLED
    assert cancelled.HasField("end_time")
    assert again == cancelled

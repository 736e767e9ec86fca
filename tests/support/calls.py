"""What a client reads from an answer, or a refusal, of the service."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from grpc_status import rpc_status

from helm_rollback.v1.error_reason_pb2 import ErrorReason
from helm_rollback.v1.release_pb2 import Operation, Selection, SkippedRevision

WAIT = Duration(seconds=60)
"""A `wait_timeout` within which every outcome of these tests comes."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A call that was refused, and why."""

    code: grpc.StatusCode
    reason: str
    domain: str
    message: str
    metadata: dict[str, str]
    fields: tuple[str, ...] = ()
    """The fields that a BadRequest names, each with a sentence."""
    retry_after: timedelta | None = None
    size: int = 0
    """Of the status with its details, in bytes."""

    @classmethod
    def of(cls, error: grpc.RpcError) -> "Refusal":
        """What the error says; each must carry the service's ErrorInfo."""
        assert isinstance(error, grpc.Call | grpc.aio.AioRpcError)
        status: Any = rpc_status.from_call(error)
        info, bad_request, retry = ErrorInfo(), BadRequest(), RetryInfo()
        assert status is not None, error
        assert any(detail.Unpack(info) for detail in status.details), error
        retried = any(detail.Unpack(retry) for detail in status.details)
        for detail in status.details:
            detail.Unpack(bad_request)
        assert all(violation.description for violation in bad_request.field_violations), error
        return cls(
            code=error.code(),
            reason=info.reason,
            domain=info.domain,
            message=error.details() or "",
            metadata=dict(info.metadata),
            fields=tuple(violation.field for violation in bad_request.field_violations),
            retry_after=retry.retry_delay.ToTimedelta() if retried else None,
            size=status.ByteSize(),
        )


def refusal_of(call: Callable[[], object]) -> Refusal:
    """The call must be refused: how it was."""
    try:
        answer = call()
    except grpc.RpcError as error:
        return Refusal.of(error)
    raise AssertionError(f"it was not refused: {answer}")


async def refused(call: Any) -> Refusal:
    """The call of grpc.aio, or the stream, must be refused: how it was."""
    try:
        answer = [response async for response in call] if hasattr(call, "__aiter__") else await call
    except grpc.aio.AioRpcError as error:
        return Refusal.of(error)
    raise AssertionError(f"it was not refused: {answer}")


def state(operation: Operation) -> str:
    """Its state by name."""
    return Operation.State.Name(operation.state)


def failure_reason(operation: Operation) -> str:
    """Why it failed, by name; empty where it did not."""
    return ErrorReason.Name(operation.failure.error_reason) if operation.HasField("failure") else ""


def evidence(selection: Selection) -> str:
    """Why the chosen revision counts as successful, by name."""
    return Selection.Evidence.Name(selection.success_evidence)


def skipped(selection: Selection) -> dict[int, str]:
    """What was passed over, and why; each with a sentence for people."""
    assert all(entry.explanation for entry in selection.skipped)
    assert selection.skipped_count == len(selection.skipped)
    return {entry.revision: SkippedRevision.SkipReason.Name(entry.skip_reason) for entry in selection.skipped}

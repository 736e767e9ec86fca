"""How a call of grpc.aio was refused: the status, and the details of google.rpc in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import grpc
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from grpc_status import rpc_status


@dataclass(frozen=True, kw_only=True)
class Refused:
    """What a client is told of an error."""

    code: grpc.StatusCode
    reason: str
    domain: str
    message: str
    metadata: dict[str, str]
    fields: tuple[str, ...] = ()
    """The fields that a BadRequest names."""
    retry_after: timedelta | None = None

    @classmethod
    def of(cls, error: grpc.aio.AioRpcError) -> Refused:
        """Each error must carry the service's ErrorInfo."""
        status: Any = rpc_status.from_call(error)
        info, bad_request, retry = ErrorInfo(), BadRequest(), RetryInfo()
        assert status is not None, error
        assert any(detail.Unpack(info) for detail in status.details), error
        retried = any(detail.Unpack(retry) for detail in status.details)
        for detail in status.details:
            detail.Unpack(bad_request)
        return cls(
            code=error.code(),
            reason=info.reason,
            domain=info.domain,
            message=error.details() or "",
            metadata=dict(info.metadata),
            fields=tuple(violation.field for violation in bad_request.field_violations),
            retry_after=retry.retry_delay.ToTimedelta() if retried else None,
        )


async def refused(call: Any) -> Refused:
    """The call, or the stream, must be refused: how it was."""
    try:
        answer = [response async for response in call] if hasattr(call, "__aiter__") else await call
    except grpc.aio.AioRpcError as error:
        return Refused.of(error)
    raise AssertionError(f"it was not refused: {answer}")

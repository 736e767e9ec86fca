"""The one line that each call leaves in the log: names and numbers, never contents."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import Any, Final, Self

import grpc
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status

from helm_rollback.servicer.error_status import reason_of

log = logging.getLogger("helm_rollback.call")

_NAME_MAX: Final = 200
"""Of what a caller wrote, no more than this is logged."""
_CODE_NAMES: Final = {code.value[0]: code.name for code in grpc.StatusCode}


@dataclass(slots=True, kw_only=True)
class CallLine:
    """What is known of a call so far; `write` logs it. The log's formatter makes it JSON."""

    method: str
    peer: str
    release_id: str
    operation_id: str
    actor: str = ""
    code: str = "OK"
    reason: str = ""
    began: float = field(default_factory=time.monotonic)

    @classmethod
    def begin(cls, method: str, request: object, context: grpc.aio.ServicerContext[Any, Any]) -> Self:
        return cls(
            method=method,
            peer=context.peer() or "",
            release_id=_named(request, "release_id"),
            operation_id=_named(request, "operation_id"),
        )

    def answered(self, response: object) -> None:
        """Learn from a response which operation the call was about."""
        operation = getattr(response, "operation", None)
        if operation is not None:
            self.operation_id = operation.operation_id
            self.release_id = operation.release_id

    def refused(self, status: Status) -> None:
        self.code = _CODE_NAMES[status.code]
        self.reason = reason_of(status)

    def cancelled(self) -> None:
        """The client left, or its deadline passed."""
        self.code = grpc.StatusCode.CANCELLED.name

    def aborted(self, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        code: Any = context.code()
        self.code = code.name if isinstance(code, grpc.StatusCode) else _CODE_NAMES.get(code, "UNKNOWN")

    def write(self) -> None:
        facts = {
            "method": self.method,
            "code": self.code,
            "reason": self.reason,
            "release_id": self.release_id,
            "operation_id": self.operation_id,
            "actor": self.actor,
            "duration_ms": round((time.monotonic() - self.began) * 1000, 1),
            "peer": self.peer,
        }
        log.info("call", extra={key: fact for key, fact in facts.items() if fact != ""})


def _named(request: object, name: str) -> str:
    value = getattr(request, name, "") if isinstance(request, Message) else ""
    return str(value)[:_NAME_MAX]

"""The one place where errors become status codes.

A refusal travels as `google.rpc.Status` with an ErrorInfo, whose metadata are the
error's own facts. Anything else that was raised is a fault of this service: the
client gets a fixed text and an id, the log gets the rest.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final
from uuid import uuid4

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from helm_rollback.domain import errors
from helm_rollback.v1.error_reason_pb2 import ErrorReason

log = logging.getLogger(__name__)

DOMAIN: Final = "helm-rollback"

CODES: Final[Mapping[type[errors.Refused], tuple[grpc.StatusCode, ErrorReason.ValueType]]] = {
    errors.InvalidField: (grpc.StatusCode.INVALID_ARGUMENT, ErrorReason.INVALID_FIELD),
    errors.InvalidFields: (grpc.StatusCode.INVALID_ARGUMENT, ErrorReason.INVALID_FIELD),
    errors.InvalidResumeToken: (grpc.StatusCode.INVALID_ARGUMENT, ErrorReason.INVALID_RESUME_TOKEN),
    errors.ForeignPage: (grpc.StatusCode.PERMISSION_DENIED, ErrorReason.PERMISSION_DENIED),
    errors.ClusterNotConfigured: (grpc.StatusCode.NOT_FOUND, ErrorReason.CLUSTER_NOT_CONFIGURED),
    errors.ReleaseNotFound: (grpc.StatusCode.NOT_FOUND, ErrorReason.RELEASE_NOT_FOUND),
    errors.ReleaseExists: (grpc.StatusCode.ALREADY_EXISTS, ErrorReason.RELEASE_EXISTS),
    errors.RevisionNotFound: (grpc.StatusCode.NOT_FOUND, ErrorReason.REVISION_NOT_FOUND),
    errors.OperationNotFound: (grpc.StatusCode.NOT_FOUND, ErrorReason.OPERATION_NOT_FOUND),
    errors.RequestIdReused: (grpc.StatusCode.ALREADY_EXISTS, ErrorReason.REQUEST_ID_REUSED),
    errors.NoSuccessfulRevision: (grpc.StatusCode.FAILED_PRECONDITION, ErrorReason.NO_SUCCESSFUL_REVISION),
    errors.SuccessUnproven: (grpc.StatusCode.FAILED_PRECONDITION, ErrorReason.SUCCESS_UNPROVEN),
    errors.CurrentIsSuccessful: (grpc.StatusCode.FAILED_PRECONDITION, ErrorReason.CURRENT_IS_SUCCESSFUL),
    errors.AlreadyRolledBack: (grpc.StatusCode.FAILED_PRECONDITION, ErrorReason.ALREADY_ROLLED_BACK),
    errors.ReleasePending: (grpc.StatusCode.FAILED_PRECONDITION, ErrorReason.RELEASE_PENDING),
    errors.NotCancellable: (grpc.StatusCode.FAILED_PRECONDITION, ErrorReason.NOT_CANCELLABLE),
    errors.RevisionMarkedBad: (grpc.StatusCode.FAILED_PRECONDITION, ErrorReason.REVISION_MARKED_BAD),
    errors.ClusterPermissionDenied: (grpc.StatusCode.FAILED_PRECONDITION, ErrorReason.CLUSTER_PERMISSION_DENIED),
    errors.OperationInProgress: (grpc.StatusCode.ABORTED, ErrorReason.OPERATION_IN_PROGRESS),
    errors.CurrentRevisionChanged: (grpc.StatusCode.ABORTED, ErrorReason.CURRENT_REVISION_CHANGED),
    errors.ResumePositionLost: (grpc.StatusCode.OUT_OF_RANGE, ErrorReason.RESUME_POSITION_LOST),
    errors.TooManyStreams: (grpc.StatusCode.RESOURCE_EXHAUSTED, ErrorReason.TOO_MANY_STREAMS),
    errors.Overloaded: (grpc.StatusCode.RESOURCE_EXHAUSTED, ErrorReason.OVERLOADED),
    errors.ClusterUnreachable: (grpc.StatusCode.UNAVAILABLE, ErrorReason.CLUSTER_UNREACHABLE),
    errors.HelmUnavailable: (grpc.StatusCode.UNAVAILABLE, ErrorReason.HELM_UNAVAILABLE),
    errors.ServerDraining: (grpc.StatusCode.UNAVAILABLE, ErrorReason.SERVER_DRAINING),
    errors.StoreUnavailable: (grpc.StatusCode.UNAVAILABLE, ErrorReason.STORE_UNAVAILABLE),
}

_RETRY_AFTER: Final = {
    grpc.StatusCode.UNAVAILABLE: timedelta(seconds=1),
    grpc.StatusCode.RESOURCE_EXHAUSTED: timedelta(seconds=5),
}

# Status details travel in the trailers, whose hard limit is 16 KiB in common clients:
# one byte more, and the client sees another code. All of it stays below 4 KiB.
_MESSAGE_BYTES: Final = 900
_FIELD_BYTES: Final = 50
_DESCRIPTION_BYTES: Final = 500
_DESCRIPTIONS_BYTES: Final = 1000
_FACT_BYTES: Final = 500


def status_of(error: Exception, *, release_id: str = "") -> Status:
    """What the client is told of `error`, which a call on the release `release_id` raised."""
    if isinstance(error, errors.Refused):
        return _refusal(error, release_id)
    return _fault(error, release_id)


def reason_of(status: Status) -> str:
    """The ErrorReason's name in a status that was made here."""
    info = ErrorInfo()
    return info.reason if any(detail.Unpack(info) for detail in status.details) else ""


def _refusal(error: errors.Refused, release_id: str) -> Status:
    code, reason = CODES[type(error)]
    facts = {"releaseId": release_id} | error.metadata if release_id else error.metadata
    details: list[Message] = []
    if isinstance(error, errors.InvalidField):
        details.append(_bad_request([error], reason))
    elif isinstance(error, errors.InvalidFields):
        details.append(_bad_request(error.violations, reason))
    elif isinstance(error, errors.InvalidResumeToken):
        facts["field"] = "resume_token"
        details.append(_bad_request([errors.InvalidField("resume_token", error.problem)], reason))
    if code in _RETRY_AFTER:
        delay = Duration()
        delay.FromTimedelta(_RETRY_AFTER[code])
        details.append(RetryInfo(retry_delay=delay))
    return _status(code, reason, str(error), facts, details)


def _fault(error: Exception, release_id: str) -> Status:
    """Say nothing of the cause: its text may hold SQL, a path or a secret."""
    error_id = str(uuid4())
    log.error("fault %s", error_id, exc_info=error)
    facts = {"errorId": error_id} | ({"releaseId": release_id} if release_id else {})
    message = f"a fault of this service; its log tells more under {error_id}"
    return _status(grpc.StatusCode.INTERNAL, ErrorReason.INTERNAL, message, facts, [])


def _bad_request(violations: Sequence[errors.InvalidField], reason: ErrorReason.ValueType) -> BadRequest:
    """One violation for each field; many share the room that one has."""
    longest = min(_DESCRIPTION_BYTES, _DESCRIPTIONS_BYTES // len(violations))
    return BadRequest(
        field_violations=[
            BadRequest.FieldViolation(
                field=_cut(violation.field, _FIELD_BYTES),
                description=_cut(violation.problem, longest),
                reason=ErrorReason.Name(reason),
            )
            for violation in violations
        ]
    )


def _status(
    code: grpc.StatusCode,
    reason: ErrorReason.ValueType,
    message: str,
    facts: Mapping[str, str],
    details: list[Message],
) -> Status:
    number: int = code.value[0]
    status = Status(code=number, message=_cut(message, _MESSAGE_BYTES))
    info = ErrorInfo(
        reason=ErrorReason.Name(reason),
        domain=DOMAIN,
        metadata={key: _cut(value, _FACT_BYTES) for key, value in facts.items()},
    )
    for detail in (info, *details):
        status.details.add().Pack(detail)
    return status


def _cut(text: str, limit: int) -> str:
    """At most `limit` bytes of `text`, in whole characters; what is no text at all is replaced."""
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= limit:
        return encoded.decode()
    return encoded[: limit - 3].decode("utf-8", "ignore") + "…"

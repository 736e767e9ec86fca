"""Requests of RollbackService, as what the use cases take.

All raise InvalidField or, where several fields are bad, InvalidFields.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from helm_rollback.application.acceptance import checked_reason
from helm_rollback.application.rollback import RollbackCommand
from helm_rollback.application.stream_history import StreamStart
from helm_rollback.domain import resume_token
from helm_rollback.domain.operation import OperationState
from helm_rollback.domain.release import ReleaseId
from helm_rollback.domain.violations import Violations
from helm_rollback.servicer import page_token
from helm_rollback.servicer.translate import fields, wishes
from helm_rollback.servicer.translate.wishes import Wish
from helm_rollback.v1 import release_pb2
from helm_rollback.v1 import rollback_service_pb2 as pb


def rollback(request: pb.RollbackRequest) -> Wish[RollbackCommand]:
    return _rollback(request, target_revision=request.target_revision, allow_marked_bad=request.allow_marked_bad)


def rollback_last_successful(request: pb.RollbackLastSuccessfulRequest) -> Wish[RollbackCommand]:
    return _rollback(request, target_revision=None, allow_marked_bad=False)


def _rollback(
    request: pb.RollbackRequest | pb.RollbackLastSuccessfulRequest,
    *,
    target_revision: int | None,
    allow_marked_bad: bool,
) -> Wish[RollbackCommand]:
    found = Violations()
    wait_timeout = wishes.wait_timeout(request, found)
    common = wishes.common(request, found)
    command = found.finish(
        lambda: RollbackCommand(
            **common,
            target_revision=target_revision,
            allow_marked_bad=allow_marked_bad,
            remove_leftovers=request.remove_leftovers,
        )
    )
    return Wish(command=command, wait_timeout=wait_timeout)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    operation_id: str
    timeout: timedelta | None
    """None: as long as possible."""


def wait_operation(request: pb.WaitOperationRequest) -> Wait:
    found = Violations()
    asked = found.take(lambda: operation_id(request), "")
    timeout = found.take(lambda: fields.span(request.timeout, field="timeout"), None)
    found.check()
    return Wait(operation_id=asked, timeout=timeout if request.HasField("timeout") else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancellation:
    operation_id: str
    reason: str


def cancel_operation(request: pb.CancelOperationRequest) -> Cancellation:
    found = Violations()
    asked = found.take(lambda: operation_id(request), "")
    reason = found.take(lambda: checked_reason(request.reason), "")
    found.check()
    return Cancellation(operation_id=asked, reason=reason)


def operation_id(request: pb.GetOperationRequest | pb.WaitOperationRequest | pb.CancelOperationRequest) -> str:
    return fields.uuid(request.operation_id, field="operation_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryStream:
    release_id: ReleaseId
    start: StreamStart
    end_after_operation_id: str


def stream_history(request: pb.StreamHistoryRequest, *, ledger_id: str) -> HistoryStream:
    """Also raises InvalidResumeToken and ResumePositionLost, for a token that is not of this ledger."""
    found = Violations()
    release_id = fields.release_id(request, found)
    end_after = found.take(
        lambda: fields.optional_uuid(request.end_after_operation_id, field="end_after_operation_id"), ""
    )
    start = found.take(lambda: _stream_start(request), StreamStart())
    found.check()
    if request.WhichOneof("start") == "resume_token":  # only now, for it is bound to the release
        start = StreamStart(after_sequence=resume_token.decode(request.resume_token, ledger_id, release_id))
    return HistoryStream(release_id=release_id, start=start, end_after_operation_id=end_after)


def _stream_start(request: pb.StreamHistoryRequest) -> StreamStart:
    """Where the stream starts, but for a token."""
    match request.WhichOneof("start"):
        case "after_sequence":
            return StreamStart(after_sequence=fields.not_negative(request.after_sequence, field="after_sequence"))
        case "tail":
            return StreamStart(tail=fields.not_negative(request.tail, field="tail"))
        case _:
            return StreamStart()


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationListing:
    release_id: ReleaseId | None
    state: OperationState | None
    request_id: str
    before: str
    page_size: int

    def token_after(self, operation_id: str) -> str:
        """The token of the page behind this operation."""
        return page_token.encode(operation_id, *_operation_filters(self.release_id, self.state, self.request_id))


def list_operations(request: pb.ListOperationsRequest) -> OperationListing:
    found = Violations()
    release_id = found.take(lambda: ReleaseId.parse(request.release_id), None) if request.release_id else None
    request_id = found.take(lambda: fields.optional_uuid(request.request_id, field="request_id"), "")
    states = release_pb2.Operation.State.DESCRIPTOR
    state = found.take(lambda: fields.choice(request.state, of=OperationState, proto=states, field="state"), None)
    filters = _operation_filters(release_id, state, request_id)
    page = fields.page(request, found, *filters)
    found.check()
    return OperationListing(
        release_id=release_id, state=state, request_id=request_id, before=page.position, page_size=page.size
    )


def _operation_filters(release_id: ReleaseId | None, state: OperationState | None, request_id: str) -> tuple[str, ...]:
    return ("ListOperations", str(release_id or ""), state or "", request_id)

"""Requests of RollbackService, as what the use cases take. All raise InvalidField."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from helm_rollback.application.rollback import DEFAULT_EXPIRE_AFTER, RollbackCommand
from helm_rollback.application.stream_history import StreamStart
from helm_rollback.domain import resume_token
from helm_rollback.domain.helm_options import DEFAULT_TIMEOUT, HelmOptions, ServerSideApply, WaitStrategy
from helm_rollback.domain.operation import OperationState
from helm_rollback.domain.release import ReleaseId
from helm_rollback.servicer import page_token
from helm_rollback.servicer.translate import fields
from helm_rollback.v1 import helm_options_pb2, release_pb2
from helm_rollback.v1 import rollback_service_pb2 as pb

NO_WAIT = timedelta()


def rollback(request: pb.RollbackRequest) -> RollbackCommand:
    return RollbackCommand(
        target_revision=request.target_revision,
        allow_marked_bad=request.allow_marked_bad,
        **_in_both(request),
    )


def rollback_last_successful(request: pb.RollbackLastSuccessfulRequest) -> RollbackCommand:
    return RollbackCommand(target_revision=None, **_in_both(request))


def _in_both(request: pb.RollbackRequest | pb.RollbackLastSuccessfulRequest) -> dict[str, Any]:
    """What the two requests have in common."""
    expected = request.expected_current_revision if request.HasField("expected_current_revision") else None
    expire_after = fields.span(request.expire_after, field="expire_after")
    return {
        "release_id": ReleaseId.parse(request.release_id),
        "request_id": fields.optional_uuid(request.request_id, field="request_id"),
        "expected_current_revision": expected,
        "reason": request.reason,
        "helm_options": helm_options(request.helm_options),
        "expire_after": expire_after if request.HasField("expire_after") else DEFAULT_EXPIRE_AFTER,
        "take_over_pending": request.take_over_pending,
        "remove_leftovers": request.remove_leftovers,
    }


def helm_options(options: helm_options_pb2.HelmOptions) -> HelmOptions:
    """Helm's options; an absent message is the same as an empty one."""
    timeout = fields.span(options.timeout, field="helm_options.timeout")
    strategy = fields.choice(
        options.wait_strategy,
        of=WaitStrategy,
        proto=helm_options_pb2.HelmOptions.WaitStrategy.DESCRIPTOR,
        field="helm_options.wait_strategy",
    )
    server_side = fields.choice(
        options.server_side_apply,
        of=ServerSideApply,
        proto=helm_options_pb2.HelmOptions.ServerSideApply.DESCRIPTOR,
        field="helm_options.server_side_apply",
    )
    return HelmOptions(
        timeout=timeout if options.HasField("timeout") else DEFAULT_TIMEOUT,
        wait_strategy=strategy or WaitStrategy.WATCHER,
        wait_for_jobs=options.wait_for_jobs,
        disable_hooks=options.disable_hooks,
        cleanup_on_fail=options.cleanup_on_fail,
        force_replace=options.force_replace,
        force_conflicts=options.force_conflicts,
        server_side_apply=server_side or ServerSideApply.AUTO,
    )


def wait_timeout(request: pb.RollbackRequest | pb.RollbackLastSuccessfulRequest) -> timedelta:
    """How long the call is to wait for the outcome; absent: not at all."""
    return fields.span(request.wait_timeout, field="wait_timeout")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    operation_id: str
    timeout: timedelta | None
    """None: as long as possible."""


def wait_operation(request: pb.WaitOperationRequest) -> Wait:
    timeout = fields.span(request.timeout, field="timeout")
    return Wait(
        operation_id=operation_id(request),
        timeout=timeout if request.HasField("timeout") else None,
    )


def operation_id(request: pb.GetOperationRequest | pb.WaitOperationRequest | pb.CancelOperationRequest) -> str:
    return fields.uuid(request.operation_id, field="operation_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryStream:
    release_id: ReleaseId
    start: StreamStart
    end_after_operation_id: str


def stream_history(request: pb.StreamHistoryRequest, *, ledger_id: str) -> HistoryStream:
    """Also raises InvalidResumeToken and ResumePositionLost, for a token that is not of this ledger."""
    release_id = ReleaseId.parse(request.release_id)
    return HistoryStream(
        release_id=release_id,
        end_after_operation_id=fields.optional_uuid(request.end_after_operation_id, field="end_after_operation_id"),
        start=_stream_start(request, release_id, ledger_id),
    )


def _stream_start(request: pb.StreamHistoryRequest, release_id: ReleaseId, ledger_id: str) -> StreamStart:
    match request.WhichOneof("start"):
        case "resume_token":
            return StreamStart(after_sequence=resume_token.decode(request.resume_token, ledger_id, release_id))
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
    release_id = ReleaseId.parse(request.release_id) if request.release_id else None
    request_id = fields.optional_uuid(request.request_id, field="request_id")
    state = fields.choice(request.state, of=OperationState, proto=release_pb2.Operation.State.DESCRIPTOR, field="state")
    return OperationListing(
        release_id=release_id,
        state=state,
        request_id=request_id,
        before=page_token.decode(request.page_token, *_operation_filters(release_id, state, request_id)),
        page_size=page_token.page_size(request.page_size),
    )


def _operation_filters(release_id: ReleaseId | None, state: OperationState | None, request_id: str) -> tuple[str, ...]:
    return ("ListOperations", str(release_id or ""), state or "", request_id)

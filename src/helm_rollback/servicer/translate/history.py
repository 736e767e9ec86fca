"""What a stream tells, as messages."""

from __future__ import annotations

from helm_rollback.application.stream_history import CaughtUp, Heartbeat, StreamedEvent, StreamItem
from helm_rollback.application.stream_releases import ReleasesItem
from helm_rollback.domain.history import (
    HistoryEvent,
    MarkChange,
    OperationTransition,
    RecordRemoval,
    RevisionTransition,
)
from helm_rollback.domain.release import Release
from helm_rollback.servicer.translate import resources
from helm_rollback.v1 import history_pb2 as pb
from helm_rollback.v1.release_pb2 import Revision
from helm_rollback.v1.release_service_pb2 import StreamReleasesResponse
from helm_rollback.v1.rollback_service_pb2 import StreamHistoryResponse


def stream_response(item: StreamItem, *, token: str) -> StreamHistoryResponse:
    """One response, with the token that lies right after it."""
    match item:
        case StreamedEvent(event):
            return StreamHistoryResponse(event=history_event(event), resume_token=token)
        case CaughtUp(last_sequence):
            return StreamHistoryResponse(caught_up=pb.CaughtUp(last_sequence=last_sequence), resume_token=token)
        case Heartbeat(time, last_sequence):
            heartbeat = pb.Heartbeat(time=resources.timestamp(time), last_sequence=last_sequence)
            return StreamHistoryResponse(heartbeat=heartbeat, resume_token=token)


def releases_response(item: ReleasesItem) -> StreamReleasesResponse:
    """One response of a stream of releases."""
    match item:
        case CaughtUp():
            return StreamReleasesResponse(caught_up=pb.CaughtUp())
        case Heartbeat(time):
            return StreamReleasesResponse(heartbeat=pb.Heartbeat(time=resources.timestamp(time)))
        case Release():
            return StreamReleasesResponse(release=resources.release(item))


def history_event(event: HistoryEvent) -> pb.HistoryEvent:
    message = pb.HistoryEvent(
        sequence=event.sequence, time=resources.timestamp(event.time), release_id=str(event.release_id)
    )
    match event.change:
        case RevisionTransition() as change:
            message.revision_transition.CopyFrom(_revision_transition(change))
        case OperationTransition(operation=operation):
            message.operation_transition.operation.CopyFrom(resources.operation(operation))
        case RecordRemoval(incarnation=incarnation, revision=revision):
            message.record_removal.CopyFrom(pb.RecordRemoval(incarnation=incarnation, revision=revision))
        case MarkChange() as change:
            message.mark_change.CopyFrom(_mark_change(change))
    return message


def _revision_transition(change: RevisionTransition) -> pb.RevisionTransition:
    return pb.RevisionTransition(
        incarnation=change.incarnation,
        revision=change.revision,
        from_status=resources.status(change.from_status),
        to_status=resources.status(change.to_status),
        operation_type=resources.operation_type(change.operation_type),
        rollback_target=change.rollback_target,
        chart_version=change.chart_version,
        description=change.description,
        operation_id=change.operation_id,
        actor=change.actor,
        cause=pb.RevisionTransition.Cause.Value(change.cause),
    )


def _mark_change(change: MarkChange) -> pb.MarkChange:
    return pb.MarkChange(
        incarnation=change.incarnation,
        revision=change.revision,
        mark=Revision.Mark.Value(change.mark),
        actor=change.actor,
        reason=change.reason,
    )

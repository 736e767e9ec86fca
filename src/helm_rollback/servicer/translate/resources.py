"""Releases, revisions and operations, as messages."""

from __future__ import annotations

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from helm_rollback.application.releases import RevisionContent
from helm_rollback.domain.operation import Failure, LeftoverObject, Operation, OperationType
from helm_rollback.domain.release import Release
from helm_rollback.domain.revision import Revision
from helm_rollback.domain.selection import Selection
from helm_rollback.domain.status import Status
from helm_rollback.v1 import release_pb2 as pb
from helm_rollback.v1.error_reason_pb2 import ErrorReason


def timestamp(time: datetime | None) -> Timestamp | None:
    """A moment; None leaves the field unset."""
    if time is None:
        return None
    message = Timestamp()
    message.FromDatetime(time)
    return message


def status(value: Status | None) -> pb.Revision.Status.ValueType:
    return pb.Revision.Status.Value(value) if value else pb.Revision.STATUS_UNSPECIFIED


def operation_type(value: OperationType | None) -> pb.Operation.Type.ValueType:
    return pb.Operation.Type.Value(value) if value else pb.Operation.TYPE_UNSPECIFIED


def release(value: Release) -> pb.Release:
    return pb.Release(
        release_id=str(value.release_id),
        cluster=value.release_id.cluster,
        namespace=value.release_id.namespace,
        name=value.release_id.name,
        incarnation=value.incarnation,
        current_revision=value.current_revision,
        status=status(value.status),
        last_successful_revision=value.last_successful_revision,
        chart_name=value.chart_name,
        chart_version=value.chart_version,
        app_version=value.app_version,
        active_operation_id=value.active_operation_id,
        last_sequence=value.last_sequence,
        update_time=timestamp(value.update_time),
    )


_NO_CONTENT = RevisionContent()


def revision(value: Revision, content: RevisionContent = _NO_CONTENT) -> pb.Revision:
    """A revision; with its content for view FULL."""
    evidence = value.success_evidence
    return pb.Revision(
        release_id=str(value.release_id),
        incarnation=value.incarnation,
        revision=value.revision,
        status=status(value.status),
        operation_type=operation_type(value.operation_type),
        rollback_target=value.rollback_target,
        description=value.description,
        chart_name=value.chart_name,
        chart_version=value.chart_version,
        app_version=value.app_version,
        create_time=timestamp(value.create_time),
        update_time=timestamp(value.update_time),
        deployed_time=timestamp(value.deployed_time),
        success_evidence=pb.Selection.Evidence.Value(evidence) if evidence else pb.Selection.EVIDENCE_UNSPECIFIED,
        replaced_time=timestamp(value.replaced_time),
        operation_id=value.operation_id,
        actor=value.actor,
        reason=value.reason,
        mark=pb.Revision.Mark.Value(value.mark),
        values_digest=value.values_digest,
        manifest_digest=value.manifest_digest,
        stored_by_helm=value.stored_by_helm,
        full_size_bytes=value.full_size_bytes,
        values_yaml=content.values_yaml,
        manifest=content.manifest,
        captured_failure=content.captured_failure,
    )


def operation(value: Operation) -> pb.Operation:
    evidence = value.outcome_evidence
    return pb.Operation(
        operation_id=value.operation_id,
        release_id=str(value.release_id),
        incarnation=value.incarnation,
        type=operation_type(value.type),
        state=pb.Operation.State.Value(value.state),
        base_revision=value.base_revision,
        target_revision=value.target_revision,
        result_revision=value.result_revision,
        failure=_failure(value.failure) if value.failure else None,
        request_id=value.request_id,
        actor=value.actor,
        actor_verified=value.actor_verified,
        reason=value.reason,
        create_time=timestamp(value.create_time),
        start_time=timestamp(value.start_time),
        end_time=timestamp(value.end_time),
        expire_time=timestamp(value.expire_time),
        attempt=value.attempt,
        selection=selection(value.selection) if value.selection else None,
        outcome_evidence=(
            pb.Operation.OutcomeEvidence.Value(evidence) if evidence else pb.Operation.OUTCOME_EVIDENCE_UNSPECIFIED
        ),
        leftover_objects=[_leftover(leftover) for leftover in value.leftover_objects],
        caused_by_operation_id=value.caused_by_operation_id,
        cancel_requested=value.cancel_requested,
    )


def _failure(value: Failure) -> pb.Failure:
    return pb.Failure(
        error_reason=ErrorReason.Value(value.reason),
        message=value.message,
        applied=pb.Failure.Applied.Value(value.applied),
        helm_output=value.helm_output,
    )


def _leftover(value: LeftoverObject) -> pb.LeftoverObject:
    return pb.LeftoverObject(api_version=value.api_version, kind=value.kind, namespace=value.namespace, name=value.name)


def selection(value: Selection) -> pb.Selection:
    evidence = value.success_evidence
    return pb.Selection(
        revision=value.revision,
        success_evidence=pb.Selection.Evidence.Value(evidence) if evidence else pb.Selection.EVIDENCE_UNSPECIFIED,
        skipped=[
            pb.SkippedRevision(
                revision=skipped.revision,
                status=status(skipped.status),
                skip_reason=pb.SkippedRevision.SkipReason.Value(skipped.skip_reason),
                explanation=skipped.explanation,
            )
            for skipped in value.skipped
        ],
        skipped_count=value.skipped_count,
    )

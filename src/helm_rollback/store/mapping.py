"""Rows to the domain's values, and back.

Nested values and the changes of events are JSON, written and read by pydantic from
the domain's own dataclasses: a field that is added there with a default needs no
migration, and rows written before are still read.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Row

from helm_rollback.application.ports import RevisionPosition
from helm_rollback.domain.errors import LedgerCorrupt
from helm_rollback.domain.helm_options import HelmOptions
from helm_rollback.domain.history import Change, HistoryEvent
from helm_rollback.domain.operation import (
    Failure,
    LeftoverObject,
    Operation,
    OperationState,
    OperationType,
    OutcomeEvidence,
)
from helm_rollback.domain.release import Release, ReleaseId
from helm_rollback.domain.revision import Mark, Revision
from helm_rollback.domain.selection import Evidence, Selection
from helm_rollback.domain.status import Status
from helm_rollback.store.tables import EVENT_KINDS

Values = dict[str, Any]

_failure: Final = TypeAdapter(Failure)
_selection: Final = TypeAdapter(Selection)
_leftovers: Final = TypeAdapter(tuple[LeftoverObject, ...])
_helm_options: Final = TypeAdapter(HelmOptions)
_changes: Final[dict[str, TypeAdapter[Any]]] = {kind.__name__: TypeAdapter(kind) for kind in EVENT_KINDS}


def _dumped(adapter: TypeAdapter[Any], value: object) -> str:
    return adapter.dump_json(value).decode()


def _optional(adapter: TypeAdapter[Any], value: object | None) -> str | None:
    return None if value is None else _dumped(adapter, value)


# --- releases -------------------------------------------------------------------------


def release_values(release: Release) -> Values:
    """What `release` says of its row, but the counter that only `append` moves."""
    return {
        "incarnation": release.incarnation,
        "current_revision": release.current_revision,
        "status": release.status.value,
        "last_successful_revision": release.last_successful_revision,
        "chart_name": release.chart_name,
        "chart_version": release.chart_version,
        "app_version": release.app_version,
        "update_time": release.update_time,
    }


def release_identity(release_id: ReleaseId) -> Values:
    return {
        "release_id": str(release_id),
        "cluster": release_id.cluster,
        "namespace": release_id.namespace,
        "name": release_id.name,
    }


def to_release(row: Row[Any]) -> Release:
    return Release(
        release_id=ReleaseId(row.cluster, row.namespace, row.name),
        incarnation=row.incarnation,
        current_revision=row.current_revision,
        status=Status(row.status),
        last_successful_revision=row.last_successful_revision,
        chart_name=row.chart_name,
        chart_version=row.chart_version,
        app_version=row.app_version,
        active_operation_id=row.active_operation_id or "",
        last_sequence=row.last_sequence,
        update_time=row.update_time,
    )


# --- revisions ------------------------------------------------------------------------


def revision_values(revision: Revision) -> Values:
    return {
        "release_id": str(revision.release_id),
        "incarnation": revision.incarnation,
        "number": revision.revision,
        "status": revision.status.value,
        "operation_type": _word(revision.operation_type),
        "rollback_target": revision.rollback_target,
        "description": revision.description,
        "chart_name": revision.chart_name,
        "chart_version": revision.chart_version,
        "app_version": revision.app_version,
        "create_time": revision.create_time,
        "update_time": revision.update_time,
        "first_deployed": revision.first_deployed,
        "last_deployed": revision.last_deployed,
        "deployed_time": revision.deployed_time,
        "success_evidence": _word(revision.success_evidence),
        "unproven": revision.unproven,
        "apply_completed": revision.apply_completed,
        "replaced_time": revision.replaced_time,
        "operation_id": revision.operation_id,
        "actor": revision.actor,
        "reason": revision.reason,
        "mark": revision.mark.value,
        "values_digest": revision.values_digest,
        "manifest_digest": revision.manifest_digest,
        "payload_digest": revision.payload_digest or None,
        "full_size_bytes": revision.full_size_bytes,
        "stored_by_helm": revision.stored_by_helm,
        "uid": revision.uid,
        "resource_version": revision.resource_version,
        "labels": json.dumps(dict(revision.labels)),
    }


def to_revision(row: Row[Any], release_id: ReleaseId) -> Revision:
    return Revision(
        release_id=release_id,
        incarnation=row.incarnation,
        revision=row.number,
        status=Status(row.status),
        operation_type=None if row.operation_type is None else OperationType(row.operation_type),
        rollback_target=row.rollback_target,
        description=row.description,
        chart_name=row.chart_name,
        chart_version=row.chart_version,
        app_version=row.app_version,
        create_time=row.create_time,
        update_time=row.update_time,
        first_deployed=row.first_deployed,
        last_deployed=row.last_deployed,
        deployed_time=row.deployed_time,
        success_evidence=None if row.success_evidence is None else Evidence(row.success_evidence),
        unproven=row.unproven,
        apply_completed=row.apply_completed,
        replaced_time=row.replaced_time,
        operation_id=row.operation_id,
        actor=row.actor,
        reason=row.reason,
        mark=Mark(row.mark),
        values_digest=row.values_digest,
        manifest_digest=row.manifest_digest,
        payload_digest=row.payload_digest or "",
        full_size_bytes=row.full_size_bytes,
        stored_by_helm=row.stored_by_helm,
        uid=row.uid,
        resource_version=row.resource_version,
        labels=tuple(json.loads(row.labels).items()),
    )


def to_position(row: Row[Any]) -> RevisionPosition:
    return RevisionPosition(incarnation=row.incarnation, revision=row.number, key=row.key)


# --- operations -----------------------------------------------------------------------


def operation_values(operation: Operation) -> Values:
    return {
        "operation_id": operation.operation_id,
        "release_id": str(operation.release_id),
        "incarnation": operation.incarnation,
        "type": operation.type.value,
        "state": operation.state.value,
        "base_revision": operation.base_revision,
        "base_status": operation.base_status.value,
        "target_revision": operation.target_revision,
        "result_revision": operation.result_revision,
        "actor": operation.actor,
        "actor_verified": operation.actor_verified,
        "reason": operation.reason,
        "request_id": operation.request_id or None,
        "request_digest": operation.request_digest,
        "create_time": operation.create_time,
        "expire_time": operation.expire_time,
        "start_time": operation.start_time,
        "end_time": operation.end_time,
        "attempt": operation.attempt,
        "outcome_evidence": _word(operation.outcome_evidence),
        "caused_by_operation_id": operation.caused_by_operation_id or None,
        "cancel_requested": operation.cancel_requested,
        "start_sequence": operation.start_sequence,
        "failure": _optional(_failure, operation.failure),
        "selection": _optional(_selection, operation.selection),
        "leftover_objects": _dumped(_leftovers, operation.leftover_objects),
        "helm_options": _dumped(_helm_options, operation.helm_options),
        "remove_leftovers": operation.remove_leftovers,
        "atomic": operation.atomic,
        "purge": operation.purge,
        "record_time": operation.record_time,
    }


def to_operation(row: Row[Any]) -> Operation:
    return Operation(
        operation_id=row.operation_id,
        release_id=to_release_id(row.release_id),
        incarnation=row.incarnation,
        type=OperationType(row.type),
        state=OperationState(row.state),
        base_revision=row.base_revision,
        base_status=Status(row.base_status),
        target_revision=row.target_revision,
        result_revision=row.result_revision,
        actor=row.actor,
        actor_verified=row.actor_verified,
        reason=row.reason,
        request_id=row.request_id or "",
        request_digest=row.request_digest,
        create_time=row.create_time,
        expire_time=row.expire_time,
        start_time=row.start_time,
        end_time=row.end_time,
        attempt=row.attempt,
        outcome_evidence=None if row.outcome_evidence is None else OutcomeEvidence(row.outcome_evidence),
        caused_by_operation_id=row.caused_by_operation_id or "",
        cancel_requested=row.cancel_requested,
        start_sequence=row.start_sequence,
        failure=None if row.failure is None else _loaded(_failure, row.failure),
        selection=None if row.selection is None else _loaded(_selection, row.selection),
        leftover_objects=_loaded(_leftovers, row.leftover_objects),
        helm_options=_loaded(_helm_options, row.helm_options),
        remove_leftovers=row.remove_leftovers,
        atomic=row.atomic,
        purge=row.purge,
        record_time=row.record_time,
    )


def to_release_id(text: str) -> ReleaseId:
    """As `ReleaseId.parse`, of an id that was checked when it was stored."""
    return ReleaseId(*text.split(".", 2))


# --- events ---------------------------------------------------------------------------


def change_values(change: Change) -> Values:
    kind = type(change).__name__
    return {"kind": kind, "change": _dumped(_changes[kind], change)}


def to_event(release_id: ReleaseId, *, sequence: int, time: datetime, kind: str, change: str) -> HistoryEvent:
    adapter = _changes.get(kind)
    if adapter is None:
        raise LedgerCorrupt(f"event {sequence} of {release_id} is of the unknown kind {kind}")
    return HistoryEvent(release_id=release_id, sequence=sequence, time=time, change=_loaded(adapter, change))


def _loaded(adapter: TypeAdapter[Any], text: str) -> Any:
    try:
        return adapter.validate_json(text)
    except ValidationError as error:
        raise LedgerCorrupt("a stored value can not be read; see the cause") from error


def _word(word: OperationType | Evidence | OutcomeEvidence | None) -> str | None:
    return None if word is None else word.value

"""Undoing an upgrade that failed, where its caller wished for that.

Helm's own `--rollback-on-failure` goes to the newest revision that is superseded or
deployed, which may be one that never worked (`pkg/action/upgrade.go`, failRelease). So
the upgrade runs without it, and this service goes back to the last successful revision.
"""

from __future__ import annotations

from dataclasses import replace

from helm_rollback.application.acceptance import Command, new_operation
from helm_rollback.application.ports import LedgerTransaction, Ports
from helm_rollback.domain.errors import (
    AlreadyRolledBack,
    CurrentIsSuccessful,
    CurrentRevisionChanged,
    NoSuccessfulRevision,
    Refused,
    ReleaseNotFound,
    SuccessUnproven,
)
from helm_rollback.domain.last_successful import choose
from helm_rollback.domain.operation import Applied, Operation, OperationType
from helm_rollback.domain.principal import Principal

_REASONS: dict[type[Refused], str] = {
    NoSuccessfulRevision: "NO_SUCCESSFUL_REVISION",
    SuccessUnproven: "SUCCESS_UNPROVEN",
    CurrentRevisionChanged: "CURRENT_REVISION_CHANGED",
    CurrentIsSuccessful: "CURRENT_IS_SUCCESSFUL",
    AlreadyRolledBack: "ALREADY_ROLLED_BACK",
    ReleaseNotFound: "RELEASE_NOT_FOUND",
}
"""What RollbackLastSuccessful would be refused for, by the names of the public `ErrorReason`."""


def undo_upgrade(tx: LedgerTransaction, ended: Operation, *, ports: Ports) -> tuple[Operation, Operation | None]:
    """The failed upgrade as it is to be told, and the rollback that it causes, if it can be undone."""
    assert ended.failure is not None
    if not ended.result_revision:
        unknown = ended.failure.applied is not Applied.NOT_APPLIED
        return (_not_undone(ended, "OUTCOME_UNKNOWN: nobody knows what it wrote") if unknown else ended), None
    try:
        return ended, _rollback(tx, ended, ports)
    except Refused as problem:
        return _not_undone(ended, f"{_REASONS[type(problem)]}: {problem}"), None


def _rollback(tx: LedgerTransaction, ended: Operation, ports: Ports) -> Operation:
    release_id = ended.release_id
    release = tx.lock_release(release_id)
    current = tx.revision(release_id, release.current_revision, incarnation=release.incarnation) if release else None
    if release is None or current is None:
        raise ReleaseNotFound(release_id)
    if current.revision != ended.result_revision:
        raise CurrentRevisionChanged(release_id, ended.result_revision, current.revision)
    selection = choose(tx.incarnation_revisions(release_id, incarnation=release.incarnation), current)
    wish = Command(
        release_id=release_id, reason=f"upgrade {ended.operation_id} failed", helm_options=ended.helm_options
    )
    caller = Principal(name=ended.actor, verified=ended.actor_verified)
    rollback = new_operation(tx, ports, wish, caller, "", release, type=OperationType.ROLLBACK, current=current)
    return replace(
        rollback,
        target_revision=selection.revision,
        selection=selection,
        caused_by_operation_id=ended.operation_id,
        start_sequence=rollback.start_sequence + 1,  # the upgrade's end is told before
    )


def _not_undone(ended: Operation, why: str) -> Operation:
    assert ended.failure is not None
    return replace(ended, failure=replace(ended.failure, message=f"{ended.failure.message}; not rolled back: {why}"))

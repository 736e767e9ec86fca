"""Which operation did what a record's version tells: its stamp says so, or that it was under way by then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from helm_rollback.application.ports import LedgerTransaction
from helm_rollback.application.projection import project
from helm_rollback.application.proofs import with_proofs
from helm_rollback.domain.operation import Operation, OperationState, OperationType, stamped_operation
from helm_rollback.domain.record import StoredRecord
from helm_rollback.domain.release import ReleaseId
from helm_rollback.domain.revision import Revision
from helm_rollback.domain.status import Status


def author(tx: LedgerTransaction, release_id: ReleaseId, stored: StoredRecord) -> Operation | None:
    """The operation that a new record is of: it bears its stamp, or the time that was noted when it was let pass."""
    if stored.record is None:
        return None
    operation = tx.operation(stamped_operation(stored.record.description)) or tx.live_operation(release_id)
    if operation is None or operation.release_id != release_id:
        return None
    stamped = stamped_operation(stored.record.description) == operation.operation_id
    ours = stamped or (operation.is_by_chart and operation.record_time == stored.record.last_deployed is not None)
    return operation if ours and stored.ref.revision == operation.base_revision + 1 else None


def mover(tx: LedgerTransaction, before: Revision, after: Revision) -> Operation | None:
    """The operation that moved a revision: while one of ours runs, it moves its own, and supersedes."""
    live = tx.live_operation(before.release_id)
    if live is None or live.state is not OperationState.RUNNING:
        return None
    if before.operation_id == live.operation_id:
        return live
    if live.type is OperationType.UNINSTALL:
        return live if after.status.is_uninstalled or after.status is Status.SUPERSEDED else None
    if live.type is OperationType.INSTALL and before.revision == live.base_revision:
        return live if after.status is Status.SUPERSEDED else None  # `--replace` does it before it makes its record
    result = tx.revision(before.release_id, live.base_revision + 1, incarnation=live.incarnation)
    ours = result is not None and result.operation_id == live.operation_id
    return live if ours and after.status is Status.SUPERSEDED else None


def restorer(tx: LedgerTransaction, put_back: Revision) -> Operation | None:
    """The operation that put a record back, if there is one that needs it."""
    live = tx.live_operation(put_back.release_id)
    return live if live is not None and put_back.revision in (live.base_revision, live.target_revision) else None


def attribute(
    tx: LedgerTransaction, operation: Operation, revision: Revision, *, earlier: Sequence[StoredRecord] = ()
) -> Revision:
    """Note that an operation made a revision, where its record came too late to tell.

    `earlier`: versions of the record that nobody saw in their time; they may prove that it worked.
    """
    for stored in earlier:
        revision = with_proofs(tx, revision, stored, watched=True, others=())
    owned = replace(revision, operation_id=operation.operation_id, actor=operation.actor, reason=operation.reason)
    tx.update_revision(owned)
    project(tx, revision.release_id)
    return owned

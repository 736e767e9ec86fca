"""Undoing an upgrade that failed, where its caller wished for that.

Helm's own `--rollback-on-failure` goes to the newest revision that is superseded or
deployed, which may be one that never worked (`pkg/action/upgrade.go`, failRelease). So
the upgrade runs without it, and this service goes back to the last successful revision.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from helm_rollback.application.acceptance import DEFAULT_EXPIRE_AFTER, enter
from helm_rollback.application.ports import LedgerTransaction
from helm_rollback.domain.errors import Refused
from helm_rollback.domain.last_successful import choose
from helm_rollback.domain.operation import Operation, OperationState, OperationType


def undo_upgrade(tx: LedgerTransaction, ended: Operation, *, new_operation_id: Callable[[datetime], str]) -> None:
    """Accept the rollback that a failed upgrade causes, in the transaction that ends it; nothing where none is safe."""
    release = tx.lock_release(ended.release_id)
    if release is None or ended.state is not OperationState.FAILED:
        return
    current = tx.revision(ended.release_id, release.current_revision, incarnation=release.incarnation)
    if current is None or current.revision != ended.result_revision:
        return  # somebody has gone on
    revisions = tx.incarnation_revisions(ended.release_id, incarnation=release.incarnation)
    try:
        selection = choose(revisions, current)
    except Refused:
        return  # no revision is known to have worked: whoever reads the failure decides
    now = tx.now()
    enter(
        tx,
        replace(
            ended,
            operation_id=new_operation_id(now),
            type=OperationType.ROLLBACK,
            state=OperationState.PENDING,
            base_revision=current.revision,
            base_status=current.status,
            target_revision=selection.revision,
            result_revision=0,
            failure=None,
            request_id="",
            request_digest="",
            reason=f"upgrade {ended.operation_id} failed",
            create_time=now,
            expire_time=now + DEFAULT_EXPIRE_AFTER,
            start_time=None,
            end_time=None,
            attempt=0,
            selection=selection,
            outcome_evidence=None,
            leftover_objects=(),
            caused_by_operation_id=ended.operation_id,
            cancel_requested=False,
            atomic=False,
            record_time=None,
            start_sequence=release.last_sequence,
        ),
    )

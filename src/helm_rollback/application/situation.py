"""A look at a release on behalf of one operation: what Helm stores, and what of it is the operation's own."""

from __future__ import annotations

from dataclasses import dataclass

from helm_rollback.application.ports import Cluster, Ledger, LedgerView, Ports
from helm_rollback.application.refresh import catch_up, lag_behind
from helm_rollback.domain.evidence import rollback_hooks
from helm_rollback.domain.operation import Operation, OperationType
from helm_rollback.domain.record import RecordRef
from helm_rollback.domain.recovery import Evidence, OwnRecord
from helm_rollback.domain.revision import Revision
from helm_rollback.domain.status import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What a look showed."""

    refs: list[RecordRef]
    """The records that Helm stores now, ascending."""
    own: Revision | None
    """The revision that the operation wrote."""
    after: Revision | None
    """The revision right after the base, whoever wrote it."""
    base: Revision | None
    evidence: Evidence

    def ref_of(self, revision: Revision) -> RecordRef | None:
        """Where that revision's record is stored; None where it is not."""
        return next((ref for ref in self.refs if ref.revision == revision.revision), None)


async def look(ports: Ports, cluster: Cluster, operation: Operation, *, interrupted: bool) -> Situation:
    """Read the cluster, bring the ledger up to it, and weigh what is there.

    `interrupted`: Helm was started for the operation before, and its end was not seen.
    Raises ClusterUnreachable, ClusterPermissionDenied.
    """
    listing = await cluster.list_release(operation.release_id)

    def weigh(view: LedgerView) -> Situation | None:
        if lag_behind(view, operation.release_id, listing):
            return None
        return _weigh(view, ports, operation, listing.refs, interrupted=interrupted)

    while (situation := await ports.ledger.read(weigh)) is None:
        await catch_up(ports.ledger, cluster, operation.release_id, listing)
        listing = await cluster.list_release(operation.release_id)
    return situation


async def seen_deployed(ledger: Ledger, operation: Operation) -> Revision | None:
    """The revision that the operation wrote, if the observer has seen it DEPLOYED: then no look is needed."""
    own = await ledger.read(lambda view: _revision(view, operation, operation.base_revision + 1))
    ours = own is not None and own.operation_id == operation.operation_id
    return own if ours and own is not None and own.successful else None


def _weigh(
    view: LedgerView, ports: Ports, operation: Operation, refs: list[RecordRef], *, interrupted: bool
) -> Situation:
    base = _revision(view, operation, operation.base_revision)
    after = _revision(view, operation, operation.base_revision + 1)
    own = after if after is not None and after.operation_id == operation.operation_id else None
    return Situation(
        refs=refs,
        own=own,
        after=after,
        base=base,
        evidence=Evidence(
            base_unchanged=_base_unchanged(view, operation, base, interrupted=interrupted),
            own=_own_record(own, refs) if own is not None else None,
            hooks_may_have_run=interrupted and _has_hooks(view, ports, operation),
            may_be_own=interrupted and own is None and _may_have_written(view, ports, operation, base, after),
        ),
    )


def _revision(view: LedgerView, operation: Operation, number: int) -> Revision | None:
    return view.revision(operation.release_id, number, incarnation=operation.incarnation)


def _base_unchanged(view: LedgerView, operation: Operation, base: Revision | None, *, interrupted: bool) -> bool:
    """Whether current is the base still. Our own interrupted run may have superseded it already."""
    if base is None or not _is_head(view, operation, base):
        return False
    superseded_by_us = interrupted and base.stored_by_helm and base.status is Status.SUPERSEDED
    return superseded_by_us or base.status is operation.base_status


def _is_head(view: LedgerView, operation: Operation, base: Revision) -> bool:
    release = view.release(operation.release_id)
    return (
        release is not None
        and release.incarnation == operation.incarnation
        and release.current_revision == base.revision
    )


def _own_record(own: Revision, refs: list[RecordRef]) -> OwnRecord:
    newest = max((ref.revision for ref in refs), default=0)
    return OwnRecord(
        status=own.status, seen_deployed=own.successful, stored=own.stored_by_helm, newest=newest == own.revision
    )


def _has_hooks(view: LedgerView, ports: Ports, operation: Operation) -> bool:
    """Whether a run of the operation runs hooks."""
    target = _revision(view, operation, operation.target_revision)
    payload = view.payload(target.payload_digest) if target is not None else None
    if payload is None or operation.helm_options.disable_hooks:
        return False
    return bool(rollback_hooks(ports.decode(payload)))


def _may_have_written(
    view: LedgerView, ports: Ports, operation: Operation, base: Revision | None, after: Revision | None
) -> bool:
    """Whether the operation may have written a record though none is known to be its own: then nothing is concluded."""
    if after is None:
        return base is None or not base.stored_by_helm or not _is_head(view, operation, base)
    if _may_be_own(operation, after, stamped=ports.helm.writes_stamp):
        return True
    revisions = view.incarnation_revisions(operation.release_id, incarnation=operation.incarnation)
    return any(revision.operation_id == operation.operation_id for revision in revisions)


def _may_be_own(operation: Operation, after: Revision, *, stamped: bool) -> bool:
    """Whether the record bears no stamp, or may have borne one before Helm wrote another text over it, unseen."""
    if after.status is Status.UNKNOWN:
        return True
    if after.rollback_target not in (0, operation.target_revision):  # older Helm drops the target when it rewrites
        return False
    if after.status.is_uninstalled:
        return True
    overwritten = after.description.startswith(('Rollback "', 'Release "'))
    return after.operation_type is OperationType.ROLLBACK and (overwritten or not stamped)

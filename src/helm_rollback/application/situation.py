"""A look at a release on behalf of one operation: what Helm stores, and what of it is the operation's own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from helm_rollback.application.ports import Cluster, Ledger, LedgerView, Ports
from helm_rollback.application.refresh import catch_up, lag_behind
from helm_rollback.domain.attribution import failure_told, is_what_it_writes, may_be_own
from helm_rollback.domain.evidence import hooks_of, is_stamped_by
from helm_rollback.domain.operation import Operation, OperationType
from helm_rollback.domain.record import RecordRef, StoredRecord
from helm_rollback.domain.recovery import Evidence, OwnRecord, UninstallEvidence
from helm_rollback.domain.revision import Revision
from helm_rollback.domain.status import Status

VERSIONS_BACK = 4
"""How many overwritten versions of a record are read to find its stamp. One that was uninstalled since has three."""


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
    evidence: Evidence | UninstallEvidence
    overwritten: tuple[StoredRecord, ...] = ()
    """Earlier versions of the record right after the base, newest first, where one of them proves that it is ours."""

    def ref_of(self, revision: Revision) -> RecordRef | None:
        """Where that revision's record is stored; None where it is not."""
        return next((ref for ref in self.refs if ref.revision == revision.revision), None)


async def look(
    ports: Ports, cluster: Cluster, operation: Operation, *, interrupted: bool, helm_until: datetime | None
) -> Situation:
    """Read the cluster, bring the ledger up to it, and weigh what is there.

    `interrupted`: Helm was started for the operation before, and its end was not seen.
    `helm_until`: until when that Helm may have written. Raises ClusterUnreachable,
    ClusterPermissionDenied.
    """
    listing = await cluster.list_release(operation.release_id)

    def weigh(view: LedgerView) -> Situation | None:
        if lag_behind(view, operation.release_id, listing):
            return None
        return _weigh(view, ports, operation, listing.refs, interrupted=interrupted, helm_until=helm_until)

    while (situation := await ports.ledger.read(weigh)) is None:
        await catch_up(ports.ledger, cluster, operation.release_id, listing)
        listing = await cluster.list_release(operation.release_id)
    found = situation.evidence
    undecided = isinstance(found, Evidence) and found.may_be_own and not found.proved_own
    if operation.type is not OperationType.ROLLBACK:
        return situation
    return await _with_overwritten_stamp(cluster, operation, situation) if undecided else situation


async def _with_overwritten_stamp(cluster: Cluster, operation: Operation, situation: Situation) -> Situation:
    """The same with the proof that the record right after the base bore the stamp, if the cluster still has that."""
    ref = situation.ref_of(situation.after) if situation.after is not None else None
    earlier: list[StoredRecord] = []
    while ref is not None and len(earlier) < VERSIONS_BACK:
        stored = await cluster.read_version(ref, ref.resource_version - 1)  # as it was right before that write
        if stored is None:
            break
        earlier.append(stored)
        if stored.record is not None and is_stamped_by(stored.record, operation.operation_id):
            assert isinstance(situation.evidence, Evidence)
            evidence = replace(situation.evidence, proved_own=True)
            return replace(situation, evidence=evidence, overwritten=tuple(earlier))
        ref = stored.ref
    return situation


async def seen_deployed(ledger: Ledger, operation: Operation) -> Revision | None:
    """The revision that the operation wrote, if the observer has seen it DEPLOYED: then no look is needed."""
    own = await ledger.read(lambda view: _revision(view, operation, operation.base_revision + 1))
    ours = own is not None and own.operation_id == operation.operation_id
    return own if ours and own is not None and own.successful else None


def _weigh(
    view: LedgerView,
    ports: Ports,
    operation: Operation,
    refs: list[RecordRef],
    *,
    interrupted: bool,
    helm_until: datetime | None,
) -> Situation:
    base = _revision(view, operation, operation.base_revision)
    after = _revision(view, operation, operation.base_revision + 1)
    if operation.type is OperationType.UNINSTALL:
        found = _of_uninstall(view, ports, operation, base, interrupted=interrupted)
        return Situation(refs=refs, own=None, after=after, base=base, evidence=found)
    own = after if after is not None and after.operation_id == operation.operation_id else None
    is_rollback = operation.type is OperationType.ROLLBACK
    unstamped = after if is_rollback and interrupted and own is None and not ports.helm.writes_stamp else None
    return Situation(
        refs=refs,
        own=own,
        after=after,
        base=base,
        evidence=Evidence(
            base_unchanged=_base_unchanged(view, operation, base, refs, interrupted=interrupted),
            own=_own_record(own, refs) if own is not None else None,
            hooks_may_have_run=interrupted and _has_hooks(view, ports, operation, own),
            undone_by_helm=operation.is_undone_by_helm,
            may_be_own=interrupted and own is None and _may_have_written(view, ports, operation, base, after),
            proved_own=unstamped is not None and _is_ours(view, operation, unstamped, helm_until=helm_until),
        ),
    )


def _revision(view: LedgerView, operation: Operation, number: int) -> Revision | None:
    return view.revision(operation.release_id, number, incarnation=operation.incarnation)


def _of_uninstall(
    view: LedgerView, ports: Ports, operation: Operation, base: Revision | None, *, interrupted: bool
) -> UninstallEvidence:
    kept_as_wished = base is not None and base.status is Status.UNINSTALLED
    purged = base is not None and not base.stored_by_helm
    begun = interrupted and base is not None and base.status is Status.UNINSTALLING
    return UninstallEvidence(
        gone=purged if operation.purge else kept_as_wished,
        base_unchanged=_base_unchanged(view, operation, base, [], interrupted=interrupted),
        hooks_may_have_run=begun and _has_hooks(view, ports, operation, base),
        interrupted=interrupted,
    )


def _base_unchanged(
    view: LedgerView, operation: Operation, base: Revision | None, refs: list[RecordRef], *, interrupted: bool
) -> bool:
    """Whether current is the base still. Our own interrupted run may have superseded it already, or begun to delete."""
    if not operation.base_revision:
        return not refs  # an install where there is nothing
    if base is None or not _is_head(view, operation, base):
        return False
    used_again = view.was_replaced(
        operation.release_id, base.revision, incarnation=operation.incarnation, since=operation.create_time
    )
    if used_again:
        return False
    return base.status is operation.base_status or _is_changed_by_us(operation, base, interrupted=interrupted)


def _is_changed_by_us(operation: Operation, base: Revision, *, interrupted: bool) -> bool:
    """Whether the base is as this operation may have left it on its way."""
    match operation.type:
        case OperationType.UNINSTALL:
            return interrupted and base.status is Status.UNINSTALLING
        case OperationType.UPGRADE if operation.base_status.is_pending or operation.base_status.is_uninstalled:
            return base.status in (Status.FAILED, Status.SUPERSEDED)  # it is taken over by being set failed
        case _:
            return interrupted and base.stored_by_helm and base.status is Status.SUPERSEDED


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
        status=own.status,
        seen_deployed=own.successful,
        failure_told=failure_told(own),
        stored=own.stored_by_helm,
        newest=newest == own.revision,
    )


def _has_hooks(view: LedgerView, ports: Ports, operation: Operation, written: Revision | None) -> bool:
    """Whether a run of the operation runs hooks: its target's, or those of the revision that it wrote."""
    is_rollback = operation.type is OperationType.ROLLBACK
    bearer = _revision(view, operation, operation.target_revision) if is_rollback else written
    payload = view.payload(bearer.payload_digest) if bearer is not None else None
    if payload is None or operation.helm_options.disable_hooks:
        return False
    return bool(hooks_of(ports.decode(payload), operation.type))


def _is_ours(view: LedgerView, operation: Operation, after: Revision, *, helm_until: datetime | None) -> bool:
    target = _revision(view, operation, operation.target_revision)
    return is_what_it_writes(operation, after, target, helm_until=helm_until)


def _may_have_written(
    view: LedgerView, ports: Ports, operation: Operation, base: Revision | None, after: Revision | None
) -> bool:
    """Whether the operation may have written a record though none is known to be its own: then nothing is concluded."""
    if operation.is_by_chart:
        return operation.record_time is not None and after is not None
    if after is None:
        return base is None or not base.stored_by_helm or not _is_head(view, operation, base)
    if may_be_own(operation, after, stamped=ports.helm.writes_stamp):
        return True
    revisions = view.incarnation_revisions(operation.release_id, incarnation=operation.incarnation)
    return any(revision.operation_id == operation.operation_id for revision in revisions)

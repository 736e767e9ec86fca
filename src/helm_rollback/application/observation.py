"""What Helm's records become in the ledger, one record version at a time.

These functions run inside a ledger transaction. Whatever order versions arrive in,
and however often, the ledger comes to the same state: a version that is not newer
than what was applied does nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from helm_rollback.application.authorship import author, mover, restorer
from helm_rollback.application.masking import masked_text, secrets_of
from helm_rollback.application.ports import LedgerTransaction
from helm_rollback.application.projection import project, unknown_release
from helm_rollback.application.proofs import with_proofs
from helm_rollback.domain import evidence
from helm_rollback.domain.history import Cause, RecordRemoval, RevisionTransition
from helm_rollback.domain.operation import Operation
from helm_rollback.domain.record import HelmRecord, StoredRecord
from helm_rollback.domain.release import Release, ReleaseId
from helm_rollback.domain.revision import Revision
from helm_rollback.domain.status import Status


def adopt(tx: LedgerTransaction, release_id: ReleaseId, records: Sequence[StoredRecord]) -> None:
    """Enter a release that the ledger does not know, with the whole history that Helm stores of it."""
    if tx.lock_release(release_id) is None:
        tx.add_release(unknown_release(tx, release_id))
    apply_found(tx, release_id, records, cause=Cause.ADOPTED)


def apply_found(
    tx: LedgerTransaction, release_id: ReleaseId, records: Sequence[StoredRecord], *, cause: Cause = Cause.EXTERNAL
) -> None:
    """Apply versions that were read, not watched: what came and went between them is not known."""
    in_order = sorted(records, key=lambda stored: stored.ref.revision)
    if cause is Cause.EXTERNAL:
        in_order = sorted(records, key=lambda stored: stored.ref.resource_version)
    for stored in in_order:
        _apply(tx, release_id, stored, watched=False, others=records, cause=cause)
    project(tx, release_id)


def apply_watched(tx: LedgerTransaction, release_id: ReleaseId, stored: StoredRecord) -> None:
    """Apply the next version that the watch told: none was missed since the one before."""
    if tx.lock_release(release_id) is None:
        tx.add_release(unknown_release(tx, release_id))
    _apply(tx, release_id, stored, watched=True, others=(), cause=Cause.EXTERNAL)
    project(tx, release_id)


def apply_removal(tx: LedgerTransaction, release_id: ReleaseId, *, revision: int, uid: str) -> None:
    """Note that Helm no longer stores a revision. With its last record the release is uninstalled."""
    release = tx.lock_release(release_id)
    if release is None:
        return
    known = tx.revision(release_id, revision, incarnation=release.incarnation)
    if known is None or known.uid != uid or not known.stored_by_helm:
        return
    tx.update_revision(replace(known, stored_by_helm=False, update_time=tx.now()))
    tx.append(release_id, RecordRemoval(incarnation=release.incarnation, revision=revision))
    last = tx.newest_revision(release_id, incarnation=release.incarnation, stored=True) is None
    if last and not _is_of_dead_attempt(tx, known):
        _uninstalled(tx, release)
    project(tx, release_id)


def note_undone(tx: LedgerTransaction, release_id: ReleaseId) -> None:
    """Note that Helm undid an install that failed, where its record went before it was seen UNINSTALLING."""
    release = tx.lock_release(release_id)
    if release is not None and tx.newest_revision(release_id, incarnation=release.incarnation, stored=True) is None:
        _uninstalled(tx, release)
        project(tx, release_id)


def _uninstalled(tx: LedgerTransaction, release: Release) -> None:
    """Helm writes no UNINSTALLED when it purges (`pkg/action/uninstall.go`); the last removal says it."""
    newest = tx.newest_revision(release.release_id, incarnation=release.incarnation, stored=False)
    if newest is not None and newest.status is not Status.UNINSTALLED:
        after = replace(newest, status=Status.UNINSTALLED, update_time=tx.now())
        tx.update_revision(after)
        operation = mover(tx, newest, after)
        cause = Cause.SERVICE if operation else Cause.EXTERNAL
        tx.append(release.release_id, _transition(newest.status, after, operation, cause))


def _is_of_dead_attempt(tx: LedgerTransaction, revision: Revision) -> bool:
    """Whether the revision is what a dead attempt of the live operation left, which is removed to try again."""
    live = tx.live_operation(revision.release_id)
    return live is not None and revision.status.is_pending and revision.operation_id == live.operation_id


def _apply(
    tx: LedgerTransaction,
    release_id: ReleaseId,
    stored: StoredRecord,
    *,
    watched: bool,
    others: Sequence[StoredRecord],
    cause: Cause,
) -> None:
    release = tx.lock_release(release_id)
    assert release is not None, "a version is applied to a release that was added"
    known = tx.revision(release_id, stored.ref.revision, incarnation=release.incarnation)
    if watched and _has_gone(tx, release_id, known, stored):
        return
    if known is not None and known.uid == stored.ref.uid:
        if stored.ref.resource_version > known.resource_version:
            _advance(tx, known, stored, watched=watched, others=others, cause=cause)
        return
    if known is not None and _is_put_back(known, stored):
        _note_put_back(tx, known, stored)
        return
    if known is not None:
        release = _make_room(tx, release, known)
    elif _begins_anew(tx, release, stored):
        release = _reborn(tx, release)
    _enter(tx, release, stored, others=others, cause=cause)


def _has_gone(tx: LedgerTransaction, release_id: ReleaseId, known: Revision | None, stored: StoredRecord) -> bool:
    """Whether a list has already told that this Secret is gone: what the watch tells of it came before that."""
    if known is not None and known.uid == stored.ref.uid:
        return not known.stored_by_helm
    return tx.stood_before(release_id, stored.ref.revision, uid=stored.ref.uid)


def _is_put_back(known: Revision, stored: StoredRecord) -> bool:
    """Whether a Secret made anew holds the revision that it held before."""
    record = stored.record
    return record is not None and (known.manifest_digest, known.values_digest, known.last_deployed) == (
        record.manifest_digest,
        record.values_digest,
        record.last_deployed,
    )


def _note_put_back(tx: LedgerTransaction, known: Revision, stored: StoredRecord) -> None:
    """Helm stores a revision again. It is a copy, so but for DEPLOYED it proves nothing that was not known."""
    after = replace(_at_version(tx, known, stored), stored_by_helm=True)
    if after.status is Status.DEPLOYED:
        after = with_proofs(tx, after, stored, watched=True, others=())
    tx.update_revision(after)
    if after.status is not known.status:
        operation = restorer(tx, known)
        tx.append(
            known.release_id,
            _transition(known.status, after, operation, Cause.SERVICE if operation else Cause.EXTERNAL),
        )


def _make_room(tx: LedgerTransaction, release: Release, known: Revision) -> Release:
    """The number is used again: by a new life of the release, or within this one after its record was deleted."""
    if known.stored_by_helm:
        apply_removal(tx, release.release_id, revision=known.revision, uid=known.uid)
        known = replace(known, stored_by_helm=False)
    if (
        not _is_of_dead_attempt(tx, known)
        and tx.newest_revision(release.release_id, incarnation=release.incarnation, stored=True) is None
    ):
        return _reborn(tx, release)
    tx.update_revision(replace(known, replaced_time=tx.now(), update_time=tx.now()))
    return release


def _begins_anew(tx: LedgerTransaction, release: Release, stored: StoredRecord) -> bool:
    """Whether a number that the ledger never saw is of a new life: nothing is stored of the last, which got further."""
    if stored.ref.revision >= release.current_revision:
        return False
    return tx.newest_revision(release.release_id, incarnation=release.incarnation, stored=True) is None


def _reborn(tx: LedgerTransaction, release: Release) -> Release:
    """The release in its next incarnation."""
    reborn = replace(release, incarnation=release.incarnation + 1)
    tx.update_release(reborn)
    return reborn


def _enter(
    tx: LedgerTransaction, release: Release, stored: StoredRecord, *, others: Sequence[StoredRecord], cause: Cause
) -> None:
    """Write down a revision that the ledger has not seen, and archive its payload before anything prunes it."""
    operation = None if cause is Cause.ADOPTED else author(tx, release.release_id, stored)
    revision = with_proofs(tx, _new_revision(tx, release, stored, operation), stored, watched=False, others=others)
    tx.add_revision(revision)
    tx.append(release.release_id, _transition(None, revision, operation, Cause.SERVICE if operation else cause))


def _advance(
    tx: LedgerTransaction,
    known: Revision,
    stored: StoredRecord,
    *,
    watched: bool,
    others: Sequence[StoredRecord],
    cause: Cause,
) -> None:
    """Take a known revision forward to a newer version of its record."""
    after = with_proofs(tx, _at_version(tx, known, stored), stored, watched=watched, others=others)
    tx.update_revision(after)
    if after.status is not known.status:
        operation = mover(tx, known, after)
        tx.append(known.release_id, _transition(known.status, after, operation, Cause.SERVICE if operation else cause))


def _at_version(tx: LedgerTransaction, known: Revision, stored: StoredRecord) -> Revision:
    """A known revision as this version of its record has it."""
    record = stored.record
    readable = known if known.payload_digest else _with_content(tx, known, stored)
    return replace(
        readable,
        status=stored.ref.status if record is not None else Status.UNKNOWN,
        description=_description(record) if record is not None else stored.problem,
        uid=stored.ref.uid,
        resource_version=stored.ref.resource_version,
        labels=_labels(stored),
        update_time=tx.now(),
    )


def _new_revision(
    tx: LedgerTransaction, release: Release, stored: StoredRecord, operation: Operation | None
) -> Revision:
    record, ref = stored.record, stored.ref
    bare = Revision(
        release_id=release.release_id,
        incarnation=release.incarnation,
        revision=ref.revision,
        status=ref.status if record is not None else Status.UNKNOWN,
        operation_type=None,
        rollback_target=0,
        description=_description(record) if record is not None else stored.problem,
        chart_name="",
        chart_version="",
        app_version="",
        create_time=ref.create_time,
        update_time=tx.now(),
        first_deployed=None,
        operation_id=operation.operation_id if operation else "",
        actor=operation.actor if operation else "",
        reason=operation.reason if operation else "",
        uid=ref.uid,
        resource_version=ref.resource_version,
        labels=_labels(stored),
    )
    return _with_content(tx, bare, stored)


def _labels(stored: StoredRecord) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(stored.further_labels.items()))


def _description(record: HelmRecord) -> str:
    """Helm's description, without secret values: its error texts quote what the API server rejects."""
    text = record.description
    return masked_text(text, secrets_of(record.manifest)) if " failed: " in text else text


def _with_content(tx: LedgerTransaction, revision: Revision, stored: StoredRecord) -> Revision:
    """Add what never changes of a revision, and archive its payload; nothing where the record is unreadable."""
    record = stored.record
    if record is None:
        return revision
    return replace(
        revision,
        operation_type=evidence.operation_type(record),
        rollback_target=evidence.rollback_target(record),
        chart_name=record.chart_name,
        chart_version=record.chart_version,
        app_version=record.app_version,
        create_time=record.last_deployed or stored.ref.create_time,
        first_deployed=record.first_deployed,
        last_deployed=record.last_deployed,
        values_digest=record.values_digest,
        manifest_digest=record.manifest_digest,
        full_size_bytes=len(record.manifest.encode()) + len(str(record.values)),
        payload_digest=tx.archive(stored.payload),
    )


def _transition(
    before: Status | None, after: Revision, operation: Operation | None, cause: Cause
) -> RevisionTransition:
    return RevisionTransition(
        incarnation=after.incarnation,
        revision=after.revision,
        from_status=before,
        to_status=after.status,
        operation_type=after.operation_type,
        rollback_target=after.rollback_target,
        chart_version=after.chart_version,
        description=after.description,
        operation_id=operation.operation_id if operation else "",
        actor=operation.actor if operation else "",
        cause=cause,
    )

"""What a version of a record proves of its revision's success, given what else is known of the release."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from helm_rollback.application.ports import LedgerTransaction
from helm_rollback.domain import evidence
from helm_rollback.domain.evidence import Successor, Verdict
from helm_rollback.domain.operation import OperationType
from helm_rollback.domain.record import HelmRecord, StoredRecord
from helm_rollback.domain.revision import Revision
from helm_rollback.domain.selection import Evidence
from helm_rollback.domain.status import Status


def with_proofs(
    tx: LedgerTransaction,
    revision: Revision,
    stored: StoredRecord,
    *,
    watched: bool,
    others: Sequence[StoredRecord],
) -> Revision:
    """Add what this version proves of the revision's success. A proof is never taken back."""
    record = stored.record
    if record is None:
        return replace(revision, unproven=not revision.successful)
    if revision.operation_type is OperationType.ROLLBACK:
        completed = evidence.apply_completed(record)
        revision = replace(revision, apply_completed=revision.apply_completed or completed)
    if revision.successful:
        return replace(revision, unproven=False)
    if record.status is Status.DEPLOYED:
        return replace(revision, deployed_time=tx.now(), success_evidence=Evidence.LEDGER, unproven=False)
    if watched:
        return revision  # its life is watched: what was not seen deployed did not become it
    match _verdict(tx, revision, record, others):
        case Verdict.WORKED:
            proved_time = record.last_deployed or stored.ref.create_time
            return replace(revision, deployed_time=proved_time, success_evidence=Evidence.HELM_RECORD, unproven=False)
        case Verdict.NEVER_WORKED:
            return replace(revision, unproven=False)
        case Verdict.UNPROVEN:
            return replace(revision, unproven=True)


def _verdict(tx: LedgerTransaction, revision: Revision, record: HelmRecord, others: Sequence[StoredRecord]) -> Verdict:
    known = tx.revision(revision.release_id, revision.revision, incarnation=revision.incarnation)
    if known is not None and known.status is Status.FAILED:
        return Verdict.NEVER_WORKED  # a failed one can become superseded, never deployed
    older_is_deployed = record.status is Status.SUPERSEDED and _older_is_deployed(tx, revision, others)
    return evidence.verdict(record, older_is_deployed=older_is_deployed, successor=_successor(record, others))


def _older_is_deployed(tx: LedgerTransaction, revision: Revision, others: Sequence[StoredRecord]) -> bool:
    """Whether an older revision says DEPLOYED: as it was just read, else as the ledger has it."""
    read = {other.ref.revision: other.ref.status for other in others}
    known = tx.deployed_revisions(revision.release_id, incarnation=revision.incarnation)
    deployed = {number for number, status in read.items() if status is Status.DEPLOYED} | (set(known) - read.keys())
    return any(number < revision.revision for number in deployed)


def _successor(record: HelmRecord, others: Sequence[StoredRecord]) -> Successor | None:
    for other in others:
        if other.ref.revision == record.revision + 1 and other.record is not None:
            return Successor(
                status=other.record.status,
                description=other.record.description,
                first_deployed=other.record.first_deployed,
                deleted=other.record.deleted is not None,
            )
    return None

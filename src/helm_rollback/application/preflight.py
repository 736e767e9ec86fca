"""What is looked at right before Helm is started, since Helm finds it out too late.

Helm strands a release in pending-rollback when a kind is not served any more
(`pkg/action/rollback.go`, performRollback builds the objects after it wrote its
record), applies whatever a record says, edited or not, and finds a target only among
the records that it still stores.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from helm_rollback.application import manifest
from helm_rollback.application.masking import secrets_of
from helm_rollback.application.ports import Cluster, Ledger, LedgerView, Served, ServedKind
from helm_rollback.application.put_back import LostRecord
from helm_rollback.application.situation import Situation
from helm_rollback.domain.evidence import rollback_hooks
from helm_rollback.domain.helm_options import HelmOptions
from helm_rollback.domain.operation import Applied, Failure, FailureReason, Operation, OperationType
from helm_rollback.domain.record import HelmRecord, StoredRecord
from helm_rollback.domain.revision import Revision
from helm_rollback.domain.status import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """What was found. `failure` is set where Helm must not be started."""

    failure: Failure | None = None
    secrets: frozenset[str] = frozenset()
    """Secret texts of base and target, to be kept out of everything told."""
    api_state: str = ""
    """The state of the API that was checked against."""
    lost: tuple[LostRecord, ...] = ()
    """What Helm needs and does not store any more, in the order in which it is to be put back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What the cluster says of the target and of itself."""

    target: StoredRecord | None
    """None also where the operation has no target."""
    served: Served


async def ask(cluster: Cluster, operation: Operation) -> Answers:
    """Ask the cluster, all at once: to wait for an answer costs more than to read it."""
    if operation.type is not OperationType.ROLLBACK:
        return Answers(target=None, served=await cluster.served_kinds())
    target, served = await asyncio.gather(
        cluster.read_revision(operation.release_id, operation.target_revision), cluster.served_kinds()
    )
    return Answers(target=target, served=served)


async def check(
    ledger: Ledger,
    operation: Operation,
    situation: Situation,
    answers: Answers,
    *,
    decode: Callable[[bytes], HelmRecord],
) -> Preflight:
    """Check what the look and the answers show against what the ledger archived. Raises LedgerCorrupt."""
    base, target = await _archived(ledger, operation, decode)
    if operation.type is not OperationType.ROLLBACK:
        return _of_other(operation, situation, answers, base)
    records = [found.record for found in (base, target) if found.record is not None]
    secrets = frozenset[str]().union(*(secrets_of(record.manifest) for record in records))
    base_is_stored = situation.base is not None and situation.ref_of(situation.base) is not None
    unusable = _unusable(answers.target, target) or _unusable_base(base, is_stored=base_is_stored)
    if unusable:
        return Preflight(failure=_nothing_run(FailureReason.RECORD_MISMATCH, unusable), secrets=secrets)
    missing = needed_kinds(operation.helm_options, base.record, target.record) - answers.served.kinds
    if missing:
        return Preflight(failure=_not_served(missing), secrets=secrets)
    # The base first: the newest record that Helm stores is current, also if only this one gets there.
    lost = [] if base_is_stored else [base.lost]
    if answers.target is None and operation.target_revision != operation.base_revision:
        lost.append(target.lost)
    return Preflight(secrets=secrets, api_state=answers.served.state, lost=tuple(lost))


def _of_other(operation: Operation, situation: Situation, answers: Answers, base: _Archived) -> Preflight:
    """The others build and check everything before they write anything (`pkg/action/upgrade.go`, prepareUpgrade)."""
    secrets = secrets_of(base.record.manifest) if base.record is not None else frozenset[str]()
    is_stored = situation.base is not None and situation.ref_of(situation.base) is not None
    unusable = _unusable_base(base, is_stored=is_stored) if operation.base_revision else ""
    failure = _nothing_run(FailureReason.RECORD_MISMATCH, unusable) if unusable else None
    return Preflight(failure=failure, secrets=secrets, api_state=answers.served.state)


@dataclass(frozen=True, slots=True)
class _Archived:
    """A revision as the ledger has it. Without payload and record where it never could be read."""

    revision: Revision | None
    payload: bytes | None
    record: HelmRecord | None

    @property
    def lost(self) -> LostRecord:
        """What is to be put back of it."""
        assert self.revision is not None
        assert self.payload is not None
        assert self.record is not None
        return LostRecord(revision=self.revision, payload=self.payload, record=self.record)


async def _archived(
    ledger: Ledger, operation: Operation, decode: Callable[[bytes], HelmRecord]
) -> tuple[_Archived, _Archived]:
    """Base and target, as the ledger has them."""
    numbers = (operation.base_revision, operation.target_revision)

    def body(view: LedgerView) -> list[tuple[Revision | None, bytes | None]]:
        found = []
        for number in numbers:
            revision = view.revision(operation.release_id, number, incarnation=operation.incarnation)
            found.append((revision, view.payload(revision.payload_digest) if revision is not None else None))
        return found

    base, target = await ledger.read(body)
    return _decoded(base, decode), _decoded(target, decode)


def _decoded(found: tuple[Revision | None, bytes | None], decode: Callable[[bytes], HelmRecord]) -> _Archived:
    revision, payload = found
    return _Archived(revision, payload, decode(payload) if payload is not None else None)


def _unusable(stored: StoredRecord | None, archived: _Archived) -> str:
    """Why Helm can not go to the target's record; empty where it can, once it is there."""
    if stored is None:
        return _not_archived(archived)
    if stored.record is None:
        return f"the record of revision {stored.ref.revision} can not be read: {stored.problem}"
    if not _is_archived(stored.record, archived.revision):
        return (
            f"the record of revision {stored.ref.revision} in the cluster is not what the ledger archived: "
            "someone edited it"
        )
    return ""


def _unusable_base(base: _Archived, *, is_stored: bool) -> str:
    """Why Helm can not start from the base's record."""
    revision = base.revision
    if revision is None or not is_stored:
        return _not_archived(base)
    if revision.status is Status.UNKNOWN:
        # Helm passes over what it can not decode, and then takes the number of the next one twice.
        return f"the record of the current revision {revision.revision} can not be read: {revision.description}"
    return ""


def _not_archived(archived: _Archived) -> str:
    """Why a record that Helm no longer stores can not be put back; empty where it can."""
    if archived.revision is None:
        return "Helm no longer stores the record, and the ledger has none under its number"
    if archived.record is None:
        number = archived.revision.revision
        return f"Helm no longer stores revision {number}, and its record could not be read while it did"
    return ""


def _is_archived(record: HelmRecord, archived: Revision | None) -> bool:
    """Whether the cluster's record still has the content that the ledger archived.

    Helm's own rewriting rounds numbers in values, so those are compared as float64.
    """
    return archived is not None and (record.manifest_digest, record.values_digest) == (
        archived.manifest_digest,
        archived.values_digest,
    )


def needed_kinds(options: HelmOptions, base: HelmRecord | None, target: HelmRecord | None) -> set[ServedKind]:
    """Every kind that Helm builds on the way: of both manifests, and of the hooks that it runs."""
    needed: set[ServedKind] = set()
    if base is not None:
        needed |= manifest.kinds(base.manifest)
    if target is not None:
        needed |= manifest.kinds(target.manifest)
        if not options.disable_hooks:
            for hook in rollback_hooks(target):
                needed |= manifest.kinds(hook.manifest)
    return needed


def _not_served(missing: set[ServedKind]) -> Failure:
    names = ", ".join(sorted(f"{kind.api_version} {kind.kind}" for kind in missing))
    return _nothing_run(
        FailureReason.KIND_NOT_SERVED,
        f"the cluster does not serve {names}, which the current or the target revision needs",
    )


def _nothing_run(reason: FailureReason, why: str) -> Failure:
    return Failure(reason=reason, message=f"{why}; nothing was run", applied=Applied.NOT_APPLIED)

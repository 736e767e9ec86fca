"""What is looked at right before Helm is started, since Helm finds it out too late.

Helm strands a release in pending-rollback when a kind is not served any more
(`pkg/action/rollback.go`, performRollback builds the objects after it wrote its
record), and applies whatever a record says, edited or not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from helm_rollback.application import manifest
from helm_rollback.application.masking import secrets_of
from helm_rollback.application.ports import Cluster, Ledger, LedgerView, Served, ServedKind
from helm_rollback.domain.evidence import rollback_hooks
from helm_rollback.domain.operation import Applied, Failure, FailureReason, Operation
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What the cluster says of the target and of itself."""

    target: StoredRecord | None
    served: Served


async def ask(cluster: Cluster, operation: Operation) -> Answers:
    """Ask the cluster, all at once: to wait for an answer costs more than to read it."""
    target, served = await asyncio.gather(
        cluster.read_revision(operation.release_id, operation.target_revision), cluster.served_kinds()
    )
    return Answers(target=target, served=served)


async def check(
    ledger: Ledger, operation: Operation, answers: Answers, *, decode: Callable[[bytes], HelmRecord]
) -> Preflight:
    """Check the answers against what the ledger archived."""
    base, target = await _archived(ledger, operation, decode)
    records = [record for record in (base[1], target[1]) if record is not None]
    secrets = frozenset[str]().union(*(secrets_of(record.manifest) for record in records))
    unusable = _unusable(operation, answers.target, target[0], base[0])
    if unusable is not None:
        return Preflight(failure=unusable, secrets=secrets)
    missing = _needed_kinds(operation, base[1], target[1]) - answers.served.kinds
    if missing:
        return Preflight(failure=_not_served(missing), secrets=secrets)
    return Preflight(secrets=secrets, api_state=answers.served.state)


_Archived = tuple[Revision | None, HelmRecord | None]


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
    return revision, decode(payload) if payload is not None else None


def _unusable(
    operation: Operation, stored: StoredRecord | None, archived: Revision | None, base: Revision | None
) -> Failure | None:
    """Why Helm can not go from the base's record to the target's as they are stored."""
    target = operation.target_revision
    if stored is None:
        return _nothing_run(
            FailureReason.HELM_FAILED, f"Helm no longer stores revision {target}, and this version does not put it back"
        )
    if stored.record is None:
        return _nothing_run(
            FailureReason.RECORD_MISMATCH, f"the record of revision {target} can not be read: {stored.problem}"
        )
    if base is not None and base.status is Status.UNKNOWN:
        # Helm passes over what it can not decode, and then takes the number of the next one twice.
        return _nothing_run(
            FailureReason.RECORD_MISMATCH,
            f"the record of the current revision {base.revision} can not be read: {base.description}",
        )
    if not _is_archived(stored, archived):
        return _nothing_run(
            FailureReason.RECORD_MISMATCH,
            f"the record of revision {target} in the cluster is not what the ledger archived: someone edited it",
        )
    return None


def _is_archived(stored: StoredRecord, archived: Revision | None) -> bool:
    """Whether the cluster's record still has the content that the ledger archived.

    Helm's own rewriting rounds numbers in values, so those are compared as float64.
    """
    record = stored.record
    return (
        record is not None
        and archived is not None
        and (record.manifest_digest, record.values_digest) == (archived.manifest_digest, archived.values_digest)
    )


def _needed_kinds(operation: Operation, base: HelmRecord | None, target: HelmRecord | None) -> set[ServedKind]:
    needed: set[ServedKind] = set()
    if base is not None:
        needed |= manifest.kinds(base.manifest)
    if target is not None:
        needed |= manifest.kinds(target.manifest)
        if not operation.helm_options.disable_hooks:
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

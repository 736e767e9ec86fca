"""Accepting a rollback: to a named revision, or to the last one that worked.

Accepting is a promise, so everything that can be known to be wrong is refused
first; then one transaction makes the operation durable. Carrying it out is
`execution.py`'s.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING
from uuid import UUID

from helm_rollback.application.crash_points import CrashPoint
from helm_rollback.application.ports import LedgerTransaction, Ports
from helm_rollback.application.refresh import cluster_of, refresh
from helm_rollback.domain.errors import (
    CurrentRevisionChanged,
    InvalidField,
    OperationInProgress,
    ReleaseNotFound,
    ReleasePending,
    RequestIdReused,
    RevisionMarkedBad,
    RevisionNotFound,
    ServerDraining,
)
from helm_rollback.domain.helm_options import HelmOptions
from helm_rollback.domain.history import OperationTransition
from helm_rollback.domain.last_successful import check_leaving_is_meant, choose
from helm_rollback.domain.operation import Operation, OperationState, OperationType
from helm_rollback.domain.principal import Principal
from helm_rollback.domain.release import Release, ReleaseId
from helm_rollback.domain.revision import Mark, Revision
from helm_rollback.domain.selection import Selection
from helm_rollback.domain.status import Status
from helm_rollback.domain.violations import Violations

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

REASON_MAX = 200
DEFAULT_EXPIRE_AFTER = timedelta(hours=1)
MIN_EXPIRE_AFTER, MAX_EXPIRE_AFTER = timedelta(seconds=1), timedelta(days=7)
REVISION_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackCommand:
    """A caller's wish. Making one raises InvalidField or InvalidFields, naming each field as the proto does."""

    release_id: ReleaseId
    target_revision: int | None
    """None: the last successful one."""
    request_id: str = ""
    expected_current_revision: int | None = None
    reason: str = ""
    helm_options: HelmOptions = field(default_factory=HelmOptions)
    expire_after: timedelta = DEFAULT_EXPIRE_AFTER
    take_over_pending: bool = False
    allow_marked_bad: bool = False
    remove_leftovers: bool = False

    def __post_init__(self) -> None:
        found = Violations()
        for name in ("target_revision", "expected_current_revision"):
            if getattr(self, name) is not None and not 1 <= getattr(self, name) <= REVISION_MAX:
                found.add(name, "must be a revision, 1 or higher")
        if self.request_id:
            canonical = found.take(lambda: _canonical_uuid(self.request_id), "")
            object.__setattr__(self, "request_id", canonical)
        found.take(lambda: checked_reason(self.reason), "")
        if not MIN_EXPIRE_AFTER <= self.expire_after <= MAX_EXPIRE_AFTER:
            found.add("expire_after", "must be between 1 s and 7 d")
        if self.take_over_pending and self.expected_current_revision is None:
            found.add("take_over_pending", "needs expected_current_revision: say which revision is dead")
        found.check()

    def digest(self, principal: Principal) -> str:
        """What one request_id stands for: method, actor, and every field but the id itself.

        Of most fields only what differs from the default, so that a further one leaves old digests alone.
        """
        plain = RollbackCommand(release_id=self.release_id, target_revision=self.target_revision)
        content = _differing(self, plain) | {
            "release_id": self.release_id,
            "target_revision": self.target_revision,
            "helm_options": _differing(self.helm_options, plain.helm_options),
            "request_id": "",
            "actor": principal.name,
        }
        return sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def _differing(value: DataclassInstance, plain: DataclassInstance) -> dict[str, object]:
    """The fields in which they differ."""
    names = [one.name for one in fields(value)]
    return {name: getattr(value, name) for name in names if getattr(value, name) != getattr(plain, name)}


def checked_reason(reason: str) -> str:
    """The reason. Raises InvalidField unless it is one line of at most 200 code points."""
    if len(reason) > REASON_MAX:
        raise InvalidField("reason", f"has {len(reason)} characters, at most {REASON_MAX} are kept")
    if not reason.isprintable():
        raise InvalidField("reason", "must be one line of printable text")
    return reason


def _canonical_uuid(text: str) -> str:
    try:
        canonical = str(UUID(text))
    except ValueError:
        canonical = ""
    if canonical != text.lower():
        raise InvalidField("request_id", "must be a UUID, such as 01890a5d-ac96-774b-bcce-b302099a8057")
    return canonical


async def rollback(ports: Ports, command: RollbackCommand, principal: Principal) -> Operation:
    """Accept a rollback; the durable operation, PENDING, or the one that its request_id already names.

    Raises what `domain/errors.py` names, before anything was written; but StoreUnavailable
    leaves open whether the operation was accepted.
    """
    known = await _operation_of_request(ports, command, principal)
    if known is not None:
        return known
    if ports.drain.started:
        raise ServerDraining
    cluster_of(ports.clusters, command.release_id)
    ports.helm.check_available()
    await refresh(ports, command.release_id)

    def body(tx: LedgerTransaction) -> Operation:
        accepted = _accept(tx, command, principal, ports.new_operation_id)
        ports.reached(CrashPoint.ACCEPT_BEFORE_COMMIT)
        return accepted

    operation = await ports.ledger.write(body)
    ports.reached(CrashPoint.ACCEPT_AFTER_COMMIT)
    return operation


async def _operation_of_request(ports: Ports, command: RollbackCommand, principal: Principal) -> Operation | None:
    if not command.request_id:
        return None
    known = await ports.ledger.read(lambda view: view.operation_of_request(command.request_id))
    return _same_request(known, command, principal) if known is not None else None


def _same_request(known: Operation, command: RollbackCommand, principal: Principal) -> Operation:
    if known.request_digest != command.digest(principal):
        raise RequestIdReused(command.request_id, known.operation_id, known.release_id)
    return known


def _accept(
    tx: LedgerTransaction, command: RollbackCommand, principal: Principal, new_operation_id: Callable[[datetime], str]
) -> Operation:
    release = tx.lock_release(command.release_id)
    if command.request_id:  # the same request may have come in twice at once
        known = tx.operation_of_request(command.request_id)
        if known is not None:
            return _same_request(known, command, principal)
    if release is None:
        raise ReleaseNotFound(command.release_id)
    current = tx.revision(release.release_id, release.current_revision, incarnation=release.incarnation)
    if current is None:
        raise ReleaseNotFound(command.release_id)
    _check_state(tx, command, current)
    target, selection = _target(tx, command, release, current)
    now = tx.now()
    operation = Operation(
        operation_id=new_operation_id(now),
        release_id=release.release_id,
        incarnation=release.incarnation,
        type=OperationType.ROLLBACK,
        state=OperationState.PENDING,
        base_revision=current.revision,
        base_status=current.status,
        target_revision=target,
        actor=principal.name,
        actor_verified=principal.verified,
        reason=command.reason,
        create_time=now,
        expire_time=now + command.expire_after,
        request_id=command.request_id,
        request_digest=command.digest(principal),
        selection=selection,
        helm_options=command.helm_options,
        remove_leftovers=command.remove_leftovers,
        start_sequence=release.last_sequence,
    )
    tx.add_operation(operation)
    tx.append(release.release_id, OperationTransition(operation=operation))
    return operation


def _check_state(tx: LedgerTransaction, command: RollbackCommand, current: Revision) -> None:
    """Refuse where the release is not in the state that the caller saw, or is being changed."""
    expected = command.expected_current_revision
    if expected is not None and expected != current.revision:
        raise CurrentRevisionChanged(command.release_id, expected, current.revision)
    live = tx.live_operation(command.release_id)
    if live is not None:
        raise OperationInProgress(command.release_id, live.operation_id)
    busy = current.status.is_pending or current.status is Status.UNINSTALLING
    if busy and current.stored_by_helm and not command.take_over_pending:
        since = current.last_deployed or current.create_time
        raise ReleasePending(command.release_id, current.status, current.revision, since)


def _target(
    tx: LedgerTransaction, command: RollbackCommand, release: Release, current: Revision
) -> tuple[int, Selection | None]:
    """The revision to return to, and, where the service chose it, why."""
    if command.target_revision is not None:
        return _named_target(tx, command, command.target_revision, current), None
    if command.expected_current_revision is None:
        check_leaving_is_meant(current)
    revisions = tx.incarnation_revisions(release.release_id, incarnation=release.incarnation)
    selection = choose(revisions, current)
    return selection.revision, selection


def _named_target(tx: LedgerTransaction, command: RollbackCommand, number: int, current: Revision) -> int:
    target = tx.revision(command.release_id, number, incarnation=current.incarnation)
    if target is None or number > current.revision:
        raise RevisionNotFound(command.release_id, number, current.incarnation, current.revision)
    if target.mark is Mark.BAD and not command.allow_marked_bad:
        raise RevisionMarkedBad(command.release_id, number)
    return number

"""Accepting an operation: what is the same for all of them.

Accepting is a promise, so everything that can be known to be wrong is refused
first; then one transaction makes the operation durable. Carrying it out is
`execution.py`'s.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING
from uuid import UUID

from helm_rollback.application.crash_points import CrashPoint
from helm_rollback.application.ports import LedgerTransaction, Ports
from helm_rollback.application.refresh import cluster_of, refresh
from helm_rollback.domain.chart import ChartChange
from helm_rollback.domain.errors import (
    CurrentRevisionChanged,
    InvalidField,
    OperationInProgress,
    ReleaseNotFound,
    ReleasePending,
    RequestIdReused,
    ServerDraining,
)
from helm_rollback.domain.helm_options import HelmOptions
from helm_rollback.domain.history import OperationTransition
from helm_rollback.domain.operation import Operation, OperationState, OperationType
from helm_rollback.domain.principal import Principal
from helm_rollback.domain.release import Release, ReleaseId
from helm_rollback.domain.revision import Revision
from helm_rollback.domain.status import Status
from helm_rollback.domain.violations import Violations

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

REASON_MAX = 200
DEFAULT_EXPIRE_AFTER = timedelta(hours=1)
MIN_EXPIRE_AFTER, MAX_EXPIRE_AFTER = timedelta(seconds=1), timedelta(days=7)
REVISION_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A caller's wish. Making one raises InvalidField or InvalidFields, naming each field as the proto does."""

    release_id: ReleaseId
    request_id: str = ""
    expected_current_revision: int | None = None
    reason: str = ""
    helm_options: HelmOptions = field(default_factory=HelmOptions)
    expire_after: timedelta = DEFAULT_EXPIRE_AFTER
    take_over_pending: bool = False

    def __post_init__(self) -> None:
        found = Violations()
        expected = self.expected_current_revision
        if expected is not None and not 1 <= expected <= REVISION_MAX:
            found.add("expected_current_revision", "must be a revision, 1 or higher")
        if self.request_id:
            canonical = found.take(lambda: _canonical_uuid(self.request_id), "")
            object.__setattr__(self, "request_id", canonical)
        found.take(lambda: checked_reason(self.reason), "")
        if not MIN_EXPIRE_AFTER <= self.expire_after <= MAX_EXPIRE_AFTER:
            found.add("expire_after", "must be between 1 s and 7 d")
        if self.take_over_pending and expected is None:
            found.add("take_over_pending", "needs expected_current_revision: say which revision is dead")
        self._check(found)
        found.check()

    def _check(self, found: Violations) -> None:
        """Add what is wrong with the fields that only this command has."""

    def digest(self, principal: Principal, plain: Command, **always: object) -> str:
        """What one request_id stands for: method, actor, and every field but the id itself.

        Of most fields only what differs from `plain`, so that a further one leaves old digests alone.
        """
        content = _differing(self, plain) | {
            "release_id": self.release_id,
            "helm_options": _differing(self.helm_options, plain.helm_options),
            "request_id": "",
            "actor": principal.name,
            **always,
        }
        return sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def _differing(value: DataclassInstance, plain: DataclassInstance) -> dict[str, object]:
    """The fields in which they differ."""
    names = [one.name for one in fields(value)]
    return {name: getattr(value, name) for name in names if getattr(value, name) != getattr(plain, name, None)}


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


Decide = Callable[[LedgerTransaction, Release | None], Operation]
"""Makes the operation that a wish becomes, or raises why it can not be one; in the transaction that accepts it."""


async def accept(
    ports: Ports, command: Command, digest: str, decide: Decide, *, change: ChartChange | None = None
) -> Operation:
    """The durable operation, PENDING, or the one that its request_id already names; `change` is kept beside it.

    Raises what `domain/errors.py` names, before anything was written; but StoreUnavailable
    leaves open whether the operation was accepted.
    """
    known = await _operation_of_request(ports, command, digest)
    if known is not None:
        return known
    if change is not None:
        ports.chart_sources.check(change.chart)
    if ports.drain.started:
        raise ServerDraining
    cluster_of(ports.clusters, command.release_id)
    ports.helm.check_available()
    await refresh(ports, command.release_id)

    def body(tx: LedgerTransaction) -> Operation:
        release = tx.lock_release(command.release_id)
        if command.request_id:  # the same request may have come in twice at once
            known = tx.operation_of_request(command.request_id)
            if known is not None:
                return _same_request(known, command, digest)
        operation = decide(tx, release)
        enter(tx, operation)
        if change is not None:
            tx.add_chart_change(operation.operation_id, change)
        ports.reached(CrashPoint.ACCEPT_BEFORE_COMMIT)
        return operation

    operation = await ports.ledger.write(body)
    ports.reached(CrashPoint.ACCEPT_AFTER_COMMIT)
    return operation


def enter(tx: LedgerTransaction, operation: Operation) -> None:
    """Make an accepted operation durable, and tell it."""
    tx.add_operation(operation)
    tx.append(operation.release_id, OperationTransition(operation=operation))


async def _operation_of_request(ports: Ports, command: Command, digest: str) -> Operation | None:
    if not command.request_id:
        return None
    known = await ports.ledger.read(lambda view: view.operation_of_request(command.request_id))
    return _same_request(known, command, digest) if known is not None else None


def _same_request(known: Operation, command: Command, digest: str) -> Operation:
    if known.request_digest != digest:
        raise RequestIdReused(command.request_id, known.operation_id, known.release_id)
    return known


def current_of(tx: LedgerTransaction, command: Command, release: Release | None) -> tuple[Release, Revision]:
    """The release and its current revision, in the state that the caller saw, and not being changed."""
    if release is None:
        raise ReleaseNotFound(command.release_id)
    current = tx.revision(release.release_id, release.current_revision, incarnation=release.incarnation)
    if current is None:
        check_free(tx, command)
        raise ReleaseNotFound(command.release_id)
    check_state(tx, command, current)
    return release, current


def check_state(tx: LedgerTransaction, command: Command, current: Revision) -> None:
    """Refuse where the release is not in the state that the caller saw, or is being changed."""
    check_expected(command, current)
    check_free(tx, command)
    busy = current.status.is_pending or current.status is Status.UNINSTALLING
    if busy and current.stored_by_helm and not command.take_over_pending:
        since = current.last_deployed or current.create_time
        raise ReleasePending(command.release_id, current.status, current.revision, since)


def check_expected(command: Command, current: Revision | None) -> None:
    """Refuse where current is not what the caller saw as current."""
    expected, actual = command.expected_current_revision, current.revision if current is not None else 0
    if expected is not None and expected != actual:
        raise CurrentRevisionChanged(command.release_id, expected, actual)


def check_free(tx: LedgerTransaction, command: Command) -> None:
    """Refuse where another operation on the release is under way."""
    live = tx.live_operation(command.release_id)
    if live is not None:
        raise OperationInProgress(command.release_id, live.operation_id)


def new_operation(
    tx: LedgerTransaction,
    ports: Ports,
    command: Command,
    principal: Principal,
    digest: str,
    release: Release,
    *,
    type: OperationType,
    current: Revision | None,
    incarnation: int | None = None,
) -> Operation:
    """An operation as the command wishes; what only its own type has is added by who knows that."""
    now = tx.now()
    return Operation(
        operation_id=ports.new_operation_id(now),
        release_id=command.release_id,
        incarnation=incarnation or release.incarnation,
        type=type,
        state=OperationState.PENDING,
        base_revision=current.revision if current is not None else 0,
        base_status=current.status if current is not None else Status.UNKNOWN,
        target_revision=0,
        actor=principal.name,
        actor_verified=principal.verified,
        reason=command.reason,
        create_time=now,
        expire_time=now + command.expire_after,
        request_id=command.request_id,
        request_digest=digest,
        helm_options=command.helm_options,
        start_sequence=release.last_sequence,
    )

"""What happens to a release, as events in one gap-free sequence."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from helm_rollback.domain.operation import Operation, OperationType
from helm_rollback.domain.release import ReleaseId
from helm_rollback.domain.revision import Mark
from helm_rollback.domain.status import Status


class Cause(StrEnum):
    """Who brought a transition about."""

    SERVICE = "SERVICE"
    """An operation of this service."""
    EXTERNAL = "EXTERNAL"
    """Someone else's Helm."""
    ADOPTED = "ADOPTED"
    """It was there when the release was first seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionTransition:
    """A revision's status changed, or the revision is new (`from_status` is None)."""

    incarnation: int
    revision: int
    from_status: Status | None
    to_status: Status
    operation_type: OperationType | None
    rollback_target: int
    chart_version: str
    description: str
    operation_id: str
    actor: str
    cause: Cause


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationTransition:
    """An operation changed state, or began a further attempt: the whole of it, as it then was."""

    operation: Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRemoval:
    """Helm no longer stores the revision: pruned, purged, or deleted by hand. The ledger still does."""

    incarnation: int
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkChange:
    """Someone marked a revision, or took the mark back."""

    incarnation: int
    revision: int
    mark: Mark
    actor: str
    reason: str


Change = RevisionTransition | OperationTransition | RecordRemoval | MarkChange


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEvent:
    """One event: the `sequence`-th of its release, counted from 1 over all incarnations."""

    release_id: ReleaseId
    sequence: int
    time: datetime
    """The ledger's; it never falls within a release."""
    change: Change

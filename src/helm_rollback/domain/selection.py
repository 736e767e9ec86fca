"""Which revision a rollback goes to, and why the others were passed over."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from helm_rollback.domain.status import Status


class Evidence(StrEnum):
    """How a revision's success is known."""

    LEDGER = "LEDGER"
    """It was seen DEPLOYED."""
    HELM_RECORD = "HELM_RECORD"
    """Helm's records prove that it was."""
    MARKED = "MARKED"
    """Someone marked it GOOD."""


class SkipReason(StrEnum):
    """Why a revision was not chosen. Where several hold, the first in this order of the rules is given."""

    CURRENT = "CURRENT"
    NOT_SUCCESSFUL = "NOT_SUCCESSFUL"
    UNPROVEN = "UNPROVEN"
    ROLLED_BACK_FROM = "ROLLED_BACK_FROM"
    SAME_CONTENT = "SAME_CONTENT"
    MARKED_BAD = "MARKED_BAD"
    BEFORE_BOUNDARY = "BEFORE_BOUNDARY"
    REPLACED = "REPLACED"


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedRevision:
    """A revision that is not the choice, with the reason in words."""

    revision: int
    status: Status
    skip_reason: SkipReason
    explanation: str


SKIPPED_SHOWN = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The choice, frozen when the operation was accepted."""

    revision: int
    success_evidence: Evidence | None
    """None where the caller named a revision that is not known to have worked."""
    skipped: tuple[SkippedRevision, ...] = ()
    """The newest 50 that were passed over, newest first."""
    skipped_count: int = 0
    """How many were passed over in all."""

"""What to do with an operation, from what Helm's records show of it.

A fresh operation and one whose worker died are looked at alike: the records newer
than the base are the evidence. The rows are those of docs/architecture.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from helm_rollback.domain.status import Status


class Step(StrEnum):
    """What comes next."""

    ATTRIBUTE = "ATTRIBUTE"
    """The record right after the base is the operation's, though it bears no stamp: note that, and look again."""
    RUN = "RUN"
    """Helm has not written anything: start it."""
    REMOVE_AND_RUN = "REMOVE_AND_RUN"
    """A dead attempt's record stands in the way, and would be Helm's base: remove it, start again."""
    EXTERNAL_CHANGE = "EXTERNAL_CHANGE"
    """Someone else changed the release first."""
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    UNDONE = "UNDONE"
    """Helm has undone, or was undoing, the install that failed."""
    HOOK_MAY_HAVE_RUN = "HOOK_MAY_HAVE_RUN"
    """It was interrupted, and two runs of a hook must not overlap: nothing is run, its record is set failed."""
    OVERTAKEN = "OVERTAKEN"
    """It was interrupted, and others have gone on: nothing is run, its record is set failed."""
    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"
    """The records do not decide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRecord:
    """The record that this operation wrote, as the ledger last saw it."""

    status: Status
    seen_deployed: bool
    failure_told: bool
    """Whether Helm wrote into it that the rollback failed. An upgrade may have superseded it since."""
    stored: bool
    """Whether Helm still stores it."""
    newest: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was found when the operation was looked at."""

    base_unchanged: bool
    """Current, but for the operation's own record, is the base as it was accepted."""
    own: OwnRecord | None
    hooks_may_have_run: bool
    """Whether the target has rollback hooks, hooks are not disabled, and Helm was started before."""
    may_be_own: bool = False
    """Whether Helm was started and may have written a record, though none bears its stamp (any more)."""
    undone_by_helm: bool = False
    """Whether Helm itself undoes the operation where it fails (an atomic install)."""
    proved_own: bool = False
    """Whether the record right after the base is the operation's by other evidence (`attribution.py`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UninstallEvidence:
    """What was found when an uninstall was looked at."""

    gone: bool
    """Whether Helm's records are as the uninstall was to leave them."""
    base_unchanged: bool
    """Current is the base as it was accepted; or UNINSTALLING, which an interrupted run may have done."""
    hooks_may_have_run: bool
    interrupted: bool


def next_step(found: Evidence | UninstallEvidence) -> Step:
    """The row of the table that `found` is."""
    if isinstance(found, UninstallEvidence):
        return _of_uninstall(found)
    if found.own is not None:
        return _with_own_record(found, found.own)
    if found.proved_own:
        return Step.ATTRIBUTE
    if found.may_be_own:
        return Step.OUTCOME_UNKNOWN
    return Step.RUN if found.base_unchanged else Step.EXTERNAL_CHANGE


def _of_uninstall(found: UninstallEvidence) -> Step:
    """Deleting may be done twice, so an interrupted one is begun anew."""
    if found.gone:
        return Step.SUCCEEDED
    if not found.base_unchanged:
        return Step.OVERTAKEN if found.interrupted else Step.EXTERNAL_CHANGE
    return Step.HOOK_MAY_HAVE_RUN if found.hooks_may_have_run else Step.RUN


def _with_own_record(found: Evidence, own: OwnRecord) -> Step:
    if own.status is Status.DEPLOYED or own.seen_deployed:
        return Step.SUCCEEDED
    if own.status is Status.FAILED or own.failure_told:
        return Step.FAILED
    if own.status.is_uninstalled and found.undone_by_helm:
        return Step.UNDONE
    if not own.status.is_pending:
        return Step.OUTCOME_UNKNOWN
    if not own.stored:
        return _with_removed_record(found)
    if not own.newest:
        return Step.OVERTAKEN
    return Step.HOOK_MAY_HAVE_RUN if found.hooks_may_have_run else Step.REMOVE_AND_RUN


def _with_removed_record(found: Evidence) -> Step:
    """A dead attempt's pending record was removed, by us or by hand, and nothing was started since."""
    if not found.base_unchanged:
        return Step.OUTCOME_UNKNOWN
    return Step.HOOK_MAY_HAVE_RUN if found.hooks_may_have_run else Step.RUN

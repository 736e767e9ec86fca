"""What Helm's records prove of a revision, where nobody watched it live.

Helm writes `superseded` also over revisions that never worked, and "Rollback to K"
before anything is applied, so neither is proof. The rules below follow Helm's own
writes: `pkg/action/install.go`, `upgrade.go`, `rollback.go`, `uninstall.go`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from helm_rollback.domain.operation import OperationType, stamped_operation
from helm_rollback.domain.record import HelmRecord, Hook
from helm_rollback.domain.status import Status


class Verdict(StrEnum):
    """What the records tell of a revision's success."""

    WORKED = "WORKED"
    NEVER_WORKED = "NEVER_WORKED"
    UNPROVEN = "UNPROVEN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Successor:
    """What the next revision's record says; it can take back what a record claims of itself."""

    status: Status
    description: str
    first_deployed: datetime | None
    deleted: bool


_ONLY_WRITTEN_ON_SUCCESS = ("Install complete", "Upgrade complete")
NEVER_FINISHED = ("Preparing upgrade", "Initial install underway")
_OVERWRITTEN = ("Deletion in progress (or silently failed)", "Uninstallation complete", "superseded by new release")
_FAILED_TEXT = re.compile(r'(Upgrade|Release|Rollback) "[^"]*" failed:')
_UNLOCKED_TEXT = "Release unlocked from stale '"
# Helm's own text, or our stamp (`operation.py`). Ten digits are more than any revision has.
_ROLLBACK_TEXT = re.compile(r"Rollback to ([1-9][0-9]{0,9})")
_STAMPED_ROLLBACK = re.compile(r"\[[0-9a-f-]{36}\] Rollback to ([1-9][0-9]{0,9})(: .*)?")


def rollback_target(record: HelmRecord) -> int:
    """The revision that a rollback restored; 0 where the record is no rollback, or does not tell."""
    if record.rollback_target:
        return record.rollback_target
    match = _ROLLBACK_TEXT.fullmatch(record.description) or _STAMPED_ROLLBACK.fullmatch(record.description)
    return int(match[1]) if match else 0


def operation_type(record: HelmRecord) -> OperationType:
    """What made the revision.

    Only an install sets first and last deployment to one moment; the others copy
    the first from their predecessor. `Release "NAME" failed:` is the text of a failed
    install, and of a rollback whose wait failed; a failed upgrade says `Upgrade`.
    """
    if rollback_target(record) or record.status is Status.PENDING_ROLLBACK:
        return OperationType.ROLLBACK
    if record.revision == 1 or (record.first_deployed is not None and record.first_deployed == record.last_deployed):
        return OperationType.INSTALL
    if record.description.startswith(('Rollback "', 'Release "')):
        return OperationType.ROLLBACK
    return OperationType.UPGRADE


def verdict(record: HelmRecord, *, older_is_deployed: bool, successor: Successor | None) -> Verdict:
    """Whether the revision ever worked, from Helm's records alone.

    `older_is_deployed`: an older revision of this incarnation still says DEPLOYED.
    """
    match record.status:
        case Status.DEPLOYED:
            return Verdict.WORKED
        case Status.SUPERSEDED:
            return _superseded(record, older_is_deployed=older_is_deployed, successor=successor)
        case Status.UNINSTALLED | Status.UNINSTALLING | Status.UNKNOWN:
            return Verdict.UNPROVEN
        case _:
            return Verdict.NEVER_WORKED


def _superseded(record: HelmRecord, *, older_is_deployed: bool, successor: Successor | None) -> Verdict:
    text = record.description
    if record.deleted is not None or text in _OVERWRITTEN:
        return Verdict.UNPROVEN
    if text in NEVER_FINISHED or _FAILED_TEXT.match(text) or text.startswith(_UNLOCKED_TEXT):
        return Verdict.NEVER_WORKED
    if operation_type(record) is OperationType.ROLLBACK:
        return _superseded_rollback(record, older_is_deployed=older_is_deployed, successor=successor)
    if text in _ONLY_WRITTEN_ON_SUCCESS:
        return Verdict.WORKED
    if successor is not None and successor.first_deployed != record.first_deployed:
        return Verdict.UNPROVEN  # an uninstall came between, and may have written the text
    return Verdict.WORKED  # a text of the user's own is stored with success only


def _superseded_rollback(record: HelmRecord, *, older_is_deployed: bool, successor: Successor | None) -> Verdict:
    """A rollback's text is written before anything is applied, so it takes more than the text."""
    if older_is_deployed:
        return Verdict.NEVER_WORKED  # success would have superseded that one
    own_hooks = [hook for hook in rollback_hooks(record) if _ran_in(hook, record)]
    if own_hooks:
        # A hook's phase reaches storage only with the next write; the last is that of success.
        finished = own_hooks[-1].last_run_phase == "Succeeded"
        return Verdict.WORKED if finished else Verdict.NEVER_WORKED
    if successor is None or _may_have_superseded_a_failure(successor):
        return Verdict.UNPROVEN
    return Verdict.WORKED


def _may_have_superseded_a_failure(successor: Successor) -> bool:
    """Only a rollback that fails while applying supersedes what is not deployed, and only its predecessor.

    A failed successor without Helm's text of a failure was pending until somebody, such as
    this service, set it failed: then it tells as little as a pending one.
    """
    text = successor.description
    return (
        text.startswith('Rollback "')
        or (successor.status is Status.FAILED and not _FAILED_TEXT.match(text))
        or successor.status in (Status.PENDING_ROLLBACK, Status.UNKNOWN)
        or successor.deleted
        or text in _OVERWRITTEN
        or text.startswith(_UNLOCKED_TEXT)
    )


def apply_completed(record: HelmRecord) -> bool | None:
    """Of a rollback: whether the target's manifest was applied in full; None where the record leaves it open."""
    if record.status is Status.DEPLOYED:
        return True
    if record.description.startswith('Release "'):
        return True  # only a wait that failed writes this text (rollback.go)
    if record.description.startswith('Rollback "'):
        return False
    post = [hook for hook in rollback_hooks(record) if "post-rollback" in hook.events and _ran_in(hook, record)]
    if any("pre-rollback" not in hook.events for hook in post):
        return True  # post-rollback hooks run after the apply
    if post or record.status not in (Status.PENDING_ROLLBACK, Status.FAILED):
        return None  # a hook of both events may have run for the first only
    return False


_EVENTS: dict[OperationType, tuple[str, str]] = {
    OperationType.ROLLBACK: ("pre-rollback", "post-rollback"),
    OperationType.INSTALL: ("pre-install", "post-install"),
    OperationType.UPGRADE: ("pre-upgrade", "post-upgrade"),
    OperationType.UNINSTALL: ("pre-delete", "post-delete"),
}


def rollback_hooks(record: HelmRecord) -> list[Hook]:
    """The hooks that a rollback to this revision runs, in Helm's order."""
    return hooks_of(record, OperationType.ROLLBACK)


def hooks_of(record: HelmRecord, operation_type: OperationType) -> list[Hook]:
    """The record's hooks that such an operation runs, in Helm's order (`pkg/action/hooks.go`)."""
    return [
        hook
        for event in _EVENTS[operation_type]
        for hook in sorted(record.hooks, key=lambda hook: (hook.weight, hook.name))
        if event in hook.events
    ]


def _ran_in(hook: Hook, record: HelmRecord) -> bool:
    """Whether the hook's last run belongs to this revision: it is copied from the target with the old one."""
    started, deployed = hook.last_run_started, record.last_deployed
    return started is not None and deployed is not None and started >= deployed


def is_stamped_by(record: HelmRecord, operation_id: str) -> bool:
    """Whether the record bears that operation's stamp."""
    return stamped_operation(record.description) == operation_id

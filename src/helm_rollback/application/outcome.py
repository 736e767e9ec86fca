"""What became of a Helm run, read from what Helm stored.

Exit codes and output only explain; they decide nothing. `failure.applied` follows
from how far `pkg/action/rollback.go` gets before it writes what.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from helm_rollback.application.masking import masked_text
from helm_rollback.application.ports import Helm, HelmExit, RecordWrite, TouchedObject
from helm_rollback.domain.evidence import NEVER_FINISHED
from helm_rollback.domain.operation import Applied, Failure, FailureReason, stamped_operation
from helm_rollback.domain.revision import Revision
from helm_rollback.domain.status import Status

OUTPUT_MAX = 4096
_OWN_REFUSAL = re.compile(r"^level=WARN .*helm-rollback fence: this release record is not passed.*\n?", re.MULTILINE)
"""Helm warns of each rewrite of the base that the fence did not pass. That is as it should be, and no cause."""
_MESSAGE_MAX = 1024
_ERROR_LINE = re.compile(r"^Error: (.*)", re.MULTILINE | re.DOTALL)
_PRE_HOOK = re.compile(r"pre-(install|upgrade)")
_RECORD_PATH = "/secrets/sh.helm.release."


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One Helm run, after its end."""

    exit: HelmExit
    touched: Sequence[TouchedObject] = ()
    refused_records: Sequence[RecordWrite] = ()
    secrets: frozenset[str] = frozenset()
    """Texts that must not be told."""

    @property
    def output(self) -> str:
        """The end of what Helm printed, without secret values."""
        return self._told.encode()[-OUTPUT_MAX:].decode(errors="ignore")

    @property
    def message(self) -> str:
        """Helm's own error line; of one that hung, that it did."""
        found = _ERROR_LINE.search(self._told)
        text = (found[1].strip() if found else self.output.strip())[:_MESSAGE_MAX]
        if self.exit.timed_out:
            return f"helm did not end in time and was killed; its last words: {text or 'none'}"
        return text or f"helm ended with {self.exit.returncode} and said nothing"

    @property
    def _told(self) -> str:
        return masked_text(_OWN_REFUSAL.sub("", self.exit.output), self.secrets)

    @property
    def created_record(self) -> bool:
        """Whether its release record was created. Helm does that first, so any created Secret tells it."""
        return any(written.method == "POST" and written.path.endswith("/secrets") for written in self.touched)

    @property
    def wrote_objects(self) -> bool:
        """Whether any object but the release records was written. One POST of a Secret made our own record."""
        objects = [written for written in self.touched if _RECORD_PATH not in written.path]
        made_secrets = [written for written in objects if written.path.endswith("/secrets")]
        return len(objects) > len(made_secrets[:1])


def failure_without_record(run: Run) -> Failure:
    """Helm ended and left no record: it applied nothing (rollback.go writes the record first)."""
    creation_refused = any(write.method == "POST" for write in run.refused_records)
    if creation_refused or run.exit.reason is FailureReason.EXTERNAL_CHANGE:
        return Failure(
            reason=FailureReason.EXTERNAL_CHANGE,
            message="someone else's Helm changed the release first; nothing was applied",
            applied=Applied.NOT_APPLIED,
            helm_output=run.output,
        )
    reason = FailureReason.OUTCOME_UNKNOWN if run.exit.returncode == 0 else run.exit.reason
    applied = Applied.UNKNOWN if run.exit.returncode == 0 else Applied.NOT_APPLIED
    return Failure(reason=reason, message=run.message, applied=applied, helm_output=run.output)


def failure_with_lost_record(run: Run) -> Failure:
    """Helm wrote a record, which is not there any more, or whose number is somebody else's by now."""
    message = f"the record that Helm wrote is not there any more, or its number is another's; helm said: {run.message}"
    return Failure(
        reason=FailureReason.OUTCOME_UNKNOWN, message=message, applied=Applied.UNKNOWN, helm_output=run.output
    )


def failure_of_uninstall(run: Run) -> Failure:
    """Helm ended, and its records are not as an uninstall leaves them."""
    applied = Applied.PARTLY if run.wrote_objects else Applied.NOT_APPLIED
    return Failure(reason=run.exit.reason, message=run.message, applied=applied, helm_output=run.output)


def failure_undone(run: Run) -> Failure:
    """An atomic install failed, and Helm has undone it."""
    return Failure(reason=run.exit.reason, message=run.message, applied=Applied.NOT_APPLIED, helm_output=run.output)


def failure_of_chart(own: Revision, run: Run) -> Failure:
    """An install or upgrade failed, or was ended, after it wrote its record."""
    reason = FailureReason.WAIT_TIMED_OUT if run.exit.timed_out else run.exit.reason
    return Failure(
        reason=reason,
        message=run.message,
        applied=_applied_by_chart(own, run, reason),
        helm_output=run.output,
    )


def _applied_by_chart(own: Revision, run: Run, reason: FailureReason) -> Applied:
    if own.status.is_pending:
        return Applied.UNKNOWN if run.wrote_objects else Applied.NOT_APPLIED
    if reason is FailureReason.WAIT_TIMED_OUT:
        return Applied.APPLIED
    if reason is FailureReason.HOOK_FAILED:
        return Applied.NOT_APPLIED if _PRE_HOOK.search(own.description) else Applied.APPLIED
    return Applied.PARTLY if run.wrote_objects else Applied.NOT_APPLIED


def failure_with_record(own: Revision, run: Run, *, base_superseded: bool) -> Failure:
    """Helm failed, or was ended, after it wrote its record."""
    reason = FailureReason.WAIT_TIMED_OUT if run.exit.timed_out else run.exit.reason
    return Failure(
        reason=reason,
        message=run.message,
        applied=_applied(own, run, reason, base_superseded=base_superseded),
        helm_output=run.output,
    )


def _applied(own: Revision, run: Run, reason: FailureReason, *, base_superseded: bool) -> Applied:
    if own.apply_completed:
        return Applied.APPLIED
    if own.status is Status.FAILED and not _was_set_failed(own):
        return Applied.PARTLY if run.wrote_objects else Applied.NOT_APPLIED
    if reason is FailureReason.HOOK_FAILED:
        # No hook that runs only after the apply had begun. None: one that runs before and after had.
        return Applied.NOT_APPLIED if own.apply_completed is False else Applied.UNKNOWN
    if base_superseded:
        return Applied.APPLIED  # superseding comes after apply, wait and hooks
    return Applied.UNKNOWN if run.wrote_objects else Applied.NOT_APPLIED


def _was_set_failed(own: Revision) -> bool:
    """Whether a worker of ours did it: a Helm that fails by itself writes its error over the stamp."""
    if own.description in NEVER_FINISHED:
        return True
    return bool(own.operation_id) and stamped_operation(own.description) == own.operation_id


def failure_reconstructed(own: Revision, helm: Helm) -> Failure:
    """The run was interrupted, and Helm's record says that it had failed."""
    if _was_set_failed(own):
        return Failure(
            reason=FailureReason.INTERRUPTED,
            message="Helm was interrupted; its record was set failed, and it was not started again",
            applied=Applied.APPLIED if own.apply_completed else Applied.UNKNOWN,
        )
    return Failure(
        reason=helm.reason_of(own.description),
        message=own.description[:_MESSAGE_MAX],
        applied=Applied.APPLIED if own.apply_completed else Applied.UNKNOWN,
    )

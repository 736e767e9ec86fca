"""Whose a record is that bears no operation's stamp.

Helm before 4.3 can not stamp its record, and any Helm writes its own text over the
stamp when a rollback fails. What an interrupted operation may have written is then
known by number, text, content and time, or not at all.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from helm_rollback.domain.operation import Operation, OperationType
from helm_rollback.domain.revision import Revision
from helm_rollback.domain.status import Status

CLOCK_TOLERANCE = timedelta(seconds=5)
"""By how much the clocks of ledger and Helm's host may differ. Further apart, nothing is concluded."""


def may_be_own(operation: Operation, after: Revision, *, stamped: bool) -> bool:
    """Whether the revision right after the base may be an interrupted operation's, though no stamp says so.

    `stamped`: this Helm stamps its records, so one that still bears another text is someone else's.
    """
    if after.status is Status.UNKNOWN:
        return True
    if after.rollback_target not in (0, operation.target_revision):  # older Helm drops the target when it rewrites
        return False
    if after.status.is_uninstalled:
        return True
    return after.operation_type is OperationType.ROLLBACK and (failure_told(after) or not stamped)


def is_what_it_writes(
    operation: Operation, after: Revision, target: Revision | None, *, helm_until: datetime | None
) -> bool:
    """Whether the revision right after the base is what the operation's Helm writes that can not stamp it.

    `helm_until`: until when the worker that had started it held the operation; the fence
    passed nothing later. Someone else's Helm that rolled back to the same revision in that
    time can not be told from ours, and did no harm: the release is what was asked for.
    """
    return (
        after.operation_type is OperationType.ROLLBACK
        and _text_fits(after, operation.target_revision)
        and _content_fits(after, target)
        and _time_fits(operation, after, helm_until)
    )


def failure_told(revision: Revision) -> bool:
    """Whether Helm wrote over the record's text why it failed."""
    return revision.description.startswith(('Rollback "', 'Release "', 'Upgrade "'))


def _text_fits(after: Revision, target: int) -> bool:
    if after.description == f"Rollback to {target}":
        return True
    if after.status is Status.FAILED and failure_told(after):
        return after.rollback_target in (0, target)
    return after.status.is_uninstalled and after.rollback_target == target


def _content_fits(after: Revision, target: Revision | None) -> bool:
    """A rollback's record is a copy of its target's."""
    if target is None or not target.manifest_digest:
        return False
    return (after.manifest_digest, after.values_digest) == (target.manifest_digest, target.values_digest)


def _time_fits(operation: Operation, after: Revision, helm_until: datetime | None) -> bool:
    made, begun = after.last_deployed, operation.start_time
    if made is None or begun is None or helm_until is None:
        return False
    return begun - CLOCK_TOLERANCE <= made <= helm_until + CLOCK_TOLERANCE

"""The choice of the last successful revision.

Eligible is a revision of this incarnation and life that worked, has other content
than a working current, was not rolled back from, and is not marked BAD. The newest
is chosen, unless one that is newer would be eligible but can not be proved to have
worked: then a person decides.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from helm_rollback.domain.errors import AlreadyRolledBack, CurrentIsSuccessful, NoSuccessfulRevision, SuccessUnproven
from helm_rollback.domain.operation import OperationType
from helm_rollback.domain.revision import Mark, Revision
from helm_rollback.domain.selection import SKIPPED_SHOWN, Evidence, Selection, SkippedRevision, SkipReason

_SKIPPED_IN_ERROR = 20
_LAST_WORDS_MAX = 200


def check_leaving_is_meant(current: Revision) -> None:
    """Raise CurrentIsSuccessful or AlreadyRolledBack where there is nothing to repair.

    Asked only where the caller did not name the revision that it wants to leave: a
    blind retry must never walk further back.
    """
    if not _works(current):
        return
    if current.operation_type is OperationType.ROLLBACK:
        raise AlreadyRolledBack(current.release_id, current.revision)
    raise CurrentIsSuccessful(current.release_id, current.revision)


def choose(revisions: Sequence[Revision], current: Revision) -> Selection:
    """The revision to return to from `current`, given all `revisions` of its incarnation, oldest first.

    Raises NoSuccessfulRevision, or SuccessUnproven naming the revision in doubt.
    """
    rules = _Rules.of(revisions, current)
    skipped: list[SkippedRevision] = []
    for candidate in reversed(revisions):
        obstacle = rules.obstacle(candidate)
        if obstacle is None:
            return Selection(
                revision=candidate.revision,
                success_evidence=_evidence(candidate),
                skipped=tuple(skipped[:SKIPPED_SHOWN]),
                skipped_count=len(skipped),
            )
        if obstacle[0] is SkipReason.UNPROVEN:
            raise SuccessUnproven(candidate.release_id, candidate.revision)
        skipped.append(_skipped(candidate, *obstacle))
    raise NoSuccessfulRevision(
        current.release_id,
        current.revision,
        ",".join(f"{entry.revision}:{entry.skip_reason}" for entry in skipped[:_SKIPPED_IN_ERROR]),
    )


def _skipped(revision: Revision, reason: SkipReason, explanation: str) -> SkippedRevision:
    return SkippedRevision(
        revision=revision.revision, status=revision.status, skip_reason=reason, explanation=explanation
    )


def _worked(revision: Revision) -> bool:
    return revision.successful or revision.mark is Mark.GOOD


def _works(current: Revision) -> bool:
    """Whether there is nothing to repair: current worked, and was not removed."""
    return _worked(current) and not current.status.is_uninstalled


def _evidence(revision: Revision) -> Evidence | None:
    return revision.success_evidence if revision.successful else Evidence.MARKED


@dataclass(frozen=True, slots=True)
class _Rules:
    current: Revision
    life_begin: int
    """The first revision of this life."""
    left_by: dict[int, int]
    """Each revision that was rolled back from, with one that did it."""

    @classmethod
    def of(cls, revisions: Sequence[Revision], current: Revision) -> _Rules:
        numbered = [revision for revision in revisions if revision.replaced_time is None]
        life_begin = _life_begin([revision for revision in numbered if revision.revision <= current.revision])
        return cls(current, life_begin, _rolled_back_from(numbered, _restored(numbered, life_begin)))

    def obstacle(self, candidate: Revision) -> tuple[SkipReason, str] | None:
        """Why `candidate` is not eligible; None where it is."""
        number, current = candidate.revision, self.current
        if candidate.replaced_time is not None:
            return SkipReason.REPLACED, f"Helm used the number {number} again"
        if number > current.revision:
            return SkipReason.REPLACED, "Helm no longer stores it, and its next revision takes the number"
        if number == current.revision and not current.status.is_uninstalled:
            return SkipReason.CURRENT, "the revision to leave"
        if number < self.life_begin:
            return SkipReason.BEFORE_BOUNDARY, f"the release was installed anew with revision {self.life_begin}"
        if not _worked(candidate) and not candidate.unproven:
            return SkipReason.NOT_SUCCESSFUL, f"it never worked: {_last_words(candidate)}"
        if number in self.left_by:
            return SkipReason.ROLLED_BACK_FROM, f"revision {self.left_by[number]} rolled it back"
        if _works(current) and candidate.same_content(current):
            return SkipReason.SAME_CONTENT, f"has the content of current, {current.revision}"
        if candidate.mark is Mark.BAD:
            return SkipReason.MARKED_BAD, "marked BAD"
        if not _worked(candidate):
            return SkipReason.UNPROVEN, "Helm's records do not tell whether it ever worked"
        return None


def _life_begin(revisions: Sequence[Revision]) -> int:
    """The newest revision at which `first_deployed` changed: an install over a release that had been removed."""
    begin, first_deployed = 0, None
    for revision in revisions:
        if revision.first_deployed is None:
            continue
        if first_deployed is not None and revision.first_deployed != first_deployed:
            begin = revision.revision
        first_deployed = revision.first_deployed
    return begin


def _restored(revisions: Sequence[Revision], life_begin: int) -> dict[int, int]:
    """Each revision that went back to an older one, with that one.

    That is a rollback, or an upgrade that worked and brought the content of a revision
    that had worked in this life: of several, the newest.
    """
    restored: dict[int, int] = {}
    newest_with: dict[tuple[str, ...], int] = {}
    for revision in revisions:
        number = revision.revision
        alike = max((newest_with.get(content, 0) for content in revision.contents), default=0)
        if revision.operation_type is OperationType.ROLLBACK:
            # A failed one of Helm < 4.3 does not tell its target. Itself as target: it left its base, no more is known.
            restored[number] = revision.rollback_target or alike or number
        elif revision.operation_type is OperationType.UPGRADE and _worked(revision) and alike:
            restored[number] = alike
        if number >= life_begin and _worked(revision):
            newest_with |= dict.fromkeys(revision.contents, number)
    return restored


def _rolled_back_from(revisions: Sequence[Revision], restored: Mapping[int, int]) -> dict[int, int]:
    """Each revision that was rolled back from, with one that did it.

    A rollback leaves the revision before it, which is always what Helm had as current.
    One whose apply completed leaves everything between its target and itself.
    """
    left_by: dict[int, int] = {}
    reach, by = sys.maxsize, 0  # how far back the completed ones newer than the revision in hand went
    for revision in reversed(revisions):
        number = revision.revision
        if number > reach:
            left_by[number] = by
        if restored.get(number + 1, number) != number:
            left_by[number] = number + 1
        if number in restored and (_worked(revision) or revision.apply_completed):
            reach, by = min((reach, by), (restored[number], number))
    return left_by


def _last_words(revision: Revision) -> str:
    """The first line of its description, or its status where it has none."""
    return (revision.description.splitlines() or [revision.status])[0][:_LAST_WORDS_MAX]

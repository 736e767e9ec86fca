"""Histories and what is chosen in each: the table beside `helm_rollback/domain/last_successful.py`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from support.revisions import content, deployed, failed, failed_rollback, rolled_back, superseded, unproven, worked
from support.samples import NOON

from helm_rollback.domain.revision import Mark, Revision
from helm_rollback.domain.status import Status

ANEW = NOON + timedelta(days=1)
"""`first_deployed` of a second life."""


@dataclass(frozen=True)
class Case:
    """A history, oldest first, whose last revision is current unless `current` says otherwise."""

    name: str
    history: list[Revision]
    chosen: int = 0
    """0: nothing is eligible."""
    skipped: str = ""
    """As in the error's metadata: what was passed over, newest first."""
    current: int = 0


CASES = [
    Case("a failed upgrade is left for the one before", [worked(1), deployed(2), failed(3)], 2, "3:CURRENT"),
    Case(
        "several failed upgrades are passed over",
        [worked(1), deployed(2), failed(3), failed(4), failed(5)],
        2,
        "5:CURRENT,4:NOT_SUCCESSFUL,3:NOT_SUCCESSFUL",
    ),
    Case(
        "a failed upgrade that a failing rollback turned superseded is still failed",
        [deployed(1), superseded(failed(2)), failed_rollback(3, to=1, applied=False)],
        1,
        "3:CURRENT,2:NOT_SUCCESSFUL",
    ),
    Case(
        "an upgrade that died is passed over",
        [worked(1), failed(2, status=Status.PENDING_UPGRADE), failed(3)],
        1,
        "3:CURRENT,2:NOT_SUCCESSFUL",
    ),
    Case("a successful current is left for the one before", [worked(1), worked(2), deployed(3)], 2, "3:CURRENT"),
    Case(
        "a successful current is not left for its own content",
        [worked(1), worked(2), worked(3, like=4), deployed(4)],
        2,
        "4:CURRENT,3:SAME_CONTENT",
    ),
    Case(
        "a failed current is left for its own content, which worked before",
        [worked(1), deployed(2, like=3), failed(3)],
        2,
        "3:CURRENT",
    ),
    Case(
        "after a rollback the revision that it left is not returned to",
        [worked(1), worked(2), rolled_back(3, to=1)],
        0,
        "3:CURRENT,2:ROLLED_BACK_FROM,1:SAME_CONTENT",
    ),
    Case(
        "after a rollback and a failed upgrade the rollback itself is returned to",
        [worked(1), worked(2), rolled_back(3, to=1), failed(4)],
        3,
        "4:CURRENT",
    ),
    Case(
        "after a rollback over several revisions none between is returned to",
        [worked(1), worked(2), worked(3), worked(4), rolled_back(5, to=1, mark=Mark.BAD), failed(6)],
        1,
        "6:CURRENT,5:MARKED_BAD,4:ROLLED_BACK_FROM,3:ROLLED_BACK_FROM,2:ROLLED_BACK_FROM",
    ),
    Case(
        "a revision made after a rollback is returned to",
        [worked(1), worked(2), superseded(rolled_back(3, to=1)), deployed(4), failed(5)],
        4,
        "5:CURRENT",
    ),
    Case(
        "a rollback that failed while applying excludes only the revision that it left",
        [worked(1), worked(2), worked(3), failed_rollback(4, to=1, applied=False)],
        2,
        "4:CURRENT,3:ROLLED_BACK_FROM",
    ),
    Case(
        "a rollback of an old Helm that failed, and does not tell its target, excludes the revision that it left",
        [worked(1), worked(2), worked(3), failed_rollback(4, to=0, applied=False)],
        2,
        "4:CURRENT,3:ROLLED_BACK_FROM",
    ),
    Case(
        "such a rollback whose wait alone failed is known by its content",
        [worked(1), worked(2), worked(3), failed_rollback(4, to=0, applied=True, **content(1))],
        1,
        "4:CURRENT,3:ROLLED_BACK_FROM,2:ROLLED_BACK_FROM",
    ),
    Case(
        "such a rollback to what is not known excludes only the revision that it left",
        [worked(1), worked(2), worked(3), failed_rollback(4, to=0, applied=True, **content("pruned"))],
        2,
        "4:CURRENT,3:ROLLED_BACK_FROM",
    ),
    Case(
        "a killed rollback excludes only the revision that it left",
        [worked(1), worked(2), worked(3), failed_rollback(4, 1, applied=False, status=Status.PENDING_ROLLBACK)],
        2,
        "4:CURRENT,3:ROLLED_BACK_FROM",
    ),
    Case(
        "a rollback whose wait alone failed excludes all that lies between",
        [worked(1), worked(2), worked(3), failed_rollback(4, to=1, applied=True)],
        1,
        "4:CURRENT,3:ROLLED_BACK_FROM,2:ROLLED_BACK_FROM",
    ),
    Case(
        "a rollback to current itself excludes nothing",
        [worked(1), worked(2), superseded(rolled_back(3, to=2)), failed(4), failed(5)],
        3,
        "5:CURRENT,4:NOT_SUCCESSFUL",
    ),
    Case(
        "a rollback after pruning left the number before it, not the newest that is known",
        [worked(2), rolled_back(8, to=5, mark=Mark.BAD), failed(9)],
        2,
        "9:CURRENT,8:MARKED_BAD",
    ),
    Case(
        "an upgrade that brought old content back counts as a rollback to it",
        [worked(1), worked(2), worked(3), deployed(4, like=1, mark=Mark.BAD), failed(5)],
        1,
        "5:CURRENT,4:MARKED_BAD,3:ROLLED_BACK_FROM,2:ROLLED_BACK_FROM",
    ),
    Case(
        "of several revisions with the old content, an upgrade went back to the newest",
        [worked(1), worked(2), worked(3, like=1), worked(4), deployed(5, like=1, mark=Mark.BAD), failed(6)],
        3,
        "6:CURRENT,5:MARKED_BAD,4:ROLLED_BACK_FROM",
    ),
    Case(
        "an upgrade that failed with old content is no rollback",
        [worked(1), worked(2), failed(3, like=1)],
        2,
        "3:CURRENT",
    ),
    Case(
        "content that had never worked is not brought back",
        [failed(1), worked(2), deployed(3, like=1, mark=Mark.BAD), failed(4)],
        2,
        "4:CURRENT,3:MARKED_BAD",
    ),
    Case(
        "an upgrade that changed nothing is no way back",
        [worked(1), worked(2, like=1), failed(3), deployed(4, like=1, mark=Mark.BAD), failed(5)],
        2,
        "5:CURRENT,4:MARKED_BAD,3:NOT_SUCCESSFUL",
    ),
    Case("nothing is eligible where nothing ever worked", [failed(1), failed(2)], 0, "2:CURRENT,1:NOT_SUCCESSFUL"),
    Case("nothing is eligible in a first revision", [failed(1)], 0, "1:CURRENT"),
    Case("what was uninstalled is itself returned to", [worked(1), worked(2, status=Status.UNINSTALLED)], 2),
    Case("what is being uninstalled is itself returned to", [worked(1), worked(2, status=Status.UNINSTALLING)], 2),
    Case(
        "what was uninstalled after it failed is left for the one before",
        [worked(1), failed(2, status=Status.UNINSTALLED)],
        1,
        "2:NOT_SUCCESSFUL",
    ),
    Case(
        "an uninstalled release goes back to equal content too",
        [worked(1, like=2), worked(2, status=Status.UNINSTALLED, mark=Mark.BAD)],
        1,
        "2:MARKED_BAD",
    ),
    Case(
        "a life boundary is not crossed",
        [worked(1), worked(2), failed(3, first_deployed=ANEW), failed(4, first_deployed=ANEW)],
        0,
        "4:CURRENT,3:NOT_SUCCESSFUL,2:BEFORE_BOUNDARY,1:BEFORE_BOUNDARY",
    ),
    Case(
        "the first revision of a life has nothing before it",
        [worked(1), worked(2), failed(3, first_deployed=ANEW)],
        0,
        "3:CURRENT,2:BEFORE_BOUNDARY,1:BEFORE_BOUNDARY",
    ),
    Case(
        "old content of an earlier life does not make an upgrade a rollback",
        [
            worked(1),
            worked(2, first_deployed=ANEW),
            worked(3, first_deployed=ANEW),
            deployed(4, like=1, first_deployed=ANEW, mark=Mark.BAD),
            failed(5, first_deployed=ANEW),
        ],
        3,
        "5:CURRENT,4:MARKED_BAD",
    ),
    Case("an unreadable revision is no life boundary", [worked(1), failed(2, first_deployed=None), failed(3)], 1),
    Case(
        "a revision marked BAD is passed over",
        [worked(1), deployed(2, mark=Mark.BAD), failed(3)],
        1,
        "3:CURRENT,2:MARKED_BAD",
    ),
    Case("a failed revision marked GOOD counts as successful", [worked(1), failed(2, mark=Mark.GOOD), failed(3)], 2),
    Case(
        "an unproven revision marked GOOD counts as successful", [worked(1), unproven(2, mark=Mark.GOOD), failed(3)], 2
    ),
    Case(
        "a failed current marked GOOD is not left for its own content",
        [worked(1), worked(2, like=3), failed(3, mark=Mark.GOOD)],
        1,
        "3:CURRENT,2:SAME_CONTENT",
    ),
    Case(
        "an unproven revision that was rolled back from is in nobody's way",
        [worked(1), unproven(2), rolled_back(3, to=1, mark=Mark.BAD), failed(4)],
        1,
        "4:CURRENT,3:MARKED_BAD,2:ROLLED_BACK_FROM",
    ),
    Case("an unproven revision older than the choice is in nobody's way", [unproven(1), worked(2), failed(3)], 2),
    Case(
        "a replaced revision is no target, its replacement is one",
        [worked(1), worked(2, like="lost", replaced_time=NOON), deployed(2), failed(3)],
        2,
    ),
    Case(
        "a replaced revision is passed over",
        [worked(1), worked(2, like="lost", replaced_time=NOON), failed(2), failed(3)],
        1,
        "3:CURRENT,2:NOT_SUCCESSFUL,2:REPLACED",
    ),
    Case(
        "a revision whose record was deleted by hand is not newer than current",
        [worked(1), failed(2), worked(3, stored_by_helm=False, first_deployed=ANEW)],
        1,
        "3:REPLACED,2:CURRENT",
        current=2,
    ),
]

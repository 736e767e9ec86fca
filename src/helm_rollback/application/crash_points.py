"""Where a test can make the service die or stand still, exactly.

Off unless the environment says otherwise (`bootstrap.py`); then the process ends
itself there, as a power cut would.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum


class CrashPoint(StrEnum):
    """A moment in the life of an operation."""

    ACCEPT_BEFORE_COMMIT = "accept-before-commit"
    ACCEPT_AFTER_COMMIT = "accept-after-commit"
    """Durable, not answered, and nobody was woken."""
    CLAIMED = "claimed"
    PUT_BACK = "put-back"
    """A record that Helm no longer stored is there again."""
    BEGUN = "begun"
    """The attempt is counted, Helm not started."""
    HELM_STARTED = "helm-started"
    RECORD_CREATED = "record-created"
    """Helm's own record is in the cluster, nothing applied."""
    HELM_ENDED = "helm-ended"
    """Helm is done, its records not read."""
    SET_FAILED = "set-failed"
    """Our pending record is set failed, the operation not ended."""
    DEAD_RECORD_REMOVED = "dead-record-removed"
    """In the cluster; the ledger does not know."""
    LEFTOVERS_REMOVED = "leftovers-removed"
    END_BEFORE_COMMIT = "end-before-commit"
    END_AFTER_COMMIT = "end-after-commit"
    OBSERVED_BEFORE_COMMIT = "observed-before-commit"
    OBSERVED_AFTER_COMMIT = "observed-after-commit"


Reached = Callable[[CrashPoint], None]


def go_on(point: CrashPoint) -> None:
    """What happens at a crash point as a rule: nothing."""

"""Where a test can make the service die or stand still, exactly.

Off unless the environment says otherwise (`bootstrap.py`); then the process ends
itself there, as a power cut would.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from enum import StrEnum
from itertools import count
from typing import Final


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


CRASH_AT: Final = "HELM_ROLLBACK_CRASH_AT"
"""The environment variable that says where, see `crash_at`."""

_SIGNALS: Final = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


def crash_at(wish: str) -> Reached:
    """Die, or stand still, as `POINT[:kill|stop[:N]]` says: where the process comes there for the N-th time.

    Its last words, on stderr, are the wish. Raises ValueError for one that makes no sense.
    """
    where, _, rest = wish.partition(":")
    how, _, nth = rest.partition(":")
    wanted, number = CrashPoint(where), int(nth or 1)
    if how not in ("", *_SIGNALS):
        raise ValueError(f"{how} is none of {', '.join(_SIGNALS)}")
    last_words = f"crash point {wish}\n".encode()
    times = count(1)

    def reached(point: CrashPoint) -> None:
        if point is wanted and next(times) == number:
            os.write(2, last_words)
            os.kill(os.getpid(), _SIGNALS[how or "kill"])

    return reached

"""How a run of a fake Helm ends, and where it can be held on its way."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal

from support.waiting import PATIENCE

from helm_rollback.domain.release import ReleaseId


class Point(Enum):
    """Where a run can be held."""

    BEFORE_CREATE = auto()
    AFTER_CREATE = auto()
    BEFORE_SUPERSEDE = auto()
    AFTER_SUPERSEDE = auto()
    AFTER_END = auto()
    """Its record is final; the process has not ended."""


class RunEnd(Enum):
    """How a run ends where nothing refuses it."""

    SUCCESS = auto()
    REFUSED_AT_ONCE = auto()
    """Before its record: nothing is written."""
    APPLY_FAILS = auto()
    WAIT_FAILS = auto()
    PRE_HOOK_FAILS = auto()
    POST_HOOK_FAILS = auto()
    KILLED_AT_CREATE = auto()
    KILLED_AFTER_SUPERSEDE = auto()


IMMUTABLE = (
    'server-side apply failed for object {namespace}/{release} /v1, Kind=ConfigMap: ConfigMap "{release}" is invalid: '
    "data: Forbidden: field is immutable when `immutable` is set"
)
NOT_READY = (
    "resource Deployment/{namespace}/{release} not ready. status: InProgress, message: Available: 0/1\n"
    "context deadline exceeded"
)
HOOK_FAILED = "resource Job/{namespace}/{release}-job not ready. status: Failed, message: Job Failed. failed: 1/1"
_TEXTS = {
    RunEnd.REFUSED_AT_ONCE: "unable to load the revision",
    RunEnd.APPLY_FAILS: IMMUTABLE,
    RunEnd.WAIT_FAILS: NOT_READY,
    RunEnd.PRE_HOOK_FAILS: HOOK_FAILED,
    RunEnd.POST_HOOK_FAILS: HOOK_FAILED,
}


@dataclass(frozen=True, kw_only=True)
class HelmRun:
    """The script of one run."""

    end: RunEnd = RunEnd.SUCCESS
    text: str = ""
    """The cause that Helm prints; empty: that of a real run that ended so."""
    applied: bool = False
    """Whether it wrote an object before the apply failed."""

    def cause(self, release_id: ReleaseId) -> str:
        """What went wrong, in Helm's words."""
        return self.text or _TEXTS[self.end].format(namespace=release_id.namespace, release=release_id.name)


class Reached(asyncio.Event):
    """That a run stands at its point. Whoever waits for it in vain is told so."""

    async def wait(self) -> Literal[True]:
        try:
            return await asyncio.wait_for(super().wait(), PATIENCE)
        except TimeoutError:
            raise AssertionError(f"no run of Helm got to the point where it is held, within {PATIENCE:.0f} s") from None


class Hold:
    """Keeps a run at a point until it is let go."""

    def __init__(self) -> None:
        self.reached = Reached()
        self._released = asyncio.Event()

    def release(self) -> None:
        self._released.set()

    async def keep(self) -> None:
        self.reached.set()
        await self._released.wait()


class HelmFailed(Exception):
    """Helm ends with exit code 1 and this text."""


class HelmKilled(Exception):
    """Helm is killed here."""

"""What must go on for the service to come to a crash point that it does not come to by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from fault.wish import Does, Wish

from helm_rollback.application.crash_points import CrashPoint


class Kind(StrEnum):
    """What a release has been through before the round."""

    GOOD = "good"
    """Three good revisions, each with an object of its own."""
    BROKEN = "broken"
    """The newest failed while it was applied, so that there is something to put back, and something left over."""
    HOOKED = "hooked"
    """Good, and a rollback to its first revision runs a hook."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A rollback to the first revision of such a release."""

    kind: Kind = Kind.GOOD
    pruned: bool = False
    """Whether Helm stores the target no longer."""
    remove_leftovers: bool = False
    before: tuple[CrashPoint, ...] = ()
    """Where another process must have died for this one to come to the point."""

    def wish(self, any_wish: Wish, releases: Mapping[str, Kind]) -> Wish:
        """The wish that leads there."""
        release = next(name for name, kind in releases.items() if kind is self.kind)
        return replace(any_wish, release=release, does=Does.ROLLBACK, target=1, remove_leftovers=self.remove_leftovers)


SCENES: Final = {
    CrashPoint.PUT_BACK: Scene(pruned=True),
    CrashPoint.SET_FAILED: Scene(kind=Kind.HOOKED, before=(CrashPoint.RECORD_CREATED,)),
    CrashPoint.DEAD_RECORD_REMOVED: Scene(before=(CrashPoint.RECORD_CREATED,)),
    CrashPoint.LEFTOVERS_REMOVED: Scene(kind=Kind.BROKEN, remove_leftovers=True),
}

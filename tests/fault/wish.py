"""What a client asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from uuid import UUID


class Does(StrEnum):
    """What it is to do to a release."""

    ROLLBACK = "ROLLBACK"
    INSTALL = "INSTALL"
    UPGRADE = "UPGRADE"
    UNINSTALL = "UNINSTALL"


_DRAWN = [Does.ROLLBACK] * 10 + [Does.UPGRADE] * 4 + [Does.INSTALL] * 3 + [Does.UNINSTALL] * 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A request, with one request id until it is answered."""

    request_id: str
    release: str
    does: Does = Does.ROLLBACK
    target: int = 0
    """Of a rollback; 0: the last successful one."""
    waits: bool = True
    """Whether the call stays until the operation has ended."""
    remove_leftovers: bool = False
    broken: bool = False
    """Whether the chart of an install or upgrade has what the API server refuses."""
    atomic: bool = False
    purge: bool = False


def draw_wish(random: Random, releases: Sequence[str]) -> Wish:
    """Half of them rollbacks. What is there can not be installed: such an install is refused, and that is checked."""
    does = random.choice(_DRAWN)
    return Wish(
        request_id=str(UUID(int=random.getrandbits(128), version=4)),
        release=random.choice(releases),
        does=does,
        target=random.choice([0, 1, 1, 2, 2, 3]),
        waits=random.random() < 0.7,
        remove_leftovers=random.random() < 0.2,
        broken=random.random() < 0.3,
        atomic=random.random() < 0.5,
        purge=random.random() < 0.5,
    )

"""What a round is made of, drawn from its seed and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from random import Random
from uuid import UUID


class Engine(StrEnum):
    """What the ledger lives in, and with it how many processes serve it."""

    SQLITE = "sqlite"
    """One process."""
    POSTGRESQL = "postgresql"
    """Three replicas."""


class Fault(StrEnum):
    """What goes wrong in a round."""

    KILL = "kill"
    """kill -9 at a random moment."""


class Kind(StrEnum):
    """What a release has been through before the round."""

    GOOD = "good"
    """Three good revisions; the newest has an object more, the oldest lacks one."""
    BROKEN = "broken"
    """The newest failed while it was applied, so that there is something to put back."""
    HOOKED = "hooked"
    """Good, and a rollback to its first revision runs a hook."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A rollback that a client asks for, with one request id until it is answered."""

    request_id: str
    release: str
    target: int
    """0: the last successful one."""
    waits: bool
    """Whether the call stays until the operation has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandWork:
    """A run of bare Helm beside the service."""

    release: str
    after: float
    """Seconds from the first call."""
    target: int
    """Of a rollback; 0: an upgrade."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One round."""

    seed: int
    engine: Engine
    releases: dict[str, Kind]
    clients: tuple[tuple[Wish, ...], ...]
    by_hand: tuple[HandWork, ...]
    followed: tuple[tuple[str, int], ...]
    """Streams: a release, and after how many events the client breaks off and resumes."""
    fault: Fault
    fault_after: float
    """Seconds from the moment an operation is under way."""


REVISIONS = 3
"""Of each release before the round."""


def draw(seed: int, engine: Engine) -> Plan:
    """The round with that seed."""
    random = Random(f"{engine}/{seed}")  # noqa: S311 - to be the same again is its purpose
    kinds = list(Kind)
    random.shuffle(kinds)
    releases = {f"r{number}": kind for number, kind in enumerate(kinds)}
    return Plan(
        seed=seed,
        engine=engine,
        releases=releases,
        clients=tuple(_wishes(random, releases) for _ in range(3)),
        by_hand=_by_hand(random, releases),
        followed=tuple((name, random.randint(2, 12)) for name in releases),
        fault=random.choice(list(Fault)),
        fault_after=random.uniform(0.0, 0.15),
    )


def _wishes(random: Random, releases: dict[str, Kind]) -> tuple[Wish, ...]:
    return tuple(_wish(random, releases) for _ in range(3))


def _wish(random: Random, releases: dict[str, Kind]) -> Wish:
    return Wish(
        request_id=str(UUID(int=random.getrandbits(128), version=4)),
        release=random.choice(list(releases)),
        target=random.choice([0, 1, 1, 2, 2, 3]),
        waits=random.random() < 0.7,
    )


def _by_hand(random: Random, releases: dict[str, Kind]) -> tuple[HandWork, ...]:
    """In half of the rounds nobody else is there."""
    if random.random() < 0.5:
        return ()
    work = HandWork(
        release=random.choice(list(releases)), after=random.uniform(0.0, 1.0), target=random.choice([0, 0, 1, 2])
    )
    return (work,)

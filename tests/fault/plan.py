"""What a round is made of, drawn from its seed and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random

from fault.scenes import SCENES, Kind
from fault.wish import Wish, draw_wish

from helm_rollback.application.crash_points import CrashPoint


class Engine(StrEnum):
    """What the ledger lives in, and with it how many processes serve it."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"

    @property
    def replicas(self) -> int:
        return 1 if self is Engine.SQLITE else 3


class Fault(StrEnum):
    """What goes wrong in a round."""

    KILL = "kill"
    """kill -9 at a random moment."""
    CRASH = "crash"
    """The service ends itself, at a crash point."""
    HALT = "halt"
    """The service stops itself at a crash point, as SIGSTOP does, and goes on after its lease."""
    PAUSE = "pause"
    """SIGSTOP for longer than a lease, then SIGCONT."""
    CUT = "cut"
    """Connections to the API server are reset, perhaps in the middle of an answer."""
    REFUSE = "refuse"
    """Nobody listens where the API server was."""
    DELAY = "delay"
    """The API server's answers come late."""
    STALL = "stall"
    """Nothing passes to and from the API server."""
    DATABASE_CRASH = "database-crash"
    """PostgreSQL ends as in a crash, and is started again."""
    DATABASE_PAUSE = "database-pause"
    """PostgreSQL hangs."""
    ISOLATE = "isolate"
    """A replica goes on running, cut off from API server and database, for longer than a lease."""


HALTS = (
    CrashPoint.CLAIMED,
    CrashPoint.BEGUN,
    CrashPoint.RECORD_CREATED,
    CrashPoint.HELM_ENDED,
    CrashPoint.END_BEFORE_COMMIT,
    CrashPoint.OBSERVED_BEFORE_COMMIT,
)
"""Where standing still might do most harm: something was decided, and is not done."""
OF_THE_NETWORK = {Fault.CUT, Fault.REFUSE, Fault.DELAY, Fault.STALL}
OF_POSTGRESQL = {Fault.DATABASE_CRASH, Fault.DATABASE_PAUSE, Fault.ISOLATE}


_LASTS = {Fault.PAUSE: (1.5, 3.0), Fault.HALT: (1.5, 3.0), Fault.ISOLATE: (2.5, 4.0)}


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
    releases: Mapping[str, Kind]
    pruned: tuple[str, ...] = ()
    """Releases whose first revision Helm stores no longer."""
    clients: tuple[tuple[Wish, ...], ...]
    by_hand: tuple[HandWork, ...] = ()
    followed: tuple[tuple[str, int], ...]
    """Streams: a release, and after how many events the client breaks off and resumes."""
    fault: Fault
    victims: tuple[int, ...] = (0,)
    """The replicas that it hits; for a crash point, those that would die there."""
    crashes: tuple[CrashPoint, ...] = ()
    """Where the service dies; a second one is that of whoever takes over."""
    nth: int = 1
    """At which time that it comes to the first of them."""
    after: float = 0.0
    """Seconds from the moment that an operation is under way to the fault."""
    lasts: float = 0.0
    """Seconds."""
    bytes_first: int = 0
    """How much of the API server's answers still passes before a cut."""

    staggered: bool = False
    """Whether one replica runs alone until it is hit, and the others are started then: so it is surely hit."""

    @property
    def name(self) -> str:
        """What is counted."""
        return f"{self.fault} at {self.crashes[-1]}" if self.crashes else str(self.fault)

    @property
    def first_point(self) -> str:
        """What the victims are told at their start, see `crash_points.crash_at`; empty for nothing."""
        if not self.crashes:
            return ""
        return f"{self.crashes[0]}:{'stop' if self.fault is Fault.HALT else 'kill'}:{self.nth}"


@dataclass
class _Draw:
    """The dice of one round."""

    random: Random
    releases: dict[str, Kind] = field(default_factory=dict)

    def wish(self) -> Wish:
        return draw_wish(self.random, list(self.releases))

    def by_hand(self) -> tuple[HandWork, ...]:
        """In half of the rounds nobody else is there."""
        if self.random.random() < 0.5:
            return ()
        release = self.random.choice(list(self.releases))
        after, target = self.random.uniform(0.0, 1.0), self.random.choice([0, 0, 1, 2])
        return (HandWork(release=release, after=after, target=target),)


def schedule(engine: Engine) -> list[tuple[Fault, CrashPoint | None]]:
    """Every fault and every crash point, so that so many rounds on end have met each of them."""
    others = [Fault.KILL] * 5 + [Fault.PAUSE] * 3 + sorted(OF_THE_NETWORK)
    if engine is Engine.POSTGRESQL:
        others += sorted(OF_POSTGRESQL)
    return [
        *((Fault.CRASH, point) for point in CrashPoint),
        *((Fault.HALT, point) for point in HALTS),
        *((fault, None) for fault in others),
    ]


def draw(seed: int, engine: Engine) -> Plan:
    """The round with that seed."""
    faults = schedule(engine)
    fault, point = faults[seed % len(faults)]
    dice = _Draw(Random(f"{engine}/{seed}"))  # noqa: S311 - to be the same again is its purpose
    random = dice.random
    kinds = random.sample(list(Kind), len(Kind))
    dice.releases |= {f"r{number}": kind for number, kind in enumerate(kinds)}
    clients = [tuple(dice.wish() for _ in range(3)) for _ in range(3)]
    scene = SCENES.get(point) if point else None
    if scene is not None:  # the first client asks for what comes to that point
        provoking = scene.wish(clients[0][0], dice.releases)
        clients = [(provoking, *clients[0][1:]), *(clients[1:] if not scene.before else [])]
    pruned = (clients[0][0].release,) if scene is not None and scene.pruned else ()
    return Plan(
        seed=seed,
        engine=engine,
        releases=dice.releases,
        pruned=pruned,
        clients=tuple(clients),
        by_hand=() if scene is not None and scene.before else dice.by_hand(),
        followed=tuple((name, random.randint(2, 12)) for name in dice.releases),
        fault=fault,
        victims=_victims(random, engine, fault),
        crashes=(*(scene.before if scene is not None else ()), point) if point else (),
        staggered=engine.replicas > 1 and (fault is Fault.HALT or (scene is not None and bool(scene.before))),
        nth=random.randint(1, 2) if engine is Engine.SQLITE and fault is Fault.CRASH and scene is None else 1,
        after=random.uniform(0.0, 0.15),
        lasts=random.uniform(*_LASTS.get(fault, (0.3, 2.0))),
        bytes_first=random.choice([0, 0, random.randint(1, 60_000)]),
    )


def _victims(random: Random, engine: Engine, fault: Fault) -> tuple[int, ...]:
    """One of them; but who comes to a crash point is not known before."""
    if fault in (Fault.CRASH, Fault.HALT):
        return tuple(range(engine.replicas))
    return (random.randrange(engine.replicas),)

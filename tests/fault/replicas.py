"""The processes that serve a round, and who starts them again when they die."""

from __future__ import annotations

import os
import random
import re
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from subprocess import TimeoutExpired
from threading import Event, RLock

from fault.plan import Plan
from support.process import ServiceProcess

from helm_rollback.application.crash_points import CRASH_AT

LEASE_SECONDS = 1.0
_DRAIN_SECONDS = 15.0
_LOOK_SECONDS = 0.02
_LAST_WORDS = re.compile(r"^crash point ([a-z-]+)", re.MULTILINE)

MakeProcess = Callable[[int, Mapping[str, str]], ServiceProcess]
"""Makes a replica with its number and its environment; it is not started yet."""


class NobodyServes(LookupError):
    """All replicas are down: ask again."""


@dataclass(frozen=True, slots=True)
class Death:
    """A process that ended before it was asked to."""

    moment: datetime
    replica: int
    point: str
    """The crash point; empty where it was killed."""


class Replicas:
    """The processes of one round. Addresses are asked for anew with each call: a restart changes them."""

    def __init__(self, plan: Plan, make: MakeProcess) -> None:
        self.deaths: list[Death] = []
        self._plan = plan
        self._make = make
        self._processes: dict[int, ServiceProcess] = {}
        self._serving: dict[int, str] = {}
        self._closing = Event()
        self._lock = RLock()

    def start(self) -> None:
        """All of them, until each is ready; or the first one only, where the others are to wait for its death."""
        for number in range(1 if self._plan.staggered else self._plan.engine.replicas):
            self._launch(number, self._plan.first_point if number in self._plan.victims else "")
        for number in list(self._processes):
            self._until_ready(number)

    def supervise(self) -> None:
        """Start again what has died, until the end of the round."""
        while not self._closing.wait(_LOOK_SECONDS):
            for number, process in list(self._processes.items()):
                if process.has_ended:
                    self._bury(number, process)
                    self._revive()

    def address(self) -> str:
        """Where some replica serves. Raises LookupError where none does."""
        with self._lock:
            if not self._serving:
                raise NobodyServes
            return random.choice(list(self._serving.values()))  # noqa: S311 - whichever

    def signal(self, number: int, what: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        with self._lock:
            if number in self._processes and not self._processes[number].has_ended:
                os.kill(self._processes[number].pid, what)

    def halted(self) -> list[int]:
        """Who stands still at a crash point, or did."""
        with self._lock:
            return [number for number, process in self._processes.items() if _LAST_WORDS.search(process.stderr)]

    def stop(self) -> list[str]:
        """Ask them to end, as a supervisor does; what went wrong with that."""
        self._closing.set()
        for number in list(self._processes):
            self._until_ready(number)  # one that is being started does not drain
        with self._lock:
            for process in self._processes.values():
                process.ask_to_end()
            ends = {number: _end_of(process) for number, process in self._processes.items()}
        return [f"replica {number}: {end}" for number, end in ends.items() if end]

    def kill(self) -> None:
        """Whatever is still there."""
        self._closing.set()
        with self._lock:
            for process in self._processes.values():
                process.kill()

    @property
    def log(self) -> str:
        return "".join(process.stderr for _, process in sorted(self._processes.items()))

    def _bury(self, number: int, process: ServiceProcess) -> None:
        with self._lock:
            self._serving.pop(number, None)
            process.wait()
            del self._processes[number]
        points = _LAST_WORDS.findall(process.stderr)  # of all its starts
        known = [death for death in self.deaths if death.replica == number and death.point]
        self.deaths.append(Death(datetime.now(UTC), number, points[-1] if len(points) > len(known) else ""))

    def _revive(self) -> None:
        """Start who takes over from the dead."""
        if len(self.deaths) == 1 and (self._plan.staggered or len(self._plan.crashes) > 1):
            self.start_heirs()
            return
        if self._plan.engine.replicas > 1:
            self._closing.wait(self._plan.lasts)
        self._start([each for each in range(self._plan.engine.replicas) if each not in self._processes], "")

    def start_heirs(self) -> None:
        """Start those who were held back, if any. They are to die at the second point, if there is one."""
        point = f"{self._plan.crashes[1]}:kill" if len(self._plan.crashes) > 1 else ""
        self._start(range(1, self._plan.engine.replicas) if self._plan.staggered else [0], point)

    def _start(self, numbers: Iterable[int], point: str) -> None:
        for number in numbers:
            self._launch(number, point)
        for number in numbers:
            self._until_ready(number)

    def _launch(self, number: int, point: str) -> None:
        process = self._make(number, {CRASH_AT: point} if point else {})
        with self._lock:
            if not self._closing.is_set():
                self._processes[number] = process
                process.launch()

    def _until_ready(self, number: int) -> None:
        """It may die before it is ready: then `supervise` sees to it."""
        process = self._processes.get(number)
        deadline = time.monotonic() + _DRAIN_SECONDS
        while process is not None and time.monotonic() < deadline and not process.has_ended:
            if process.is_ready:
                with self._lock:
                    self._serving[number] = process.address
                return
            time.sleep(_LOOK_SECONDS)


def _end_of(process: ServiceProcess) -> str:
    """What was wrong with how it ended; empty where nothing was."""
    try:
        code = process.wait(_DRAIN_SECONDS)
    except TimeoutExpired:
        return f"still there {_DRAIN_SECONDS:.0f} s after SIGTERM"
    crashed = code == -signal.SIGKILL and _LAST_WORDS.search(process.stderr)
    return f"exit code {code}" if code and not crashed else ""

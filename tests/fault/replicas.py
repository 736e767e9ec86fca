"""The processes that serve a round, and the ledger that they serve."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from subprocess import TimeoutExpired
from threading import Lock

from fault.ledger_reader import Query, query_sqlite
from support.process import ServiceProcess

LEASE_SECONDS = 1.0
_DRAIN_SECONDS = 15.0


class NobodyServes(LookupError):
    """All replicas are down: ask again."""


class Replicas:
    """One process on SQLite. Addresses are asked for anew with each call: a restart changes them."""

    def __init__(
        self, folder: Path, kubeconfig: Path, helm: Path, *, environment: Mapping[str, str] | None = None
    ) -> None:
        """Nothing is started yet. `environment` is of the first start only."""
        self._folder = folder
        self._flags = ("--lease", f"{LEASE_SECONDS:g}s")
        self.processes = [self._process(0, kubeconfig, helm, dict(environment or {}))]
        self._serving: dict[int, str] = {}
        self._lock = Lock()

    @property
    def query(self) -> Query:
        return query_sqlite(self._folder / "0" / "ledger.db")

    def start(self) -> None:
        """All of them, until each is ready."""
        for number in range(len(self.processes)):
            self.start_one(number)

    def start_one(self, number: int) -> None:
        process = self.processes[number]
        process.start()
        with self._lock:
            self._serving[number] = process.address

    def address(self) -> str:
        """Where some replica serves. Raises LookupError where none does."""
        with self._lock:
            if not self._serving:
                raise NobodyServes
            return next(iter(self._serving.values()))

    def kill_one(self, number: int) -> None:
        with self._lock:
            self._serving.pop(number, None)
        self.processes[number].kill()

    def stop(self) -> list[str]:
        """Ask them to end, as a supervisor does; what went wrong with that."""
        for number in self._serving:
            self.processes[number].ask_to_end()
        ends = {number: self._end_of(number) for number in self._serving}
        self._serving.clear()
        return [f"replica {number}: {end}, not exit code 0" for number, end in ends.items() if end != "exit code 0"]

    def _end_of(self, number: int) -> str:
        try:
            return f"exit code {self.processes[number].wait(_DRAIN_SECONDS)}"
        except TimeoutExpired:
            return f"still there {_DRAIN_SECONDS:.0f} s after SIGTERM"

    def kill(self) -> None:
        for process in self.processes:
            process.kill()

    @property
    def log(self) -> str:
        return "".join(process.stderr for process in self.processes)

    def _process(self, number: int, kubeconfig: Path, helm: Path, environment: dict[str, str]) -> ServiceProcess:
        folder = self._folder / str(number)
        folder.mkdir(parents=True)
        return ServiceProcess(folder, kubeconfig, *self._flags, helm=helm, environment=environment)

"""The service, broken on purpose, so that the checker can prove that it sees it.

A program, started with BROKEN in its environment, see `BREAKS`. What it breaks it breaks
from outside: nothing of it is in the service.
"""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from runpy import run_path
from typing import Any, Final

from helm_rollback.application import execution, helm_run
from helm_rollback.application.lease import Lease
from helm_rollback.application.ports import HelmExit, LedgerTransaction
from helm_rollback.cli import main
from helm_rollback.domain.history import Change, HistoryEvent
from helm_rollback.domain.operation import Operation
from helm_rollback.domain.record_rules import RecordRules
from helm_rollback.domain.recovery import Evidence, Step, next_step
from helm_rollback.domain.release import ReleaseId
from helm_rollback.helm.process import HelmCommand
from helm_rollback.store import SqlLedger
from helm_rollback.store.transaction import Transaction, _next_sequence


def open_the_fence() -> None:
    """A worker writes on after its lease."""
    setattr(Lease, "seconds_left", lambda _self: 60.0)  # noqa: B010 - mypy knows better than to allow it


def skip_a_sequence() -> None:
    """Now and then a number is left out."""
    append = Transaction.append

    def skipping(self: Transaction, release_id: ReleaseId, change: Change) -> HistoryEvent:
        event = append(self, release_id, change)
        if event.sequence % 4 == 0:
            self._connection.execute(_next_sequence, {"of_release": str(release_id), "now": self.now()})
        return event

    setattr(Transaction, "append", skipping)  # noqa: B010


def start_twice() -> None:
    """Each attempt starts two Helms at once."""
    run = HelmCommand.run

    async def twice(self: HelmCommand, *arguments: Any, **options: Any) -> HelmExit:
        both = [run(self, *arguments, **options) for _ in range(2)]
        return (await asyncio.gather(*both))[0]

    setattr(HelmCommand, "run", twice)  # noqa: B010


def answer_too_early() -> None:
    """The client is told before the ledger has it."""
    write = SqlLedger.write

    async def early(self: SqlLedger, body: Callable[[LedgerTransaction], Any]) -> Any:
        if body.__qualname__ != "accept.<locals>.body":
            return await write(self, body)
        try:
            await write(self, lambda tx: _take_back(body(tx)))
        except _TakenBack as taken:
            later = asyncio.create_task(_a_moment_later(lambda: write(self, body)))
            _later.append(later)
            return taken.operation

    setattr(SqlLedger, "write", early)  # noqa: B010


def keep_the_dead_record() -> None:
    """Helm is started again beside what a dead attempt left, and nobody asks which revision it writes."""

    def run_anyway(found: Evidence) -> Step:
        step = next_step(found)
        return Step.RUN if step is Step.REMOVE_AND_RUN else step

    async def unchanged(*_: object) -> str:
        return ""

    vars(execution)["next_step"] = run_anyway
    setattr(helm_run._Judge, "_changed_since", unchanged)  # noqa: B010
    setattr(RecordRules, "refusal", lambda _self, **_: "")  # noqa: B010


@dataclass
class _TakenBack(Exception):
    operation: Operation


def _take_back(operation: Operation) -> None:
    raise _TakenBack(operation)


async def _a_moment_later(work: Callable[[], Any]) -> None:
    await asyncio.sleep(0.1)
    await work()


_later: list[asyncio.Task[None]] = []

BREAKS: Final[dict[str, Callable[[], None]]] = {
    each.__name__: each
    for each in (open_the_fence, skip_a_sequence, start_twice, answer_too_early, keep_the_dead_record)
}

if __name__ == "__main__":
    run_path(str(Path(__file__).parents[1] / "support" / "far_service.py"))["go_far_away"]()
    BREAKS[os.environ["BROKEN"]]()
    main()

"""The ledger, changing, and how it is reached."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from helm_rollback.application.ports.helm import HelmProcess
from helm_rollback.application.ports.ledger_view import LedgerView
from helm_rollback.domain.chart import ChartChange
from helm_rollback.domain.history import Change, HistoryEvent
from helm_rollback.domain.operation import Operation
from helm_rollback.domain.release import Release, ReleaseId
from helm_rollback.domain.revision import Revision

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A worker's right to carry an operation out. `token` grows with every claim of the operation."""

    operation: Operation
    token: int
    helm_until: datetime | None = None
    """Until when a Helm that was started under an earlier claim may have written; None where none was."""


class LedgerTransaction(LedgerView, Protocol):
    """The ledger, changing. All that one transaction does becomes durable together, or not at all."""

    def lock_release(self, release_id: ReleaseId) -> Release | None:
        """Hold the release until the transaction ends, so that nobody else changes it meanwhile."""

    def add_release(self, release: Release) -> None:
        """Enter it, and hold it until the transaction ends. One that somebody entered just now stays as it is."""

    def update_release(self, release: Release) -> None:
        """Store the projection; `last_sequence` is left to `append`."""

    def add_revision(self, revision: Revision) -> None: ...

    def update_revision(self, revision: Revision) -> None:
        """Store what may go forward of the revision that bears the number now. Content can not change."""

    def add_operation(self, operation: Operation) -> None:
        """Raises OperationInProgress or RequestIdReused where the constraint says so."""

    def update_operation(self, operation: Operation) -> None: ...

    def add_chart_change(self, operation_id: str, change: ChartChange) -> None:
        """Store what an install or upgrade was given; its operation is there already."""

    def add_captured_failure(self, operation_id: str, text: str) -> None:
        """Store what was captured when the operation failed; what was stored before stays."""

    def append(self, release_id: ReleaseId, change: Change) -> HistoryEvent:
        """Append an event with the next sequence; wakes those who watch the release, after the commit."""

    def archive(self, payload: bytes) -> str:
        """Store a record's payload if it is not there yet; its digest."""

    def claim_observation(self, cluster: str, *, owner: str, lease: timedelta) -> int | None:
        """Take the right to observe a cluster, for `lease` from now: its token, or None where another has it."""

    def renew_observation(self, cluster: str, *, token: int, lease: timedelta) -> bool:
        """Prolong it; False when someone else has taken it since."""

    def end_observation(self, cluster: str, *, token: int) -> None:
        """Give it up, so that another replica need not wait for it to run out."""

    def save_observed_version(self, cluster: str, resource_version: int, *, token: int) -> bool:
        """Note how far the cluster was seen; False, and nothing noted, when someone else observes it by now."""

    def try_writing(self) -> None:
        """Write something that changes nothing: whether the ledger takes a write shows only so."""

    def claim(
        self,
        *,
        owner: str,
        lease: timedelta,
        grace: timedelta,
        limit: int,
        besides: Collection[str] = (),
        besides_clusters: Collection[str] = (),
    ) -> list[Claim]:
        """Take up to `limit` live operations that nobody holds, oldest first, for `lease` from now.

        None of `besides`: what the caller still carries out is not free, though its lease
        may have run out, by a clock that jumped or after a pause. None of `besides_clusters`, too.

        A lease that ran out counts as held for `grace` longer; one that was given back does not.
        `owner` names one process, from its start to its end: a name that was used before would
        hold what its namesake held.
        """

    def renew(self, operation_id: str, *, owner: str, token: int, lease: timedelta) -> bool:
        """Prolong a claim; False when someone else has taken the operation since."""

    def holds(self, operation_id: str, *, owner: str, token: int) -> bool:
        """Whether the claim is still the newest: ask in each transaction that writes for an operation."""

    def give_back(self, operation_id: str, *, owner: str, token: int) -> None:
        """End a claim before its time, so that another worker need not wait for it to run out."""

    def save_helm_process(self, operation_id: str, process: HelmProcess) -> None: ...


class Wakeup(Protocol):
    """Tells that something may have changed. A hint: whoever is woken reads the ledger."""

    async def wait(self, timeout: float) -> bool:
        """Wait until there was a change since the last wait; False after `timeout` seconds."""


class Ledger(Protocol):
    """Runs functions against the ledger, each in one transaction, off the event loop.

    Raises StoreUnavailable where the database does not answer; then a write may or
    may not have been done.
    """

    async def read(self, body: Callable[[LedgerView], T]) -> T: ...

    async def write(self, body: Callable[[LedgerTransaction], T]) -> T:
        """Commit when `body` returns, undo everything when it raises. May run it again after a conflict."""

    def watch(self, release_id: ReleaseId) -> AbstractContextManager[Wakeup]:
        """Be woken at each event of one release."""

    def watch_releases(self) -> AbstractContextManager[Wakeup]:
        """Be woken at each event of any release."""

    def watch_operations(self) -> AbstractContextManager[Wakeup]:
        """Be woken when an operation is accepted."""

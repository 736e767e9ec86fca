"""Helm's command line."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from helm_rollback.domain.helm_call import HelmCall
from helm_rollback.domain.helm_options import HelmOptions
from helm_rollback.domain.operation import FailureReason
from helm_rollback.domain.release import ReleaseId


@dataclass(frozen=True, slots=True, kw_only=True)
class HelmProcess:
    """A Helm that was started: enough to find it again, and not to mistake another for it."""

    host: str
    pid: int
    start_ticks: int
    """Field 22 of /proc/PID/stat: a reused pid has another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HelmExit:
    """How Helm ended. What happened is in the records, not here."""

    returncode: int
    """As of subprocess: negative is the signal that ended it."""
    output: str
    """The end of what it printed to stdout and stderr."""
    reason: FailureReason
    """Its error text, classified; meaningless after success."""
    timed_out: bool = False
    """It was killed since it outlived its deadline."""


class Helm(Protocol):
    """Runs Helm's command line."""

    @property
    def writes_stamp(self) -> bool:
        """Whether its `rollback` has --description (Helm ≥ 4.3)."""

    def check_available(self) -> None:
        """Raise HelmUnavailable where there is no Helm to run; asked before anything is accepted."""

    async def run(
        self,
        release_id: ReleaseId,
        call: HelmCall,
        *,
        options: HelmOptions,
        description: str,
        kubeconfig: str,
        api_state: str,
        started: Callable[[HelmProcess], Awaitable[None]],
        cancelled: Callable[[], Awaitable[None]] | None = None,
    ) -> HelmExit:
        """Run to the end, whatever happens to the caller's task but its cancellation. Raises HelmUnavailable.

        `api_state` is `Served.state` as of now: what an earlier run read of the API in
        the same state is used again; with another, or none, Helm reads it anew.
        `cancelled` returns when Helm is to be interrupted, which it takes for an end of
        its own in an install or upgrade only.
        """

    def reason_of(self, text: str) -> FailureReason:
        """What an error text of Helm's means."""

    async def end_orphan(self, process: HelmProcess) -> None:
        """Kill a Helm that an earlier process of this service left running on this host."""

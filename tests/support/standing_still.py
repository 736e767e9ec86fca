"""Replicas in one process, each of which can be made to stand still, as SIGSTOP does it to a real one.

They share one ledger and one cluster. A replica reaches them only through ports that
wait while it stands still; what is on its way to them then waits, too, and goes out
when it wakes.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, cast

from support.fakes import FakeHelm
from support.samples import NOON
from support.waiting import PATIENCE
from support.world import Choices, World

from helm_rollback.application.observation_turn import observe_in_turn
from helm_rollback.application.ports import Cluster, Fence, Ledger, OpenFence, RecordWrite, WatchEvent
from helm_rollback.application.worker import Worker
from helm_rollback.store import SqlLedger

LEASE = timedelta(seconds=30)


class Standstill:
    """Whether a replica stands still, and at which of its worker's calls it is to."""

    def __init__(self) -> None:
        self._moves = asyncio.Event()
        self._moves.set()
        self._before_call = 0
        self._calls = 0
        self.under_way = 0
        """Calls that have left the replica: they are done, whether it stands still or not."""
        self.began = asyncio.Event()

    def begin(self) -> None:
        self._moves.clear()
        self.began.set()

    def begin_before(self, call: int) -> None:
        """Stand still right before the worker's `call`-th call, counted from 1 on."""
        self._before_call = self._calls + call

    def end(self) -> None:
        self._before_call = 0
        self._moves.set()

    async def over(self) -> None:
        """Wait for its end."""
        await self._moves.wait()

    async def pass_call(self) -> None:
        """What every call of the worker goes through."""
        self._calls += 1
        if self._calls == self._before_call:
            self.begin()
        await self.over()


class _Still:
    """A port whose calls, and answers, wait while the replica stands still."""

    def __init__(self, port: Any, standstill: Standstill, *, counted: bool) -> None:
        self._port = port
        self._standstill = standstill
        self._counted = counted

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._port, name)
        if not inspect.iscoroutinefunction(attribute):
            return attribute

        async def call(*arguments: Any, **named: Any) -> Any:
            await (self._standstill.pass_call() if self._counted else self._standstill.over())
            self._standstill.under_way += 1
            try:
                return await attribute(*arguments, **named)
            finally:
                self._standstill.under_way -= 1
                await self._standstill.over()

        return call

    async def watch(self, resource_version: int) -> AsyncIterator[WatchEvent]:
        """Of a cluster."""
        async for event in self._port.watch(resource_version):
            await self._standstill.over()
            yield event


class _StillLedger(_Still):
    def watch(self, *arguments: Any) -> Any:
        return self._port.watch(*arguments)


class _StillFence:
    """Passes no record while the replica stands still."""

    def __init__(self, fence: Fence, standstill: Standstill) -> None:
        self._fence = fence
        self._standstill = standstill

    def open(
        self,
        cluster: str,
        *,
        seconds_left: Callable[[], float],
        judge: Callable[[RecordWrite], Awaitable[str]],
        sent_for: str = "",
    ) -> AbstractAsyncContextManager[OpenFence]:
        async def judged(write: RecordWrite) -> str:
            await self._standstill.pass_call()
            return await judge(write)

        return self._fence.open(cluster, seconds_left=seconds_left, judge=judged, sent_for=sent_for)


@dataclass(kw_only=True)
class Replica:
    """One process's worker and observer, with a Helm of its own."""

    helm: FakeHelm
    worker: Worker
    standstill: Standstill

    async def idle(self) -> None:
        """Wait until it carries nothing out."""
        async with asyncio.timeout(PATIENCE):
            while self.worker._carrying:
                await asyncio.wait(list(self.worker._carrying.values()))


@asynccontextmanager
async def replica(world: World, ledger: SqlLedger, owner: str) -> AsyncIterator[Replica]:
    """One that works and observes while the block lasts."""
    standstill, helm = Standstill(), FakeHelm(world.fence)
    ports = replace(
        world.ports(ledger, Choices()),
        ledger=cast(Ledger, _StillLedger(ledger, standstill, counted=True)),
        clusters={world.cluster.name: cast(Cluster, _Still(world.cluster, standstill, counted=True))},
        helm=helm,
        fence=cast(Fence, _StillFence(world.fence, standstill)),
    )
    worker = Worker(ports, owner=owner, lease=LEASE, max_helm=1, monotonic=lambda: _monotonic(world))
    watched = cast(Cluster, _Still(world.cluster, standstill, counted=False))
    written = cast(Ledger, _StillLedger(ledger, standstill, counted=False))
    observing = observe_in_turn(written, watched, owner=owner, lease=LEASE)
    tasks = [asyncio.create_task(worker.run()), asyncio.create_task(observing)]
    try:
        yield Replica(helm=helm, worker=worker, standstill=standstill)
    finally:
        standstill.end()
        for task in (*tasks, *worker._carrying.values()):
            task.cancel()
        await asyncio.gather(*tasks, *worker._carrying.values(), return_exceptions=True)


def _monotonic(world: World) -> float:
    """Seconds; where the test moves the ledger's clock, every other goes on with it."""
    return time.monotonic() + (world.clock() - NOON).total_seconds()

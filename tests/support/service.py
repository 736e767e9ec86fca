"""The service in this process, behind a real channel, over a world that outlives it.

`World` is what a restart does not touch: the ledger's file, its clock, the cluster,
Helm. A service is started on it, stopped (it drains) or killed (it does not), and
started again.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import grpc
from support.fakes import Chart, FakeCluster, FakeFence, FakeHelm, ForeignHelm
from support.ledgers import sqlite_url
from support.samples import Clock, operation_id

import helm_rollback.servicer  # noqa: F401 - first: it settles how grpc is imported
from helm_rollback.application.drain import Drain
from helm_rollback.application.observer import Observer
from helm_rollback.application.ports import Cluster, Fence, Helm, LedgerView, Ports
from helm_rollback.application.worker import Worker
from helm_rollback.domain.release import ReleaseId
from helm_rollback.helm.record import decode
from helm_rollback.servicer.server import Server
from helm_rollback.store import SqlLedger
from helm_rollback.v1 import rollback_service_pb2 as pb
from helm_rollback.v1.release_pb2 import Operation
from helm_rollback.v1.release_service_pb2_grpc import ReleaseServiceStub
from helm_rollback.v1.rollback_service_pb2_grpc import RollbackServiceStub

if TYPE_CHECKING:
    from helm_rollback.v1.release_service_pb2_grpc import ReleaseServiceAsyncStub
    from helm_rollback.v1.rollback_service_pb2_grpc import RollbackServiceAsyncStub

PATIENCE = 20.0
LEDGER_FILE = Path(sqlite_url(Path())).name
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Adapters:
    """What the service reaches besides its ledger."""

    clusters: Mapping[str, Cluster]
    helm: Helm
    fence: Fence


@dataclass(frozen=True, kw_only=True)
class Choices:
    """How one service is started."""

    heartbeat_seconds: float = 15.0
    max_helm: int = 4
    max_streams: int = 100
    works: bool = True
    """Whether it carries out what it accepts; else operations stay PENDING."""
    observes: bool = True


@dataclass(kw_only=True)
class Service:
    """A running service."""

    ports: Ports
    server: Server
    channel: grpc.aio.Channel
    rollbacks: RollbackServiceAsyncStub
    releases: ReleaseServiceAsyncStub
    ledger: SqlLedger
    worker: Worker
    working: asyncio.Task[None] | None
    observing: list[asyncio.Task[None]]

    async def read(self, body: Callable[[LedgerView], T]) -> T:
        """Look into the ledger."""
        return await self.ledger.read(body)

    async def event_count(self, release_id: str) -> int:
        """How many events the ledger has of a release."""
        parsed = ReleaseId.parse(release_id)
        release = await self.read(lambda view: view.release(parsed))
        return release.last_sequence if release is not None else 0

    async def until_observed(self, cluster: FakeCluster) -> None:
        """Wait until all that happened in the cluster is written down."""

        async def observed() -> bool:
            version = await self.read(lambda view: view.observed_version(cluster.name))
            return version is not None and version >= cluster.resource_version

        await eventually(observed, "the observer has seen everything")

    async def settled(self, id_of_operation: str) -> Operation:
        """The operation after its end."""
        request = pb.WaitOperationRequest(operation_id=id_of_operation)
        operation = (await self.rollbacks.WaitOperation(request, timeout=PATIENCE)).operation
        assert operation.HasField("end_time"), operation
        return operation

    async def until_state(self, id_of_operation: str, state: Operation.State.ValueType) -> None:
        """Wait until the operation has come so far."""
        request = pb.GetOperationRequest(operation_id=id_of_operation)

        async def reached() -> bool:
            return (await self.rollbacks.GetOperation(request)).operation.state == state

        await eventually(reached, f"operation {Operation.State.Name(state)}")

    async def stop(self) -> None:
        """SIGTERM: drain, let Helm end."""
        await self.server.drain()
        if self.working is not None:
            await self.working
        await self._end()

    async def kill(self) -> None:
        """SIGKILL, as far as one process can do it to a part of itself: nothing ends by itself."""
        tasks = [task for task in (self.working, *self.worker._tasks) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._end()

    async def _end(self) -> None:
        for task in self.observing:
            task.cancel()
        await asyncio.gather(*self.observing, return_exceptions=True)
        await self.channel.close()
        await self.server.stop()
        self.ledger.close()


@dataclass(kw_only=True)
class World:
    """One cluster with one Helm, and the ledger's file and clock."""

    folder: Path
    clock: Clock = field(default_factory=Clock)
    cluster: FakeCluster = field(default_factory=FakeCluster)
    adapters: Adapters | None = None
    """Instead of the fakes."""

    def __post_init__(self) -> None:
        self.fence = FakeFence({self.cluster.name: self.cluster})
        self.helm = FakeHelm(self.fence)
        self.by_hand = ForeignHelm(self.cluster)
        self._numbers = itertools.count(1)
        self._running: Service | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.kill()

    def release(self, name: str = "shop", *, revisions: int = 2) -> ForeignHelm:
        """A release with so many good revisions of different content."""
        by_hand = ForeignHelm(self.cluster, name)
        by_hand.install(Chart(version="1.0.0"))
        for number in range(2, revisions + 1):
            by_hand.upgrade(Chart(version=f"{number}.0.0"))
        return by_hand

    async def start(self, choices: Choices | None = None) -> Service:
        """Start a service; the one before must have ended."""
        assert self._running is None, "a SQLite ledger belongs to one service at a time"
        chosen = choices or Choices()
        make_ledger(self.folder)
        ledger = SqlLedger.open(sqlite_url(self.folder), clock=self.clock)
        ports = self._ports(ledger, chosen)
        server = Server(ports, max_streams=chosen.max_streams)
        channel = grpc.aio.insecure_channel(await server.start("127.0.0.1:0"))
        worker = Worker(
            ports, owner="test", lease=timedelta(seconds=30), max_helm=chosen.max_helm, monotonic=time.monotonic
        )
        clusters = ports.clusters.values() if chosen.observes else ()
        self._running = Service(
            ports=ports,
            server=server,
            channel=channel,
            rollbacks=RollbackServiceStub(channel),
            releases=ReleaseServiceStub(channel),
            ledger=ledger,
            worker=worker,
            working=asyncio.create_task(worker.run()) if chosen.works else None,
            observing=[asyncio.create_task(Observer(ledger, cluster).run()) for cluster in clusters],
        )
        return self._running

    async def stop(self) -> None:
        """Stop the running service, if there is one."""
        running, self._running = self._running, None
        if running is not None:
            await running.stop()

    async def kill(self) -> None:
        """Kill the running service, if there is one."""
        running, self._running = self._running, None
        if running is not None:
            await running.kill()

    def _ports(self, ledger: SqlLedger, chosen: Choices) -> Ports:
        adapters = self.adapters or Adapters(
            clusters={self.cluster.name: self.cluster}, helm=self.helm, fence=self.fence
        )
        return Ports(
            ledger=ledger,
            ledger_id=ledger.ledger_id,
            clusters=adapters.clusters,
            helm=adapters.helm,
            fence=adapters.fence,
            decode=decode,
            new_operation_id=lambda: operation_id(next(self._numbers)),
            drain=Drain(),
            heartbeat_seconds=chosen.heartbeat_seconds,
        )


def make_ledger(folder: Path) -> None:
    """Put a migrated, empty ledger there, if there is none: a copy takes no time, migrating takes half a test's."""
    target = folder / LEDGER_FILE
    if not target.exists():
        target.write_bytes(_migrated())
        target.chmod(0o600)


@cache
def _migrated() -> bytes:
    with TemporaryDirectory() as name:
        folder = Path(name)
        SqlLedger.open(sqlite_url(folder), clock=Clock()).close()
        return (folder / LEDGER_FILE).read_bytes()


async def eventually(holds: Callable[[], Awaitable[bool]], what: str) -> None:
    """Return once `holds()`; the deadline says what did not happen."""
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while not await holds():  # noqa: ASYNC110 - what it asks is behind a channel
                await asyncio.sleep(0.005)
            return
    raise AssertionError(f"not within {PATIENCE:.0f} s: {what}")


def rollback_request(target: int = 1, release: str = "default.prod.shop", **fields: Any) -> pb.RollbackRequest:
    """A request to put the shop back to revision 1."""
    return pb.RollbackRequest(release_id=release, target_revision=target, **fields)

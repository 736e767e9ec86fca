"""A world that outlives the services started on it, one after the other.

`World` is what a restart does not touch: the ledger's database, its clock, the cluster,
Helm. A service is started on it, stopped (it drains) or killed (it does not), and
started again.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc
from support.fakes import Chart, FakeCluster, FakeFence, FakeHelm, ForeignHelm
from support.ledgers import make_ledger, sqlite_url
from support.samples import Clock, operation_id
from support.service import Service

from helm_rollback.application.crash_points import Reached, go_on
from helm_rollback.application.drain import Drain
from helm_rollback.application.lease import GRACE
from helm_rollback.application.observation_turn import observe_in_turn
from helm_rollback.application.ports import Cluster, Fence, Helm, Ports
from helm_rollback.application.worker import Worker
from helm_rollback.helm.record import decode
from helm_rollback.http.routes import PREFIX
from helm_rollback.http.server import HttpServer
from helm_rollback.servicer.server import Server
from helm_rollback.store import SqlLedger
from helm_rollback.v1.release_service_pb2_grpc import ReleaseServiceStub
from helm_rollback.v1.rollback_service_pb2_grpc import RollbackServiceStub

LEASE = timedelta(seconds=30)


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
    reached: Reached = go_on
    """Told at each crash point."""


@dataclass(kw_only=True)
class World:
    """One cluster with one Helm, and the ledger's database and clock."""

    folder: Path
    url: str = ""
    """Of an empty ledger on PostgreSQL; none: SQLite, in the folder."""
    clock: Clock = field(default_factory=Clock)
    cluster: FakeCluster = field(default_factory=FakeCluster)
    adapters: Adapters | None = None
    """Instead of the fakes."""

    def __post_init__(self) -> None:
        self.cluster.clock = self.clock
        self.fence = FakeFence({self.cluster.name: self.cluster})
        self.helm = FakeHelm(self.fence)
        self.by_hand = ForeignHelm(self.cluster)
        self._numbers = itertools.count(1)
        self._running: Service | None = None
        self._leases_left = False

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
        ledger = SqlLedger.open(self._ledger_url(), clock=self.clock)
        ports = self.ports(ledger, chosen)
        server = Server(ports, max_streams=chosen.max_streams)
        address = await server.start("127.0.0.1:0")
        rest = HttpServer(server.methods())
        http = await rest.start("127.0.0.1:0")
        channel = grpc.aio.insecure_channel(address)
        worker = Worker(ports, owner="test", lease=LEASE, max_helm=chosen.max_helm, monotonic=time.monotonic)
        clusters = ports.clusters.values() if chosen.observes else ()
        self._running = Service(
            ports=ports,
            server=server,
            address=address,
            rest=rest,
            http=f"http://{http}{PREFIX}",
            channel=channel,
            rollbacks=RollbackServiceStub(channel),
            releases=ReleaseServiceStub(channel),
            ledger=ledger,
            worker=worker,
            working=asyncio.create_task(worker.run()) if chosen.works else None,
            observing=[
                asyncio.create_task(observe_in_turn(ledger, cluster, owner="test", lease=LEASE)) for cluster in clusters
            ],
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
            self._leases_left = True

    def _ledger_url(self) -> str:
        if not self.url:
            make_ledger(self.folder)
            return sqlite_url(self.folder)
        if self._leases_left:  # on SQLite they go with their process
            self.clock.move(LEASE + GRACE)
            self._leases_left = False
        return self.url

    def new_operation_id(self, _at: datetime) -> str:
        """One that is easy to read, and sorts as it was given."""
        return operation_id(next(self._numbers))

    def ports(self, ledger: SqlLedger, chosen: Choices) -> Ports:
        """What one service reaches."""
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
            new_operation_id=self.new_operation_id,
            drain=Drain(),
            heartbeat_seconds=chosen.heartbeat_seconds,
            reached=chosen.reached,
        )

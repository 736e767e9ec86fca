"""The service over a real channel: all of it is real but Helm, fence and cluster."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status
from support.calls import Refusal
from support.fakes import Chart, FakeCluster, FakeFence, FakeHelm, ForeignHelm

import helm_rollback.servicer  # noqa: F401 - first: it settles how grpc is imported
from helm_rollback.application.drain import Drain
from helm_rollback.application.ids import OperationIds
from helm_rollback.application.observer import Observer
from helm_rollback.application.ports import Ports
from helm_rollback.application.worker import Worker
from helm_rollback.helm.record import decode
from helm_rollback.servicer.server import Server
from helm_rollback.store import SqlLedger
from helm_rollback.v1.release_service_pb2_grpc import ReleaseServiceStub
from helm_rollback.v1.rollback_service_pb2_grpc import RollbackServiceStub

if TYPE_CHECKING:
    from helm_rollback.v1.release_service_pb2_grpc import ReleaseServiceAsyncStub
    from helm_rollback.v1.rollback_service_pb2_grpc import RollbackServiceAsyncStub

LEASE = timedelta(seconds=30)


class BreakableLedger:
    """The ledger, and a way to make every use of it fail."""

    def __init__(self, ledger: SqlLedger) -> None:
        self._ledger = ledger
        self.problem: Exception | None = None
        self.asked = asyncio.Event()
        """Set when something was read."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    async def read(self, body: Any) -> Any:
        self.asked.set()
        if self.problem:
            raise self.problem
        return await self._ledger.read(body)

    async def write(self, body: Any) -> Any:
        if self.problem:
            raise self.problem
        return await self._ledger.write(body)


@dataclass
class Service:
    """A running service, and both ends of it in a test's hands."""

    server: Server
    ports: Ports
    address: str
    channel: grpc.aio.Channel
    rollbacks: RollbackServiceAsyncStub
    releases: ReleaseServiceAsyncStub
    cluster: FakeCluster
    helm: FakeHelm
    ledger: BreakableLedger

    def release(self, name: str = "shop") -> ForeignHelm:
        """Somebody else's hand on a release."""
        return ForeignHelm(self.cluster, name)

    def installed(self, *, revisions: int = 2, name: str = "shop") -> ForeignHelm:
        """A release with so many good revisions."""
        release = self.release(name)
        release.install()
        for number in range(1, revisions):
            release.upgrade(Chart(version=f"1.0.{number}"))
        return release


@asynccontextmanager
async def running(
    folder: Path, *, max_streams: int = 100, works: bool = True, **changes: Any
) -> AsyncIterator[Service]:
    """The service on a free port; without `works`, operations stay PENDING."""
    cluster = FakeCluster()
    fence = FakeFence({"default": cluster})
    helm = FakeHelm(fence)
    real = SqlLedger.open(f"sqlite:///{folder / 'ledger.db'}", clock=lambda: datetime.now(UTC))
    ledger: Any = BreakableLedger(real)
    numbers = itertools.count()
    ports = Ports(
        ledger=ledger,
        ledger_id=real.ledger_id,
        clusters={"default": cluster},
        helm=helm,
        fence=fence,
        decode=decode,
        new_operation_id=OperationIds(
            milliseconds=lambda: time.time_ns() // 1_000_000, random_bits=lambda _: next(numbers)
        ),
        drain=Drain(),
    )
    ports = replace(ports, **changes)
    server = Server(ports, max_streams=max_streams)
    address = await server.start("127.0.0.1:0")
    observing = asyncio.create_task(Observer(ledger, cluster).run())
    worker = Worker(ports, owner="test", lease=LEASE, max_helm=4, monotonic=time.monotonic)
    working = asyncio.create_task(worker.run()) if works else None
    try:
        async with grpc.aio.insecure_channel(address) as channel:
            yield Service(
                server, ports, address, channel, RollbackServiceStub(channel), ReleaseServiceStub(channel),
                cluster, helm, ledger,
            )  # fmt: skip
    finally:
        ledger.problem = None
        await server.stop()
        if working is not None:
            await working
        observing.cancel()
        await asyncio.gather(observing, return_exceptions=True)
        real.close()


async def refusal(call: Any) -> Refusal:
    """The call, or the stream, must be refused: how it was."""
    try:
        answer = [response async for response in call] if hasattr(call, "__aiter__") else await call
    except grpc.aio.AioRpcError as error:
        return told(error)
    raise AssertionError(f"it was not refused: {answer}")


def told(error: grpc.aio.AioRpcError) -> Refusal:
    """What a refusal says."""
    status: Any = rpc_status.from_call(error)
    info = ErrorInfo()
    assert status is not None, error
    assert any(detail.Unpack(info) for detail in status.details), error
    assert info.domain == "helm-rollback"
    return Refusal(error.code(), info.reason, error.details() or "", dict(info.metadata))

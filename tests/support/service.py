"""A running service in this process, behind a real channel. `World` starts them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
from support.fakes import FakeCluster
from support.waiting import PATIENCE

import helm_rollback.servicer  # noqa: F401 - first: it settles how grpc is imported
from helm_rollback.application.ports import LedgerView, Ports
from helm_rollback.application.worker import Worker
from helm_rollback.domain.release import ReleaseId
from helm_rollback.http.server import HttpServer
from helm_rollback.servicer.server import Server
from helm_rollback.store import SqlLedger
from helm_rollback.v1 import rollback_service_pb2 as pb
from helm_rollback.v1.release_pb2 import Operation

if TYPE_CHECKING:
    from helm_rollback.v1.release_service_pb2_grpc import ReleaseServiceAsyncStub
    from helm_rollback.v1.rollback_service_pb2_grpc import RollbackServiceAsyncStub

T = TypeVar("T")


@dataclass(kw_only=True)
class Service:
    """A running service."""

    ports: Ports
    server: Server
    address: str
    rest: HttpServer
    http: str
    """Where REST is served: `http://HOST:PORT/api/v1/helm`."""
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
        tasks = [task for task in (self.working, *self.worker._carrying.values()) if task is not None]
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
        await self.rest.stop()
        self.ledger.close()


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

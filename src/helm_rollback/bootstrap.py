"""Puts the parts together, and takes them apart again in the right order.

The only module that knows every adapter. Starting means: settings, Helm, ledger,
clusters, fence; then the observers and the worker; last the gRPC server, so that
whoever reaches it reaches a whole service.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from types import FrameType

from helm_rollback.application.crash_points import CRASH_AT, crash_at, go_on
from helm_rollback.application.drain import Drain
from helm_rollback.application.ids import OperationIds
from helm_rollback.application.ledger_health import watch_ledger
from helm_rollback.application.observation_turn import observe_in_turn
from helm_rollback.application.ports import Ports
from helm_rollback.application.worker import Worker
from helm_rollback.cluster.kubeconfig import ClusterSettingsError
from helm_rollback.cluster.reader import KubernetesCluster, connect
from helm_rollback.domain.chart import ChartSources
from helm_rollback.domain.errors import ClusterPermissionDenied, ClusterUnreachable, HelmUnavailable
from helm_rollback.fence.gate import FenceGate
from helm_rollback.fence.upstream import Upstream
from helm_rollback.helm.process import HelmCommand
from helm_rollback.helm.record import decode
from helm_rollback.helm.version import find_helm
from helm_rollback.http.server import HttpServer
from helm_rollback.servicer.server import Server
from helm_rollback.settings import Settings
from helm_rollback.store import SqlLedger
from helm_rollback.store.errors import LedgerUnusable
from helm_rollback.store.migrate import Migrations

_log = logging.getLogger(__name__)


class StartRefused(Exception):
    """The service can not start like this. The text says what to change."""


async def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT, then drain: no new work, streams told, Helm ends. The exit code.

    Raises StartRefused, with nothing left behind.
    """
    drain = Drain()
    with _drained_by_signals(drain):
        return await _serve(settings, drain)


async def _serve(settings: Settings, drain: Drain) -> int:
    async with _ports(settings, drain) as ports, AsyncExitStack() as serving:
        server = Server(ports, max_streams=settings.max_streams, reflect=settings.reflection)
        rest = HttpServer(server.methods())
        serving.push_async_callback(rest.stop)
        serving.push_async_callback(server.stop)  # after Helm has ended: until then looking goes on
        await serving.enter_async_context(_background(settings, ports))
        with _or_refuse():
            address = await server.start(settings.grpc)
            rest_address = await rest.start(settings.http)
        watching = asyncio.create_task(watch_ledger(ports, server.set_serving))
        _say_ready(address, rest_address)
        await drain.wait()
        await server.drain()
        await watching
    return 0


@contextmanager
def _drained_by_signals(drain: Drain) -> Iterator[None]:
    """SIGTERM and SIGINT begin the drain, and do nothing else, however often they come and however late.

    The loop's own handlers would go with the loop, and Python's go while it ends: a signal
    that comes then would end the process as if it had not drained. So they are ignored at last.
    """
    loop = asyncio.get_running_loop()

    def begin(_number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(drain.start)

    numbers = (signal.SIGTERM, signal.SIGINT)
    for number in numbers:
        signal.signal(number, begin)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)


@contextmanager
def _or_refuse() -> Iterator[None]:
    """Whatever makes a start impossible is told in a sentence, not in a stack."""
    try:
        yield
    except (HelmUnavailable, ClusterSettingsError, LedgerUnusable, OSError) as problem:
        raise StartRefused(str(problem)) from problem


def _say_ready(address: str, rest_address: str) -> None:
    sys.stdout.write(json.dumps({"ready": True, "grpc": address, "http": rest_address}) + "\n")
    sys.stdout.flush()


@asynccontextmanager
async def _ports(settings: Settings, drain: Drain) -> AsyncIterator[Ports]:
    """Everything the use cases reach, open."""
    with _or_refuse():
        reached = crash_at(os.environ[CRASH_AT]) if CRASH_AT in os.environ else go_on
        sources = ChartSources(repositories=settings.chart_repositories, registries=tuple(settings.chart_registries))
        helm = HelmCommand(await find_helm(settings.helm), chart_sources=sources)
        clusters = {
            name: connect(name, kubeconfig=cluster.kubeconfig, context=cluster.context)
            for name, cluster in settings.clusters.items()
        }
        ledger = SqlLedger.open(settings.database, migrations=Migrations.APPLY if settings.migrate else None)
    try:
        await _check_distinct(clusters)
        newest = await ledger.read(lambda view: view.operations(limit=1))
        async with ledger.sharing():
            yield Ports(
                ledger=ledger,
                ledger_id=ledger.ledger_id,
                clusters=clusters,
                helm=helm,
                fence=FenceGate({name: upstream_of(cluster) for name, cluster in clusters.items()}, reached=reached),
                decode=decode,
                new_operation_id=OperationIds(
                    random_bits=secrets.randbits, above=newest[0].operation_id if newest else ""
                ),
                drain=drain,
                chart_sources=sources,
                heartbeat_seconds=settings.heartbeat.total_seconds(),
                reached=reached,
            )
    finally:
        for cluster in clusters.values():
            await cluster.close()
        ledger.close()
        helm.close()


@asynccontextmanager
async def _background(settings: Settings, ports: Ports) -> AsyncIterator[None]:
    """Observe and work until the drain; then Helm runs to its end, observed to the last."""
    owner = f"{socket.gethostname()}/{secrets.token_hex(4)}"
    worker = Worker(
        ports,
        owner=owner,
        lease=settings.lease,
        max_helm=settings.max_helm,
        monotonic=seconds_since_boot,
    )
    observing = [
        asyncio.create_task(
            observe_in_turn(ports.ledger, cluster, owner=owner, lease=settings.lease, reached=ports.reached)
        )
        for cluster in ports.clusters.values()
    ]
    working = asyncio.create_task(worker.run())
    for task in (working, *observing):
        task.add_done_callback(lambda _: ports.drain.start())  # a service without one of them is none
    try:
        yield
    finally:
        ports.drain.start()
        await working
        for task in observing:
            task.cancel()
        await asyncio.gather(*observing, return_exceptions=True)


def seconds_since_boot() -> float:
    """A clock that nobody sets. On Linux it goes on while the machine is suspended, when leases run out, too."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


async def _check_distinct(clusters: Mapping[str, KubernetesCluster]) -> None:
    """Refuse two names for one API server: each would observe, and roll back, behind the other's back."""
    if len(clusters) < 2:
        return
    names: dict[str, str] = {}
    for name, cluster in clusters.items():
        try:
            uid = await cluster.uid()
        except (ClusterUnreachable, ClusterPermissionDenied) as problem:
            _log.warning("can not tell which cluster %s is: %s", name, problem)
            continue
        if uid in names:
            raise StartRefused(f"clusters {names[uid]} and {name} are one cluster; keep one of the two names")
        names[uid] = name


def upstream_of(cluster: KubernetesCluster) -> Upstream:
    """The same API server, as the fence knows one."""
    server = cluster.api_server
    return Upstream(
        host=server.host,
        port=server.port,
        server_hostname=server.server_hostname,
        ssl_context=server.ssl_context,
        base_path=server.base_path,
        authorization=server.authorization,
    )

"""The gRPC server: what it serves, how it listens, how it ends."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

import grpc
from google.protobuf import descriptor_pool
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from helm_rollback.addresses import is_loopback
from helm_rollback.application.ports import Ports
from helm_rollback.servicer.interceptors import CallInterceptor
from helm_rollback.servicer.reflected_pool import ReflectedPool
from helm_rollback.servicer.release_servicer import ReleaseServicer
from helm_rollback.servicer.rollback_servicer import RollbackServicer
from helm_rollback.servicer.writes import Writes
from helm_rollback.v1 import release_service_pb2, rollback_service_pb2
from helm_rollback.v1.release_service_pb2_grpc import add_ReleaseServiceServicer_to_server
from helm_rollback.v1.rollback_service_pb2_grpc import add_RollbackServiceServicer_to_server

SERVICES: Final = (
    rollback_service_pb2.DESCRIPTOR.services_by_name["RollbackService"].full_name,
    release_service_pb2.DESCRIPTOR.services_by_name["ReleaseService"].full_name,
)

_MESSAGE_MAX: Final = 32 * 1024 * 1024
_PENDING_MAX: Final = 100_000
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", _MESSAGE_MAX),
    # A port that another process listens on is an error, not a shared port.
    ("grpc.so_reuseport", 0),
    # Find dead subscribers, and let clients find a dead server: idle streams are the rule here.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    # By default a burst of subscribers above 1,000 loses some of them, with CANCELLED.
    ("grpc.server.max_pending_requests", _PENDING_MAX),
    ("grpc.server.max_pending_requests_hard_limit", _PENDING_MAX),
)
_LAST_WORDS: Final = 1.0
"""Seconds that `stop` gives what is still open, such as a health watch."""


class Server:
    """Serves the use cases over gRPC, until it is drained and stopped."""

    def __init__(self, ports: Ports, *, max_streams: int = 10_000, reflect: bool | None = None) -> None:
        """`reflect`: whether clients may ask for the protos; None: where the address is loopback."""
        self._ports = ports
        self._reflect = reflect
        self._writes = Writes()
        self._calls = CallInterceptor(max_streams=max_streams)
        self._health = health.aio.HealthServicer()
        self._rollbacks = RollbackServicer(ports, self._writes)
        self._releases = ReleaseServicer(ports, self._writes)
        self._server = grpc.aio.server(interceptors=(self._calls,), options=_OPTIONS)

    def methods(self) -> dict[str, Any]:
        """Every method by name, guarded and counted as over gRPC: what REST calls."""
        served = (
            (rollback_service_pb2.DESCRIPTOR.services_by_name["RollbackService"], self._rollbacks),
            (release_service_pb2.DESCRIPTOR.services_by_name["ReleaseService"], self._releases),
        )
        methods = {}
        for service, servicer in served:
            for method in service.methods:
                guarded = self._calls.guarded_stream if method.server_streaming else self._calls.guarded_unary
                methods[method.name] = guarded(f"/{service.full_name}/{method.name}", getattr(servicer, method.name))
        return methods

    async def start(self, address: str) -> str:
        """Listen on `HOST:PORT` and serve; the address with its real port. Raises OSError."""
        host, _, _ = address.rpartition(":")
        self._register(reflect=is_loopback(host) if self._reflect is None else self._reflect)
        try:
            port = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise OSError(
                f"can not listen on {address} for gRPC: is the address this machine's, and its port free?"
            ) from error
        await self._server.start()
        await self.set_serving(True)
        return f"{host}:{port}"

    def _register(self, *, reflect: bool) -> None:
        """All that is served, in one place."""
        add_RollbackServiceServicer_to_server(self._rollbacks, self._server)
        add_ReleaseServiceServicer_to_server(self._releases, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        if reflect:
            names = (*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME)
            reflection.enable_server_reflection(names, self._server, pool=ReflectedPool(descriptor_pool.Default()))

    async def set_serving(self, serving: bool) -> None:
        """What health says: whether the ledger works. Without effect once a drain has begun."""
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in ("", *SERVICES):
            await self._health.set(name, status)

    async def stop(self, *, limit: timedelta = timedelta(seconds=10)) -> None:
        """Drain, then close. What is still open after `limit` is cut off."""
        await self.drain(limit=limit)
        await self._server.stop(_LAST_WORDS)
        await self._writes.wait()

    async def drain(self, *, limit: timedelta = timedelta(seconds=10)) -> None:
        """Say that this server ends, and let streams and waits end; return when no call is open.

        The listener stays: new work is refused with SERVER_DRAINING, and looking goes on.
        """
        await self._health.enter_graceful_shutdown()
        self._ports.drain.start()
        with suppress(TimeoutError):
            async with asyncio.timeout(limit.total_seconds()):
                await self._calls.wait_idle()
        await self._writes.wait()

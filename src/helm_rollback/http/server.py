"""HTTP in the same process and loop as gRPC."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from helm_rollback.addresses import is_loopback
from helm_rollback.http.app import Methods, make_app

_LAST_WORDS = 1
"""Seconds that `stop` gives what is still open."""


class _Uvicorn(uvicorn.Server):
    """One that leaves the signals to whoever runs the loop."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class HttpServer:
    """Serves the guarded methods over HTTP, until it is stopped."""

    def __init__(self, methods: Methods) -> None:
        self._methods = methods
        self._running: tuple[_Uvicorn, asyncio.Task[None]] | None = None

    async def start(self, address: str) -> str:
        """Listen on `HOST:PORT` and serve; the address with its real port. Raises OSError."""
        host, _, port = address.rpartition(":")
        bare = host.strip("[]")
        listener = socket.socket(socket.AF_INET6 if ":" in bare else socket.AF_INET)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((bare, int(port)))
            listener.listen(1024)  # from here on nobody is refused, though accepting begins a moment later
        except OSError as error:
            listener.close()
            raise OSError(
                f"can not listen on {address} for HTTP: is the address this machine's, and its port free?"
            ) from error
        config = uvicorn.Config(
            make_app(self._methods, loopback_only=is_loopback(host)),
            loop="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=_LAST_WORDS,
        )
        server = _Uvicorn(config)
        self._running = server, asyncio.create_task(server.serve(sockets=[listener]))
        return f"{host}:{listener.getsockname()[1]}"

    async def stop(self) -> None:
        """Close. What is still open is cut off after a second."""
        if self._running is not None:
            server, serving = self._running
            server.should_exit = True
            await serving

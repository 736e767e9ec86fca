"""The API server as the fence sees it: an address, TLS, and the credentials of now."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

CONNECT_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """One cluster's API server, with everything that Helm must never see."""

    host: str
    port: int
    server_hostname: str
    """The name its certificate must bear."""
    ssl_context: ssl.SSLContext | None
    """With the client certificate, if there is one; None for plain HTTP. Must not offer HTTP/2."""
    base_path: str
    """What stands before `/api` in every path; "" in most clusters."""
    authorization: Callable[[], Awaitable[str]]
    """The Authorization header as of now, "" where a certificate does it."""

    @property
    def authority(self) -> str:
        """The Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    async def connect(self, protocol: Callable[[], asyncio.Protocol]) -> None:
        """Make one connection. Raises OSError (TimeoutError and TLS errors are ones)."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_SECONDS):
            await loop.create_connection(
                protocol,
                self.host,
                self.port,
                ssl=self.ssl_context,
                server_hostname=self.server_hostname if self.ssl_context else None,
            )

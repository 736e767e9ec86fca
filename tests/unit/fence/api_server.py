"""A tiny HTTP server in the place of an API server: it keeps what came in and answers as told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class ApiServer:
    """Answers each whole request by `answer`; a handler may also write by itself."""

    answer: Callable[[str, bytes], bytes] = lambda _head, _body: OK
    stream: Callable[[asyncio.StreamWriter], Awaitable[None]] | None = None
    requests: list[tuple[str, bytes]] = field(default_factory=list)
    bytes_read: int = 0
    connections: int = 0
    ended: int = 0
    port: int = 0

    @property
    def heads(self) -> list[str]:
        return [head for head, _ in self.requests]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                body = await self._read(reader, _length(head))
                self.requests.append((head, body))
                if self.stream is not None:
                    await self.stream(writer)
                else:
                    writer.write(self.answer(head, body))
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self.ended += 1
            writer.close()

    async def _read(self, reader: asyncio.StreamReader, length: int) -> bytes:
        body = b""
        while len(body) < length:
            piece = await reader.read(length - len(body))
            if not piece:
                raise asyncio.IncompleteReadError(body, length)
            self.bytes_read += len(piece)
            body += piece
        return body


def _length(head: str) -> int:
    for line in head.split("\r\n"):
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            return int(value)
    return 0


@asynccontextmanager
async def running(server: ApiServer) -> AsyncIterator[ApiServer]:
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for _ in range(100):
            if server.ended == server.connections:
                break
            await asyncio.sleep(0.01)

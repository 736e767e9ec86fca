"""One HTTP request, as a method of the servicers sees a call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from typing import Any

import grpc
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status
from starlette.requests import Request

_DETAILS = "grpc-status-details-bin"


class Refusal(Exception):
    """The method refused the request; `status` says why."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.message)
        self.status = status


class HttpCall:
    """What of gRPC's `ServicerContext` the methods use."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._written: asyncio.Queue[Message] = asyncio.Queue(maxsize=1)

    def peer(self) -> str:
        client = self._request.client
        return f"http:{client.host}:{client.port}" if client is not None else ""

    def invocation_metadata(self) -> list[tuple[str, str]]:
        return self._request.headers.items()

    def time_remaining(self) -> None:
        """HTTP has no deadlines."""

    def done(self) -> bool:
        return False

    def code(self) -> None:
        """Never set by a method."""

    async def send_initial_metadata(self, _metadata: object) -> None:
        """The head goes out with the first response."""

    async def write(self, response: Message) -> None:
        await self._written.put(response)

    async def abort_with_status(self, status: grpc.Status) -> None:
        """Raises Refusal."""
        for key, value in status.trailing_metadata or ():
            if key == _DETAILS:
                assert isinstance(value, bytes)
                raise Refusal(Status.FromString(value))
        raise AssertionError("every refusal of ours carries its status")

    async def responses(self, answering: Coroutine[Any, Any, object]) -> AsyncGenerator[Message]:
        """What a stream writes, as it writes it. Raises Refusal."""
        task = asyncio.ensure_future(answering)
        try:
            while not (task.done() and self._written.empty()):
                written = asyncio.ensure_future(self._written.get())
                await asyncio.wait({written, task}, return_when=asyncio.FIRST_COMPLETED)
                if written.done():
                    yield written.result()
                else:
                    written.cancel()
            await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

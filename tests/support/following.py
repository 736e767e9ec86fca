"""A history stream of grpc.aio, read in the background while a test goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import grpc
from support.refusals import Refused
from support.service import PATIENCE
from support.streams import tell

from helm_rollback.v1.history_pb2 import HistoryEvent
from helm_rollback.v1.rollback_service_pb2 import StreamHistoryResponse


class Following:
    """Collects what a stream tells. Every wait has a deadline and says what was told instead."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self._came = asyncio.Event()
        self.responses: list[StreamHistoryResponse] = []
        self.error: grpc.aio.AioRpcError | None = None
        self._reading = asyncio.create_task(self._read())

    async def __aenter__(self) -> Self:
        await self.until(lambda: self.caught_up or self._reading.done(), "caught up")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._call.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    @property
    def caught_up(self) -> bool:
        return any(response.HasField("caught_up") for response in self.responses)

    @property
    def events(self) -> list[HistoryEvent]:
        return [response.event for response in self.responses if response.HasField("event")]

    @property
    def told(self) -> list[str]:
        """The events in words."""
        return [tell(event) for event in self.events]

    async def until(self, holds: Callable[[], object], what: str) -> None:
        """Wait for a condition, looked at after each response and at the end."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not holds():
                    assert not self._reading.done(), f"the stream ended before: {what}; told: {self.told}"
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            raise AssertionError(f"not within {PATIENCE:.0f} s: {what}; told: {self.told}") from None

    async def until_told(self, text: str) -> None:
        await self.until(lambda: text in self.told, text)

    async def ended(self) -> Refused | None:
        """Wait for the end: None for OK, else what it says."""
        async with asyncio.timeout(PATIENCE):
            await self._reading
        return Refused.of(self.error) if self.error is not None else None

    async def _read(self) -> None:
        try:
            async for response in self._call:
                self.responses.append(response)
                self._came.set()
        except grpc.aio.AioRpcError as error:
            self.error = error
        finally:
            self._came.set()

"""A history stream of grpc.aio, read in the background while a test goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import grpc
from support.calls import Refusal
from support.streams import Told
from support.waiting import PATIENCE


class Following(Told):
    """Collects what a stream tells. Every wait has a deadline and says what was told instead."""

    def __init__(self, call: Any) -> None:
        super().__init__()
        self._call = call
        self._came = asyncio.Event()
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

    async def ended(self) -> Refusal | None:
        """Wait for the end: None for OK, else what it says."""
        async with asyncio.timeout(PATIENCE):
            await self._reading
        return Refusal.of(self.error) if self.error is not None else None

    async def _read(self) -> None:
        try:
            async for response in self._call:
                self.responses.append(response)
                self._came.set()
        except grpc.aio.AioRpcError as error:
            self.error = error
        finally:
            self._came.set()

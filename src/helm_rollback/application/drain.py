"""The end of a server's life, announced to everything that waits."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine


class Drain:
    """Begins once and never ends: no new work is accepted, streams end, Helm runs to its end."""

    def __init__(self) -> None:
        self._begun = asyncio.Event()

    @property
    def started(self) -> bool:
        return self._begun.is_set()

    def start(self) -> None:
        self._begun.set()

    async def wait(self) -> None:
        await self._begun.wait()

    async def interrupts(self, timeout: float) -> bool:
        """Wait `timeout` seconds; True as soon as the drain begins."""
        try:
            async with asyncio.timeout(timeout):
                await self._begun.wait()
        except TimeoutError:
            return False
        return True


async def first_of(*waits: Coroutine[object, object, object]) -> None:
    """Return when the first of these ends; the others are given up."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

"""Writes that run to their end, whatever becomes of the call that asked for them.

A caller may leave at any moment, which cancels its call's task. Cut in the middle of
its transaction, a write would leave open what was done; so each has a task of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Writes:
    """The writes under way."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(self, write: Coroutine[Any, Any, T]) -> T:
        """The outcome of `write`, which goes on when this call is cancelled."""
        task = asyncio.ensure_future(write)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def wait(self) -> None:
        """Return when none is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

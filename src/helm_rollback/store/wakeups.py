"""Wakes those who wait for the ledger to change.

All of it lives on the event loop; the writer thread only posts to it. A wake-up
that comes while nobody waits is kept for the next wait, so nothing falls between
reading the ledger and waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final

OPERATIONS: Final = "operations"
"""The subject of those who carry operations out; the others' are release ids."""
RELEASES: Final = "releases"
"""The subject of those who follow many releases: they are woken with each of them."""


class Waker:
    """One waiting reader."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    def wake(self) -> None:
        self._changed.set()

    async def wait(self, timeout: float) -> bool:
        """True when there was a change since the last wait, False after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._changed.wait()
        except TimeoutError:
            return False
        self._changed.clear()
        return True


class Wakeups:
    """Who waits for what."""

    def __init__(self) -> None:
        self._wakers: dict[Hashable, set[Waker]] = {}

    @contextmanager
    def watch(self, subject: Hashable) -> Iterator[Waker]:
        waker = Waker()
        self._wakers.setdefault(subject, set()).add(waker)
        try:
            yield waker
        finally:
            self._forget(subject, waker)

    def _forget(self, subject: Hashable, waker: Waker) -> None:
        waiting = self._wakers[subject]
        waiting.remove(waker)
        if not waiting:
            del self._wakers[subject]

    def wake(self, subjects: Iterable[Hashable]) -> None:
        told = set(subjects)
        if told - {OPERATIONS}:
            told.add(RELEASES)
        for subject in told:
            for waker in self._wakers.get(subject, ()):
                waker.wake()

    def wake_all(self) -> None:
        self.wake(list(self._wakers))

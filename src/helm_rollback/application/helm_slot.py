"""One of the few places for a Helm that runs."""

from __future__ import annotations

import asyncio


class HelmSlot:
    """Held from the claim on. Whoever waits for a cluster leaves it to others, and takes one again before Helm."""

    def __init__(self, slots: asyncio.Semaphore) -> None:
        """One of `slots` was acquired already."""
        self._slots = slots
        self._held = True

    async def take(self) -> bool:
        """Hold it, however long that takes; whether it had to be waited for, so that what was seen may be over."""
        if self._held:
            return False
        await self._slots.acquire()
        self._held = True
        return True

    def leave(self) -> None:
        """Let another have it. Not held, nothing happens."""
        if self._held:
            self._held = False
            self._slots.release()

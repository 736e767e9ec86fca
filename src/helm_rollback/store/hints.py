"""Tells other processes on the ledger what changed, and hears of theirs.

Hints only: whoever is woken reads the ledger. They go out some milliseconds after the
commit, many in one, since a NOTIFY inside a transaction makes commits wait for one
another. One that is lost is made good by waking everybody now and then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from helm_rollback.store.mapping import to_release_id
from helm_rollback.store.wakeups import OPERATIONS, Wakeups

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    Connect = Callable[[], Awaitable[AsyncConnection[Any]]]

log = logging.getLogger(__name__)

CHANNEL: Final = "helm_rollback_ledger"
GATHERING: Final = 0.01
"""Seconds in which hints are gathered before they are sent."""
DEAF_TICK: Final = 1.0
"""Seconds between two wake-ups of everybody, and two tries to connect, while nothing is heard."""
SAFETY_TICK: Final = 10.0
"""The same while hints are heard, and how often the connection is tried."""
_PAYLOAD_BYTES: Final = 7_900
"""PostgreSQL takes less than 8,000."""


class Hints:
    """One process's ear and voice, each a connection of its own."""

    def __init__(self, connect: Connect, wakeups: Wakeups) -> None:
        self._connect = connect
        self._wakeups = wakeups
        self._own = uuid4().hex
        self._untold: set[str] = set()
        self._something = asyncio.Event()
        self._hears = False

    def tell(self, subjects: Iterable[Hashable]) -> None:
        """Have others woken soon. Own watchers are woken by who wrote."""
        self._untold.update(map(str, subjects))
        self._something.set()

    async def run(self) -> None:
        """Tell and hear, until cancelled, whatever becomes of the connections."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_telling())
            tasks.create_task(self._keep_hearing())
            tasks.create_task(self._keep_waking())

    # --- the voice ---

    async def _keep_telling(self) -> None:
        while True:
            await self._something.wait()
            with suppress(Exception):  # others look by themselves meanwhile
                await self._tell_from_now()
            await asyncio.sleep(DEAF_TICK)

    async def _tell_from_now(self) -> None:
        async with await self._connect() as connection:
            while await self._something.wait():
                await asyncio.sleep(GATHERING)
                self._something.clear()
                untold, self._untold = self._untold, set()
                try:
                    for payload in self._payloads(untold):
                        await connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, payload))
                except Exception:
                    self._untold |= untold  # for the next connection: who listens may have lost nothing
                    self._something.set()
                    raise

    def _payloads(self, subjects: set[str]) -> Iterator[str]:
        """The sender, then what changed, a line each, in as few messages as it takes."""
        lines, size = [self._own], len(self._own)
        for subject in sorted(subjects):
            added = len(subject.encode()) + 1
            if size + added > _PAYLOAD_BYTES:
                yield "\n".join(lines)
                lines, size = [self._own], len(self._own)
            lines.append(subject)
            size += added
        yield "\n".join(lines)

    # --- the ear ---

    async def _keep_hearing(self) -> None:
        while True:
            try:
                await self._hear()
            except Exception as problem:  # whatever it was, it costs some speed, and is tried again
                if self._hears:
                    log.warning("hints of other processes are not heard: %s", problem)
            self._hears = False
            await asyncio.sleep(DEAF_TICK)

    async def _hear(self) -> None:
        async with await self._connect() as connection:
            await connection.execute(f"LISTEN {CHANNEL}")
            self._hears = True
            self._wakeups.wake_all()  # what was told meanwhile was told to nobody
            while True:
                async for notification in connection.notifies(timeout=SAFETY_TICK):
                    self._heard(notification.payload)
                await connection.execute("SELECT 1")  # a silent connection may be a dead one

    def _heard(self, payload: str) -> None:
        sender, *subjects = payload.split("\n")
        if sender != self._own:
            self._wakeups.wake(map(_subject, subjects))

    async def _keep_waking(self) -> None:
        loop = asyncio.get_running_loop()
        woken = loop.time()
        while True:
            await asyncio.sleep(DEAF_TICK)
            if not self._hears or loop.time() >= woken + SAFETY_TICK:
                self._wakeups.wake_all()
                woken = loop.time()


def _subject(text: str) -> Hashable:
    return OPERATIONS if text == OPERATIONS else to_release_id(text)

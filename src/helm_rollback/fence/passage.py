"""What the connections of one open fence share: the rules, the records of what passed, the way up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from helm_rollback.application.crash_points import CrashPoint, Reached
from helm_rollback.application.ports import RecordWrite, TouchedObject
from helm_rollback.domain.errors import ClusterUnreachable
from helm_rollback.fence.link import Link
from helm_rollback.fence.record_write import Unreadable, record_write
from helm_rollback.fence.refusals import RECORD_UNREADABLE, RECORDS_AT_ONCE, UNREACHABLE, record_refused
from helm_rollback.fence.request import Request
from helm_rollback.fence.upstream import Upstream

_log = logging.getLogger(__name__)

WARM_LINKS = 2
"""Connections made while Helm still starts (some 45 ms), so that their handshakes cost nothing."""


class Passage:
    """The port `OpenFence`, but for its kubeconfig, which needs the listener's port."""

    def __init__(
        self,
        upstream: Upstream,
        *,
        authorization: str,
        seconds_left: Callable[[], float],
        judge: Callable[[RecordWrite], Awaitable[str]],
        sent_for: str,
        reached: Reached,
    ) -> None:
        self.upstream = upstream
        self.authorization = authorization
        """What a client must say to be let in."""
        self.sent_for = sent_for
        """What the API server is told in the User-Agent beside Helm's own."""
        self.kubeconfig = ""
        self._seconds_left = seconds_left
        self._judge = judge
        self._reached = reached
        self._open = True
        self._touched: list[TouchedObject] = []
        self._refused: list[RecordWrite] = []
        self._warm = [asyncio.create_task(self._connect()) for _ in range(WARM_LINKS)]
        self._links: set[Link] = set()

    @property
    def touched(self) -> Sequence[TouchedObject]:
        return tuple(self._touched)

    @property
    def refused_records(self) -> Sequence[RecordWrite]:
        return tuple(self._refused)

    def seconds_left(self) -> float:
        """For how long from now a write may be under way; 0: none may pass. To be asked right before the sending."""
        return self._seconds_left() if self._open else 0

    async def judge(self, request: Request, body: bytes) -> tuple[RecordWrite | None, str]:
        """The record that a request writes, if it does, and why it may not, if it may not."""
        found = record_write(request, body)
        if found is None:
            return None, ""
        if isinstance(found, Unreadable):
            return found.write, RECORDS_AT_ONCE if found.several else RECORD_UNREADABLE
        try:
            why = await self._judge(found)
        except ClusterUnreachable:
            return None, UNREACHABLE  # not refused for what it is
        except Exception:
            _log.exception("a release record could not be judged", extra={"secret_name": found.secret_name})
            why = "it could not be judged"
        return found, record_refused(why) if why else ""

    def note_refused(self, record: RecordWrite | None, why: str) -> None:
        """Remember a refusal, and say it once in the log: Helm's own text may be lost."""
        _log.warning("write refused", extra={"refusal": why})
        if record is not None:
            self._refused.append(record)

    def note_touched(self, request: Request) -> None:
        """Remember a write that the API server has answered with success."""
        self._touched.append(TouchedObject(method=request.method, path=request.target.partition("?")[0]))
        if len(self._touched) == 1:  # Helm creates its record before anything else
            self._reached(CrashPoint.RECORD_CREATED)

    async def take_link(self) -> Link:
        """A connection to the API server that nobody else uses. Raises OSError."""
        while self._warm:
            with suppress(OSError):
                link = await self._warm.pop(0)
                if link.is_usable:
                    return link
        return await self._connect()

    async def _connect(self) -> Link:
        link = Link()
        await self.upstream.connect(lambda: link)
        if not self._open:
            link.abort()
            raise ConnectionAbortedError("the fence is closed")
        self._links.add(link)
        link.lost.add_done_callback(lambda _: self._links.discard(link))
        return link

    async def close(self) -> None:
        """End every connection to the API server, also those that are being made."""
        self._open = False
        for warming in self._warm:
            warming.cancel()
        await asyncio.gather(*self._warm, return_exceptions=True)
        links = list(self._links)
        for link in links:
            link.abort()
        if links:
            await asyncio.wait([link.lost for link in links], timeout=1.0)

"""One connection of Helm: its requests, one after the other, are passed or refused.

The API server's answers are not parsed, so lists and watches stream at full speed.
The end of an answer is therefore not known; that a client asks again only after its
answer has begun is what every HTTP client does, and one that does not is cut off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import cast

from helm_rollback.application.ports import RecordWrite
from helm_rollback.domain.errors import Refused
from helm_rollback.fence.link import Link
from helm_rollback.fence.passage import Passage
from helm_rollback.fence.refusals import LEASE_LOST, UNREACHABLE, answer
from helm_rollback.fence.request import BadRequest, Request, head_bytes
from helm_rollback.fence.request_reader import RequestReader

ANSWER_SECONDS = 90.0
"""After this an answer that has not begun is given up. An API server gives its own work 60; Helm waits for ever."""


class Connection(asyncio.Protocol):
    """Between Helm and one `Link`, which it takes with its first request and keeps."""

    def __init__(self, passage: Passage, ended: Callable[[Connection], None]) -> None:
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._passage = passage
        self._ended = ended
        self._reader = RequestReader(passage.authorization)
        self._transport: asyncio.Transport | None = None
        self._link: Link | None = None
        self._passing: asyncio.Task[None] | None = None
        self._overdue: asyncio.TimerHandle | None = None
        """What happens if the answer that is awaited does not begin in time; None where none is awaited."""

    def abort(self) -> None:
        """End it at once; a request that waits to be judged is never sent."""
        self._answer_begins()
        if self._passing is not None:
            self._passing.cancel()
        if self._link is not None:
            self._link.abort()
        if self._transport is not None:
            self._transport.abort()

    # Towards Helm.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._passing is not None or self._overdue is not None:
            self.abort()  # a request before the answer to the last
            return
        try:
            whole = self._reader.feed(data)
        except BadRequest as bad:
            self._refuse(bad.code, bad.message, close=True)
            return
        if len(whole) > 1 or (whole and self._reader.in_the_middle):
            self.abort()
        elif whole:
            self._passing = asyncio.create_task(self._pass(*whole[0]))
            self._passing.add_done_callback(self._passed)

    def pause_writing(self) -> None:
        if self._link is not None:
            self._link.pause()

    def resume_writing(self) -> None:
        if self._link is not None:
            self._link.resume()

    def connection_lost(self, _exc: Exception | None) -> None:
        self.abort()
        self._ended(self)
        if not self.lost.done():
            self.lost.set_result(None)

    # From the API server.

    def answered(self, data: bytes) -> None:
        self._answer_begins()
        if self._transport is not None:
            self._transport.write(data)

    def link_lost(self) -> None:
        """Close, and leave it to Helm's client to know what that means: it would have seen the same."""
        if self._transport is not None:
            self._transport.close()

    # In between.

    def _passed(self, task: asyncio.Task[None]) -> None:
        self._passing = None
        if not task.cancelled() and task.exception() is not None:
            asyncio.get_running_loop().call_exception_handler(
                {"message": "a request could not be passed", "exception": task.exception()}
            )
            self.abort()

    async def _pass(self, request: Request, body: bytes) -> None:
        try:
            link = await self._take_link()
            authorization = await self._passage.upstream.authorization()
        except (OSError, Refused):
            self._refuse(502, UNREACHABLE, close=True)
            return
        head = head_bytes(
            request,
            base_path=self._passage.upstream.base_path,
            authority=self._passage.upstream.authority,
            authorization=authorization,
            sent_for=self._passage.sent_for,
            body_length=len(body) if request.is_write else None,
        )
        if request.is_write:
            await self._pass_write(link, request, head, body)
        elif link.is_usable:
            self._await_answer()
            link.send(head)

    async def _pass_write(self, link: Link, request: Request, head: bytes, body: bytes) -> None:
        """Judge, ask for the lease last, and send in the same breath."""
        record, refusal = await self._passage.judge(request, body)
        if refusal:
            self._refuse_write(record, refusal)
            return
        if not link.is_usable or self._transport is None or self._transport.is_closing():
            self.abort()  # one of the two went while it was judged: nobody waits for it, nothing is sent
            return
        self._await_answer()
        on_success = None if request.is_dry_run else lambda: self._passage.note_touched(request)
        try:
            sent = await link.send_guarded(head + body, seconds_left=self._passage.seconds_left, on_success=on_success)
        except ConnectionError:
            self.abort()
            return
        if not sent:
            self._answer_begins()
            self._refuse_write(record, LEASE_LOST)

    def _await_answer(self) -> None:
        give_up = partial(self._refuse, 502, UNREACHABLE, close=True)
        self._overdue = asyncio.get_running_loop().call_later(ANSWER_SECONDS, give_up)

    def _answer_begins(self) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None

    async def _take_link(self) -> Link:
        if self._link is None:
            self._link = await self._passage.take_link()
            self._link.attach(self)
        return self._link

    def _refuse_write(self, record: RecordWrite | None, why: str) -> None:
        self._passage.note_refused(record, why)
        self._refuse(403, why, close=False)

    def _refuse(self, code: int, message: str, *, close: bool) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(answer(code, message, close=close))
        if close:
            self._transport.close()

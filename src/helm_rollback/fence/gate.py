"""The port `Fence`: opens one passage per operation, and closes it with everything in it.

Helm is given a loopback address and a one-time token. Reads pass always; a write
passes only while the operation's lease holds, a release record only where the judge
allows it. When a passage closes, its port and its connections are gone at once, so
that a Helm which still runs can do no more harm than one without a network.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from helm_rollback.application.crash_points import Reached, go_on
from helm_rollback.application.ports import OpenFence, RecordWrite
from helm_rollback.fence.connection import Connection
from helm_rollback.fence.kubeconfig import authorization, kubeconfig
from helm_rollback.fence.passage import Passage
from helm_rollback.fence.upstream import Upstream


def random_token() -> str:
    """A token that nobody guesses within an operation's life."""
    return secrets.token_urlsafe(32)


class FenceGate:
    """Opens passages to the clusters it knows."""

    def __init__(
        self,
        upstreams: Mapping[str, Upstream],
        *,
        token_factory: Callable[[], str] = random_token,
        reached: Reached = go_on,
    ) -> None:
        self._upstreams = upstreams
        self._reached = reached
        self._token_factory = token_factory

    @asynccontextmanager
    async def open(
        self,
        cluster: str,
        *,
        seconds_left: Callable[[], float],
        judge: Callable[[RecordWrite], Awaitable[str]],
        sent_for: str = "",
    ) -> AsyncIterator[OpenFence]:
        """Open a passage to `cluster` while the block lasts.

        `judge` answers why a record write may not pass, or nothing; then `seconds_left`
        is asked, with the write's body in hand. `sent_for` goes into the User-Agent. Raises
        KeyError for a cluster it does not know.
        """
        token = self._token_factory()
        passage = Passage(
            self._upstreams[cluster],
            authorization=authorization(token),
            seconds_left=seconds_left,
            judge=judge,
            sent_for=sent_for,
            reached=self._reached,
        )
        connections: set[Connection] = set()

        def connection() -> Connection:
            new = Connection(passage, connections.discard)
            connections.add(new)
            return new

        try:
            server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0)
            try:
                passage.kubeconfig = kubeconfig(server.sockets[0].getsockname()[1], token)
                yield passage
            finally:
                server.close()
                await _end(list(connections))
        finally:
            await passage.close()


async def _end(connections: list[Connection]) -> None:
    for connection in connections:
        connection.abort()
    if connections:
        await asyncio.wait([connection.lost for connection in connections], timeout=1.0)

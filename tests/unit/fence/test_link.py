"""What has been handed to the kernel, and does not get through: it dies with the lease, or with the connection."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from local_cluster.keys import write_keys

from helm_rollback.fence.link import WHOLE_MAX, Link
from helm_rollback.fence.upstream import Upstream

PATIENCE = 10.0
WRITE = b"PUT /x HTTP/1.1\r\n\r\n" + bytes(WHOLE_MAX - 100)
"""In one piece in the kernel's hands at once."""
SMALL = 4096


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server's, whose kernel takes little that its program does not read."""
    with socket.create_server(("127.0.0.1", 0)) as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        made.settimeout(PATIENCE)
        yield made


@asynccontextmanager
async def connected(listener: socket.socket, tls: ssl.SSLContext | None = None) -> AsyncIterator[Link]:
    async def none() -> str:
        return ""

    upstream = Upstream(
        host="127.0.0.1",
        port=listener.getsockname()[1],
        server_hostname="127.0.0.1",
        ssl_context=tls,
        base_path="",
        authorization=none,
    )
    link = Link()
    await upstream.connect(lambda: link)
    try:
        yield link
    finally:
        link.abort()
        await link.lost


def user_timeout(link: Link) -> int:
    return link._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)


def all_that_comes(server: socket.socket) -> tuple[int, bool]:
    """How many bytes come before the connection ends, and whether it was reset."""
    server.settimeout(PATIENCE)
    count = 0
    try:
        while piece := server.recv(WHOLE_MAX):
            count += len(piece)
    except ConnectionResetError:
        return count, True
    return count, False


async def test_what_an_aborted_connection_has_not_delivered_is_never_delivered(listener: socket.socket) -> None:
    async with connected(listener) as link:
        server, _ = listener.accept()
        with server:
            assert await link.send_guarded(WRITE, seconds_left=lambda: 30.0)
            link.abort()
            await link.lost

            count, reset = all_that_comes(server)

    assert reset
    assert count < len(WRITE)


async def test_what_is_not_acknowledged_is_given_up_when_the_lease_is_over(listener: socket.socket) -> None:
    async with connected(listener) as link:
        server, _ = listener.accept()
        with server:
            began = time.monotonic()
            assert await link.send_guarded(WRITE, seconds_left=lambda: 0.5)
            await asyncio.wait_for(link.lost, PATIENCE)
            took = time.monotonic() - began

            count, reset = all_that_comes(server)

    assert took < PATIENCE / 2
    assert reset
    assert count < len(WRITE)


async def test_a_write_is_given_as_long_as_the_lease_has_and_a_read_as_long_as_it_takes(
    listener: socket.socket,
) -> None:
    async with connected(listener) as link:
        assert user_timeout(link) == 0
        await link.send_guarded(b"write", seconds_left=lambda: 12.3456)
        assert user_timeout(link) == 12345
        await link.send_guarded(b"write", seconds_left=lambda: 0.0001)
        assert user_timeout(link) == 1, "not 0, which means for ever"
        link.send(b"read")
        assert user_timeout(link) == 0


async def test_the_tail_of_a_large_write_is_given_what_the_lease_has_by_then(listener: socket.socket) -> None:
    left = iter([20.0, 7.0])

    async def read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)
        writer.close()

    async with await asyncio.start_server(read, sock=listener), connected(listener) as link:
        assert await link.send_guarded(bytes(3 * WHOLE_MAX), seconds_left=lambda: next(left))
        assert user_timeout(link) == 7000


async def test_under_tls_it_is_the_same(listener: socket.socket, tmp_path: Path) -> None:
    keys = write_keys(tmp_path)
    server_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_tls.load_cert_chain(keys.server_certificate, keys.server_key)
    client_tls = ssl.create_default_context(cafile=str(keys.ca))

    async def read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)
        writer.close()

    async with await asyncio.start_server(read, sock=listener, ssl=server_tls), connected(listener, client_tls) as link:
        await link.send_guarded(b"write", seconds_left=lambda: 3.0)

        assert user_timeout(link) == 3000
        linger = link._socket.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.calcsize("ii"))
        assert struct.unpack("ii", linger) == (1, 0)

"""An API server that takes a request and never answers: Helm, which would wait for ever, is told."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator

import pytest
from unit.fence.api_server import ApiServer, running

from helm_rollback.application.ports import OpenFence
from helm_rollback.fence import connection
from helm_rollback.fence.gate import FenceGate
from helm_rollback.fence.upstream import Upstream

WRITE = "PATCH /api/v1/namespaces/prod/configmaps/web HTTP/1.1"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "ANSWER_SECONDS", 0.2)


@pytest.fixture
async def silent() -> AsyncIterator[ApiServer]:
    """Answers nothing until the test is over."""
    over = asyncio.Event()

    async def say_nothing(_: asyncio.StreamWriter) -> None:
        await over.wait()

    async with running(ApiServer(stream=say_nothing)) as server:
        yield server
        over.set()


@pytest.mark.parametrize(
    ("line", "size"),
    [("GET /api/v1/pods HTTP/1.1", 0), (WRITE, 100), (WRITE, 3_000_000)],
    ids=["read", "write", "large"],
)
async def test_an_answer_that_does_not_begin_is_given_up(silent: ApiServer, line: str, size: int) -> None:
    async with _fence_before(silent).open("default", seconds_left=lambda: 30.0, judge=_pass) as fence:
        answer = await asyncio.wait_for(_ask(fence, line, b"x" * size), 10)

        assert b" 502 " in answer.partition(b"\r\n")[0]
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["message"].endswith("the API server does not answer")
        assert fence.touched == ()


async def test_an_answer_that_has_begun_may_take_its_time() -> None:
    """A watch says nothing for minutes."""
    go_on = asyncio.Event()

    async def begin(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
        await go_on.wait()
        writer.write(b"late")

    async with (
        running(ApiServer(stream=begin)) as server,
        _fence_before(server).open("default", seconds_left=lambda: 30.0, judge=_pass) as fence,
    ):
        asking = asyncio.create_task(_ask(fence, "GET /api/v1/pods?watch=1 HTTP/1.1", b"", length=4))
        done, _ = await asyncio.wait([asking], timeout=0.6)
        assert not done

        go_on.set()
        assert (await asyncio.wait_for(asking, 10)).endswith(b"late")


async def _pass(_: object) -> str:
    return ""


async def _no_authorization() -> str:
    return ""


def _fence_before(server: ApiServer) -> FenceGate:
    upstream = Upstream(
        host="127.0.0.1",
        port=server.port,
        server_hostname="",
        ssl_context=None,
        base_path="",
        authorization=_no_authorization,
    )
    return FenceGate({"default": upstream})


async def _ask(fence: OpenFence, line: str, body: bytes, *, length: int | None = None) -> bytes:
    """Send a request; the answer up to its end, or up to `length` bytes of body."""
    found = re.search(r"http://(fence:[^@]+)@127\.0\.0\.1:(\d+)", fence.kubeconfig)
    assert found is not None
    reader, writer = await asyncio.open_connection("127.0.0.1", int(found[2]))
    login = base64.b64encode(found[1].encode()).decode()
    writer.write(f"{line}\r\nHost: x\r\nAuthorization: Basic {login}\r\nContent-Length: {len(body)}\r\n\r\n".encode())
    writer.write(body)
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        return head + (await reader.read() if length is None else await reader.readexactly(length))
    finally:
        writer.close()

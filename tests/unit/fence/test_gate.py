"""The open fence: what it passes, what it refuses, and that it closes at once."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from unit.fence.api_server import OK, ApiServer, running
from unit.fence.kubernetes_protobuf import secret_protobuf

from helm_rollback.application.ports import Fence, OpenFence, RecordWrite
from helm_rollback.domain.errors import ClusterUnreachable
from helm_rollback.fence.gate import FenceGate
from helm_rollback.fence.secret_protobuf import CONTENT_TYPE
from helm_rollback.fence.upstream import Upstream
from helm_rollback.helm.record import encode

CONFIG_MAPS = "/api/v1/namespaces/prod/configmaps"
SECRETS = "/api/v1/namespaces/prod/secrets"
NAME = "sh.helm.release.v1.shop.v3"


@dataclass
class Client:
    """Helm's HTTP client, one connection of it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    login: str

    async def ask(
        self, method: str, target: str, body: bytes = b"", *, headers: str = "", login: str | None = None
    ) -> tuple[int, bytes]:
        self.send(method, target, body, headers=headers, login=login)
        await self.writer.drain()
        return await self.answer()

    def send(self, method: str, target: str, body: bytes = b"", *, headers: str = "", login: str | None = None) -> None:
        authorization = self.login if login is None else login
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        head = f"{method} {target} HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\n{headers}{length}\r\n"
        self.writer.write(head.encode() + body)

    async def answer(self) -> tuple[int, bytes]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        length = re.search(r"Content-Length: (\d+)", head)
        body = await self.reader.readexactly(int(length[1])) if length else b""
        return int(head.split()[1]), body

    async def is_closed(self) -> bool:
        try:
            return await asyncio.wait_for(self.reader.read(1), 5) == b""
        except ConnectionError:
            return True


@dataclass
class World:
    """An API server, a fence before it, and what decides for it."""

    server: ApiServer
    lease: bool = True
    verdict: Callable[[RecordWrite], str] = lambda _: ""
    judging: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    judged: list[RecordWrite] = field(default_factory=list)
    authorization: str = "Bearer of the cluster"
    reachable: bool = True

    async def judge(self, write: RecordWrite) -> str:
        self.judged.append(write)
        self.judging.set()
        await self.go_on.wait()
        return self.verdict(write)

    async def authorize(self) -> str:
        if not self.reachable:
            raise ClusterUnreachable("default", "no credentials")
        return self.authorization

    def gate(self) -> Fence:
        upstream = Upstream(
            host="127.0.0.1",
            port=self.server.port,
            server_hostname="",
            ssl_context=None,
            base_path="/base",
            authorization=self.authorize,
        )
        return FenceGate({"default": upstream}, token_factory=lambda: "one-time")

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[OpenFence]:
        async with self.gate().open("default", seconds_left=self.seconds_left, judge=self.judge) as fence:
            yield fence

    def seconds_left(self) -> float:
        return 30.0 if self.lease else 0.0


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with running(ApiServer()) as server:
        made = World(server)
        made.go_on.set()
        yield made


async def connect(fence: OpenFence) -> Client:
    url = json.loads(fence.kubeconfig)["clusters"][0]["cluster"]["server"]
    found = re.fullmatch(r"http://(fence:one-time)@127\.0\.0\.1:(\d+)", url)
    assert found
    reader, writer = await asyncio.open_connection("127.0.0.1", int(found[2]))
    return Client(reader, writer, "Basic " + base64.b64encode(found[1].encode()).decode())


@asynccontextmanager
async def client_of(world: World) -> AsyncIterator[tuple[OpenFence, Client]]:
    async with world.opened() as fence:
        client = await connect(fence)
        try:
            yield fence, client
        finally:
            client.writer.close()


def record(size: int = 0) -> bytes:
    payload = encode({"name": "shop", "version": 3, "manifest": "m", "info": {"status": "pending-rollback"}})
    return secret_protobuf(
        {
            "metadata": {"name": NAME, "labels": {"owner": "helm", "name": "shop", "version": "3"}},
            "data": {"release": base64.b64encode(payload + b"\n" * size).decode()},
            "type": "helm.sh/release.v1",
        }
    )


PROTOBUF = f"Content-Type: {CONTENT_TYPE}\r\n"


def message(body: bytes) -> str:
    status = json.loads(body)
    assert (status["kind"], status["status"]) == ("Status", "Failure")
    return str(status["message"])


async def test_a_read_passes_with_the_cluster_s_credentials_even_without_the_lease(world: World) -> None:
    world.lease = False
    async with client_of(world) as (fence, client):
        assert await client.ask("GET", "/version?x=1") == (200, b"ok")

        assert world.server.heads[0].startswith("GET /base/version?x=1 HTTP/1.1\r\n")
        assert "Authorization: Bearer of the cluster\r\n" in world.server.heads[0]
        assert f"Host: 127.0.0.1:{world.server.port}\r\n" in world.server.heads[0]
        assert "one-time" not in world.server.heads[0]
        assert fence.touched == ()


async def test_the_api_server_is_told_whose_requests_they_are(world: World) -> None:
    async with world.gate().open("default", seconds_left=lambda: 30.0, judge=world.judge, sent_for="run/7") as fence:
        client = await connect(fence)
        await client.ask("GET", "/version")
        client.writer.close()

    assert "user-agent: run/7\r\n" in world.server.heads[0]


async def test_the_kubeconfig_holds_no_credential_of_the_cluster(world: World) -> None:
    async with world.opened() as fence:
        assert "Bearer" not in fence.kubeconfig
        assert str(world.server.port) not in fence.kubeconfig


async def test_a_connection_is_used_again(world: World) -> None:
    async with client_of(world) as (_, client):
        for _ in range(3):
            assert (await client.ask("GET", "/a"))[0] == 200
            assert (await client.ask("POST", CONFIG_MAPS, b"{}"))[0] == 200

    assert len(world.server.requests) == 6


@pytest.mark.parametrize("login", ["", "Bearer one-time", "Basic eDp5"])
async def test_without_the_token_nothing_passes(world: World, login: str) -> None:
    async with client_of(world) as (_, client):
        code, body = await client.ask("GET", "/version", login=login)

        assert code == 401
        assert "token" in message(body)
        assert await client.is_closed()
    assert world.server.requests == []


async def test_a_write_passes_while_the_lease_holds(world: World) -> None:
    world.server.answer = lambda _head, _body: OK.replace(b"200 OK", b"201 Created")
    async with client_of(world) as (fence, client):
        assert (await client.ask("POST", f"{CONFIG_MAPS}?fieldManager=helm", b'{"a":1}'))[0] == 201

        assert world.server.requests[0][1] == b'{"a":1}'
        assert [(touched.method, touched.path) for touched in fence.touched] == [("POST", CONFIG_MAPS)]
        assert world.judged == []


async def test_a_write_that_the_api_server_refuses_touched_nothing(world: World) -> None:
    world.server.answer = lambda _head, _body: OK.replace(b"200 OK", b"409 Conflict")
    async with client_of(world) as (fence, client):
        assert (await client.ask("PATCH", f"{CONFIG_MAPS}/a", b"{}"))[0] == 409
        assert fence.touched == ()


async def test_a_dry_run_touched_nothing(world: World) -> None:
    async with client_of(world) as (fence, client):
        assert (await client.ask("PATCH", f"{CONFIG_MAPS}/a?dryRun=All", b"{}"))[0] == 200
        assert fence.touched == ()


async def test_without_the_lease_no_write_passes(world: World) -> None:
    world.lease = False
    async with client_of(world) as (fence, client):
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            code, body = await client.ask(method, f"{CONFIG_MAPS}/a", b"{}")
            assert code == 403
            assert "helm-rollback fence: the lease" in message(body)

        assert fence.touched == ()
        assert fence.refused_records == ()
    assert world.server.requests == []


async def test_a_record_is_judged_and_passed(world: World) -> None:
    async with client_of(world) as (fence, client):
        assert (await client.ask("POST", SECRETS, record(), headers=PROTOBUF))[0] == 200

        [judged] = world.judged
        assert (judged.method, judged.namespace, judged.secret_name) == ("POST", "prod", NAME)
        assert judged.stored is not None
        assert judged.stored.record is not None
        assert fence.refused_records == ()
        assert len(fence.touched) == 1
    assert world.server.requests[0][1] == record()
    assert PROTOBUF.lower() in world.server.heads[0]


async def test_a_record_that_the_judge_refuses_does_not_pass(world: World) -> None:
    world.verdict = lambda write: f"{write.secret_name} is not ours"
    async with client_of(world) as (fence, client):
        code, body = await client.ask("DELETE", f"{SECRETS}/{NAME}")

        assert code == 403
        assert message(body) == f"helm-rollback fence: this release record is not passed: {NAME} is not ours"
        assert fence.refused_records == tuple(world.judged)
        assert (await client.ask("GET", "/a"))[0] == 200
    assert len(world.server.requests) == 1


async def test_a_record_that_can_not_be_judged_does_not_pass(world: World) -> None:
    def fails(_: RecordWrite) -> str:
        raise RuntimeError("the ledger is away")

    world.verdict = fails
    async with client_of(world) as (fence, client):
        code, body = await client.ask("POST", SECRETS, record(), headers=PROTOBUF)

        assert code == 403
        assert message(body).endswith("it could not be judged")
        assert len(fence.refused_records) == 1


async def test_an_unreadable_record_does_not_pass_and_is_not_judged(world: World) -> None:
    async with client_of(world) as (fence, client):
        assert (await client.ask("POST", SECRETS, b"k8s\x00\xff", headers=PROTOBUF))[0] == 403
        assert (await client.ask("DELETE", SECRETS))[0] == 403
        assert len(fence.refused_records) == 2
    assert world.judged == []


async def test_the_lease_is_asked_after_the_judge(world: World) -> None:
    world.go_on.clear()
    async with client_of(world) as (fence, client):
        client.send("POST", SECRETS, record(), headers=PROTOBUF)
        await world.judging.wait()
        world.lease = False
        world.go_on.set()

        code, body = await client.answer()

        assert code == 403
        assert "the lease" in message(body)
        assert len(fence.refused_records) == 1
    assert world.server.requests == []


async def test_a_held_write_dies_with_its_client(world: World) -> None:
    world.go_on.clear()
    async with world.opened() as fence:
        client = await connect(fence)
        client.send("POST", SECRETS, record(), headers=PROTOBUF)
        await world.judging.wait()
        client.writer.transport.abort()
        await asyncio.sleep(0.05)
        world.go_on.set()
        await asyncio.sleep(0.05)

        assert world.server.requests == []


async def test_a_held_write_dies_with_its_fence(world: World) -> None:
    world.go_on.clear()
    async with client_of(world) as (_, client):
        client.send("POST", SECRETS, record(), headers=PROTOBUF)
        await world.judging.wait()

    world.go_on.set()
    await asyncio.sleep(0.05)
    assert world.server.requests == []


async def test_a_large_write_arrives_whole(world: World) -> None:
    body = record(2_000_000)
    async with client_of(world) as (fence, client):
        assert (await client.ask("PUT", f"{SECRETS}/{NAME}", body, headers=PROTOBUF))[0] == 200
        assert len(fence.touched) == 1
    assert world.server.requests[0][1] == body


async def test_of_a_large_write_the_tail_is_held_until_the_lease_is_seen_again(world: World) -> None:
    body = record(2_000_000)
    asked = []

    def once() -> float:
        asked.append(world.server.bytes_read)
        return 30.0 if len(asked) == 1 else 0.0

    async with world.gate().open("default", seconds_left=once, judge=world.judge) as fence:
        client = await connect(fence)
        code, answer = await client.ask("PUT", f"{SECRETS}/{NAME}", body, headers=PROTOBUF)
        client.writer.close()

        assert code == 403
        assert "the lease" in message(answer)
        assert fence.touched == ()
    assert len(asked) == 2
    assert world.server.requests == []
    assert world.server.bytes_read < len(body)


async def test_too_large_a_write_is_refused(world: World) -> None:
    async with client_of(world) as (_, client):
        code, body = await client.ask("POST", CONFIG_MAPS, headers="Content-Length: 9000000\r\n")

        assert code == 413
        assert message(body) == "the request is too large"


async def test_a_watch_streams_through_as_it_comes(world: World) -> None:
    more = asyncio.Event()

    async def stream(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nfirst\n\r\n")
        await more.wait()
        writer.write(b"7\r\nsecond\n\r\n0\r\n\r\n")

    world.server.stream = stream
    async with client_of(world) as (_, client):
        client.send("GET", "/api/v1/pods?watch=true")
        assert (await asyncio.wait_for(client.reader.readuntil(b"first\n\r\n"), 5)).startswith(b"HTTP/1.1 200 OK\r\n")
        more.set()
        assert await asyncio.wait_for(client.reader.readuntil(b"0\r\n\r\n"), 5) == b"7\r\nsecond\n\r\n0\r\n\r\n"


async def test_a_large_list_is_not_piled_up_before_a_slow_client(world: World) -> None:
    size = 50_000_000
    world.server.answer = lambda _head, _body: (
        f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode() + bytes(size)
    )
    async with client_of(world) as (_, client):
        client.send("GET", "/api/v1/pods")
        await asyncio.sleep(0.2)

        code, body = await client.answer()

        assert (code, len(body)) == (200, size)


async def test_a_request_before_the_answer_to_the_last_ends_the_connection(world: World) -> None:
    async with client_of(world) as (_, client):
        client.send("GET", "/a")
        client.send("GET", "/b")

        assert await client.is_closed()


async def test_a_request_hidden_behind_another_is_not_passed(world: World) -> None:
    async with client_of(world) as (_, client):
        client.send("POST", CONFIG_MAPS, b"{}DELETE /api HTTP/1.1\r\n\r\n", headers="Content-Length: 2\r\n")

        assert (await client.answer())[0] == 400
    assert world.server.requests == []


async def test_when_the_api_server_ends_a_connection_so_does_the_fence(world: World) -> None:
    async def stream(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nrest")
        writer.close()

    world.server.stream = stream
    async with client_of(world) as (_, client):
        client.send("GET", "/a")

        assert (await asyncio.wait_for(client.reader.read(), 5)).endswith(b"rest")


async def test_an_unreachable_api_server_is_said_so(world: World) -> None:
    world.reachable = False
    async with client_of(world) as (_, client):
        code, body = await client.ask("GET", "/version")

        assert code == 502
        assert message(body) == "helm-rollback fence: the API server does not answer"


async def test_a_port_where_nothing_listens_is_said_so(world: World) -> None:
    world.server.port = 1
    async with client_of(world) as (_, client):
        assert (await client.ask("POST", CONFIG_MAPS, b"{}"))[0] == 502


async def test_a_closed_fence_has_no_port_and_no_connection(world: World) -> None:
    started = asyncio.Event()

    async def stream(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        started.set()
        await asyncio.sleep(0.2)

    world.server.stream = stream
    async with world.opened() as fence:
        client, idle = await connect(fence), await connect(fence)
        client.send("GET", "/api/v1/pods?watch=true")
        await started.wait()
        await client.reader.readuntil(b"\r\n\r\n")

    assert await client.is_closed()
    assert await idle.is_closed()
    client.writer.close()
    idle.writer.close()
    with pytest.raises(ConnectionRefusedError):
        await connect(fence)


async def test_connections_are_made_before_they_are_needed(world: World) -> None:
    async with world.opened():
        await asyncio.sleep(0.05)

        assert world.server.connections == 2
    await asyncio.sleep(0.05)
    assert world.server.ended == 2

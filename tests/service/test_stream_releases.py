"""StreamReleases: every match, one caught_up, then each release that changed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import grpc
import httpx2
from support.calls import refused
from support.fakes import Chart
from support.service import Service
from support.waiting import PATIENCE
from support.world import Choices, World

from helm_rollback.v1.release_service_pb2 import StreamReleasesRequest, StreamReleasesResponse

SHOP, BLOG = "default.prod.shop", "default.prod.blog"


def stream(service: Service, **fields: Any) -> Any:
    return service.releases.StreamReleases(StreamReleasesRequest(**fields))


async def told(call: AsyncIterator[StreamReleasesResponse]) -> str:
    """What the next response says; heartbeats are passed over."""
    async with asyncio.timeout(PATIENCE):
        while True:
            response: Any = await anext(aiter(call))
            match response.WhichOneof("item"):
                case "release":
                    return f"{response.release.release_id} {response.release.current_revision}"
                case "caught_up":
                    return f"caught up {response.caught_up.last_sequence}"


async def until_told(call: AsyncIterator[StreamReleasesResponse], text: str) -> list[str]:
    """All that is told up to this; what changes in steps may be told in several."""
    heard: list[str] = []
    while not heard or heard[-1] != text:
        heard.append(await told(call))
    return heard


async def test_every_match_then_caught_up_then_what_changes(world: World, service: Service) -> None:
    world.release("blog")
    shop = world.release()
    await service.until_observed(world.cluster)
    call = stream(service)

    first = [await told(call) for _ in range(3)]
    shop.upgrade(Chart(version="3.0.0"))
    then = await until_told(call, f"{SHOP} 3")
    call.cancel()

    assert first == [f"{BLOG} 2", f"{SHOP} 2", "caught up 0"]
    assert set(then) == {f"{SHOP} 3"}


async def test_a_release_that_comes_later_is_told(world: World, service: Service) -> None:
    call = stream(service, namespace="prod")
    first = await told(call)

    world.release()

    assert first == "caught up 0"
    assert (await until_told(call, f"{SHOP} 2"))[-1] == f"{SHOP} 2"
    call.cancel()


async def test_only_what_is_wanted_is_told(world: World, service: Service) -> None:
    blog, shop = world.release("blog"), world.release()
    call = stream(service, release_ids=[SHOP])
    first = [await told(call) for _ in range(2)]
    elsewhere = stream(service, namespace="test")
    nothing = await told(elsewhere)

    blog.upgrade(Chart(version="3.0.0"))
    shop.upgrade(Chart(version="3.0.0"))
    then = await until_told(call, f"{SHOP} 3")
    call.cancel()
    elsewhere.cancel()

    assert first == [f"{SHOP} 2", "caught up 0"]
    assert nothing == "caught up 0"
    assert set(then) <= {f"{SHOP} 2", f"{SHOP} 3"}


async def test_what_can_not_be_followed_is_refused(service: Service) -> None:
    assert (await refused(stream(service, release_ids=["default.prod.nothing"]))).reason == "RELEASE_NOT_FOUND"
    assert (await refused(stream(service, cluster="elsewhere"))).reason == "CLUSTER_NOT_CONFIGURED"
    malformed = await refused(stream(service, release_ids=["shop"]))
    assert (malformed.reason, malformed.metadata["field"]) == ("INVALID_FIELD", "release_ids")
    many = await refused(stream(service, release_ids=[SHOP] * 501))
    assert (many.reason, many.metadata["field"]) == ("INVALID_FIELD", "release_ids")


async def test_silence_is_broken_by_heartbeats(world: World) -> None:
    service = await world.start(Choices(heartbeat_seconds=0.05))
    call = stream(service)

    items = [(await anext(aiter(call))).WhichOneof("item") for _ in range(3)]
    call.cancel()

    assert items == ["caught_up", "heartbeat", "heartbeat"]


async def test_a_drain_ends_it(world: World, service: Service) -> None:
    call = stream(service)
    await told(call)

    await service.server.drain()

    end = await refused(call)
    assert (end.code, end.reason) == (grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING")


async def test_by_rest_its_events_have_no_id(world: World, service: Service) -> None:
    world.release("blog")
    world.release()
    lines: list[str] = []
    async with httpx2.AsyncClient(timeout=PATIENCE) as client:
        address = f"{service.http}/releases/stream?releaseIds={SHOP}&releaseIds={BLOG}"
        async with client.stream("GET", address) as answer:
            async for line in answer.aiter_lines():
                lines.append(line)
                if "caughtUp" in line:
                    break

    content = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert [one["release"]["releaseId"] for one in content[:-1]] == [BLOG, SHOP]
    assert not any(line.startswith("id:") for line in lines)

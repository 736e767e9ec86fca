"""A watch's bytes become events, wherever the network cuts them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from itertools import pairwise
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.cluster.api import change, connection, metadata

from helm_rollback.application.ports import WatchEvent, WatchExpired, WatchKind
from helm_rollback.cluster.watcher import split_lines, watch
from helm_rollback.domain.errors import ClusterPermissionDenied, ClusterUnreachable


async def stream(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def lines_of(chunks: Iterable[bytes], limit: int = 100) -> list[bytes]:
    return [line async for line in split_lines(stream(chunks), limit=limit)]


@given(
    lines=st.lists(st.binary(max_size=30).filter(lambda line: b"\n" not in line)), cuts=st.lists(st.integers(0, 400))
)
def test_lines_are_the_same_wherever_chunks_are_cut(lines: list[bytes], cuts: list[int]) -> None:
    whole = b"".join(line + b"\n" for line in lines)
    borders = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    chunks = [whole[start:end] for start, end in pairwise(borders)]

    found = asyncio.run(lines_of(chunks))

    assert found == [line for line in lines if line]


async def test_a_line_that_was_cut_off_is_dropped() -> None:
    assert await lines_of([b"one\ntw"]) == [b"one"]


@pytest.mark.parametrize("chunks", [[b"ok\n" + b"x" * 101 + b"\n"], [b"ok\n", b"x" * 60, b"x" * 60]])
async def test_a_line_above_the_limit_asks_for_a_list(chunks: list[bytes]) -> None:
    lines = split_lines(stream(chunks), limit=100)

    assert await anext(lines) == b"ok"
    with pytest.raises(WatchExpired):
        await anext(lines)


async def test_a_line_at_the_limit_passes() -> None:
    assert await lines_of([b"x" * 100 + b"\n"]) == [b"x" * 100]


async def events_of(*lines: bytes) -> list[WatchEvent]:
    asked: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(200, content=b"".join(lines))

    events = [event async for event in watch(connection(answer), 5)]
    assert dict(asked[0].url.params) == {
        "watch": "1",
        "labelSelector": "owner=helm",
        "allowWatchBookmarks": "true",
        "resourceVersion": "5",
        "timeoutSeconds": "60",
    }
    return events


def secret(**named: Any) -> Any:
    return {"metadata": metadata(**named), "data": {"release": "AAAA"}}


async def test_a_watch_that_the_server_ends_ends() -> None:
    events = await events_of(
        change("ADDED", secret(version=6)),
        change("BOOKMARK", {"metadata": {"resourceVersion": "9"}}),
        change("DELETED", secret(version=11)),
    )

    assert [(event.kind, event.resource_version) for event in events] == [
        (WatchKind.ADDED, 6),
        (WatchKind.BOOKMARK, 9),
        (WatchKind.DELETED, 11),
    ]
    assert events[0].stored is not None
    assert events[0].stored.record is None
    assert events[1].stored is None


async def test_what_is_no_record_is_skipped_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    odd = secret(revision="newest")
    with caplog.at_level(logging.DEBUG, "helm_rollback.cluster.watcher"):
        events = await events_of(
            change("ADDED", odd), change("MODIFIED", odd), change("NOVEL", {}), change("ADDED", secret(version=8))
        )

    assert [event.resource_version for event in events] == [8]
    assert len(caplog.records) == 1


@pytest.mark.parametrize(("code", "error"), [(410, WatchExpired), (500, WatchExpired), (403, ClusterPermissionDenied)])
async def test_an_error_event_means_what_its_code_means(code: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        await events_of(change("ERROR", {"kind": "Status", "code": code, "message": "canary"}))


async def test_a_change_that_is_none_asks_for_a_list() -> None:
    with pytest.raises(WatchExpired):
        await events_of(b"<html>\n")


async def test_an_answer_410_is_expired_too() -> None:
    with pytest.raises(WatchExpired):
        await anext(watch(connection(lambda _: httpx2.Response(410)), 5))


async def test_a_watch_that_breaks_is_unreachable() -> None:
    class Broken(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield change("ADDED", secret(version=6))
            raise httpx2.ReadTimeout("silent")

    events = watch(connection(lambda _: httpx2.Response(200, stream=Broken())), 5)

    assert (await anext(events)).resource_version == 6
    with pytest.raises(ClusterUnreachable):
        await anext(events)

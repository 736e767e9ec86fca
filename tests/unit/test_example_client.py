"""The Python client of examples/: how long it waits for a service that is away, and for a stream that is silent."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import grpc
import pytest

from helm_rollback.v1.rollback_service_pb2 import StreamHistoryRequest, StreamHistoryResponse

PATH = Path(__file__).resolve().parents[2] / "examples" / "python" / "put_back.py"


class Clock:
    """Stands in for `time` in the client: a pause takes no time, and so does everything that is not told."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Away(grpc.RpcError):
    def __init__(self, code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE) -> None:
        self._code = code

    def code(self) -> grpc.StatusCode:
        return self._code


class FakeStream:
    """Tells some responses, and then ends, or nothing more until it is cancelled."""

    def __init__(self, *tokens: str, ends: bool = False) -> None:
        self._tokens = iter(tokens)
        self._ends = ends
        self._cancelled = threading.Event()

    def __iter__(self) -> Iterator[StreamHistoryResponse]:
        return self

    def __next__(self) -> StreamHistoryResponse:
        for token in self._tokens:
            return StreamHistoryResponse(resume_token=token)
        if self._ends:
            raise StopIteration
        assert self._cancelled.wait(30), "nobody cut the silent stream"
        raise Away(grpc.StatusCode.CANCELLED)

    def cancel(self) -> None:
        self._cancelled.set()


class Service:
    """Answers each StreamHistory with the next of these."""

    def __init__(self, *streams: FakeStream) -> None:
        self._streams = iter(streams)
        self.asked: list[str] = []

    def StreamHistory(self, request: StreamHistoryRequest) -> Any:  # noqa: N802 - the method's name
        self.asked.append(request.resume_token)
        return next(self._streams)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> ModuleType:
    spec = importlib.util.spec_from_file_location("put_back", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "time", clock)
    return module


def test_patience_is_counted_from_what_was_heard_last(client: ModuleType, clock: Clock) -> None:
    calls = []

    def call(heard: Any) -> str:
        clock.now += client.PATIENCE * 0.9
        heard()
        calls.append(clock.now)
        if len(calls) < 10:
            raise Away
        return "an answer"

    assert client.again_while_away(call) == "an answer"


def test_without_any_answer_it_gives_up(client: ModuleType, clock: Clock) -> None:
    def call(_heard: Any) -> None:
        raise Away

    with pytest.raises(Away):
        client.again_while_away(call)

    assert client.PATIENCE <= clock.now < client.PATIENCE + 1


def test_a_silent_stream_is_cut_and_opened_anew_where_it_was(
    client: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "SILENCE", 0.05)
    service = Service(FakeStream("a", "b"), FakeStream("c", ends=True))
    request = StreamHistoryRequest(resume_token="start")

    client.again_while_away(lambda heard: client.tell_events(service, request, heard))

    assert service.asked == ["start", "b"]
    assert request.resume_token == "c"

"""Following a stream: nothing twice, nothing lost, and not for ever."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import grpc
import pytest

from helm_rollback.cli import connection
from helm_rollback.cli.connection import Service, follow
from helm_rollback.v1.history_pb2 import CaughtUp, HistoryEvent
from helm_rollback.v1.rollback_service_pb2 import StreamHistoryRequest, StreamHistoryResponse


class Cut(grpc.RpcError, grpc.Call):
    """A stream's end, with a code."""

    def __init__(self, code: grpc.StatusCode) -> None:
        self._code = code

    def code(self) -> grpc.StatusCode:
        return self._code

    def add_callback(self, callback: object) -> bool:
        return False

    def cancel(self) -> bool:
        return False

    def details(self) -> str:
        return ""

    def initial_metadata(self) -> Any:
        return ()

    def is_active(self) -> bool:
        return False

    def time_remaining(self) -> float:
        return 0.0

    def trailing_metadata(self) -> Any:
        return ()


CUT = Cut(grpc.StatusCode.UNAVAILABLE)
GONE = Cut(grpc.StatusCode.OUT_OF_RANGE)


class Scripted:
    """Streams that tell what the test says, one after the other."""

    def __init__(self, *streams: list[Any]) -> None:
        self._streams = list(streams)
        self.asked: list[str] = []

    @property
    def service(self) -> Service:
        return Service(cast("Any", self), cast("Any", self))

    def StreamHistory(self, request: StreamHistoryRequest) -> Iterator[StreamHistoryResponse]:  # noqa: N802
        self.asked.append(request.resume_token)
        for step in self._streams.pop(0):
            if isinstance(step, Exception):
                raise step
            yield step


def event(sequence: int) -> StreamHistoryResponse:
    return StreamHistoryResponse(event=HistoryEvent(sequence=sequence), resume_token=f"after {sequence}")


CAUGHT_UP = StreamHistoryResponse(caught_up=CaughtUp(last_sequence=2), resume_token="after 2")


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Time moves by what was slept, and nobody sleeps."""
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    monkeypatch.setattr("time.monotonic", lambda: 1 + sum(slept))
    return slept


def test_a_cut_stream_goes_on_after_its_last_response() -> None:
    script = Scripted([event(1), event(2), CAUGHT_UP, CUT], [CUT], [CAUGHT_UP, event(3)])

    told = list(follow(script.service, StreamHistoryRequest()))

    assert told == [event(1), event(2), CAUGHT_UP, event(3)]
    assert script.asked == ["", "after 2", "after 2"]


def test_a_stream_that_never_began_is_not_tried_again() -> None:
    script = Scripted([CUT])

    with pytest.raises(Cut):
        list(follow(script.service, StreamHistoryRequest()))


def test_a_refusal_is_not_tried_again() -> None:
    script = Scripted([event(1), GONE])

    with pytest.raises(Cut) as ended:
        list(follow(script.service, StreamHistoryRequest()))

    assert ended.value.code() is grpc.StatusCode.OUT_OF_RANGE


def test_a_service_that_stays_away_is_given_up(pauses: list[float]) -> None:
    script = Scripted([event(1), CUT], *([[CUT]] * 100))

    with pytest.raises(Cut):
        list(follow(script.service, StreamHistoryRequest()))

    assert connection.PATIENCE_SECONDS <= sum(pauses) <= connection.PATIENCE_SECONDS + 2

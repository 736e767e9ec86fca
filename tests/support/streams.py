"""What a client sees of a history stream, collected while the test goes on."""

import threading
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Protocol, Self

import grpc
from support.waiting import PATIENCE

from helm_rollback.v1.history_pb2 import HistoryEvent
from helm_rollback.v1.release_pb2 import Operation, Revision
from helm_rollback.v1.rollback_service_pb2 import StreamHistoryResponse


class Call(Protocol):
    """A stream as grpc gives it."""

    def __iter__(self) -> Iterator[StreamHistoryResponse]: ...

    def cancel(self) -> object: ...


class Told:
    """What a stream has told so far."""

    def __init__(self) -> None:
        self.responses: list[StreamHistoryResponse] = []

    @property
    def events(self) -> list[HistoryEvent]:
        """The events so far."""
        return [response.event for response in self.responses if response.HasField("event")]

    @property
    def told(self) -> list[str]:
        """The events so far, in words."""
        return [tell(event) for event in self.events]

    @property
    def tokens(self) -> list[str]:
        """The resume token of each response so far."""
        return [response.resume_token for response in self.responses]

    @property
    def caught_up(self) -> bool:
        return any(response.HasField("caught_up") for response in self.responses)


class Stream(Told):
    """Reads a stream in the background. Every wait has a deadline and says what was told instead."""

    def __init__(self, call: Call) -> None:
        super().__init__()
        self._call = call
        self._changed = threading.Condition()
        self._ended = False
        self.error = grpc.RpcError("the stream has not failed")
        """How it failed, once it has ended so."""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        self.until_caught_up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it, if it has not ended."""
        self._call.cancel()
        self._reader.join(PATIENCE)

    def until(self, holds: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
        """Wait for a condition, looked at after each response."""
        with self._changed:
            assert self._changed.wait_for(holds, seconds), f"not within {seconds:.0f} s: {what}; told: {self.told}"

    def until_told(self, text: str, seconds: float = PATIENCE) -> HistoryEvent:
        """Wait for the event that reads so."""
        self.until(lambda: text in self.told, text, seconds)
        return self.events[self.told.index(text)]

    def until_caught_up(self) -> None:
        self.until(lambda: self.caught_up or self._ended, "caught up")

    def until_ended(self, seconds: float = PATIENCE) -> None:
        self.until(lambda: self._ended, "the stream ends", seconds)

    def until_settled(self, operation_id: str, seconds: float = PATIENCE) -> Operation:
        """Wait for the operation's last event."""

        def last() -> Operation | None:
            return next((op for op in map(_operation, self.events) if op and op.operation_id == operation_id), None)

        def _operation(event: HistoryEvent) -> Operation | None:
            operation = event.operation_transition.operation
            return operation if operation.HasField("end_time") else None

        self.until(last, f"{operation_id} ends", seconds)
        settled = last()
        assert settled is not None
        return settled

    def _read(self) -> None:
        try:
            for response in self._call:
                with self._changed:
                    self.responses.append(response)
                    self._changed.notify_all()
        except grpc.RpcError as error:
            self.error = error
        with self._changed:
            self._ended = True
            self._changed.notify_all()


def tell(event: HistoryEvent) -> str:
    """An event in words: `operation RUNNING`, `revision 3 → PENDING_ROLLBACK`."""
    match event.WhichOneof("change"):
        case "operation_transition":
            return f"operation {Operation.State.Name(event.operation_transition.operation.state)}"
        case "revision_transition":
            change = event.revision_transition
            before = f"{Revision.Status.Name(change.from_status)} " if change.from_status else ""
            return f"revision {change.revision} {before}→ {Revision.Status.Name(change.to_status)}"
        case "record_removal":
            return f"record {event.record_removal.revision} removed"
        case other:
            return str(other)


def sequences(events: Sequence[HistoryEvent]) -> list[int]:
    return [event.sequence for event in events]

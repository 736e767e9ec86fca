"""Clients of history streams, who break off, lose their connection, and resume by token."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from threading import Event

import grpc
from fault.clients import Address, reason_of

from helm_rollback.v1.history_pb2 import HistoryEvent
from helm_rollback.v1.release_pb2 import Operation, Revision
from helm_rollback.v1.rollback_service_pb2 import StreamHistoryRequest, StreamHistoryResponse
from helm_rollback.v1.rollback_service_pb2_grpc import RollbackServiceStub

_PAUSE = 0.05
_STREAM_SECONDS = 20.0


class Follower:
    """Follows one release from its first event on, over as many connections as it takes."""

    def __init__(self, release_id: str, *, breaks_off_after: int, address: Address) -> None:
        self.release_id = release_id
        self.heard: list[tuple[int, str]] = []
        """Sequence and words of each event, over all connections."""
        self.resumed = 0
        """How often it went on by its token."""
        self.refusals: list[str] = []
        """What no stream with a good token may be told."""
        self._breaks_off_after = breaks_off_after
        self._address = address
        self._token = ""
        self._goal: int | None = None
        self._stopping = Event()
        self._call: grpc.Call | None = None

    def finish(self, last_sequence: int, seconds: float) -> bool:
        """Let it hear everything up to `last_sequence`; whether it did in time."""
        self._goal = last_sequence
        deadline = time.monotonic() + seconds
        while not self._has_all() and time.monotonic() < deadline:
            time.sleep(0.01)
        self._stopping.set()
        call = self._call
        if call is not None:
            call.cancel()
        return self._has_all()

    def _has_all(self) -> bool:
        last = self.heard[-1][0] if self.heard else 0
        return self._goal is not None and last >= self._goal

    def follow(self) -> None:
        """Until `finish`."""
        while not self._stopping.is_set():
            with suppress(LookupError):
                self._once(self._address())
            self._stopping.wait(_PAUSE)

    def _once(self, address: str) -> None:
        """One connection: until it breaks, or this client breaks it off."""
        request = StreamHistoryRequest(release_id=self.release_id)
        if self._token:
            request.resume_token = self._token
            self.resumed += 1
        with grpc.insecure_channel(address) as channel:
            call = self._call = RollbackServiceStub(channel).StreamHistory(request, timeout=_STREAM_SECONDS)
            try:
                self._listen(call)
            except grpc.RpcError as error:
                reason = reason_of(error)
                if reason in {"INVALID_RESUME_TOKEN", "RESUME_POSITION_LOST", "INTERNAL"}:
                    self.refusals.append(reason)

    def _listen(self, call: Iterator[StreamHistoryResponse]) -> None:
        told = 0
        for response in call:
            self._token = response.resume_token
            if response.HasField("event"):
                self.heard.append((response.event.sequence, words_of(response.event)))
                told += 1
            if told >= self._breaks_off_after and self._goal is None:
                return


def words_of(event: HistoryEvent) -> str:
    """What an event says, in the same words as `fault.check_events.words_of_row`."""
    match event.WhichOneof("change"):
        case "operation_transition":
            operation = event.operation_transition.operation
            return f"operation {operation.operation_id} {Operation.State.Name(operation.state)} {operation.attempt}"
        case "revision_transition":
            change = event.revision_transition
            before = Revision.Status.Name(change.from_status) if change.from_status else "none"
            after = Revision.Status.Name(change.to_status)
            return f"revision {change.incarnation}.{change.revision} {before} → {after} {change.operation_id}"
        case "record_removal":
            return f"removal {event.record_removal.incarnation}.{event.record_removal.revision}"
        case other:
            return str(other)

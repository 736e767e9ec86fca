"""The clients of a round: they ask, and ask again with the same request id until they know."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event, Lock

import grpc
from fault.requests import call
from fault.wish import Wish
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from helm_rollback.v1.release_pb2 import Operation

ASK_AGAIN = {"STORE_UNAVAILABLE", "CLUSTER_UNREACHABLE", "HELM_UNAVAILABLE", "SERVER_DRAINING", "OVERLOADED"}
"""The contract's words for "later"."""
_PAUSE = 0.05
GIVE_UP_SECONDS = 40.0

Address = Callable[[], str]
"""Where some replica serves now. Raises LookupError where none does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """An operation that a client was told is accepted."""

    wish: Wish
    operation_id: str
    state: str
    """As it was told, by name."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A wish that was refused for good."""

    wish: Wish
    reason: str


@dataclass
class Answers:
    """What all clients were told, and which of them wait for an answer."""

    acknowledged: list[Acknowledgement] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    unanswered: list[Wish] = field(default_factory=list)
    """The clients gave up, having waited too long."""
    calls: list[tuple[datetime, datetime]] = field(default_factory=list)
    """From when to when each wish was open."""
    under_way: Event = field(default_factory=Event)
    """Set while some call waits for its answer."""
    open: int = 0
    """How many calls wait, or are about to be made again."""
    _lock: Lock = field(default_factory=Lock)

    def begin(self) -> None:
        with self._lock:
            self.open += 1
            self.under_way.set()

    def end(self, since: datetime) -> None:
        with self._lock:
            self.open -= 1
            self.calls.append((since, datetime.now(UTC)))
            if not self.open:
                self.under_way.clear()


def ask_for_all(wishes: tuple[Wish, ...], namespace: str, address: Address, answers: Answers) -> None:
    """Ask for one after the other."""
    for wish in wishes:
        since = datetime.now(UTC)
        answers.begin()
        try:
            _ask(wish, f"default.{namespace}.{wish.release}", address, answers)
        finally:
            answers.end(since)


def _ask(wish: Wish, release_id: str, address: Address, answers: Answers) -> None:
    give_up = time.monotonic() + GIVE_UP_SECONDS
    while time.monotonic() < give_up:
        try:
            operation = call(wish, release_id, address())
        except grpc.RpcError as error:
            reason = reason_of(error)
            if reason and reason not in ASK_AGAIN:
                answers.refused.append(Refusal(wish, reason))
                return
        except LookupError:
            pass  # nobody serves
        else:
            state = Operation.State.Name(operation.state)
            answers.acknowledged.append(Acknowledgement(wish=wish, operation_id=operation.operation_id, state=state))
            return
        time.sleep(_PAUSE)
    answers.unanswered.append(wish)


def reason_of(error: grpc.RpcError) -> str:
    """The service's own reason; empty where the call ended without one, which leaves it open."""
    status = rpc_status.from_call(error)
    info = ErrorInfo()
    return info.reason if status is not None and any(detail.Unpack(info) for detail in status.details) else ""

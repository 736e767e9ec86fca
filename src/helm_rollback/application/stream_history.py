"""Telling a release's history from any point on, and then what happens next.

The ledger is read from the stream's own position, in pages, until nothing is left;
then the stream waits to be woken. A wake-up is a hint and carries nothing, so a slow
reader is neither skipped over nor in anyone's way: it just reads further behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from helm_rollback.application.drain import first_of
from helm_rollback.application.ports import LedgerView, Ports, Wakeup
from helm_rollback.application.refresh import known_release
from helm_rollback.domain.errors import OperationNotFound, ResumePositionLost, ServerDraining
from helm_rollback.domain.history import HistoryEvent, OperationTransition
from helm_rollback.domain.operation import Operation
from helm_rollback.domain.principal import Principal
from helm_rollback.domain.release import ReleaseId

_PAGE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStart:
    """Where a stream begins: after a sequence, or with the newest `tail` past events; neither: with the first."""

    after_sequence: int | None = None
    tail: int | None = None


@dataclass(frozen=True, slots=True)
class StreamedEvent:
    event: HistoryEvent

    @property
    def position(self) -> int:
        return self.event.sequence


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """All that was in the ledger is told; what follows is live."""

    last_sequence: int

    @property
    def position(self) -> int:
        return self.last_sequence


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Nothing happened for a while, and the stream is alive."""

    time: datetime
    last_sequence: int

    @property
    def position(self) -> int:
        return self.last_sequence


StreamItem = StreamedEvent | CaughtUp | Heartbeat


async def stream_history(
    ports: Ports,
    release_id: ReleaseId,
    *,
    start: StreamStart,
    end_when_caught_up: bool,
    end_after_operation_id: str,
    principal: Principal,
) -> AsyncIterator[StreamItem]:
    """Past events, one CaughtUp, then events as they happen, each once and in sequence order.

    Raises ReleaseNotFound, OperationNotFound, ResumePositionLost before the first item;
    ServerDraining at any time, when the position still is good elsewhere.
    """
    release = await known_release(ports, release_id)
    awaited = await _awaited_operation(ports, release_id, end_after_operation_id)
    position = _first_position(release_id, start, release.last_sequence)
    with ports.ledger.watch(release_id) as wakeup:
        async for event in _past_events(ports, release_id, position):
            yield StreamedEvent(event)
            position = event.sequence
            if _ends(event, awaited):
                return
        yield CaughtUp(position)
        if end_when_caught_up or await _ended_before(ports, awaited, position):
            return
        while True:
            events = await _page(ports, release_id, position)
            for event in events:
                yield StreamedEvent(event)
                position = event.sequence
                if _ends(event, awaited):
                    return
            if not events and await quiet(ports, wakeup):
                yield Heartbeat(await ports.ledger.read(lambda view: view.now()), position)


def _first_position(release_id: ReleaseId, start: StreamStart, last_sequence: int) -> int:
    if start.tail is not None:
        return max(last_sequence - start.tail, 0)
    after = start.after_sequence or 0
    if after > last_sequence:
        raise ResumePositionLost(release_id, f"the ledger ends at {last_sequence}, before {after}")
    return after


async def _past_events(ports: Ports, release_id: ReleaseId, position: int) -> AsyncIterator[HistoryEvent]:
    while page := await _page(ports, release_id, position):
        for event in page:
            yield event
        position = page[-1].sequence


async def _page(ports: Ports, release_id: ReleaseId, position: int) -> list[HistoryEvent]:
    if ports.drain.started:
        raise ServerDraining
    return await ports.ledger.read(lambda view: view.events(release_id, after=position, limit=_PAGE))


async def quiet(ports: Ports, wakeup: Wakeup) -> bool:
    """Wait to be woken; True when nothing happened until a heartbeat is due."""
    loop = asyncio.get_running_loop()
    due = loop.time() + ports.heartbeat_seconds
    await first_of(wakeup.wait(ports.heartbeat_seconds), ports.drain.wait())
    return loop.time() >= due and not ports.drain.started


async def _awaited_operation(ports: Ports, release_id: ReleaseId, operation_id: str) -> Operation | None:
    if not operation_id:
        return None
    operation = await ports.ledger.read(lambda view: view.operation(operation_id))
    if operation is None or operation.release_id != release_id:
        raise OperationNotFound(operation_id, release_id)
    return operation


def _ends(event: HistoryEvent, awaited: Operation | None) -> bool:
    """Whether this is the event after which the stream was to end."""
    return (
        awaited is not None
        and isinstance(event.change, OperationTransition)
        and event.change.operation.operation_id == awaited.operation_id
        and event.change.operation.state.is_terminal
    )


async def _ended_before(ports: Ports, awaited: Operation | None, position: int) -> bool:
    """Whether the awaited operation's last event lies at or before `position`, so that it will not come."""
    if awaited is None:
        return False

    def terminal_and_told(view: LedgerView) -> bool:
        operation = view.operation(awaited.operation_id)
        release = view.release(awaited.release_id)
        if operation is None or release is None or not operation.state.is_terminal:
            return False
        after = position
        while later := view.events(awaited.release_id, after=after, limit=_PAGE):
            if any(_ends(event, awaited) for event in later):
                return False
            after = later[-1].sequence
        return True

    return await ports.ledger.read(terminal_and_told)

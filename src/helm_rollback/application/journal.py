"""One operation's rows in the ledger, written by the worker that holds it.

Every write asks first whether the claim still is the newest, so that a worker which
was paused past its lease writes nothing over its successor.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from helm_rollback.application.acceptance import enter
from helm_rollback.application.crash_points import CrashPoint, Reached
from helm_rollback.application.lease import Lease
from helm_rollback.application.ports import HelmProcess, Ledger, LedgerTransaction, LedgerView, T
from helm_rollback.domain.errors import StoreUnavailable
from helm_rollback.domain.history import OperationTransition
from helm_rollback.domain.operation import (
    Applied,
    Failure,
    FailureReason,
    LeftoverObject,
    Operation,
    OperationState,
    OutcomeEvidence,
)
from helm_rollback.domain.revision import Revision

PAUSE = 0.25
"""Seconds between two tries to reach a ledger, or a cluster, that is away."""

_log = logging.getLogger(__name__)


Then = Callable[[LedgerTransaction, Operation], tuple[Operation, Operation | None]]
"""What goes with an end: how it is told, and the operation that it causes."""


class GaveUp(Exception):
    """This worker stops here and leaves the operation to its next claim: the lease is lost, or the server drains."""


def nothing_more(_tx: LedgerTransaction, ended: Operation) -> tuple[Operation, None]:
    """The end as it is told, and no operation that it causes."""
    return ended, None


class Journal:
    """What the ledger says of the operation, and what becomes of it. Every method may raise GaveUp."""

    def __init__(self, ledger: Ledger, lease: Lease, operation: Operation, reached: Reached) -> None:
        self._ledger = ledger
        self._lease = lease
        self.reached = reached
        self.operation = operation
        """As it was last written."""
        self.resumed = operation.attempt > 0
        """Whether Helm was started for the operation before this claim."""
        self.interrupted = operation.attempt > 0
        """Whether Helm was started for the operation, and its end was not seen."""

    async def begin(self) -> bool:
        """Count an attempt, before Helm is started; False where the operation has ended meanwhile, or was cancelled."""
        await self._have_enough_of_the_lease()

        def change(tx: LedgerTransaction, known: Operation) -> Operation:
            now = tx.now()
            if known.attempt > self.operation.attempt:
                return known  # it was counted, and the answer was lost: only who holds the token can have done it
            if known.cancel_requested:
                return known  # after an attempt that was interrupted
            if known.state is OperationState.PENDING and now >= known.expire_time:
                return _expired(known, now)
            return replace(
                known, state=OperationState.RUNNING, attempt=known.attempt + 1, start_time=known.start_time or now
            )

        await self._write(change)
        if self.operation.state.is_terminal or self.operation.cancel_requested:
            return False
        await self._have_enough_of_the_lease()  # the ledger may have taken its time
        return True

    async def _have_enough_of_the_lease(self) -> None:
        """Return once enough is left of it for Helm to be started."""
        while not self._lease.suffices_to_start():
            if not await self._lease.renew(self._ledger) or not self._lease.holds():
                raise GaveUp
            if not self._lease.suffices_to_start():
                await asyncio.sleep(PAUSE)  # the ledger is away

    async def succeed(self, result: Revision | None, *, leftovers: tuple[LeftoverObject, ...] = ()) -> None:
        """The operation did what it was to do."""
        await self._write(
            lambda tx, known: replace(
                known,
                state=OperationState.SUCCEEDED,
                result_revision=result.revision if result is not None else 0,
                outcome_evidence=self._evidence if known.attempt else None,
                leftover_objects=leftovers,
                end_time=tx.now(),
            )
        )

    async def fail(
        self,
        failure: Failure,
        *,
        result: Revision | None = None,
        leftovers: tuple[LeftoverObject, ...] = (),
        then: Then = nothing_more,
    ) -> None:
        """The operation ended otherwise. `result` is the revision that it wrote all the same.

        What `then` causes is accepted in the same transaction.
        """
        await self._write(
            lambda tx, known: replace(
                known,
                state=OperationState.FAILED,
                failure=failure,
                result_revision=result.revision if result is not None else 0,
                outcome_evidence=self._evidence if known.attempt else None,
                leftover_objects=leftovers,
                end_time=tx.now(),
            ),
            then=then,
        )

    @property
    def _evidence(self) -> OutcomeEvidence:
        return OutcomeEvidence.RECONSTRUCTED if self.interrupted else OutcomeEvidence.OBSERVED

    async def note_leftovers(self, leftovers: tuple[LeftoverObject, ...]) -> None:
        """Note what was found, before it is deleted. No event: its state is what it was."""

        def body(tx: LedgerTransaction) -> Operation:
            operation = replace(self.operation, leftover_objects=leftovers)
            tx.update_operation(operation)
            return operation

        self.operation = await self.durably(body)

    async def note_record(self, record_time: datetime) -> None:
        """Note when Helm made the record that it is about to write: by this it is known from then on. No event."""

        def body(tx: LedgerTransaction) -> Operation:
            known = tx.operation(self.operation.operation_id)
            if known is None or known.state.is_terminal:
                raise GaveUp
            noted = replace(known, record_time=record_time)
            tx.update_operation(noted)
            return noted

        self.operation = await self.durably(body)

    async def note_captured_failure(self, text: str) -> None:
        """Keep what was captured of the failure that is about to be undone. No event."""
        if text:
            await self.durably(lambda tx: tx.add_captured_failure(self.operation.operation_id, text))

    async def is_cancelled(self) -> bool:
        """Whether somebody asked for the running operation's cancellation."""
        operation_id = self.operation.operation_id
        known = await self.read(lambda view: view.operation(operation_id))
        return known is not None and known.cancel_requested

    async def note_process(self, process: HelmProcess) -> None:
        """Note which process Helm is: it only helps to find one that outlives this process, so it may be lost."""

        def body(tx: LedgerTransaction) -> None:
            if self._is_ours(tx):
                tx.save_helm_process(self.operation.operation_id, process)

        with suppress(StoreUnavailable):
            await self._ledger.write(body)

    async def read_again(self) -> None:
        """Take in what others did to the operation: it may have been cancelled."""
        operation_id = self.operation.operation_id
        known = await self.read(lambda view: view.operation(operation_id))
        self.operation = known or self.operation

    async def now(self) -> datetime:
        """The ledger's clock."""
        return await self.read(lambda view: view.now())

    async def read(self, body: Callable[[LedgerView], T]) -> T:
        """Read, however long the ledger is away, while the lease holds."""
        return await self._patiently(lambda: self._ledger.read(body))

    async def durably(self, body: Callable[[LedgerTransaction], T]) -> T:
        """Write, however long the ledger is away, while the lease holds."""

        def held(tx: LedgerTransaction) -> T:
            tx.lock_release(self.operation.release_id)
            if not self._is_ours(tx):
                raise GaveUp
            return body(tx)

        return await self._patiently(lambda: self._ledger.write(held))

    def _is_ours(self, tx: LedgerTransaction) -> bool:
        return tx.holds(self.operation.operation_id, owner=self._lease.owner, token=self._lease.token)

    async def pause(self, problem: Exception) -> None:
        """Wait a little for the ledger to come back, while the lease holds."""
        _log.warning("operation %s waits for the ledger: %s", self.operation.operation_id, problem)
        if not self._lease.holds():
            raise GaveUp from problem
        await asyncio.sleep(PAUSE)

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await call()
            except StoreUnavailable as problem:
                await self.pause(problem)

    async def _write(
        self,
        change: Callable[[LedgerTransaction, Operation], Operation],
        *,
        then: Then = nothing_more,
    ) -> None:
        """Change the operation and tell it, and accept what it causes; one that has ended stays as it is."""

        def body(tx: LedgerTransaction) -> Operation:
            known = tx.operation(self.operation.operation_id)
            if known is None:
                raise GaveUp
            after, caused = (known, None) if known.state.is_terminal else then(tx, change(tx, known))
            if after != known:
                _stored(tx, after)
            if caused is not None:
                enter(tx, caused)
            self._reached_if_ended(after, CrashPoint.END_BEFORE_COMMIT)
            return after

        self.operation = await self.durably(body)
        self._reached_if_ended(self.operation, CrashPoint.END_AFTER_COMMIT)

    def _reached_if_ended(self, operation: Operation, point: CrashPoint) -> None:
        if operation.state.is_terminal:
            self.reached(point)


def expire(tx: LedgerTransaction, operation_id: str) -> None:
    """End an operation that was not begun in its time, whoever holds it."""
    operation = tx.operation(operation_id)
    if operation is None:
        return
    tx.lock_release(operation.release_id)
    known = tx.operation(operation_id)
    now = tx.now()
    if known is not None and known.state is OperationState.PENDING and now >= known.expire_time:
        _stored(tx, _expired(known, now))


def _expired(operation: Operation, now: datetime) -> Operation:
    failure = Failure(
        reason=FailureReason.EXPIRED,
        message="it was not begun before it expired; nothing was run",
        applied=Applied.NOT_APPLIED,
    )
    return replace(operation, state=OperationState.FAILED, failure=failure, end_time=now)


def _stored(tx: LedgerTransaction, operation: Operation) -> None:
    tx.update_operation(operation)
    tx.append(operation.release_id, OperationTransition(operation=operation))

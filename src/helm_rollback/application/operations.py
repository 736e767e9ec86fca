"""Reading, awaiting and cancelling operations."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import timedelta

from helm_rollback.application.acceptance import checked_reason
from helm_rollback.application.drain import first_of
from helm_rollback.application.ports import LedgerTransaction, Ports
from helm_rollback.domain.errors import NotCancellable, OperationNotFound
from helm_rollback.domain.history import OperationTransition
from helm_rollback.domain.operation import Operation, OperationState
from helm_rollback.domain.principal import Principal
from helm_rollback.domain.release import ReleaseId

_log = logging.getLogger(__name__)

LONGEST_WAIT = timedelta(minutes=10)


async def get_operation(ports: Ports, operation_id: str, _principal: Principal) -> Operation:
    """The operation as it is. Raises OperationNotFound."""
    operation = await ports.ledger.read(lambda view: view.operation(operation_id))
    if operation is None:
        raise OperationNotFound(operation_id)
    return operation


async def list_operations(
    ports: Ports,
    *,
    release_id: ReleaseId | None,
    state: OperationState | None,
    request_id: str,
    before: str,
    limit: int,
    principal: Principal,
) -> list[Operation]:
    """Newest first; those older than the id `before`. An empty filter matches all."""
    return await ports.ledger.read(
        lambda view: view.operations(
            release_id=release_id, state=state, request_id=request_id, before=before, limit=limit
        )
    )


async def wait_operation(ports: Ports, operation_id: str, *, timeout: timedelta, principal: Principal) -> Operation:
    """The operation as soon as it is terminal, or as it is after `timeout`, 10 minutes, or when the server drains."""
    operation = await get_operation(ports, operation_id, principal)
    return await settled(ports, operation, timeout=timeout, principal=principal)


async def settled(ports: Ports, operation: Operation, *, timeout: timedelta, principal: Principal) -> Operation:
    """As `wait_operation`, for one that was read already."""
    ending = asyncio.get_running_loop().time() + min(timeout, LONGEST_WAIT).total_seconds()
    with ports.ledger.watch(operation.release_id) as wakeup:
        while True:
            # Read after watching began, or what happened in between would wake nobody.
            operation = await get_operation(ports, operation.operation_id, principal)
            left = ending - asyncio.get_running_loop().time()
            if operation.state.is_terminal or ports.drain.started or left <= 0:
                return operation
            await first_of(wakeup.wait(left), ports.drain.wait())


async def cancel_operation(ports: Ports, operation_id: str, *, reason: str, principal: Principal) -> Operation:
    """End an operation that has not begun, or have Helm interrupted that runs for an install or upgrade.

    Raises OperationNotFound, and NotCancellable for a rollback or uninstall that runs (it can
    not be stopped without leaving the release half-way) and for what has ended otherwise. A
    cancelled one is returned as it is.
    """
    checked_reason(reason)

    def body(tx: LedgerTransaction) -> Operation:
        known = tx.operation(operation_id)
        if known is None:
            raise OperationNotFound(operation_id)
        tx.lock_release(known.release_id)
        operation = tx.operation(operation_id)
        assert operation is not None
        if operation.state is OperationState.CANCELLED:
            return operation
        if operation.state is OperationState.RUNNING and operation.is_by_chart:
            if operation.cancel_requested:
                return operation
            cancelled = replace(operation, cancel_requested=True)
        elif operation.state is OperationState.PENDING:
            cancelled = replace(operation, state=OperationState.CANCELLED, end_time=tx.now(), cancel_requested=True)
        else:
            raise NotCancellable(operation.release_id, operation_id, operation.state)
        tx.update_operation(cancelled)
        tx.append(operation.release_id, OperationTransition(operation=cancelled))
        return cancelled

    cancelled = await ports.ledger.write(body)
    _log.info("operation cancelled", extra={"operation_id": operation_id, "actor": principal.name, "reason": reason})
    return cancelled

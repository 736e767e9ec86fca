"""Accepting an operation on behalf of a call, and waiting for its outcome as long as the caller wishes."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import grpc

from helm_rollback.application import operations
from helm_rollback.application.ports import Ports
from helm_rollback.domain import resume_token
from helm_rollback.domain.errors import StoreUnavailable
from helm_rollback.domain.operation import Operation
from helm_rollback.domain.principal import Principal
from helm_rollback.servicer.principal import principal_of
from helm_rollback.servicer.translate.wishes import C, Wish
from helm_rollback.servicer.waiting import WaitLimit
from helm_rollback.servicer.writes import Writes

Context = grpc.aio.ServicerContext[Any, Any]
UseCase = Callable[[Ports, C, Principal], Coroutine[Any, Any, Operation]]


async def accepted(
    ports: Ports, writes: Writes, context: Context, limit: WaitLimit, wish: Wish[C], use_case: UseCase[C]
) -> Operation:
    """The accepted operation, after the wait that the caller asked for."""
    principal = principal_of(context)
    operation = await writes.run(use_case(ports, wish.command, principal))
    left: timedelta = limit.shorten(wish.wait_timeout)
    if not left or operation.state.is_terminal:
        return operation
    try:
        return await operations.settled(ports, operation, timeout=left, principal=principal)
    except StoreUnavailable:
        return operation  # accepted it is; how it goes on is only unknown for now


def token_before(ports: Ports, operation: Operation) -> str:
    """The token that lies just before the operation's first event."""
    return resume_token.encode(ports.ledger_id, operation.release_id, operation.start_sequence)

"""Whether the ledger works: tried, not assumed, since a full disk shows only when something is written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from helm_rollback.application.ports import Ports
from helm_rollback.domain.errors import StoreUnavailable

PAUSE_SECONDS = 5.0


async def watch_ledger(ports: Ports, tell: Callable[[bool], Awaitable[None]]) -> None:
    """Tell, until the drain begins, whether the ledger takes a write."""
    while not await ports.drain.interrupts(PAUSE_SECONDS):
        await tell(await works(ports))


async def works(ports: Ports) -> bool:
    """Write down again what is known already."""
    try:
        await ports.ledger.write(lambda tx: tx.try_writing())
    except StoreUnavailable:
        return False
    return True

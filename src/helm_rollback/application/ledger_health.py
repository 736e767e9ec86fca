"""Whether the ledger works: tried, not assumed, since a full disk shows only when something is written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from helm_rollback.application.ports import LedgerTransaction, Ports
from helm_rollback.domain.errors import StoreUnavailable

PAUSE_SECONDS = 5.0


async def watch_ledger(ports: Ports, tell: Callable[[bool], Awaitable[None]]) -> None:
    """Tell, until the drain begins, whether the ledger takes a write."""
    while not await ports.drain.interrupts(PAUSE_SECONDS):
        await tell(await works(ports))


async def works(ports: Ports) -> bool:
    """Write down again what is known already: how far each cluster was observed."""

    def body(tx: LedgerTransaction) -> None:
        for cluster in ports.clusters:
            version = tx.observed_version(cluster)
            if version is not None:
                tx.save_observed_version(cluster, version)

    try:
        await ports.ledger.write(body)
    except StoreUnavailable:
        return False
    return True

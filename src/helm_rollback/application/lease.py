"""A worker's lease on one operation, as its own monotonic clock sees it.

The ledger's lease says who may carry an operation out; this is what the fence asks
before each of Helm's writes. It counts from before the ledger was asked, so it ends
no later than the ledger's does, whatever pauses the process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

from helm_rollback.application.ports import Ledger
from helm_rollback.domain.errors import StoreUnavailable

GRACE = timedelta(seconds=1)
"""For how long after its end a lease is nobody's: what its holder sent at the very last has arrived by then."""
_NEEDED_TO_START = 0.4
"""The share of the lease that must be left for Helm to be started."""
_RENEWALS = 3
"""How often a lease is renewed in its time, where the ledger answers."""
_LONGEST_PAUSE = 1.0
"""Seconds, at most, between two tries where it does not."""


class Lease:
    """Holds until `deadline`; `keep` moves the deadline on."""

    def __init__(
        self, operation_id: str, token: int, *, term: timedelta, since: float, clock: Callable[[], float]
    ) -> None:
        """`since`: what `clock` (monotonic, in seconds) read before the ledger was asked for the claim."""
        self.operation_id = operation_id
        self.token = token
        self._term = term
        self._clock = clock
        self._deadline = since + term.total_seconds()

    def holds(self) -> bool:
        """Whether a write may still pass."""
        return self._clock() < self._deadline

    def suffices_to_start(self) -> bool:
        """Whether enough is left to start Helm under it."""
        return self._deadline - self._clock() >= self._term.total_seconds() * _NEEDED_TO_START

    async def keep(self, ledger: Ledger) -> None:
        """Renew until cancelled, or until someone else has taken the operation; then the lease just runs out."""
        while True:
            await asyncio.sleep(self._until_renewal())
            if not await self.renew(ledger):
                return

    def _until_renewal(self) -> float:
        """Seconds until the next renewal; a short pause where it is overdue, since the ledger was away."""
        term = self._term.total_seconds()
        due = self._deadline - term * (1 - 1 / _RENEWALS)
        return max(due - self._clock(), min(_LONGEST_PAUSE, term / 10))

    async def renew(self, ledger: Ledger) -> bool:
        """Prolong it now; False when someone else has taken the operation. A ledger that is away changes nothing."""
        asked = self._clock()
        try:
            renewed = await ledger.write(lambda tx: tx.renew(self.operation_id, token=self.token, lease=self._term))
        except StoreUnavailable:
            return True
        if renewed:
            self._deadline = asked + self._term.total_seconds()
        return renewed

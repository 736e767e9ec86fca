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
    """Holds until its deadline, which `keep` moves on.

    One that ran out while the ledger was away may be renewed, where nobody has taken over. But once
    it has said that it does not hold, it never holds again: Helm's write was refused for it, or the
    worker has turned back, and what became of that is the next claim's to find out.
    """

    def __init__(
        self, operation_id: str, *, owner: str, token: int, term: timedelta, since: float, clock: Callable[[], float]
    ) -> None:
        """`since`: what `clock` (monotonic, in seconds) read before the ledger was asked for the claim."""
        self.operation_id = operation_id
        self.owner = owner
        self.token = token
        self._term = term
        self._clock = clock
        self._deadline = since + term.total_seconds()
        self._over = False

    def seconds_left(self) -> float:
        """For how long from now a write may still be under way; 0 where it is over, and then for ever."""
        left = self._deadline - self._clock()
        self._over = self._over or left <= 0
        return 0 if self._over else left

    def holds(self) -> bool:
        """Whether a write may be sent now. After the first no it is no for ever."""
        return self.seconds_left() > 0

    def suffices_to_start(self) -> bool:
        """Whether enough is left to start Helm under it."""
        return not self._over and self._deadline - self._clock() >= self._term.total_seconds() * _NEEDED_TO_START

    async def keep(self, ledger: Ledger) -> None:
        """Renew until cancelled, until it is over, or until someone else has taken the operation."""
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
        """Prolong it now; False when it is over, or someone else's. A ledger that is away changes nothing."""
        asked = self._clock()
        if self._over:
            return False
        try:
            renewed = await ledger.write(
                lambda tx: tx.renew(self.operation_id, owner=self.owner, token=self.token, lease=self._term)
            )
        except StoreUnavailable:
            return True
        if renewed:
            self._deadline = asked + self._term.total_seconds()
        self._over = self._over or not renewed
        return not self._over

"""How long a call may wait: as asked, at most ten minutes, and not into its own deadline.

A call that ends by its deadline loses its answer, so a wait ends a little before.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import grpc

from helm_rollback.application.operations import LONGEST_WAIT

_MARGIN_SHARE: Final = 0.1
_MARGIN_MAX: Final = 0.5


@dataclass(frozen=True, slots=True)
class WaitLimit:
    """The moment at which a wait in this call has to end; None where the call has no deadline."""

    latest: float | None

    @classmethod
    def of(cls, context: grpc.aio.ServicerContext[object, object]) -> WaitLimit:
        """Take it when the call begins: the margin is a share of the whole time."""
        remaining = context.time_remaining()
        if remaining is None:
            return cls(None)
        return cls(asyncio.get_running_loop().time() + remaining - min(_MARGIN_SHARE * remaining, _MARGIN_MAX))

    def shorten(self, asked: timedelta | None) -> timedelta:
        """What is left of the wait that was asked for; None asks for as long as possible."""
        longest = LONGEST_WAIT if asked is None else min(asked, LONGEST_WAIT)
        if self.latest is None:
            return longest
        left = timedelta(seconds=self.latest - asyncio.get_running_loop().time())
        return max(min(longest, left), timedelta())

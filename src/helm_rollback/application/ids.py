"""Operation ids: UUIDv7 (RFC 9562), which sort by the moment at which they were made.

That moment is the ledger's, as all stored times are: the ids of several replicas sort
together, however wrong a replica's own clock is.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Lock
from uuid import UUID

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RANDOM_BITS = 74


class OperationIds:
    """Gives ids, each above the one before, also within one millisecond and when the clock is set back.

    Asked within transactions, so from any thread.
    """

    def __init__(self, *, random_bits: Callable[[int], int], above: str = "") -> None:
        """`random_bits`: that many random bits, as `secrets.randbits`. `above`: the newest id given before, if any."""
        self._random_bits = random_bits
        self._last = _number(above) if above else 0
        self._lock = Lock()

    def __call__(self, at: datetime) -> str:
        fresh = (at - _EPOCH) // timedelta(milliseconds=1) << _RANDOM_BITS | self._random_bits(_RANDOM_BITS)
        with self._lock:
            self._last = max(fresh, self._last + 1)
            return _uuid7(self._last)


def _uuid7(number: int) -> str:
    """Milliseconds and random bits, with version and variant where the RFC has them."""
    milliseconds, randomness = number >> _RANDOM_BITS & (2**48 - 1), number & (2**_RANDOM_BITS - 1)
    value = milliseconds << 80 | 0x7 << 76 | (randomness >> 62) << 64 | 0b10 << 62 | randomness & (2**62 - 1)
    return str(UUID(int=value))


def _number(operation_id: str) -> int:
    """The reverse of `_uuid7`."""
    value = UUID(operation_id).int
    return value >> 80 << _RANDOM_BITS | (value >> 64 & 0xFFF) << 62 | value & (2**62 - 1)

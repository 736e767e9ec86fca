"""Operation ids: UUIDv7 (RFC 9562), which sort by the moment at which they were made."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

_RANDOM_BITS = 74


class OperationIds:
    """Gives ids, each above the one before, also within one millisecond and when the clock is set back."""

    def __init__(self, *, milliseconds: Callable[[], int], random_bits: Callable[[int], int]) -> None:
        """`milliseconds`: Unix time; `random_bits`: that many random bits, as `secrets.randbits`."""
        self._milliseconds = milliseconds
        self._random_bits = random_bits
        self._last = 0

    def __call__(self) -> str:
        fresh = self._milliseconds() << _RANDOM_BITS | self._random_bits(_RANDOM_BITS)
        self._last = max(fresh, self._last + 1)
        return _uuid7(self._last)


def _uuid7(number: int) -> str:
    """Milliseconds and random bits, with version and variant where the RFC has them."""
    milliseconds, randomness = number >> _RANDOM_BITS & (2**48 - 1), number & (2**_RANDOM_BITS - 1)
    value = milliseconds << 80 | 0x7 << 76 | (randomness >> 62) << 64 | 0b10 << 62 | randomness & (2**62 - 1)
    return str(UUID(int=value))

"""Operation ids: UUIDv7 (RFC 9562), which sort by the time at which they were made."""

from __future__ import annotations

from uuid import UUID


def uuid7(milliseconds: int, randomness: int) -> str:
    """The id of a moment (Unix time) and 74 random bits."""
    value = (milliseconds & (2**48 - 1)) << 80
    value |= 0x7 << 76 | (randomness >> 62 & 0xFFF) << 64
    value |= 0b10 << 62 | randomness & (2**62 - 1)
    return str(UUID(int=value))

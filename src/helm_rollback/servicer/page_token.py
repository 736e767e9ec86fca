"""Where a listing goes on, as text that a client keeps and does not look into.

A token is bound to its method and filters by a digest, so one that is used with
others is refused rather than answered with a page of something else. The page size
may change from page to page.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from hashlib import blake2s
from typing import Final

from helm_rollback.domain.errors import InvalidField

DEFAULT_PAGE_SIZE: Final = 50
MAX_PAGE_SIZE: Final = 500
_DIGEST_SIZE: Final = 8
_TOKEN_MAX: Final = 1000


def page_size(asked: int) -> int:
    """How many items a page holds. Raises InvalidField for a negative number."""
    if asked < 0:
        raise InvalidField("page_size", "must not be negative")
    return min(asked or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)


def encode(position: str, *listing: str) -> str:
    """The token that goes on after `position` in `listing`: the method's name and its filters."""
    where = position.encode()
    return urlsafe_b64encode(_digest(where, listing) + where).decode().rstrip("=")


def decode(token: str, *listing: str) -> str:
    """The position to go on after, empty for the first page. Raises InvalidField."""
    if not token:
        return ""
    refusal = InvalidField("page_token", "belongs to other filters, or was not made by this service")
    if len(token) > _TOKEN_MAX:
        raise refusal
    try:
        raw = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
        position = raw[_DIGEST_SIZE:].decode()
    except (Base64Error, ValueError):
        raise refusal from None
    if encode(position, *listing) != token:
        raise refusal
    return position


def _digest(position: bytes, listing: tuple[str, ...]) -> bytes:
    content = b"\0".join([*(part.encode() for part in listing), position])
    return blake2s(content, digest_size=_DIGEST_SIZE, person=b"page").digest()

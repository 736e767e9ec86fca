"""Where a stream stands, as text that a client keeps and does not look into.

A token names the ledger, the release and the last sequence that was delivered, so
one that comes back to the wrong place is recognised rather than obeyed.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from hashlib import blake2s
from struct import Struct
from uuid import UUID

from helm_rollback.domain.errors import InvalidResumeToken, ResumePositionLost
from helm_rollback.domain.release import ReleaseId

_VERSION = 1
_LAYOUT = Struct(">B16s8sQ")  # version, ledger, digest of the release id, sequence
_CHECKSUM_SIZE = 4


def encode(ledger_id: str, release_id: ReleaseId, sequence: int) -> str:
    """The token that lies right after event `sequence`."""
    body = _LAYOUT.pack(_VERSION, UUID(ledger_id).bytes, _release_digest(release_id), sequence)
    return urlsafe_b64encode(body + _checksum(body)).decode().rstrip("=")


def decode(token: str, ledger_id: str, release_id: ReleaseId) -> int:
    """The sequence after which to go on.

    Raises InvalidResumeToken where the text is no token, or another release's, and
    ResumePositionLost where it is another ledger's.
    """
    ledger, digest, sequence = _unpack(token, release_id)
    if digest != _release_digest(release_id):
        raise InvalidResumeToken(release_id, "it belongs to another release")
    if ledger != UUID(ledger_id).bytes:
        raise ResumePositionLost(release_id, "the token is another ledger's")
    return sequence


def _unpack(token: str, release_id: ReleaseId) -> tuple[bytes, bytes, int]:
    problem = InvalidResumeToken(release_id, "it was not made by this service, or not kept whole")
    try:
        raw = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
    except (Base64Error, ValueError):
        raise problem from None
    if urlsafe_b64encode(raw).decode().rstrip("=") != token:
        raise problem  # the decoder passes over what is no base64
    body, checksum = raw[:-_CHECKSUM_SIZE], raw[-_CHECKSUM_SIZE:]
    if len(body) != _LAYOUT.size or checksum != _checksum(body) or body[0] != _VERSION:
        raise problem
    _, ledger, digest, sequence = _LAYOUT.unpack(body)
    return ledger, digest, sequence


def _release_digest(release_id: ReleaseId) -> bytes:
    return blake2s(str(release_id).encode(), digest_size=8).digest()


def _checksum(body: bytes) -> bytes:
    return blake2s(body, digest_size=_CHECKSUM_SIZE, person=b"resume").digest()

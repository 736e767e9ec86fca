"""The archive of Helm's records: what was put in comes out, to the byte, or an error does.

Helm's `data.release` is base64 of gzip. The base64 is left off where it can be put
back exactly; a quarter less to store.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from datetime import datetime
from hashlib import sha256
from typing import Final

from sqlalchemy import Connection, bindparam, select

from helm_rollback.domain.errors import LedgerCorrupt
from helm_rollback.store.engines.database import InsertIfAbsent
from helm_rollback.store.tables import payload

_GZIP_MAGIC: Final = b"\x1f\x8b"

_insert: Final = InsertIfAbsent(payload)
_is_there: Final = select(payload.c.size).where(payload.c.digest == bindparam("digest"))
_select: Final = select(payload.c.encoding, payload.c.body).where(payload.c.digest == bindparam("digest"))


def archive(connection: Connection, content: bytes, now: datetime) -> str:
    """Store `content` unless it is there; its digest."""
    digest = sha256(content).hexdigest()
    if connection.execute(_is_there, {"digest": digest}).first() is not None:
        return digest
    encoding, body = _packed(content)
    values = {
        "digest": digest,
        "encoding": encoding,
        "key_id": None,
        "plain_digest": sha256(body).hexdigest(),
        "size": len(content),
        "create_time": now,
        "body": body,
    }
    connection.execute(_insert, values)
    return digest


def content(connection: Connection, digest: str) -> bytes | None:
    """What was archived under `digest`. Raises LedgerCorrupt where it is not that any more."""
    row = connection.execute(_select, {"digest": digest}).first()
    if row is None:
        return None
    unpacked: bytes = b64encode(row.body) if row.encoding == "gzip" else row.body
    if sha256(unpacked).hexdigest() != digest:
        raise LedgerCorrupt(f"the archived record {digest} is not what was put in")
    return unpacked


def _packed(content: bytes) -> tuple[str, bytes]:
    try:
        body = b64decode(content, validate=True)
    except binascii.Error:
        return "plain", content
    is_helms = body.startswith(_GZIP_MAGIC) and b64encode(body) == content
    return ("gzip", body) if is_helms else ("plain", content)

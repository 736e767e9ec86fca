"""Secrets in Kubernetes' protobuf, written as client-go writes them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any


def secret_protobuf(secret: Mapping[str, Any], *, repeat_metadata: bool = False) -> bytes:
    """The body of a request that sends `secret`, with the empty fields that client-go writes."""
    meta = secret["metadata"]
    metadata = _field(1, meta.get("name", "").encode())
    metadata += b"".join(_field(number, b"") for number in (2, 3, 4, 5, 6)) + b"\x38\x00" + _field(8, b"")
    metadata += b"".join(_entry(11, key, value.encode()) for key, value in meta.get("labels", {}).items())
    body = _field(1, metadata) * (2 if repeat_metadata else 1)
    body += b"".join(_entry(2, key, base64.b64decode(value)) for key, value in secret.get("data", {}).items())
    body += _field(3, secret.get("type", "").encode())
    body += b"".join(_entry(4, key, value.encode()) for key, value in secret.get("stringData", {}).items())
    kind = _field(1, b"v1") + _field(2, b"Secret")
    return b"k8s\x00" + _field(1, kind) + _field(2, body) + _field(3, b"") + _field(4, b"")


def _entry(number: int, key: str, value: bytes) -> bytes:
    return _field(number, _field(1, key.encode()) + _field(2, value))


def _field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])

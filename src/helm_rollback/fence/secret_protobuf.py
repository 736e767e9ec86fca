"""A Secret in Kubernetes' protobuf, as Helm 4.3 sends its records, read into the shape that JSON has.

Only what tells a record is read (`k8s.io/api/core/v1/generated.proto`). The reader is
stricter than the API server: a field given twice, which would be merged there, and
everything unexpected raise `UnreadableSecret`, so both understand the same.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

CONTENT_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"
_LENGTH_DELIMITED = 2
_FIXED = {1: 8, 5: 4}


class UnreadableSecret(Exception):
    """The bytes are no Secret that a client of Kubernetes would send."""


def read_secret(body: bytes) -> dict[str, Any]:
    """metadata (name, generateName, namespace, uid, resourceVersion, labels), data, stringData and type."""
    if not body.startswith(_MAGIC):
        raise UnreadableSecret("no magic")
    envelope = _message(body[len(_MAGIC) :], {1, 2}, allowed_empty={3, 4})
    kind = _message(envelope.get(1, b""), {1, 2})
    if (kind.get(1), kind.get(2)) != (b"v1", b"Secret"):
        raise UnreadableSecret("no Secret of v1")
    fields: dict[int, bytes] = {}
    data: dict[str, str] = {}
    string_data: dict[str, str] = {}
    for number, value in _fields(envelope.get(2, b"")):
        if number == 2:
            key, content = _entry(value)
            data[_text(key)] = base64.b64encode(content).decode()
        elif number == 4:
            key, content = _entry(value)
            string_data[_text(key)] = _text(content)
        elif number in fields:
            raise UnreadableSecret("a field is given twice")
        else:
            fields[number] = value
    return {
        "metadata": _metadata(fields.get(1, b"")),
        "data": data,
        "stringData": string_data,
        "type": _text(fields.get(3, b"")),
    }


def _metadata(message: bytes) -> dict[str, Any]:
    names = {1: "name", 2: "generateName", 3: "namespace", 5: "uid", 6: "resourceVersion"}
    metadata: dict[str, Any] = {"labels": {}}
    for number, value in _fields(message):
        if number == 11:
            key, text = _entry(value)
            metadata["labels"][_text(key)] = _text(text)
        elif number in names:
            if names[number] in metadata:
                raise UnreadableSecret("a field is given twice")
            metadata[names[number]] = _text(value)
    return metadata


def _entry(message: bytes) -> tuple[bytes, bytes]:
    entry = _message(message, {1, 2})
    return entry.get(1, b""), entry.get(2, b"")


def _message(
    message: bytes, known: set[int], *, allowed_empty: frozenset[int] | set[int] = frozenset()
) -> dict[int, bytes]:
    fields: dict[int, bytes] = {}
    for number, value in _fields(message):
        if number in allowed_empty and not value:
            continue
        if number not in known or number in fields:
            raise UnreadableSecret("an unexpected field")
        fields[number] = value
    return fields


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of each field; those that are not length-delimited have their raw bytes."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == _LENGTH_DELIMITED:
            length, start = _varint(message, at)
            at = start + length
        elif wire_type == 0:
            start = at
            _, at = _varint(message, at)
        elif wire_type in _FIXED:
            start, at = at, at + _FIXED[wire_type]
        else:
            raise UnreadableSecret("an unknown wire type")
        if number == 0 or at > len(message):
            raise UnreadableSecret("it is cut off")
        yield number, message[start:at]


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 35:
        if at >= len(message):
            raise UnreadableSecret("it is cut off")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise UnreadableSecret("a number is too long")


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as problem:
        raise UnreadableSecret("a text is not UTF-8") from problem

"""The bytes of a record and the JSON document inside them (`pkg/storage/driver/util.go`).

A record comes out of the cluster, where anyone who may write Secrets can put
anything, so every way in which bytes can be wrong ends in `UndecodableRecord`, and
nothing is unpacked without a limit (Helm has none).
"""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import zlib
from collections.abc import Iterator
from json.decoder import WHITESPACE, scanstring  # type: ignore[attr-defined]
from typing import Any, NoReturn

UNPACKED_MAX = 32 * 1024 * 1024
"""Limit of the unpacked JSON. A Secret holds 1 MiB, and gzip can blow that up a thousandfold."""
_GZIP_MAGIC = b"\x1f\x8b\x08"


class UndecodableRecord(Exception):
    """The bytes are no release that Helm could have written; `problem` says why, for people."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


def unpack(payload: bytes) -> str:
    """The JSON text inside a payload, gzipped or plain."""
    try:
        packed = base64.b64decode(payload.translate(None, b"\r\n"), validate=True)
    except (binascii.Error, ValueError) as problem:
        raise UndecodableRecord("it is not base64") from problem
    plain = _gunzip(packed) if packed.startswith(_GZIP_MAGIC) else packed
    try:
        return plain.decode()
    except UnicodeDecodeError as problem:
        raise UndecodableRecord("its JSON is not UTF-8") from problem


def pack(text: str) -> bytes:
    """The payload of a JSON text, as Helm writes it."""
    return base64.b64encode(gzip.compress(text.encode(), compresslevel=9, mtime=0))


def parse(text: str) -> dict[str, Any]:
    """The JSON object in `text`. Numbers that Go could not hold are refused, as Helm refuses them."""
    try:
        document = _DECODER.decode(text)
    except RecursionError as problem:
        raise UndecodableRecord("its JSON is nested too deeply") from problem
    except ValueError as problem:
        raise UndecodableRecord("it is not JSON") from problem
    if not isinstance(document, dict):
        raise UndecodableRecord("its JSON is not an object")
    return document


def replace_strings(text: str, path: str, replacements: dict[str, str]) -> str:
    """`text` with some strings of the object at the top-level key `path` replaced, and not one other character.

    Parsing and writing anew would change numbers that Python and Go spell differently.
    """
    parse(text)  # so that the walk below may trust the syntax
    spans = [(start, end) for start, end, key in _members(text, _skip_space(text, 0)) if key == path]
    if not spans or text[spans[-1][0]] != "{":
        raise UndecodableRecord(f"it has no {path}")
    start, end = spans[-1]  # of two equal keys, JSON parsers take the last
    return text[:start] + _replace_members(text[start:end], replacements) + text[end:]


def _replace_members(text: str, replacements: dict[str, str]) -> str:
    missing = dict(replacements)
    pieces: list[str] = []
    copied = 0
    for start, end, key in _members(text, 0):
        if key in replacements:
            missing.pop(key, None)
            pieces += [text[copied:start], json.dumps(replacements[key], ensure_ascii=False)]
            copied = end
    rest = text[copied:]
    added = ",".join(f"{json.dumps(key)}:{json.dumps(word, ensure_ascii=False)}" for key, word in missing.items())
    if added:
        empty = not text[1:-1].strip()
        rest = f"{rest[:-1]}{'' if empty else ','}{added}}}"
    return "".join(pieces) + rest


def _members(text: str, opening: int) -> Iterator[tuple[int, int, str]]:
    """Where each value of the object at `opening` begins and ends, with its key."""
    at = _skip_space(text, opening + 1)
    while text[at] != "}":
        key, at = scanstring(text, at + 1, True)
        start = _skip_space(text, _skip_space(text, at) + 1)
        _, end = _DECODER.raw_decode(text, start)
        yield start, end, key
        at = _skip_space(text, end)
        if text[at] == ",":
            at = _skip_space(text, at + 1)


def _skip_space(text: str, at: int) -> int:
    match = WHITESPACE.match(text, at)
    return int(match.end())


def _gunzip(packed: bytes) -> bytes:
    unzip = zlib.decompressobj(wbits=31)
    try:
        plain = unzip.decompress(packed, UNPACKED_MAX + 1)
    except zlib.error as problem:
        raise UndecodableRecord("its gzip is damaged") from problem
    if len(plain) > UNPACKED_MAX:
        raise UndecodableRecord(f"it unpacks to more than {UNPACKED_MAX // 1024 // 1024} MiB")
    if not unzip.eof:
        raise UndecodableRecord("its gzip is cut off")
    if unzip.unused_data:
        raise UndecodableRecord("something follows its gzip")
    return plain


def _integer(digits: str) -> int:
    number = int(digits)
    if len(digits) > 300:
        _float(digits)
    return number


def _float(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise ValueError("a number is beyond float64")
    return number


def _constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=_float, parse_constant=_constant)

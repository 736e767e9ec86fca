"""Helm's requests, parsed and written anew. Pure.

What goes to the API server is made of parsed values only, never of the bytes that
came in, and only with headers from a short list: so nothing that two parsers could
read differently gets through, and no credential but ours.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote

READS = frozenset({"GET", "HEAD"})
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
BODY_MAX = 8 * 1024 * 1024
"""No API server takes more than 3 MiB by default."""
HEAD_MAX = 64 * 1024

_PASSED = frozenset({"accept", "accept-encoding", "cache-control", "content-type", "if-none-match", "user-agent"})
"""All that Helm's client sends and the API server needs. Credentials, impersonation, proxies' and
hop-by-hop headers are not among them."""
_AGENT = "user-agent"
_REFUSED = frozenset({"upgrade", "expect", "content-encoding", "trailer", "http2-settings"})
_TARGET = re.compile(r"/[!-~]*")
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[\t -~\x80-\xff]*")
_LENGTH = re.compile(r"[0-9]{1,10}")


class BadRequest(Exception):
    """A request that is not passed, and after which the connection can not be trusted."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request's head. `segments` is the path as the API server will understand it."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    segments: tuple[str, ...]
    has_body: bool

    @property
    def is_write(self) -> bool:
        return self.method in WRITES

    @property
    def is_dry_run(self) -> bool:
        """Whether the API server will change nothing (`dryRun=All` is the only such word)."""
        query = parse_qs(self.target.partition("?")[2], keep_blank_values=True)
        return query.get("dryRun") == ["All"]

    @property
    def content_type(self) -> str:
        """The media type of the body, without parameters."""
        values = [value for name, value in self.headers if name == "content-type"]
        return values[0].partition(";")[0].strip().lower() if values else ""


def check_head(
    method: str, target: str, version: str, headers: Iterable[tuple[bytes, bytes]], *, authorization: str
) -> Request:
    """The request, if it may pass this far. Raises BadRequest with what to answer."""
    texts = tuple((name.decode("latin-1").lower(), value.decode("latin-1").strip()) for name, value in headers)
    _check_token(texts, authorization)
    if method not in READS | WRITES:
        raise BadRequest(400, f"method {method} is not passed")
    if version != "1.1":
        raise BadRequest(400, "HTTP/1.1 is spoken here")
    if not _TARGET.fullmatch(target) or target.startswith("//") or "#" in target:
        raise BadRequest(400, "the target must be a path")
    for name, value in texts:
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise BadRequest(400, "a header is malformed")
        if name in _REFUSED:
            raise BadRequest(400, f"header {name} is not passed")
    if sum(name == "content-type" for name, _ in texts) > 1:
        raise BadRequest(400, "the content type is ambiguous")
    has_body = _has_body(texts)
    if has_body and method in READS:
        raise BadRequest(400, f"{method} has no body here")
    return Request(method=method, target=target, headers=texts, segments=_segments(target, method), has_body=has_body)


def head_bytes(
    request: Request,
    *,
    base_path: str,
    authority: str,
    authorization: str,
    body_length: int | None,
    sent_for: str = "",
) -> bytes:
    """The head for the API server; `body_length` None for a request without body. `sent_for` ends the User-Agent."""
    lines = [f"{request.method} {base_path}{request.target} HTTP/1.1", f"Host: {authority}"]
    lines += [f"{name}: {value}" for name, value in request.headers if name in _PASSED and name != _AGENT]
    agents = [value for name, value in request.headers if name == _AGENT]
    if agents or sent_for:
        lines.append(f"{_AGENT}: {' '.join([*agents, sent_for]).rstrip()}")
    if authorization:
        lines.append(f"Authorization: {authorization}")
    if body_length is not None:
        lines.append(f"Content-Length: {body_length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _check_token(headers: Sequence[tuple[str, str]], authorization: str) -> None:
    given = [value for name, value in headers if name == "authorization"]
    if len(given) != 1 or not hmac.compare_digest(given[0].encode(), authorization.encode()):
        raise BadRequest(401, "the token of this passage is missing or wrong")


def _has_body(headers: Sequence[tuple[str, str]]) -> bool:
    lengths = [value for name, value in headers if name == "content-length"]
    codings = [value.lower() for name, value in headers if name == "transfer-encoding"]
    if len(lengths) > 1 or len(codings) > 1 or (lengths and codings):
        raise BadRequest(400, "the length of the body is ambiguous")
    if codings and codings != ["chunked"]:
        raise BadRequest(400, "the transfer coding must be chunked")
    if lengths and not _LENGTH.fullmatch(lengths[0]):
        raise BadRequest(400, "the length of the body is malformed")
    if lengths and int(lengths[0]) > BODY_MAX:
        raise BadRequest(413, "the request is too large")
    return bool(codings) or (bool(lengths) and int(lengths[0]) > 0)


def _segments(target: str, method: str) -> tuple[str, ...]:
    """The path's segments. A write's path must have one reading only."""
    path = target.partition("?")[0]
    raw = path[1:].split("/")
    segments = tuple(unquote(segment) for segment in raw)
    if method in WRITES:
        if raw[-1] == "" and len(raw) > 1:
            raise BadRequest(400, "a write's path ends with a slash")
        for segment in segments:
            if segment in ("", ".", "..") or "/" in segment or "\\" in segment or "\0" in segment:
                raise BadRequest(400, "a write's path is ambiguous")
    return segments

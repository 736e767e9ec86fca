"""Reads requests from a connection's bytes, whole ones only."""

from __future__ import annotations

import httptools

from helm_rollback.fence.request import BODY_MAX, HEAD_MAX, BadRequest, Request, check_head


class RequestReader:
    """Collects what llhttp finds. Errors are kept and raised by `feed`: callbacks may not raise."""

    def __init__(self, authorization: str) -> None:
        self._authorization = authorization
        self._parser = httptools.HttpRequestParser(self)
        self._bad: BadRequest | None = None
        self._whole: list[tuple[Request, bytes]] = []
        self._reset()

    @property
    def in_the_middle(self) -> bool:
        """Whether a request has begun that is not whole yet."""
        return self._began

    def feed(self, data: bytes) -> list[tuple[Request, bytes]]:
        """The requests that became whole. Raises BadRequest; then the connection must end."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as problem:
            # An upgrade raises too, after its head was checked, and refused with better words.
            raise self._bad or BadRequest(400, "this is not HTTP/1.1 as it should be") from problem
        if self._began and self._request is None:
            self._grow_head(len(data))  # the parser keeps an unfinished header to itself
        if self._bad is not None:
            raise self._bad
        whole, self._whole = self._whole, []
        return whole

    def _reset(self) -> None:
        self._began = False
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._request: Request | None = None
        self._body = bytearray()
        self._head_size = 0

    def _grow_head(self, size: int) -> None:
        self._head_size += size
        if self._head_size > HEAD_MAX:
            self._bad = self._bad or BadRequest(400, "the head is too large")

    # What httptools calls.

    def on_message_begin(self) -> None:
        self._reset()
        self._began = True

    def on_url(self, url: bytes) -> None:
        self._target += url
        self._grow_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._request is None:  # trailers are dropped
            self._headers.append((name, value))
            self._grow_head(len(name) + len(value))

    def on_headers_complete(self) -> None:
        if self._bad is not None:
            return
        try:
            self._request = check_head(
                self._parser.get_method().decode("latin-1"),
                self._target.decode("latin-1"),
                self._parser.get_http_version(),
                self._headers,
                authorization=self._authorization,
            )
        except BadRequest as bad:
            self._bad = bad

    def on_body(self, body: bytes) -> None:
        if len(self._body) + len(body) > BODY_MAX:
            self._bad = self._bad or BadRequest(413, "the request is too large")
        elif self._bad is None:
            self._body += body

    def on_message_complete(self) -> None:
        if self._request is not None and self._bad is None:
            self._whole.append((self._request, bytes(self._body)))
        self._began = False

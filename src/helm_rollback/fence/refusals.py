"""What the fence answers itself, in the form that Helm's client understands: a Kubernetes Status.

Helm prints the message as its own error, where `helm/failures.py` finds the texts
that begin with "helm-rollback fence:" again.
"""

from __future__ import annotations

import json

PREFIX = "helm-rollback fence: "
LEASE_LOST = PREFIX + "the lease of this operation is over, nothing more is written for it"
UNREACHABLE = PREFIX + "the API server does not answer"
RECORD_UNREADABLE = PREFIX + "this release record can not be read, so it is not passed"
RECORDS_AT_ONCE = PREFIX + "this release record is not written alone: Secrets are not deleted by collection here"


def record_refused(why: str) -> str:
    """The text for a record write that the judge refuses."""
    return f"{PREFIX}this release record is not passed: {why}"


_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    413: "RequestEntityTooLarge",
    502: "ServiceUnavailable",
}
_PHRASES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    413: "Payload Too Large",
    502: "Bad Gateway",
}


def answer(code: int, message: str, *, close: bool = False) -> bytes:
    """A whole HTTP response with a Status of kind Failure."""
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": _REASONS[code],
        "code": code,
    }
    body = json.dumps(status).encode()
    head = (
        f"HTTP/1.1 {code} {_PHRASES[code]}\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n"
        f"{'Connection: close' if close else 'Connection: keep-alive'}\r\n\r\n"
    )
    return head.encode() + body

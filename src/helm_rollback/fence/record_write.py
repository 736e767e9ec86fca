"""Which of Helm's writes concern release records, and what they want to write. Pure.

Helm counts any Secret with its labels as a record, whatever its name or type
(`pkg/storage/driver/secrets.go`), so each write to Secrets is looked into, and what
can not be read is not passed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from helm_rollback.application.ports import RecordWrite
from helm_rollback.domain.record import StoredRecord
from helm_rollback.fence.request import Request
from helm_rollback.fence.secret_protobuf import CONTENT_TYPE, UnreadableSecret, read_secret
from helm_rollback.helm.record import UndecodableRecord, from_secret

_NAME_PREFIX = "sh.helm.release."
_TYPE = "helm.sh/release.v1"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A write to Secrets that may concern a record but can not be judged: it is refused."""

    write: RecordWrite
    several: bool = False
    """Whether it would delete several at once."""


def record_write(request: Request, body: bytes) -> RecordWrite | Unreadable | None:
    """What the judge must be asked about; None where no record is concerned."""
    if not request.is_write or request.is_dry_run:
        return None
    segments = request.segments
    if segments[:3] == ("api", "v1", "secrets"):
        return Unreadable(_of(request, "", ""), several=request.method == "DELETE")
    if len(segments) < 5 or segments[:3] != ("api", "v1", "namespaces") or segments[4] != "secrets":
        return None
    namespace, name = segments[3], segments[5] if len(segments) > 5 else ""
    if request.method == "DELETE":
        if not name:
            return Unreadable(_of(request, namespace, ""), several=True)
        return _of(request, namespace, name) if name.startswith(_NAME_PREFIX) else None
    secret = _secret(request, body)
    if secret is None:
        return Unreadable(_of(request, namespace, name))
    name = name or _name(secret)
    if not (name.startswith(_NAME_PREFIX) or _claims_to_be_one(secret)):
        return None
    stored = _stored(secret)
    # A PATCH tells a difference, from which nothing can be concluded. Helm makes none on records.
    # `stringData` would win over the `data` that is judged.
    if stored is None or request.method == "PATCH" or secret.get("stringData"):
        return Unreadable(_of(request, namespace, name))
    return _of(request, namespace, name, stored)


def _of(request: Request, namespace: str, name: str, stored: StoredRecord | None = None) -> RecordWrite:
    return RecordWrite(method=request.method, namespace=namespace, secret_name=name, stored=stored)


def _secret(request: Request, body: bytes) -> Mapping[str, Any] | None:
    """The Secret, or the difference to it, in the shape of JSON; None for what only the API server can read."""
    if request.content_type == CONTENT_TYPE:
        try:
            return read_secret(body)
        except UnreadableSecret:
            return None
    try:
        value = json.loads(body.decode())  # as bytes, Python would also take UTF-16, and the API server not
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _metadata(secret: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = secret.get("metadata")
    return metadata if isinstance(metadata, Mapping) else {}


def _name(secret: Mapping[str, Any]) -> str:
    metadata = _metadata(secret)
    return str(metadata.get("name") or metadata.get("generateName") or "")


def _claims_to_be_one(secret: Mapping[str, Any]) -> bool:
    labels = _metadata(secret).get("labels")
    return secret.get("type") == _TYPE or (isinstance(labels, Mapping) and labels.get("owner") == "helm")


def _stored(secret: Mapping[str, Any]) -> StoredRecord | None:
    try:
        return from_secret(secret)
    except UndecodableRecord:
        return None

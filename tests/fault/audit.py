"""What the API server's audit log says was written: the witness that nobody in the service can talk to."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- level: None
  verbs: [get, list, watch]
- level: RequestResponse
  resources: [{group: "", resources: [secrets, configmaps]}]
- level: None
"""
"""Every write of what these charts are made of, with its content."""

_RUN = re.compile(r"helm-rollback/([0-9a-f-]{36})/(\d+)$")
_RECORD = re.compile(r"sh\.helm\.release\.v1\.(.+)\.v(\d+)")


@dataclass(frozen=True, slots=True)
class HelmRun:
    """One run of Helm by the service, as the fence names it to the API server."""

    operation_id: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """A write that the API server carried out."""

    run: HelmRun | None
    """None: the service's own write, or somebody else's Helm."""
    foreign: bool
    """By somebody beside the service."""
    verb: str
    """create, update, patch or delete."""
    resource: str
    name: str
    received: datetime
    done: datetime
    stored: Mapping[str, Any]
    """The object as it was stored, perhaps its metadata only; after a delete, the API server's answer."""
    sent: Mapping[str, Any]
    """The object as it was sent."""

    @property
    def release(self) -> str:
        """Objects of these rounds bear the name of their release, before a dash."""
        found = _RECORD.fullmatch(self.name)
        return found[1] if found else self.name.partition("-")[0]

    @property
    def revision(self) -> int:
        """Of a release record; 0 for any other object."""
        found = _RECORD.fullmatch(self.name)
        return int(found[2]) if found and self.resource == "secrets" else 0

    @property
    def uid(self) -> str:
        return str(self.stored.get("metadata", {}).get("uid") or self.stored.get("details", {}).get("uid"))

    @property
    def status(self) -> str:
        """Of a record that was stored, in Helm's word."""
        return str(self.stored.get("metadata", {}).get("labels", {}).get("status", ""))

    @property
    def payload(self) -> bytes:
        """Of a record that was stored."""
        return base64.b64decode(self.sent["data"]["release"])


class AuditLog:
    """Reads what was added to the log since it was made."""

    def __init__(self, path: Path, *, service_user: str) -> None:
        self._path = path
        self._from = path.stat().st_size
        self._service_user = service_user

    def writes(self, namespace: str) -> list[Write]:
        """What was written in a namespace, in the order of the answers."""
        found = [self._write(entry) for entry in self._entries() if _is_done(entry, namespace)]
        return sorted(found, key=lambda write: write.done)

    def _entries(self) -> Iterator[dict[str, Any]]:
        with self._path.open("rb") as log:
            log.seek(self._from)
            for line in log:
                yield json.loads(line)

    def _write(self, entry: dict[str, Any]) -> Write:
        run = _RUN.search(entry.get("userAgent", ""))
        stored = entry.get("responseObject", {})
        reference = entry["objectRef"]
        return Write(
            run=HelmRun(run[1], int(run[2])) if run else None,
            foreign=entry["user"]["username"] != self._service_user,
            verb=entry["verb"],
            resource=reference["resource"],
            name=reference.get("name") or stored["metadata"]["name"],
            received=_time(entry["requestReceivedTimestamp"]),
            done=_time(entry["stageTimestamp"]),
            stored=stored,
            sent=entry.get("requestObject", {}),
        )


def document_of(payload: bytes) -> dict[str, Any]:
    """A release as Helm stores it (`data.release`, the API's own base64 off), read without the service's code."""
    document: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(payload)))
    return document


def _is_done(entry: dict[str, Any], namespace: str) -> bool:
    reference, status = entry["objectRef"], entry.get("responseStatus", {})
    dry = "dryRun=All" in entry["requestURI"]
    return reference.get("namespace") == namespace and 200 <= status.get("code", 0) < 300 and not dry


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)

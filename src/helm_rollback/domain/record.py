"""One revision as Helm stores it: a Secret, decoded.

A record is a claim, not a proof. What follows from it is decided in
`evidence.py`; how it is encoded is known only to `helm/record.py`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from typing import Any

from helm_rollback.domain.status import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """One hook of a revision. `manifest` is what Helm applies; `events` when (`pre-rollback`, …)."""

    name: str
    kind: str
    events: tuple[str, ...]
    weight: int
    manifest: str
    last_run_started: datetime | None = None
    last_run_phase: str = ""
    """Unknown, Running, Succeeded or Failed. Hooks are copied from the target of a
    rollback with their old run, so compare `last_run_started` before you believe it."""


@dataclass(frozen=True, kw_only=True)
class HelmRecord:
    """The content of a release Secret (`pkg/release/v1/release.go`)."""

    name: str
    namespace: str
    revision: int
    status: Status
    description: str
    first_deployed: datetime | None
    last_deployed: datetime | None
    deleted: datetime | None
    """Set by an uninstall, which overwrites status and description; it survives being superseded."""
    rollback_target: int
    """`info.rollback_revision` of Helm ≥ 4.3; 0 where there is none."""
    chart_name: str
    chart_version: str
    app_version: str
    values: dict[str, Any]
    """The user's values (`config`)."""
    manifest: str
    hooks: tuple[Hook, ...]
    applied_server_side: bool = False
    """Whether Helm applied it on the server (`apply_method`); Helm 3 does not tell, and never does."""

    @property
    def manifests(self) -> tuple[str, ...]:
        """The manifest, then those of the hooks."""
        return self.manifest, *(hook.manifest for hook in self.hooks)

    @cached_property
    def manifest_digest(self) -> str:
        """Digest of the manifest and of the hooks' manifests: what the cluster was told."""
        hooks = sorted((hook.name, hook.kind, sorted(hook.events), hook.weight, hook.manifest) for hook in self.hooks)
        return _digest([self.manifest, hooks])

    @cached_property
    def values_digest(self) -> str:
        """Digest of the values, numbers as float64: Helm's own rewriting rounds them so."""
        return _digest(_as_float64(self.values))


def _digest(value: object) -> str:
    return sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _as_float64(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_float64(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_float64(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRef:
    """Where a record is stored, and which version of it: what LIST of metadata tells.

    Release name, revision and status are labels, which Helm writes together with
    the payload. `uid` changes when the Secret is made anew, `resource_version` with
    every write.
    """

    secret_name: str
    namespace: str
    release_name: str
    revision: int
    status: Status
    uid: str
    resource_version: int
    create_time: datetime
    """The Secret's creationTimestamp."""


_LABELS_OF_CONTENT = ("name", "owner", "status", "version")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRecord:
    """One version of a release Secret. `record` is None where it can not be decoded."""

    ref: RecordRef
    payload: bytes
    """`data.release` as Helm wrote it: base64 of gzip of JSON (the API's own base64 is off)."""
    labels: dict[str, str]
    """All labels, custom ones too."""
    record: HelmRecord | None
    problem: str = ""
    """Why it can not be decoded, in words."""

    @property
    def further_labels(self) -> dict[str, str]:
        """Those that neither name nor content of the record tell: needed to put the Secret back."""
        return {key: value for key, value in self.labels.items() if key not in _LABELS_OF_CONTENT}


def revision_of_secret(name: str, release_name: str) -> int:
    """The revision whose record a Secret of this name is; 0 where it is none of that release."""
    prefix = secret_name(release_name, 0).removesuffix("0")
    number = name.removeprefix(prefix)
    return int(number) if name.startswith(prefix) and number.isascii() and number.isdigit() else 0


def secret_name(release_name: str, revision: int) -> str:
    """The name of the Secret that holds a revision (`pkg/storage/storage.go`, makeKey)."""
    return f"sh.helm.release.v1.{release_name}.v{revision}"

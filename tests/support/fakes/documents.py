"""Release documents as Helm 4.3 writes them, and the Secrets that hold them.

Only what Helm itself would write is built here; the payload is encoded for real, so
that the service's decoder reads it.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import yaml

from helm_rollback.domain.record import secret_name
from helm_rollback.helm.record import encode

Document = dict[str, Any]

PRE_ROLLBACK, POST_ROLLBACK = "pre-rollback", "post-rollback"


@dataclass(frozen=True, kw_only=True)
class Chart:
    """What a person gives to Helm. Equal charts make equal manifests."""

    name: str = "demo"
    version: str = "1.0.0"
    values: Mapping[str, Any] = field(default_factory=dict)
    manifest: str | None = None
    """None: one ConfigMap that holds the version."""
    hooks: tuple[Document, ...] = ()

    @property
    def rendered(self) -> str:
        return config_map(version=self.version) if self.manifest is None else self.manifest


def config_map(name: str = "shop", **data: str) -> str:
    """A ConfigMap's document in a manifest."""
    return _object({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})


def secret(name: str = "shop", **data: str) -> str:
    """A Secret's document in a manifest."""
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return _object({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": encoded})


def an_object(api_version: str, kind: str, name: str = "shop") -> str:
    """Any object's document in a manifest."""
    return _object({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}})


def hook(event: str, name: str = "shop-job") -> Document:
    """A Job that is run at an event, as it stands in a release's `hooks`."""
    manifest = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}}
    return {"name": name, "kind": "Job", "path": f"demo/templates/{name}.yaml", "manifest": yaml.safe_dump(manifest),
            "events": [event], "last_run": {"started_at": "", "completed_at": "", "phase": ""}}  # fmt: skip


def release_document(
    release: str, namespace: str, revision: int, chart: Chart, *, first_deployed: datetime, now: datetime
) -> Document:
    """A new revision made from a chart; its status and description are the writer's to set."""
    metadata = {"name": chart.name, "version": chart.version, "appVersion": chart.version, "apiVersion": "v2"}
    return {
        "name": release,
        "info": {"first_deployed": go_time(first_deployed), "last_deployed": go_time(now), "deleted": ""},
        "chart": {"metadata": metadata, "templates": [], "values": {}},
        "config": dict(chart.values),
        "manifest": chart.rendered,
        "hooks": [deepcopy(one) for one in chart.hooks],
        "version": revision,
        "namespace": namespace,
        "apply_method": "ssa",
    }


def rollback_document(current: Document, target: Document, *, description: str, now: datetime) -> Document:
    """The revision that `helm rollback` creates: content of the target, first_deployed and number of current."""
    document = deepcopy(target)
    document["version"] = current["version"] + 1
    document["info"] = {
        "first_deployed": current["info"]["first_deployed"],
        "last_deployed": go_time(now),
        "deleted": "",
        "rollback_revision": target["version"],
    }
    return with_info(document, "pending-rollback", description or f"Rollback to {target['version']}")


def older_rollback_document(current: Document, target: Document, *, now: datetime) -> Document:
    """The same of a Helm before 4.3: no description of the caller's, and the target is told only in Helm's own."""
    document = rollback_document(current, target, description="", now=now)
    del document["info"]["rollback_revision"]
    return document


def with_info(document: Document, status: str, description: str | None = None, **info: Any) -> Document:
    """The document with another status; description None keeps the one it has."""
    changed = deepcopy(document)
    changed["info"] |= {"status": status, **info}
    if description is not None:
        changed["info"]["description"] = description
    return changed


def secret_of(document: Document, *, labels: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The Secret that Helm sends to the API server for a document."""
    name, revision = document["name"], document["version"]
    own = {"name": name, "owner": "helm", "status": document["info"]["status"], "version": str(revision)}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "helm.sh/release.v1",
        "metadata": {
            "name": secret_name(name, revision),
            "namespace": document["namespace"],
            "labels": {**(labels or {}), **own},
        },
        "data": {"release": base64.b64encode(encode(document)).decode()},
    }


def rollback_hooks(document: Document, event: str) -> list[Document]:
    """The hooks that a rollback to this document runs at an event, in Helm's order."""
    hooks = [one for one in document["hooks"] if event in one["events"]]
    return sorted(hooks, key=lambda one: (one.get("weight", 0), one["name"]))


def go_time(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")


def _object(body: Document) -> str:
    return f"---\n# Source: demo/templates/it.yaml\n{yaml.safe_dump(body, sort_keys=False)}"

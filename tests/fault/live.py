"""What the cluster holds of a namespace, read raw from the API server."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from fault.audit import document_of
from local_cluster import Client

_RELEASE = "meta.helm.sh/release-name"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRecord:
    """A release record as it is stored now."""

    release: str
    revision: int
    status: str
    uid: str
    resource_version: int
    payload: bytes


@dataclass(frozen=True, kw_only=True)
class Live:
    """One namespace."""

    records: list[LiveRecord]
    config_maps: Mapping[str, Mapping[str, Mapping[str, str]]]
    """Release → name → data."""


def read_live(client: Client, namespace: str) -> Live:
    """LIST everything."""
    prefix = f"/api/v1/namespaces/{namespace}"
    secrets = client.get(f"{prefix}/secrets?labelSelector=owner%3Dhelm")["items"]
    config_maps: dict[str, dict[str, dict[str, str]]] = {}
    for item in client.get(f"{prefix}/configmaps")["items"]:
        release = item["metadata"].get("annotations", {}).get(_RELEASE, "")
        config_maps.setdefault(release, {})[item["metadata"]["name"]] = item.get("data", {})
    return Live(records=[_record(secret) for secret in secrets], config_maps=config_maps)


def objects_of(payload: bytes) -> dict[str, dict[str, str]]:
    """The ConfigMaps of a record's manifest: name → data."""
    documents = yaml.safe_load_all(document_of(payload)["manifest"])
    return {each["metadata"]["name"]: each.get("data", {}) for each in documents if each}


def _record(secret: dict[str, Any]) -> LiveRecord:
    metadata = secret["metadata"]
    return LiveRecord(
        release=metadata["labels"]["name"],
        revision=int(metadata["labels"]["version"]),
        status=metadata["labels"]["status"],
        uid=metadata["uid"],
        resource_version=int(metadata["resourceVersion"]),
        payload=base64.b64decode(secret["data"]["release"]),
    )

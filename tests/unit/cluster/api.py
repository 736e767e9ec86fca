"""An API server that answers as a test says."""

import json
from collections.abc import Callable
from typing import Any

import httpx2
from lightkube.config.kubeconfig import SingleConfig
from lightkube.config.models import Cluster, Context, User

from helm_rollback.cluster.connection import Connection

Answer = Callable[[httpx2.Request], httpx2.Response]


def connection(answer: Answer, *, user: User | None = None, deadline: float = 10.0) -> Connection:
    """A connection to a server at api.example that `answer` plays."""
    config = SingleConfig(
        context_name="test",
        context=Context(cluster="test"),
        cluster=Cluster(server="http://api.example/k8s/clusters/c-1"),
        user=user or User(token="canary-token"),
    )
    return Connection("default", config, transport=httpx2.MockTransport(answer), deadline=deadline)


def answering(code: int, body: Any = None) -> Answer:
    """Always this."""
    return lambda _: httpx2.Response(code, json=body)


def metadata(name: str = "shop", revision: int | str = 1, *, version: int = 10, namespace: str = "prod") -> Any:
    """Metadata of a release Secret."""
    return {
        "name": f"sh.helm.release.v1.{name}.v{revision}",
        "namespace": namespace,
        "uid": f"uid-{name}-{revision}",
        "resourceVersion": str(version),
        "creationTimestamp": "2026-11-01T00:00:00Z",
        "labels": {"owner": "helm", "name": name, "version": str(revision), "status": "deployed"},
    }


def metadata_list(*items: Any, version: int = 100, more: str = "") -> Any:
    """A LIST of metadata; `more` is the token of the next page."""
    return {
        "kind": "PartialObjectMetadataList",
        "metadata": {"resourceVersion": str(version), "continue": more},
        "items": [{"metadata": item} for item in items],
    }


def change(kind: str, content: Any) -> bytes:
    """A line of a WATCH."""
    return json.dumps({"type": kind, "object": content}).encode() + b"\n"

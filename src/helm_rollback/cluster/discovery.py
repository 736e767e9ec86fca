"""What the API server serves, asked anew each time, for the price of two 304 answers.

Helm strands a release when a kind in its manifests is gone. A cache with an age
would be wrong for just as long after a CRD comes or goes; the server's ETag is not.
"""

from __future__ import annotations

import asyncio
from typing import Any

from helm_rollback.application.ports import Served, ServedKind
from helm_rollback.cluster.connection import JSON, Connection
from helm_rollback.domain.errors import ClusterUnreachable
from helm_rollback.domain.live_object import Resource

# v2 since Kubernetes 1.30, v2beta1 of the same form since 1.27.
_ACCEPT = ",".join(
    f"{JSON};g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList" for version in ("v2", "v2beta1")
)


Resources = dict[ServedKind, Resource]


class Discovery:
    """Aggregated discovery of one cluster; keeps the last answer of each path with its ETag."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[str, tuple[str, Resources]] = {}

    async def served_kinds(self) -> Served:
        """Every kind that has a resource of its own now, subresources left out."""
        core, named = await asyncio.gather(self._ask("/api"), self._ask("/apis"))
        state = f"{core[0]} {named[0]}" if core[0] and named[0] else ""
        return Served({**core[1], **named[1]}, state)

    async def _ask(self, path: str) -> tuple[str, Resources]:
        etag, resources = self._known.get(path, ("", {}))
        answer = await self._connection.request(
            "GET",
            path,
            needs="read the API's discovery documents",
            accept=_ACCEPT,
            headers={"If-None-Match": etag} if etag else None,
            expected=(304, 406),
        )
        if answer.status_code == 304:
            return etag, resources
        document = self._connection.parse(answer.content) if answer.status_code != 406 else {}
        if document.get("kind") != "APIGroupDiscoveryList":
            problem = "it has no aggregated discovery; Kubernetes 1.27 or newer is needed"
            raise ClusterUnreachable(self._connection.cluster, problem)
        self._known[path] = (answer.headers.get("ETag", ""), _resources(document))
        return self._known[path]


def _resources(document: dict[str, Any]) -> Resources:
    found: Resources = {}
    for group in document.get("items") or ():
        name = group.get("metadata", {}).get("name", "")
        for version in group.get("versions") or ():
            api_version = f"{name}/{version['version']}" if name else version["version"]
            for resource in version.get("resources") or ():
                if kind := (resource.get("responseKind") or {}).get("kind"):
                    known = Resource(
                        api_version=api_version,
                        kind=kind,
                        plural=resource["resource"],
                        namespaced=resource.get("scope") == "Namespaced",
                    )
                    found.setdefault(ServedKind(api_version, kind), known)
    return found

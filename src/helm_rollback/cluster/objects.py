"""Any object of the cluster: read as metadata, deleted by exactly the version that was read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from helm_rollback.cluster.connection import JSON, METADATA, Connection
from helm_rollback.domain.live_object import LiveObject, Resource
from helm_rollback.domain.release import ReleaseId

_ACCEPT = f"{METADATA},{JSON}"
"""An aggregated API may know no metadata of its own: then the whole object."""


async def read_object(
    connection: Connection, release_id: ReleaseId, resource: Resource, namespace: str, name: str
) -> LiveObject | None:
    """The object as it is now; None where there is none, or its kind can only be created (405)."""
    found = await _get(connection, release_id, resource, namespace, name, accept=_ACCEPT)
    if found is None:
        return None
    metadata = found["metadata"]
    return LiveObject(
        resource=resource,
        namespace=namespace,
        name=name,
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        labels=metadata.get("labels") or {},
        annotations=metadata.get("annotations") or {},
        is_going="deletionTimestamp" in metadata,
    )


async def read_content(
    connection: Connection, release_id: ReleaseId, resource: Resource, namespace: str, name: str
) -> Mapping[str, Any] | None:
    """The whole object as it is now; None where there is none, or its kind can only be created (405)."""
    return await _get(connection, release_id, resource, namespace, name, accept=JSON)


async def _get(
    connection: Connection, release_id: ReleaseId, resource: Resource, namespace: str, name: str, *, accept: str
) -> dict[str, Any] | None:
    answer = await connection.request(
        "GET",
        _path(resource, namespace, name),
        needs=f"get {_words(resource, namespace)}",
        release_id=release_id,
        accept=accept,
        expected=(404, 405),
    )
    return connection.parse(answer.content, release_id=release_id) if answer.status_code == 200 else None


async def list_contents(
    connection: Connection,
    release_id: ReleaseId,
    resource: Resource,
    namespace: str,
    *,
    labels: str,
    fields: str,
    limit: int,
) -> list[Mapping[str, Any]]:
    """Whole objects of a namespace, at most `limit`, each with the apiVersion and kind that a list leaves out."""
    selectors = {"labelSelector": labels, "fieldSelector": fields}
    answer = await connection.request(
        "GET",
        _path(resource, namespace),
        needs=f"list {_words(resource, namespace)}",
        release_id=release_id,
        params={"limit": limit} | {name: selector for name, selector in selectors.items() if selector},
    )
    items = connection.parse(answer.content, release_id=release_id).get("items") or []
    return [{"apiVersion": resource.api_version, "kind": resource.kind} | item for item in items]


async def read_log(
    connection: Connection,
    release_id: ReleaseId,
    namespace: str,
    pod: str,
    container: str,
    *,
    previous: bool,
    lines: int,
    size: int,
) -> str:
    """The end of what a container printed. What is no UTF-8 in it is replaced."""
    answer = await connection.request(
        "GET",
        f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(pod, safe='')}/log",
        needs=f"get pods/log in namespace {namespace}",
        release_id=release_id,
        params={
            "container": container,
            "previous": "true" if previous else "false",
            "tailLines": lines,
            "limitBytes": size,
        },
        accept="*/*",
    )
    return answer.content.decode(errors="replace")


async def delete_object(connection: Connection, release_id: ReleaseId, live: LiveObject) -> None:
    """Delete exactly that version. Raises RecordConflict where it has changed; one that is gone is as it should be."""
    await connection.request(
        "DELETE",
        _path(live.resource, live.namespace, live.name),
        needs=f"delete {_words(live.resource, live.namespace)}",
        release_id=release_id,
        accept=_ACCEPT,
        body={
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": {"uid": live.uid, "resourceVersion": live.resource_version},
        },
        expected=(404,),
    )


def _path(resource: Resource, namespace: str, name: str = "") -> str:
    """That of an object; without a name that of all."""
    root = f"/apis/{resource.api_version}" if resource.group else f"/api/{resource.api_version}"
    within = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
    of_object = f"/{quote(name, safe='')}" if name else ""
    return f"{root}{within}/{resource.plural}{of_object}"


def _words(resource: Resource, namespace: str) -> str:
    kind = f"{resource.plural}.{resource.group}" if resource.group else resource.plural
    return f"{kind} in namespace {namespace}" if namespace else kind

"""A cluster's release records through the Kubernetes API: the port `Cluster`.

Lists ask for metadata only: a record's name, revision and status are labels, and 500
revisions are 0.3 MB so instead of 18. Helm selects by labels and never by the
Secret's type, so neither does this.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any

from helm_rollback.application.ports import Listing, Served, WatchEvent, WatchExpired
from helm_rollback.cluster import objects, writes
from helm_rollback.cluster.connection import METADATA, METADATA_LIST, ApiServer, Connection
from helm_rollback.cluster.discovery import Discovery
from helm_rollback.cluster.kubeconfig import load_kubeconfig
from helm_rollback.cluster.watcher import watch
from helm_rollback.cluster.writes import secrets_path
from helm_rollback.domain.errors import ClusterUnreachable
from helm_rollback.domain.live_object import LiveObject, Resource
from helm_rollback.domain.record import RecordRef, StoredRecord, secret_name
from helm_rollback.domain.release import ReleaseId
from helm_rollback.domain.status import Status
from helm_rollback.helm.record import UndecodableRecord, from_secret, ref_from_metadata

PAGE_SIZE = 500
_WHOLE_LIST_DEADLINE_SECONDS = 60.0


def connect(cluster: str, *, kubeconfig: str = "", context: str = "") -> KubernetesCluster:
    """The cluster that a kubeconfig's context names; asks it nothing yet.

    Raises ClusterSettingsError, whose text says what to change.
    """
    return KubernetesCluster(Connection(cluster, load_kubeconfig(kubeconfig, context)))


class KubernetesCluster:
    """One cluster, under the name that the service's settings give it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._discovery = Discovery(connection)

    @property
    def name(self) -> str:
        """The cluster's name in this service."""
        return self._connection.cluster

    @property
    def api_server(self) -> ApiServer:
        """Address and credentials, for the fence."""
        return self._connection.api_server

    async def close(self) -> None:
        """Close the connections; a watch under way ends with an error."""
        await self._connection.close()

    async def list_release(self, release_id: ReleaseId) -> Listing:
        """The records of one release."""
        answer = await self._connection.request(
            "GET",
            secrets_path(release_id.namespace),
            needs=f"list secrets in namespace {release_id.namespace}",
            release_id=release_id,
            params={"labelSelector": f"owner=helm,name={release_id.name}"},
            accept=METADATA_LIST,
        )
        listed = await self._parse_list(answer.content, release_id)
        return Listing(_refs(listed), int(listed["metadata"]["resourceVersion"]))

    async def list_all(self) -> Listing:
        """Every release record; a watch goes on from the list's resourceVersion."""
        with suppress(WatchExpired):
            return await self._list_pages(PAGE_SIZE)
        # The server forgot the list between two pages: this cluster is too large, or too
        # busy, to be read in pages, so read it in one.
        try:
            return await self._list_pages(0)
        except WatchExpired as expired:
            raise ClusterUnreachable(self.name, "it forgets a list of all records while it is read") from expired

    def watch(self, resource_version: int) -> AsyncIterator[WatchEvent]:
        """Every change after `resource_version`."""
        return watch(self._connection, resource_version)

    async def read_record(self, ref: RecordRef) -> StoredRecord | None:
        """The newest version of a record; None when it is gone, or bears labels of none."""
        return await self._read(ReleaseId(self.name, ref.namespace, ref.release_name), ref.secret_name)

    async def read_revision(self, release_id: ReleaseId, revision: int) -> StoredRecord | None:
        """The record that stands where Helm keeps that revision; None where none does."""
        return await self._read(release_id, secret_name(release_id.name, revision))

    async def _read(self, release_id: ReleaseId, name: str) -> StoredRecord | None:
        answer = await self._connection.request(
            "GET",
            secrets_path(release_id.namespace, name),
            needs=f"get secrets in namespace {release_id.namespace}",
            release_id=release_id,
            expected=(404,),
        )
        if answer.status_code == 404:
            return None
        return _stored(self._connection.parse(answer.content, release_id=release_id))

    async def read_version(self, ref: RecordRef, resource_version: int) -> StoredRecord | None:
        """The record as it was at `resource_version`; None where the cluster no longer has that."""
        if resource_version <= 0:
            return None  # the API knows no exact version 0
        release_id = ReleaseId(self.name, ref.namespace, ref.release_name)
        answer = await self._connection.request(
            "GET",
            secrets_path(ref.namespace),
            needs=f"list secrets in namespace {ref.namespace}",
            release_id=release_id,
            params={
                "fieldSelector": f"metadata.name={ref.secret_name}",
                "resourceVersion": resource_version,
                "resourceVersionMatch": "Exact",
            },
            expected=(410,),
        )
        if answer.status_code == 410:
            return None
        items = self._connection.parse(answer.content, release_id=release_id).get("items") or []
        return _stored(items[0]) if items else None

    async def set_failed(self, stored: StoredRecord, *, description: str) -> StoredRecord:
        """Set status `failed` in label and payload. Raises RecordConflict unless it is still that version."""
        return await writes.set_failed(self._connection, stored, description=description)

    async def create_record(
        self,
        release_id: ReleaseId,
        revision: int,
        payload: bytes,
        *,
        status: Status,
        description: str,
        labels: Mapping[str, str],
    ) -> RecordRef:
        """Put a record back. Raises RecordConflict where a Secret of that name is there, RecordRefused."""
        return await writes.create_record(
            self._connection, release_id, revision, payload, status=status, description=description, labels=labels
        )

    async def delete_record(self, ref: RecordRef) -> None:
        """Delete exactly that version. Raises RecordConflict unless it is still that version."""
        await writes.delete_record(self._connection, ref)

    async def read_object(
        self, release_id: ReleaseId, resource: Resource, namespace: str, name: str
    ) -> LiveObject | None:
        """Any object, as it is now; None where there is none."""
        return await objects.read_object(self._connection, release_id, resource, namespace, name)

    async def read_content(
        self, release_id: ReleaseId, resource: Resource, namespace: str, name: str
    ) -> Mapping[str, Any] | None:
        """The whole of any object, as it is now; None where there is none."""
        return await objects.read_content(self._connection, release_id, resource, namespace, name)

    async def list_contents(
        self,
        release_id: ReleaseId,
        resource: Resource,
        namespace: str,
        *,
        labels: str = "",
        fields: str = "",
        limit: int,
    ) -> list[Mapping[str, Any]]:
        """Whole objects of a namespace, at most `limit`."""
        return await objects.list_contents(
            self._connection, release_id, resource, namespace, labels=labels, fields=fields, limit=limit
        )

    async def read_log(
        self, release_id: ReleaseId, namespace: str, pod: str, container: str, *, previous: bool, lines: int, size: int
    ) -> str:
        """The last lines that a container printed."""
        return await objects.read_log(
            self._connection, release_id, namespace, pod, container, previous=previous, lines=lines, size=size
        )

    async def delete_object(self, release_id: ReleaseId, live: LiveObject) -> None:
        """Delete exactly that version. Raises RecordConflict where it has changed."""
        await objects.delete_object(self._connection, release_id, live)

    async def served_kinds(self) -> Served:
        """What the API server serves now."""
        return await self._discovery.served_kinds()

    async def uid(self) -> str:
        """The uid of the namespace kube-system."""
        answer = await self._connection.request(
            "GET",
            "/api/v1/namespaces/kube-system",
            needs="get the namespace kube-system",
            accept=METADATA,
            expected=(404,),
        )
        if answer.status_code == 404:
            raise ClusterUnreachable(self.name, "it has no namespace kube-system yet")
        return str(self._connection.parse(answer.content)["metadata"]["uid"])

    async def _list_pages(self, page_size: int) -> Listing:
        """All pages of one list; `page_size` 0 asks for a single one. Raises WatchExpired between pages."""
        refs: list[RecordRef] = []
        params: dict[str, str | int] = {"labelSelector": "owner=helm"}
        if page_size:
            params["limit"] = page_size
        while True:
            answer = await self._connection.request(
                "GET",
                "/api/v1/secrets",
                needs="list secrets in all namespaces",
                params=params,
                accept=METADATA_LIST,
                deadline=None if page_size else _WHOLE_LIST_DEADLINE_SECONDS,
            )
            page = await self._parse_list(answer.content, None)
            refs += _refs(page)
            metadata = page.get("metadata") or {}
            if not metadata.get("continue"):
                refs.sort(key=lambda ref: (ref.namespace, ref.release_name, ref.revision))
                return Listing(refs, int(metadata["resourceVersion"]))
            params["continue"] = metadata["continue"]

    async def _parse_list(self, content: bytes, release_id: ReleaseId | None) -> dict[str, Any]:
        """A long list is parsed beside the loop: streams go on meanwhile."""
        if len(content) < 1_000_000:
            return self._connection.parse(content, release_id=release_id)
        return await asyncio.to_thread(self._connection.parse, content, release_id=release_id)


def _refs(page: dict[str, Any]) -> list[RecordRef]:
    refs = [ref_from_metadata(item["metadata"]) for item in page.get("items") or []]
    return sorted((ref for ref in refs if ref is not None), key=lambda ref: ref.revision)


def _stored(secret: dict[str, Any]) -> StoredRecord | None:
    try:
        return from_secret(secret)
    except UndecodableRecord:
        return None

"""One cluster, as the use cases see it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Set
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from helm_rollback.domain.live_object import LiveObject, Resource, group_of
from helm_rollback.domain.record import RecordRef, StoredRecord
from helm_rollback.domain.release import ReleaseId
from helm_rollback.domain.status import Status


class WatchKind(StrEnum):
    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchEvent:
    kind: WatchKind
    resource_version: int
    stored: StoredRecord | None
    """None for a BOOKMARK."""


class WatchExpired(Exception):
    """The cluster no longer has the changes since that resourceVersion (410 Gone): LIST again."""


class RecordConflict(Exception):
    """The record, or object, changed or went since it was read: nothing was written."""


class RecordRefused(Exception):
    """The API server does not take the record: its namespace is gone, it is too large, or a policy is against it."""


@dataclass(frozen=True, slots=True)
class ServedKind:
    api_version: str
    kind: str


@dataclass(frozen=True, slots=True)
class Served:
    """What an API server serves."""

    resources: Mapping[ServedKind, Resource]
    """Of each group, the versions in the server's order: the one it prefers first."""
    state: str = ""
    """Names this state of the API: what was read of it in a state of the same name still holds. Empty: not known."""

    @property
    def kinds(self) -> Set[ServedKind]:
        """Every kind that has a resource of its own."""
        return self.resources.keys()

    def resource(self, api_version: str, kind: str) -> Resource | None:
        """That of a kind, in another version of its group where this one is not served; None where none is."""
        if (exact := self.resources.get(ServedKind(api_version, kind))) is not None:
            return exact
        group = group_of(api_version)
        return next((known for known in self.resources.values() if (known.group, known.kind) == (group, kind)), None)


class Listing(NamedTuple):
    """What a LIST told."""

    refs: list[RecordRef]
    """Ascending by revision within a release."""
    resource_version: int
    """The cluster's version that it is of: whatever has a higher one came later."""


class Cluster(Protocol):
    """One cluster: its release records, and single objects. Raises ClusterUnreachable, ClusterPermissionDenied."""

    @property
    def name(self) -> str: ...

    async def list_release(self, release_id: ReleaseId) -> Listing:
        """The records of one release. Metadata only."""

    async def list_all(self) -> Listing:
        """Every release record of the cluster. Metadata only."""

    def watch(self, resource_version: int) -> AsyncIterator[WatchEvent]:
        """Every change after `resource_version`. Ends when the server ends it; raises WatchExpired on 410."""

    async def read_record(self, ref: RecordRef) -> StoredRecord | None:
        """The newest version of a record; None when it is gone."""

    async def read_revision(self, release_id: ReleaseId, revision: int) -> StoredRecord | None:
        """The record that stands where Helm keeps that revision; None where none does."""

    async def read_version(self, ref: RecordRef, resource_version: int) -> StoredRecord | None:
        """The record as it was at `resource_version`; None where the cluster no longer has that."""

    async def set_failed(self, stored: StoredRecord, *, description: str) -> StoredRecord:
        """Set status `failed` in label and payload. Raises RecordConflict unless it is still that version."""

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
        """Put a record back, with `status` in label and payload. `labels` are its further ones.

        Raises RecordConflict where a Secret of that name is there, RecordRefused.
        """

    async def delete_record(self, ref: RecordRef) -> None:
        """Delete exactly that version. Raises RecordConflict unless it is still that version."""

    async def read_object(
        self, release_id: ReleaseId, resource: Resource, namespace: str, name: str
    ) -> LiveObject | None:
        """Any object, as it is now; None where there is none. `namespace`: empty for one of the whole cluster."""

    async def read_content(
        self, release_id: ReleaseId, resource: Resource, namespace: str, name: str
    ) -> Mapping[str, Any] | None:
        """The whole of any object, as it is now; None where there is none."""

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
        """Whole objects of a namespace, at most `limit`, by name. `labels` and `fields` select, as in kubectl."""

    async def read_log(
        self, release_id: ReleaseId, namespace: str, pod: str, container: str, *, previous: bool, lines: int, size: int
    ) -> str:
        """The last lines that a container printed, at most `size` bytes; `previous`: before it was restarted.

        Raises ClusterUnreachable also where its node does not tell.
        """

    async def delete_object(self, release_id: ReleaseId, live: LiveObject) -> None:
        """Delete exactly that version, and in the background what it owns; one that is gone needs no deleting.

        Raises RecordConflict where it has changed.
        """

    async def served_kinds(self) -> Served:
        """What the API server serves now."""

    async def uid(self) -> str:
        """The uid of the namespace kube-system: which cluster this is, whatever it is called."""

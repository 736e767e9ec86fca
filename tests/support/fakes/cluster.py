"""`FakeCluster`: the release Secrets of one cluster, in memory.

It keeps what an API server keeps: every version with its resourceVersion, so that a
watch goes on from any of them, until it is told to forget.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from datetime import datetime, timedelta
from typing import Any

from support.fakes.contents import FakeContents
from support.fakes.documents import Document, go_time, secret_of
from support.fakes.objects import FakeObjects, resource_of
from support.samples import Clock

from helm_rollback.application.ports import (
    Listing,
    RecordConflict,
    RecordRefused,
    Served,
    ServedKind,
    WatchEvent,
    WatchExpired,
    WatchKind,
)
from helm_rollback.domain.errors import ClusterPermissionDenied, ClusterUnreachable
from helm_rollback.domain.live_object import LiveObject, Resource
from helm_rollback.domain.record import RecordRef, StoredRecord, secret_name
from helm_rollback.domain.release import ReleaseId
from helm_rollback.domain.status import Status
from helm_rollback.helm.document import parse, unpack
from helm_rollback.helm.record import decode, from_secret, with_status

_SERVED = frozenset(
    {
        ServedKind("v1", "ConfigMap"),
        ServedKind("v1", "Secret"),
        ServedKind("v1", "Service"),
        ServedKind("v1", "Pod"),
        ServedKind("v1", "Event"),
        ServedKind("apps/v1", "Deployment"),
        ServedKind("batch/v1", "Job"),
        ServedKind("rbac.authorization.k8s.io/v1", "ClusterRole"),
    }
)

Key = tuple[str, str]


class AlreadyStored(Exception):
    """A Secret of that name is there (409 AlreadyExists)."""


class FakeCluster:
    """The port `Cluster`, and the writes that Helm makes to it."""

    def __init__(self, name: str = "default") -> None:
        self._name = name
        self.clock = Clock()
        """The world's."""
        self.unreachable = False
        """Set by `away`: every request fails, every watch ends."""
        self.denied: set[str] = set()
        """Verbs that RBAC denies this service: list, get, update, create, delete, watch (all of release
        records), get object (or get Deployment, … by kind, of whole ones), list objects, get log, delete object."""
        self.gone_namespaces: set[str] = set()
        """Those that were deleted: nothing can be created there."""
        self.served = set(_SERVED)
        self.requests: Counter[str] = Counter()
        """How often the service asked for what."""
        self.objects = FakeObjects()
        self.contents = FakeContents()
        """For who reads objects whole."""
        self.logs: dict[tuple[str, str, bool], str] = {}
        """What containers printed, by Pod, container, and whether before the last restart."""
        self._secrets: dict[Key, dict[str, Any]] = {}
        self._log: list[WatchEvent] = []
        self._version = 100
        self._forgotten = 0
        self._watch_held = False
        self._watchers: set[asyncio.Event] = set()

    # --- what a test does to it -------------------------------------------------------

    @property
    def resource_version(self) -> int:
        """That of the newest write."""
        return self._version

    def now(self) -> datetime:
        """The clock of the world; it moves a little with every write, so that no two revisions are made at once."""
        return self.clock() + timedelta(milliseconds=self._version)

    @contextmanager
    def away(self) -> Iterator[None]:
        """The API server does not answer while the block lasts."""
        self.unreachable = True
        self._wake()
        try:
            yield
        finally:
            self.unreachable = False
            self._wake()

    @contextmanager
    def watch_held(self) -> Iterator[None]:
        """Watches tell nothing while the block lasts; then all of it."""
        self._watch_held = True
        try:
            yield
        finally:
            self._watch_held = False
            self._wake()

    def forget_changes(self) -> None:
        """Compact: changes up to now can not be watched any more, and watches end."""
        self._forgotten = self._version
        self._wake()

    # --- what Helm does to it ---------------------------------------------------------

    def document(self, namespace: str, release: str, revision: int) -> Document:
        """A stored document. Raises KeyError."""
        return self.documents(namespace, release)[revision]

    def documents(self, namespace: str, release: str) -> dict[int, Document]:
        """The stored documents of a release, by revision, ascending."""
        found = [
            secret["document"]
            for (place, _), secret in self._secrets.items()
            if place == namespace and secret["document"]["name"] == release
        ]
        return {document["version"]: document for document in sorted(found, key=lambda document: document["version"])}

    def create(self, document: Document, labels: Mapping[str, str] | None = None) -> StoredRecord:
        """POST a record, with further labels. Raises AlreadyStored."""
        key = _key(document)
        if key in self._secrets:
            raise AlreadyStored(key[1])
        self._version += 1
        uid = f"uid-{self._version}"
        return self._store(WatchKind.ADDED, key, document, uid=uid, created=self.now(), labels=labels or {})

    def update(self, document: Document) -> StoredRecord:
        """PUT a record, whatever version is there. Raises KeyError."""
        key = _key(document)
        before = self._secrets[key]
        self._version += 1
        labels: dict[str, str] = before["stored"].further_labels
        return self._store(
            WatchKind.MODIFIED, key, document, uid=before["uid"], created=before["created"], labels=labels
        )

    def delete(self, namespace: str, name: str) -> None:
        """DELETE a record. Raises KeyError."""
        secret = self._secrets.pop((namespace, name))
        self._version += 1
        stored = self._stored(secret["document"], uid=secret["uid"], created=secret["created"])
        self._tell(WatchKind.DELETED, stored)

    def damage(self, namespace: str, release: str, revision: int) -> None:
        """Overwrite a record's payload with bytes that no decoder reads."""
        key = (namespace, secret_name(release, revision))
        self._version += 1
        secret = self._secrets[key]
        stored = self._stored(secret["document"], uid=secret["uid"], created=secret["created"], payload="bm9wZQ==")
        secret["stored"] = stored
        self._tell(WatchKind.MODIFIED, stored)

    def _store(
        self,
        kind: WatchKind,
        key: Key,
        document: Document,
        *,
        uid: str,
        created: datetime,
        labels: Mapping[str, str],
    ) -> StoredRecord:
        document = deepcopy(document)  # the writer goes on with its own
        stored = self._stored(document, uid=uid, created=created, labels=labels)
        self._secrets[key] = {"document": document, "stored": stored, "uid": uid, "created": created}
        self._tell(kind, stored)
        return stored

    def _stored(
        self,
        document: Document,
        *,
        uid: str,
        created: datetime,
        labels: Mapping[str, str] | None = None,
        payload: str = "",
    ) -> StoredRecord:
        secret = secret_of(document, labels=labels)
        secret["metadata"] |= {
            "uid": uid,
            "resourceVersion": str(self._version),
            "creationTimestamp": go_time(created),
        }
        if payload:
            secret["data"]["release"] = payload
        return from_secret(secret)

    def _tell(self, kind: WatchKind, stored: StoredRecord) -> None:
        self._log.append(WatchEvent(kind=kind, resource_version=self._version, stored=stored))
        self._wake()

    def _wake(self) -> None:
        for watcher in self._watchers:
            watcher.set()

    # --- the port ---------------------------------------------------------------------

    @property
    def name(self) -> str:
        return self._name

    async def list_release(self, release_id: ReleaseId) -> Listing:
        self._ask("list", release_id)
        refs = [stored.ref for stored in self._all()]
        own = [ref for ref in refs if (ref.namespace, ref.release_name) == (release_id.namespace, release_id.name)]
        return Listing(own, self._version)

    async def list_all(self) -> Listing:
        self._ask("list")
        return Listing([stored.ref for stored in self._all()], self._version)

    async def watch(self, resource_version: int) -> AsyncIterator[WatchEvent]:
        self._ask("watch")
        changed = asyncio.Event()
        self._watchers.add(changed)
        try:
            while True:
                changed.clear()
                if self.unreachable:
                    raise ClusterUnreachable(self._name, "connection refused")
                if resource_version < self._forgotten:
                    raise WatchExpired(f"{resource_version} is too old")
                for event in [] if self._watch_held else self._since(resource_version):
                    yield event
                    resource_version = event.resource_version
                await changed.wait()
        finally:
            self._watchers.discard(changed)

    def _since(self, resource_version: int) -> list[WatchEvent]:
        return [event for event in self._log if event.resource_version > resource_version]

    async def read_record(self, ref: RecordRef) -> StoredRecord | None:
        self._ask("get", self._release_of(ref))
        secret = self._secrets.get((ref.namespace, ref.secret_name))
        return secret["stored"] if secret else None

    async def read_revision(self, release_id: ReleaseId, revision: int) -> StoredRecord | None:
        self._ask("get", release_id)
        secret = self._secrets.get((release_id.namespace, secret_name(release_id.name, revision)))
        return secret["stored"] if secret else None

    async def read_version(self, ref: RecordRef, resource_version: int) -> StoredRecord | None:
        self._ask("list", self._release_of(ref))
        if resource_version <= self._forgotten:
            return None
        versions = [
            event
            for event in self._log
            if event.stored is not None
            and event.stored.ref.secret_name == ref.secret_name
            and event.resource_version <= resource_version
        ]
        return versions[-1].stored if versions and versions[-1].kind is not WatchKind.DELETED else None

    async def set_failed(self, stored: StoredRecord, *, description: str) -> StoredRecord:
        self._ask("update", self._release_of(stored.ref))
        self._check_version(stored.ref)
        document = self._secrets[(stored.ref.namespace, stored.ref.secret_name)]["document"]
        written = self.update(_failed(document, description))
        assert written.record == decode(with_status(stored.payload, Status.FAILED, description))
        return written

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
        self._ask("create", release_id)
        if release_id.namespace in self.gone_namespaces:
            raise RecordRefused(f"namespace {release_id.namespace} is gone")
        try:
            return self.create(parse(unpack(with_status(payload, status, description))), labels).ref
        except AlreadyStored as problem:
            raise RecordConflict(f"{problem} is there") from problem

    async def delete_record(self, ref: RecordRef) -> None:
        self._ask("delete", self._release_of(ref))
        self._check_version(ref)
        self.delete(ref.namespace, ref.secret_name)

    async def read_object(
        self, release_id: ReleaseId, resource: Resource, namespace: str, name: str
    ) -> LiveObject | None:
        self._ask("get object", release_id)
        return self.objects.read(resource, namespace, name)

    async def read_content(
        self, release_id: ReleaseId, resource: Resource, namespace: str, name: str
    ) -> Mapping[str, Any] | None:
        self._ask("get object", release_id)
        self._ask(f"get {resource.kind}", release_id)
        return self.contents.get((resource.kind, namespace, name))

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
        self._ask("list objects", release_id)
        return self.contents.listed(resource.kind, namespace, labels=labels, fields=fields)[:limit]

    async def read_log(
        self, release_id: ReleaseId, namespace: str, pod: str, container: str, *, previous: bool, lines: int, size: int
    ) -> str:
        self._ask("get log", release_id)
        last = self.logs.get((pod, container, previous), "").splitlines(keepends=True)[-lines:]
        return "".join(last)[:size]

    async def delete_object(self, release_id: ReleaseId, live: LiveObject) -> None:
        self._ask("delete object", release_id)
        self.objects.delete(live)

    async def served_kinds(self) -> Served:
        self._ask("discover")
        return Served({kind: resource_of(kind) for kind in self.served})

    async def uid(self) -> str:
        self._ask("get")
        return f"kube-system-of-{self._name}"

    def _all(self) -> list[StoredRecord]:
        found: list[StoredRecord] = [secret["stored"] for secret in self._secrets.values()]
        return sorted(found, key=lambda stored: (stored.ref.namespace, stored.ref.release_name, stored.ref.revision))

    def _ask(self, verb: str, release_id: ReleaseId | None = None) -> None:
        self.requests[verb] += 1
        if self.unreachable:
            raise ClusterUnreachable(self._name, "connection refused", release_id)
        if verb in self.denied:
            denied = release_id or ReleaseId(self._name, "kube-system", "any")
            raise ClusterPermissionDenied(denied, f"may not {verb} secrets in namespace {denied.namespace}")

    def _check_version(self, ref: RecordRef) -> None:
        secret = self._secrets.get((ref.namespace, ref.secret_name))
        if secret is None:
            raise RecordConflict(f"{ref.secret_name} is gone")
        now: RecordRef = secret["stored"].ref
        if (now.uid, now.resource_version) != (ref.uid, ref.resource_version):
            raise RecordConflict(f"{ref.secret_name} changed since resourceVersion {ref.resource_version}")

    def _release_of(self, ref: RecordRef) -> ReleaseId:
        return ReleaseId(self._name, ref.namespace, ref.release_name)


def _failed(document: Document, description: str) -> Document:
    return document | {"info": document["info"] | {"status": "failed", "description": description}}


def _key(document: Document) -> Key:
    return document["namespace"], secret_name(document["name"], document["version"])

"""What Helm forgets of newer revisions when it rolls back, and leaves in the cluster.

Helm deletes only what its base has and the target has not. After a failed attempt,
or a repeated one, the base is not what is live (`pkg/action/rollback.go`).

Nothing here is in the way of the operation's end: where ledger or cluster do not
tell, less is listed, and the log says why.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass

from helm_rollback.application import manifest
from helm_rollback.application.asking import ask_each
from helm_rollback.application.crash_points import CrashPoint
from helm_rollback.application.journal import GaveUp, Journal
from helm_rollback.application.lease import Lease
from helm_rollback.application.ports import Cluster, Ports, RecordConflict, Served, T
from helm_rollback.domain.errors import ClusterPermissionDenied, ClusterUnreachable
from helm_rollback.domain.leftovers import left_behind, wanting
from helm_rollback.domain.live_object import LiveObject, ObjectKey, Resource
from helm_rollback.domain.operation import LeftoverObject
from helm_rollback.domain.revision import Revision
from helm_rollback.domain.status import Status

DEADLINE_SECONDS = 10.0
"""Within which leftovers are looked for; and, another such time, deleted."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Suspects:
    """Objects that may be left over, by what archived manifests say."""

    objects: dict[ObjectKey, str]
    """With the apiVersion that each was last written in."""
    wanted: set[ObjectKey]

    def places(self, served: Served) -> dict[ObjectKey, Resource]:
        """Where to look for them; kinds that are not served have no objects.

        In which namespace an object of the whole cluster is written means nothing.
        """
        wanted_anywhere = {key._replace(namespace="") for key in self.wanted}
        found = {}
        for key, api_version in self.objects.items():
            resource = served.resource(api_version, key.kind)
            if resource is not None and resource.namespaced:
                found[key] = resource
            elif resource is not None and (anywhere := key._replace(namespace="")) not in wanted_anywhere:
                found[anywhere] = resource
        return found


class Leftovers:
    """Those of one operation. Every method may raise GaveUp, and nothing else."""

    def __init__(self, ports: Ports, cluster: Cluster, lease: Lease, journal: Journal) -> None:
        self._ports = ports
        self._cluster = cluster
        self._lease = lease
        self._journal = journal

    async def listed(self) -> tuple[LeftoverObject, ...]:
        """What is left over now."""
        return self._with_noted(await self._attempt(self._look()) or [])

    async def removed(self, own: Revision) -> tuple[LeftoverObject, ...]:
        """What was left over after `own` worked, and is deleted; but not what Helm was told to keep.

        It is noted first: whoever takes over from here finds less in the cluster.
        """
        found = await self._attempt(self._look()) or []
        listed = self._with_noted(found)
        doomed = [live for live in found if not live.is_kept]
        if doomed:
            await self._journal.note_leftovers(listed)
            await self._attempt(self._remove(doomed, own))
            self._ports.reached(CrashPoint.LEFTOVERS_REMOVED)
        return listed

    def _with_noted(self, found: list[LiveObject]) -> tuple[LeftoverObject, ...]:
        known = {*self._journal.operation.leftover_objects, *(live.as_leftover for live in found)}
        return tuple(sorted(known, key=lambda left: (left.kind, left.namespace, left.name, left.api_version)))

    async def _attempt(self, work: Coroutine[object, object, T]) -> T | None:
        """Do it if it can be done; a rollback that worked has worked."""
        operation_id = self._journal.operation.operation_id
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                return await work
        except GaveUp:
            raise
        except (ClusterUnreachable, ClusterPermissionDenied, TimeoutError, ValueError) as problem:
            self._warn(f"leftovers may remain: {str(problem) or 'no answer in time'}")
        except Exception:
            _log.exception("operation %s: leftovers may remain", operation_id)
        return None

    # --- look -------------------------------------------------------------------------

    async def _look(self) -> list[LiveObject]:
        """Those that are there, and are this release's. All are asked for at once, but for a bound."""
        suspects = await self._suspects()
        if not suspects.objects:
            return []
        places = suspects.places(await self._cluster.served_kinds())
        release_id = self._journal.operation.release_id

        async def read(place: tuple[ObjectKey, Resource]) -> LiveObject | None:
            key, resource = place
            return await self._cluster.read_object(release_id, resource, key.namespace, key.name)

        found, problems = await ask_each(places.items(), read)
        if problems:
            self._warn(f"whether {len(problems)} objects are left over is not known: {problems[0]}")
        return [live for live in found if live is not None and not live.is_going and live.belongs_to(release_id)]

    async def _suspects(self) -> _Suspects:
        """What only newer revisions have, by the ledger alone: in most cases nothing, or what Helm deleted."""
        operation = self._journal.operation
        revisions = await self._journal.read(
            lambda view: view.incarnation_revisions(operation.release_id, incarnation=operation.incarnation)
        )
        undone = left_behind(revisions, operation)
        if not undone:
            return _Suspects(objects={}, wanted=set())
        wanted = {key for revision in wanting(revisions, operation) for key in await self._objects_of(revision)}
        objects: dict[ObjectKey, str] = {}
        for revision in undone:
            objects = await self._objects_of(revision) | objects
        return _Suspects(objects={key: objects[key] for key in sorted(objects.keys() - wanted)}, wanted=wanted)

    async def _objects_of(self, revision: Revision) -> dict[ObjectKey, str]:
        """The objects of an archived record. Decoded beside the loop: records can be large."""
        payload = await self._journal.read(lambda view: view.payload(revision.payload_digest))

        def named() -> dict[ObjectKey, str]:
            record = self._ports.decode(payload or b"")
            return manifest.named_objects(record.manifest, namespace=revision.release_id.namespace)

        return await asyncio.to_thread(named)

    # --- remove -----------------------------------------------------------------------

    async def _remove(self, doomed: list[LiveObject], own: Revision) -> None:
        for live in doomed:
            if not await self._is_current(own):
                self._warn("leftovers are not deleted: somebody has gone on, and may want them")
                return
            if not self._lease.holds():
                raise GaveUp
            try:
                await self._cluster.delete_object(own.release_id, live)
            except (RecordConflict, ClusterPermissionDenied) as problem:
                self._warn(f"{live.resource.kind} {live.name} is left over, and was not deleted: {problem}")

    async def _is_current(self, own: Revision) -> bool:
        """Asked of the cluster: the ledger may not have heard of the next Helm yet."""
        listing = await self._cluster.list_release(own.release_id)
        newest = listing.refs[-1] if listing.refs else None
        return newest is not None and (newest.uid, newest.status) == (own.uid, Status.DEPLOYED)

    def _warn(self, what: str) -> None:
        _log.warning("operation %s: %s", self._journal.operation.operation_id, what)

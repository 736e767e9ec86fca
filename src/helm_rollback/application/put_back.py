"""Putting back what Helm no longer stores, so that it can go there.

Helm prunes its history, and an uninstall without history purges it; the ledger keeps
every record. Helm finds a target only among its own records, and counts on from the
newest of them, so what is missing is created anew, as it was (`pkg/storage/storage.go`
knows no difference).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from helm_rollback.application.crash_points import CrashPoint, Reached
from helm_rollback.application.journal import GaveUp
from helm_rollback.application.lease import Lease
from helm_rollback.application.ports import Cluster, RecordConflict, RecordRefused
from helm_rollback.domain.errors import ClusterPermissionDenied
from helm_rollback.domain.operation import FailureReason
from helm_rollback.domain.record import HelmRecord, RecordRef
from helm_rollback.domain.release import ReleaseId
from helm_rollback.domain.revision import Revision
from helm_rollback.domain.status import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class LostRecord:
    """A record that Helm does not store any more, as the ledger has it."""

    revision: Revision
    payload: bytes
    record: HelmRecord
    """What the payload holds: the first version of it that was seen."""

    @property
    def status(self) -> Status:
        """What it is put back as. Two records that say `deployed` would confuse Helm, any other status stays."""
        return Status.SUPERSEDED if self._last_told.status is Status.DEPLOYED else self._last_told.status

    @property
    def description(self) -> str:
        return self._last_told.description

    @property
    def _last_told(self) -> Revision | HelmRecord:
        """Whoever knows best how it stood: the ledger, unless the last version could not be read."""
        return self.record if self.revision.status is Status.UNKNOWN else self.revision


class NotPutBack(Exception):
    """The cluster did not take a record back, so Helm must not be started."""

    def __init__(self, revision: int, reason: FailureReason, why: object) -> None:
        super().__init__(f"Helm no longer stores revision {revision}, and it could not be put back: {why}")
        self.reason = reason


async def put_back(
    cluster: Cluster, lease: Lease, lost: Sequence[LostRecord], *, purged: bool, reached: Reached
) -> None:
    """Create these records, in this order; then look again: what is there by then is what Helm will find.

    Where one is there already, somebody else, or this operation before it was
    interrupted, was first: the next look compares it with the archive. `purged`: Helm
    stored nothing at all of the release when it was looked at. Raises NotPutBack,
    ClusterUnreachable, GaveUp.
    """
    made: list[RecordRef] = []
    for record in lost:
        _check(lease)
        number = record.revision.revision
        try:
            async with asyncio.timeout(lease.seconds_left()):  # it bears no version that would guard it
                made += await _created(cluster, record)
        except TimeoutError as problem:
            raise GaveUp from problem
        except ClusterPermissionDenied as problem:
            raise NotPutBack(number, FailureReason.CLUSTER_PERMISSION_DENIED, problem) from problem
        except RecordRefused as problem:
            raise NotPutBack(number, FailureReason.OBJECT_REJECTED, problem) from problem
        reached(CrashPoint.PUT_BACK)
    if purged:
        await _give_way(cluster, lease, lost[0].revision.release_id, made)


async def _created(cluster: Cluster, record: LostRecord) -> list[RecordRef]:
    """The record, or nothing where it was there already."""
    revision = record.revision
    try:
        made = await cluster.create_record(
            revision.release_id,
            revision.revision,
            record.payload,
            status=record.status,
            description=record.description,
            labels=dict(revision.labels),
        )
    except RecordConflict as problem:
        if await cluster.read_revision(revision.release_id, revision.revision) is None:
            why = "another Secret bears its name"
            raise NotPutBack(revision.revision, FailureReason.RECORD_MISMATCH, why) from problem
        return []
    return [made]


async def _give_way(cluster: Cluster, lease: Lease, release_id: ReleaseId, made: Sequence[RecordRef]) -> None:
    """Take the copies away again where somebody installed the release meanwhile: they are no part of its new life."""
    own = {ref.uid for ref in made}
    if all(ref.uid in own for ref in (await cluster.list_release(release_id)).refs):
        return
    for ref in made:
        _check(lease)
        with suppress(RecordConflict):
            await cluster.delete_record(ref)


def _check(lease: Lease) -> None:
    if not lease.holds():
        raise GaveUp

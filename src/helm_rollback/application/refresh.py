"""Bringing one release in the ledger up to what its cluster stores now.

The observer usually is there first. Only where it is not (it has no connection, or
does not know the release yet) is what was read applied here, under the same guard.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from helm_rollback.application import observation
from helm_rollback.application.ports import Cluster, Ledger, LedgerTransaction, LedgerView, Listing, Ports
from helm_rollback.domain.errors import ClusterNotConfigured, ReleaseNotFound
from helm_rollback.domain.record import RecordRef, StoredRecord
from helm_rollback.domain.release import Release, ReleaseId

OBSERVER_HEAD_START = 0.5
"""Seconds that the observer is given to tell every version, before what was read is applied over it."""
_LOOK_AGAIN = 0.01
_READS_AT_ONCE = 16


def cluster_of(clusters: Mapping[str, Cluster], release_id: ReleaseId) -> Cluster:
    """The cluster that a release is in. Raises ClusterNotConfigured."""
    cluster = clusters.get(release_id.cluster)
    if cluster is None:
        raise ClusterNotConfigured(release_id, release_id.cluster)
    return cluster


async def known_release(ports: Ports, release_id: ReleaseId) -> Release:
    """The release as the ledger has it; one that it does not know is looked up in its cluster and adopted.

    Raises ClusterNotConfigured, ReleaseNotFound, ClusterUnreachable, ClusterPermissionDenied.
    """
    release = await ports.ledger.read(lambda view: view.release(release_id))
    if release is not None:
        return release
    await refresh(ports, release_id)
    release = await ports.ledger.read(lambda view: view.release(release_id))
    if release is None:
        raise ReleaseNotFound(release_id)
    return release


async def refresh(ports: Ports, release_id: ReleaseId) -> None:
    """Bring the ledger up to what the cluster stores of a release now.

    Raises ClusterNotConfigured, ClusterUnreachable, ClusterPermissionDenied.
    """
    cluster = cluster_of(ports.clusters, release_id)
    await catch_up(ports.ledger, cluster, release_id, await cluster.list_release(release_id))


async def catch_up(ledger: Ledger, cluster: Cluster, release_id: ReleaseId, listing: Listing) -> None:
    """Return once the ledger has seen at least these versions of the release's records, and their absence."""
    if not await _observer_was_there(ledger, release_id, listing):
        await _list_and_apply(ledger, cluster, release_id)


async def _list_and_apply(ledger: Ledger, cluster: Cluster, release_id: ReleaseId) -> None:
    since = await ledger.read(lambda view: _last_sequence(view, release_id))
    await apply_listed(ledger, cluster, release_id, await cluster.list_release(release_id), since=since)


async def apply_listed(
    ledger: Ledger, cluster: Cluster, release_id: ReleaseId, listing: Listing, *, since: int
) -> None:
    """Read what the ledger lacks of a listed release, and apply it. An unknown release is adopted.

    `since`: the release's last sequence in the ledger before the list was asked for; 0 for
    an unknown one. Where others have told more since, the list may be older than what they
    told: a process that was paused here must not bring back what they saw go. Then it is
    listed anew.
    """
    lag = await ledger.read(lambda view: lag_behind(view, release_id, listing))
    if not lag:
        return
    records = await read_records(cluster, lag.newer)

    def body(tx: LedgerTransaction) -> bool:
        tx.lock_release(release_id)
        if _last_sequence(tx, release_id) != since:
            return False
        for revision, uid in lag.gone:
            observation.apply_removal(tx, release_id, revision=revision, uid=uid)
        if records and not since:
            observation.adopt(tx, release_id, records)
        elif records:
            observation.apply_found(tx, release_id, records)
        return True

    if not await ledger.write(body):
        await _list_and_apply(ledger, cluster, release_id)


def _last_sequence(view: LedgerView, release_id: ReleaseId) -> int:
    release = view.release(release_id)
    return release.last_sequence if release is not None else 0


async def read_records(cluster: Cluster, refs: Sequence[RecordRef]) -> list[StoredRecord]:
    """Read these records, some at once; those that went meanwhile are left out."""
    gate = asyncio.Semaphore(_READS_AT_ONCE)

    async def read(ref: RecordRef) -> StoredRecord | None:
        async with gate:
            return await cluster.read_record(ref)

    found = await asyncio.gather(*(read(ref) for ref in refs))
    return [stored for stored in found if stored is not None]


async def _observer_was_there(ledger: Ledger, release_id: ReleaseId, listing: Listing) -> bool:
    """Give the observer a moment to tell what was listed, version by version."""
    deadline = asyncio.get_running_loop().time() + OBSERVER_HEAD_START
    with ledger.watch(release_id) as wakeup:
        while True:
            lag = await ledger.read(lambda view: lag_behind(view, release_id, listing))
            if not lag:
                return True
            if lag.unknown_release or asyncio.get_running_loop().time() >= deadline:
                return False
            await wakeup.wait(_LOOK_AGAIN)


@dataclass(frozen=True, slots=True)
class Lag:
    """What the ledger does not have yet of a release's listed records."""

    newer: list[RecordRef]
    gone: list[tuple[int, str]]
    """Revision and uid of what is not stored any more."""
    unknown_release: bool = False

    def __bool__(self) -> bool:
        return bool(self.newer or self.gone)


def lag_behind(view: LedgerView, release_id: ReleaseId, listing: Listing) -> Lag:
    """Compare what was listed with what the ledger has.

    What is not listed is gone, unless the ledger has a version of it that is newer than
    the list: others write to ledger and cluster meanwhile.
    """
    release = view.release(release_id)
    if release is None:
        return Lag(newer=list(listing.refs), gone=[], unknown_release=True)
    versions = view.record_versions(release_id, incarnation=release.incarnation)
    seen = {(known.revision, known.uid): known.resource_version for known in versions}
    listed = {(ref.revision, ref.uid) for ref in listing.refs}
    return Lag(
        newer=[ref for ref in listing.refs if seen.get((ref.revision, ref.uid), -1) < ref.resource_version],
        gone=[
            (known.revision, known.uid)
            for known in versions
            if known.stored_by_helm
            and known.resource_version <= listing.resource_version
            and (known.revision, known.uid) not in listed
        ],
    )

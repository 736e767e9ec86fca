"""Telling how releases stand, and then each one that changes: for dashboards.

A wake-up says that something changed, not what. So the ledger is asked which releases
have had an event lately, and those are told whose last sequence is another one than when
they were told before. What changes often is told at most ten times a second.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from helm_rollback.application.ports import LedgerView, Ports
from helm_rollback.application.refresh import known_release
from helm_rollback.application.stream_history import CaughtUp, Heartbeat, quiet
from helm_rollback.domain.errors import ClusterNotConfigured, ServerDraining
from helm_rollback.domain.principal import Principal
from helm_rollback.domain.release import Release, ReleaseId

_PAGE = 500
_MERGED_SECONDS = 0.1
_OVERLAP = timedelta(seconds=60)
"""For how long a transaction may take to commit what it gave a time: no statement of the ledger's lasts so long."""

ReleasesItem = Release | CaughtUp | Heartbeat


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseFilter:
    """Which releases are wanted; what is empty matches all."""

    cluster: str = ""
    namespace: str = ""
    release_ids: frozenset[ReleaseId] = frozenset()

    def matches(self, release_id: ReleaseId) -> bool:
        return (
            self.cluster in ("", release_id.cluster)
            and self.namespace in ("", release_id.namespace)
            and (not self.release_ids or release_id in self.release_ids)
        )


async def stream_releases(ports: Ports, wanted: ReleaseFilter, _principal: Principal) -> AsyncIterator[ReleasesItem]:
    """Every match, one CaughtUp, then each release that changed, as it is by then; several changes may be one.

    Raises ClusterNotConfigured, and for a release that is named ReleaseNotFound, before
    the first item; ServerDraining at any time.
    """
    if wanted.cluster and wanted.cluster not in ports.clusters:
        raise ClusterNotConfigured(None, wanted.cluster)
    for release_id in sorted(wanted.release_ids):
        await known_release(ports, release_id)
    told: dict[ReleaseId, int] = {}
    with ports.ledger.watch_releases() as wakeup:
        since = await ports.ledger.read(lambda view: view.now())
        async for release in _all(ports, wanted):
            told[release.release_id] = release.last_sequence
            yield release
        yield CaughtUp(0)
        while True:
            changed, now = await _changed(ports, since)
            news = [
                release
                for release in changed
                if wanted.matches(release.release_id) and told.get(release.release_id) != release.last_sequence
            ]
            for release in news:
                told[release.release_id] = release.last_sequence
                yield release
            since = now
            if await ports.drain.interrupts(_MERGED_SECONDS):
                raise ServerDraining
            if not news and await quiet(ports, wakeup):
                yield Heartbeat(now, 0)


async def _all(ports: Ports, wanted: ReleaseFilter) -> AsyncIterator[Release]:
    after = ""
    while True:
        page = await _page(ports, wanted, after)
        for release in page:
            if wanted.matches(release.release_id):
                yield release
        if len(page) < _PAGE:
            return
        after = str(page[-1].release_id)


async def _page(ports: Ports, wanted: ReleaseFilter, after: str) -> list[Release]:
    if ports.drain.started:
        raise ServerDraining
    return await ports.ledger.read(
        lambda view: view.releases(cluster=wanted.cluster, namespace=wanted.namespace, after=after, limit=_PAGE)
    )


async def _changed(ports: Ports, since: datetime) -> tuple[list[Release], datetime]:
    """Releases that had an event at that time or later, or shortly before; and the time."""

    def body(view: LedgerView) -> tuple[list[Release], datetime]:
        return view.releases_with_events(since=since - _OVERLAP), view.now()

    return await ports.ledger.read(body)

"""Watches one cluster's release records and writes every change down.

LIST once, then WATCH from where the ledger stands; the position is stored in the
transaction that stores the change, so a restart goes on from there and sees what
happened meanwhile, version by version. Only where the cluster no longer has those
versions (410 Gone), or can not tell them, is everything listed again and the
difference applied.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from functools import partial

from helm_rollback.application import observation
from helm_rollback.application.crash_points import CrashPoint, Reached
from helm_rollback.application.ports import (
    Cluster,
    Ledger,
    LedgerTransaction,
    LedgerView,
    Listing,
    WatchEvent,
    WatchExpired,
    WatchKind,
)
from helm_rollback.application.refresh import apply_listed
from helm_rollback.domain.errors import ClusterPermissionDenied, ClusterUnreachable, InvalidField, StoreUnavailable
from helm_rollback.domain.record import RecordRef
from helm_rollback.domain.release import Release, ReleaseId

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_RELEASES_AT_ONCE = 8
_PAGE = 500

_log = logging.getLogger(__name__)


class _TurnIsOver(Exception):
    """Another replica observes the cluster by now."""


class Observer:
    """Keeps the ledger up to one cluster, until its task is cancelled: no change is written down by halves."""

    def __init__(self, ledger: Ledger, cluster: Cluster, token: int, reached: Reached) -> None:
        """`token` is that of the claim under which it observes."""
        self._ledger = ledger
        self._cluster = cluster
        self._token = token
        self._reached = reached
        self._pause = _FIRST_PAUSE
        self._list_first = False
        self._watching = False

    async def run(self) -> None:
        """Observe until it is another's turn; where the cluster or the ledger is away, try again, ever less often."""
        while True:
            try:
                await self._observe()
            except _TurnIsOver:
                return
            except WatchExpired as problem:
                _log.info("observing cluster %s: listing it, since %s", self._cluster.name, problem)
                self._list_first = True
                await self._back_off()
            except (ClusterUnreachable, ClusterPermissionDenied, StoreUnavailable) as problem:
                _log.warning("observing cluster %s: %s", self._cluster.name, problem)
                await self._back_off()
            except Exception:
                # What is observed must go on, whatever one answer held.
                _log.exception("observing cluster %s", self._cluster.name)
                self._list_first = True
                await self._back_off()

    async def _back_off(self) -> None:
        await asyncio.sleep(self._pause)
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    async def _observe(self) -> None:
        """Follow the cluster from where the ledger stands, until the watch ends."""
        version = await self._ledger.read(lambda view: view.observed_version(self._cluster.name))
        if version is None or self._list_first:
            version = await self._list()
            self._list_first = False
        if not self._watching:
            _log.info("watching cluster %s from resource version %d", self._cluster.name, version)
            self._watching = True
        async for event in self._cluster.watch(version):
            self._pause = _FIRST_PAUSE
            await self._apply(event)

    async def _list(self) -> int:
        """Bring the whole ledger up to what the cluster stores, and the position with it."""
        known = await self._known_releases()
        listing = await self._cluster.list_all()
        by_release: dict[ReleaseId, list[RecordRef]] = defaultdict(list)
        for ref in listing.refs:
            release_id = self._release_of(ref)
            if release_id is not None:
                by_release[release_id].append(ref)
        for release_id in known:
            by_release.setdefault(release_id, [])
        gate = asyncio.Semaphore(_RELEASES_AT_ONCE)

        async def apply(release_id: ReleaseId, refs: list[RecordRef]) -> None:
            async with gate:
                try:
                    own = Listing(refs, listing.resource_version)
                    since = known.get(release_id, 0)
                    await apply_listed(self._ledger, self._cluster, release_id, own, since=since)
                except (ClusterUnreachable, ClusterPermissionDenied, StoreUnavailable):
                    raise
                except Exception:
                    _log.exception("release %s could not be brought up to date", release_id)  # the others can

        await asyncio.gather(*(apply(release_id, by_release[release_id]) for release_id in sorted(by_release)))
        await self._ledger.write(lambda tx: self._save_position(tx, listing.resource_version))
        return listing.resource_version

    async def _known_releases(self) -> dict[ReleaseId, int]:
        """The last sequence of each."""
        known: dict[ReleaseId, int] = {}
        after = ""
        while True:
            page = await self._ledger.read(partial(self._page_of_releases, after=after))
            known |= {release.release_id: release.last_sequence for release in page}
            if len(page) < _PAGE:
                return known
            after = str(page[-1].release_id)

    def _page_of_releases(self, view: LedgerView, *, after: str) -> list[Release]:
        return view.releases(cluster=self._cluster.name, after=after, limit=_PAGE)

    async def _apply(self, event: WatchEvent) -> None:
        """Write one change down, and how far the cluster was seen, together."""

        def body(tx: LedgerTransaction) -> None:
            self._save_position(tx, event.resource_version)
            self._note(tx, event)
            self._reached_if_told(event, CrashPoint.OBSERVED_BEFORE_COMMIT)

        try:
            await self._ledger.write(body)
            self._reached_if_told(event, CrashPoint.OBSERVED_AFTER_COMMIT)
        except (StoreUnavailable, _TurnIsOver):
            raise
        except Exception:
            # One record must not stop all others. The LIST before the next watch meets it again.
            _log.exception("a change in cluster %s could not be written down", self._cluster.name)
            self._list_first = True

    def _save_position(self, tx: LedgerTransaction, resource_version: int) -> None:
        if not tx.save_observed_version(self._cluster.name, resource_version, token=self._token):
            raise _TurnIsOver

    def _reached_if_told(self, event: WatchEvent, point: CrashPoint) -> None:
        if event.stored is not None:
            self._reached(point)

    def _note(self, tx: LedgerTransaction, event: WatchEvent) -> None:
        if event.stored is None:
            return
        release_id = self._release_of(event.stored.ref)
        if release_id is None:
            return
        if event.kind is WatchKind.DELETED:
            ref = event.stored.ref
            observation.apply_removal(tx, release_id, revision=ref.revision, uid=ref.uid)
        else:
            observation.apply_watched(tx, release_id, event.stored)

    def _release_of(self, ref: RecordRef) -> ReleaseId | None:
        """The release that a record is of; None for labels that Helm would not write."""
        try:
            return ReleaseId.parse(f"{self._cluster.name}.{ref.namespace}.{ref.release_name}")
        except InvalidField as problem:
            _log.info("a Secret in %s is no release record: %s", ref.namespace, problem)
            return None

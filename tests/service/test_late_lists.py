"""A list that is applied late, by a process that stood still in between, sets nothing back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
from support.fakes import Chart, FakeCluster, ForeignHelm
from support.ledgers import make_ledger, opened, sqlite_url
from support.samples import SHOP
from support.streams import tell

from helm_rollback.application import observation, refresh
from helm_rollback.application.ports import LedgerView, WatchKind
from helm_rollback.application.refresh import apply_listed, catch_up
from helm_rollback.domain.record import RecordRef, StoredRecord
from helm_rollback.domain.status import Status
from helm_rollback.servicer.translate.history import history_event
from helm_rollback.store import SqlLedger


class SlowCluster(FakeCluster):
    """Something happens after a record was read, before its reader goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], Awaitable[None]] | None = None

    async def read_record(self, ref: RecordRef) -> StoredRecord | None:
        stored = await super().read_record(ref)
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        return stored


@pytest.fixture(autouse=True)
def _no_observer(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is none to wait for."""
    monkeypatch.setattr(refresh, "OBSERVER_HEAD_START", 0)


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[SqlLedger]:
    make_ledger(tmp_path)
    with opened(sqlite_url(tmp_path)) as ledger:
        yield ledger


@pytest.fixture
def cluster() -> SlowCluster:
    return SlowCluster()


@pytest.fixture
def by_hand(cluster: SlowCluster) -> ForeignHelm:
    """One good revision, of which the ledger does not know."""
    by_hand = ForeignHelm(cluster)
    by_hand.install(Chart(version="1.0.0"))
    return by_hand


async def bring_up(ledger: SqlLedger, cluster: FakeCluster) -> int:
    """What another replica does: the ledger has all that the cluster stores now; the last sequence."""
    await catch_up(ledger, cluster, SHOP, await cluster.list_release(SHOP))
    release = await ledger.read(lambda view: view.release(SHOP))
    return release.last_sequence if release is not None else 0


async def told(ledger: SqlLedger) -> list[str]:
    events = await ledger.read(lambda view: view.events(SHOP, after=0, limit=100))
    return [tell(history_event(event)) for event in events]


async def current(ledger: SqlLedger) -> tuple[int, int, Status]:
    """Incarnation, revision and status."""

    def body(view: LedgerView) -> tuple[int, int, Status]:
        release = view.release(SHOP)
        assert release is not None
        return release.incarnation, release.current_revision, release.status

    return await ledger.read(body)


async def test_what_came_after_the_list_is_not_taken_for_gone(
    ledger: SqlLedger, cluster: SlowCluster, by_hand: ForeignHelm
) -> None:
    since = await bring_up(ledger, cluster)
    late = await cluster.list_release(SHOP)
    by_hand.upgrade(Chart(version="2.0.0"))
    await bring_up(ledger, cluster)
    before = await told(ledger)

    await apply_listed(ledger, cluster, SHOP, late, since=since)

    assert await told(ledger) == before
    assert await current(ledger) == (1, 2, Status.DEPLOYED)


async def test_what_went_after_the_list_does_not_come_back(
    ledger: SqlLedger, cluster: SlowCluster, by_hand: ForeignHelm
) -> None:
    """The one who listed had not told the ledger yet; others saw the release go meanwhile."""
    since = await bring_up(ledger, cluster)
    by_hand.upgrade(Chart(version="2.0.0"))
    late = await cluster.list_release(SHOP)
    by_hand.uninstall()
    await bring_up(ledger, cluster)
    before = await told(ledger)

    await apply_listed(ledger, cluster, SHOP, late, since=since)

    assert await told(ledger) == before
    assert await current(ledger) == (1, 1, Status.UNINSTALLED)


async def test_what_went_while_it_was_read_does_not_come_back(
    ledger: SqlLedger, cluster: SlowCluster, by_hand: ForeignHelm
) -> None:
    since = await bring_up(ledger, cluster)
    by_hand.upgrade(Chart(version="2.0.0"))
    late = await cluster.list_release(SHOP)

    async def uninstalled() -> None:
        by_hand.uninstall()
        await bring_up(ledger, cluster)

    cluster.meanwhile = uninstalled
    await apply_listed(ledger, cluster, SHOP, late, since=since)

    assert (await told(ledger))[-2:] == ["record 1 removed", "revision 1 DEPLOYED → UNINSTALLED"]
    assert await current(ledger) == (1, 1, Status.UNINSTALLED)


async def test_a_life_that_is_over_does_not_replace_the_next(
    ledger: SqlLedger, cluster: SlowCluster, by_hand: ForeignHelm
) -> None:
    """The numbers of both lives are the same."""
    late = await cluster.list_release(SHOP)

    async def reborn() -> None:
        await bring_up(ledger, cluster)
        by_hand.uninstall()
        await bring_up(ledger, cluster)
        by_hand.install(Chart(version="5.0.0"))
        await bring_up(ledger, cluster)

    cluster.meanwhile = reborn
    await apply_listed(ledger, cluster, SHOP, late, since=0)

    assert await current(ledger) == (2, 1, Status.DEPLOYED)
    assert (await told(ledger))[-1] == "revision 1 → DEPLOYED"


async def test_whoever_was_overtaken_lists_anew(ledger: SqlLedger, cluster: SlowCluster, by_hand: ForeignHelm) -> None:
    """What others told meanwhile was not all: the caller gets what it came for."""
    since = await bring_up(ledger, cluster)
    by_hand.upgrade(Chart(version="2.0.0"))
    late = await cluster.list_release(SHOP)

    async def upgraded_again() -> None:
        await bring_up(ledger, cluster)
        by_hand.upgrade(Chart(version="3.0.0"))

    cluster.meanwhile = upgraded_again
    await apply_listed(ledger, cluster, SHOP, late, since=since)

    assert await current(ledger) == (1, 3, Status.DEPLOYED)


async def test_of_two_who_adopt_at_once_one_tells_the_story(
    ledger: SqlLedger, cluster: SlowCluster, by_hand: ForeignHelm
) -> None:
    by_hand.upgrade(Chart(version="2.0.0"))
    listing = await cluster.list_release(SHOP)

    async def adopted_by_another() -> None:
        await catch_up(ledger, cluster, SHOP, listing)

    cluster.meanwhile = adopted_by_another
    await catch_up(ledger, cluster, SHOP, listing)

    assert await told(ledger) == ["revision 1 → SUPERSEDED", "revision 2 → DEPLOYED"]


async def watched(cluster: SlowCluster, since: int) -> list[StoredRecord]:
    """The versions that a watch told since then, removals left out."""
    versions: list[StoredRecord] = []
    watch = cluster.watch(since)
    while not versions or versions[-1].ref.resource_version < cluster.resource_version:
        event = await anext(watch)
        if event.kind is WatchKind.DELETED and event.resource_version == cluster.resource_version:
            break
        if event.kind is not WatchKind.DELETED and event.stored is not None:
            versions.append(event.stored)
    return versions


@pytest.mark.parametrize("reinstalled", [False, True])
async def test_what_the_watch_tells_late_of_a_secret_that_has_gone_changes_nothing(
    ledger: SqlLedger, cluster: SlowCluster, by_hand: ForeignHelm, reinstalled: bool
) -> None:
    """The list came first: it told the purge, and, where there is one, the next life."""
    by_hand.upgrade(Chart(version="2.0.0"))
    await bring_up(ledger, cluster)
    since = cluster.resource_version
    by_hand.uninstall()
    late = await watched(cluster, since)
    if reinstalled:
        by_hand.install(Chart(version="5.0.0"))
    await bring_up(ledger, cluster)
    before, after = await told(ledger), await current(ledger)

    for stored in late:
        await ledger.write(partial(observation.apply_watched, release_id=SHOP, stored=stored))

    assert [stored.ref.status for stored in late] == [Status.UNINSTALLING]
    assert await told(ledger) == before
    assert await current(ledger) == after == ((2, 1, Status.DEPLOYED) if reinstalled else (1, 2, Status.UNINSTALLED))


async def test_a_ledger_that_is_further_than_the_list_waits_for_nothing(
    ledger: SqlLedger, cluster: SlowCluster, by_hand: ForeignHelm
) -> None:
    late = await cluster.list_release(SHOP)
    by_hand.upgrade(Chart(version="2.0.0"))
    await bring_up(ledger, cluster)
    asked = cluster.requests.copy()

    await catch_up(ledger, cluster, SHOP, late)

    assert cluster.requests == asked

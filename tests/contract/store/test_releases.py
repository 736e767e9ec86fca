"""Releases: stored, found, listed page by page; and how far each cluster was observed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from support.samples import BLOG, NOON, SHOP, Clock, a_release, a_transition, an_operation, finished

from helm_rollback.application.ports import Ledger, LedgerTransaction
from helm_rollback.domain.release import Release, ReleaseId
from helm_rollback.domain.status import Status
from helm_rollback.store import LedgerRuleBroken

DOTTED = ReleaseId("default", "prod", "shop.v2.example")
ELSEWHERE = ReleaseId("east", "prod", "shop")
STAGING = ReleaseId("default", "staging", "shop")


@pytest.fixture
async def five(ledger: Ledger) -> Ledger:
    def add(tx: LedgerTransaction) -> None:
        for release_id in (STAGING, SHOP, ELSEWHERE, DOTTED, BLOG):
            tx.add_release(a_release(release_id, status=Status.FAILED if release_id == BLOG else Status.DEPLOYED))

    await ledger.write(add)
    return ledger


async def listed(ledger: Ledger, **filters: object) -> list[ReleaseId]:
    releases = await ledger.read(lambda view: view.releases(**({"limit": 100} | filters)))  # type: ignore[arg-type]
    return [release.release_id for release in releases]


async def test_a_release_is_read_as_it_was_added(ledger: Ledger) -> None:
    release = a_release(DOTTED, last_successful_revision=0, app_version="")
    await ledger.write(lambda tx: tx.add_release(release))

    assert await ledger.read(lambda view: view.release(DOTTED)) == release
    assert await ledger.write(lambda tx: tx.lock_release(DOTTED)) == release


async def test_an_unknown_release_is_none(ledger: Ledger) -> None:
    assert await ledger.read(lambda view: view.release(SHOP)) is None
    assert await ledger.write(lambda tx: tx.lock_release(SHOP)) is None


async def test_an_update_replaces_the_projection(five: Ledger) -> None:
    after = Release(
        release_id=SHOP,
        incarnation=2,
        current_revision=9,
        status=Status.PENDING_ROLLBACK,
        last_successful_revision=8,
        chart_name="shop2",
        chart_version="3.0.0",
        app_version="3",
        active_operation_id="",
        last_sequence=0,
        update_time=NOON + timedelta(hours=1),
    )
    await five.write(lambda tx: tx.update_release(after))

    assert await five.read(lambda view: view.release(SHOP)) == after
    assert await five.read(lambda view: view.release(STAGING)) == a_release(STAGING)


async def test_an_update_of_an_unknown_release_is_refused(ledger: Ledger) -> None:
    with pytest.raises(LedgerRuleBroken, match=r"default\.prod\.shop"):
        await ledger.write(lambda tx: tx.update_release(a_release()))


async def test_a_release_that_is_there_stays_as_it_is(five: Ledger) -> None:
    """Two replicas may adopt one at the same time."""
    before = await five.read(lambda view: view.release(SHOP))
    await five.write(lambda tx: tx.add_release(a_release(chart_version="9.9.9")))

    assert await five.read(lambda view: view.release(SHOP)) == before


async def test_the_list_is_ordered_by_id_as_text(five: Ledger) -> None:
    everything = await listed(five)

    assert everything == [BLOG, SHOP, DOTTED, STAGING, ELSEWHERE]
    assert [str(release) for release in everything] == sorted(str(release) for release in everything)


async def test_pages_join_to_the_whole_list(five: Ledger) -> None:
    pages = [await listed(five, limit=2)]
    for _ in range(3):
        pages.append(await listed(five, after=str(pages[-1][-1]) if pages[-1] else "zzz", limit=2))

    assert [len(page) for page in pages] == [2, 2, 1, 0]
    assert sum(pages, []) == await listed(five)  # noqa: RUF017


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"cluster": "east"}, [ELSEWHERE]),
        ({"namespace": "staging"}, [STAGING]),
        ({"cluster": "default", "namespace": "prod"}, [BLOG, SHOP, DOTTED]),
        ({"status": Status.FAILED}, [BLOG]),
        ({"cluster": "east", "status": Status.FAILED}, []),
        ({"cluster": "default", "namespace": "prod", "after": str(BLOG)}, [SHOP, DOTTED]),
    ],
)
async def test_filters_are_joined_by_and(five: Ledger, filters: dict[str, object], found: list[ReleaseId]) -> None:
    assert await listed(five, **filters) == found


async def test_a_release_names_its_operation_under_way_while_it_is_live(five: Ledger) -> None:
    async def active() -> list[str]:
        releases = await five.read(lambda view: [view.release(SHOP), *view.releases(limit=10)])
        return [release.active_operation_id for release in releases if release and release.release_id == SHOP]

    operation = an_operation()
    await five.write(lambda tx: tx.add_operation(operation))
    assert await active() == [operation.operation_id] * 2

    await five.write(lambda tx: tx.update_operation(finished(operation)))
    assert await active() == ["", ""]


async def test_a_life_never_turns_back(five: Ledger) -> None:
    release = await five.read(lambda view: view.release(SHOP))
    assert release is not None
    await five.write(lambda tx: tx.update_release(replace(release, incarnation=3)))

    with pytest.raises(LedgerRuleBroken, match="release_goes_forward"):
        await five.write(lambda tx: tx.update_release(replace(release, incarnation=2)))


async def test_releases_are_found_by_the_time_of_their_newest_event(ledger: Ledger, clock: Clock) -> None:
    def two(tx: LedgerTransaction) -> None:
        for release in (a_release(), a_release(BLOG)):
            tx.add_release(release)
            tx.append(release.release_id, a_transition())

    await ledger.write(two)
    clock.move(timedelta(minutes=5))
    later = await ledger.read(lambda view: view.now())
    await ledger.write(lambda tx: tx.append(SHOP, a_transition()))

    found = await ledger.read(lambda view: view.releases_with_events(since=later))
    all_of_them = await ledger.read(lambda view: view.releases_with_events(since=NOON))

    assert [(release.release_id, release.last_sequence) for release in found] == [(SHOP, 2)]
    assert len(all_of_them) == 2

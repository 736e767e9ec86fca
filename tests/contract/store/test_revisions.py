"""Revisions: found by the number they bear, kept when the number is used again, content never changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from support.samples import BLOG, NOON, SHOP, a_release, a_revision

from helm_rollback.application.ports import Ledger, LedgerTransaction, RecordVersion, RevisionPosition
from helm_rollback.domain.operation import OperationType
from helm_rollback.domain.revision import Mark, Revision
from helm_rollback.domain.selection import Evidence
from helm_rollback.domain.status import Status
from helm_rollback.store import LedgerRuleBroken

LATER = NOON + timedelta(hours=1)


@pytest.fixture
async def shop(ledger: Ledger) -> Ledger:
    await ledger.write(lambda tx: tx.add_release(a_release()))
    return ledger


async def add(ledger: Ledger, *revisions: Revision) -> None:
    def body(tx: LedgerTransaction) -> None:
        for revision in revisions:
            tx.add_revision(revision)

    await ledger.write(body)


async def replace_number(ledger: Ledger, old: Revision, new: Revision) -> None:
    await ledger.write(lambda tx: tx.update_revision(replace(old, replaced_time=LATER)))
    await add(ledger, new)


async def test_a_secret_stood_before_where_its_number_is_used_again_or_its_life_is_over(shop: Ledger) -> None:
    old = a_revision(2, uid="old")
    await add(shop, a_revision(1, uid="first"), old)
    await replace_number(shop, old, a_revision(2, uid="new"))

    async def stood_before(revision: int, uid: str) -> bool:
        return await shop.read(lambda view: view.stood_before(SHOP, revision, uid=uid))

    assert await stood_before(2, "old")
    assert not await stood_before(2, "new")
    assert not await stood_before(1, "old")
    assert not await stood_before(1, "first")
    await shop.write(lambda tx: tx.update_release(replace(a_release(), incarnation=2)))
    assert await stood_before(1, "first")


async def test_a_revision_is_read_as_it_was_added(shop: Ledger) -> None:
    def body(tx: LedgerTransaction) -> Revision:
        revision = a_revision(
            3,
            operation_type=OperationType.ROLLBACK,
            rollback_target=1,
            description="Rollback to 1\nwith a second line",
            last_deployed=LATER,
            deployed_time=LATER,
            success_evidence=Evidence.HELM_RECORD,
            unproven=True,
            apply_completed=False,
            operation_id="019a3f00-0000-7000-8000-000000000001",
            actor="alice",
            reason="why",
            mark=Mark.GOOD,
            payload_digest=tx.archive(b"a record"),
            full_size_bytes=2**40,
            stored_by_helm=False,
            resource_version=2**60,
        )
        tx.add_revision(revision)
        return revision

    added = await shop.write(body)

    assert await shop.read(lambda view: view.revision(SHOP, 3, incarnation=1)) == added


async def test_a_bare_revision_is_read_as_it_was_added(shop: Ledger) -> None:
    bare = a_revision(operation_type=None, first_deployed=None, values_digest="", manifest_digest="", uid="")
    await add(shop, bare)

    assert await shop.read(lambda view: view.revision(SHOP, 1, incarnation=1)) == bare


async def test_a_number_belongs_to_one_release_and_one_life(shop: Ledger) -> None:
    await add(shop, a_revision(2))

    assert await shop.read(lambda view: view.revision(SHOP, 2, incarnation=2)) is None
    assert await shop.read(lambda view: view.revision(BLOG, 2, incarnation=1)) is None
    assert await shop.read(lambda view: view.revision(SHOP, 1, incarnation=1)) is None


async def test_a_number_is_borne_by_one_revision_at_a_time(shop: Ledger) -> None:
    await add(shop, a_revision(2))

    with pytest.raises(LedgerRuleBroken):
        await add(shop, a_revision(2, uid="another"))

    await add(shop, a_revision(2, incarnation=2))


async def test_a_replaced_revision_stays_but_no_longer_bears_its_number(shop: Ledger) -> None:
    old, new = a_revision(2, uid="old"), a_revision(2, uid="new")
    await add(shop, a_revision(1), old)
    await replace_number(shop, old, new)
    await add(shop, a_revision(3))

    assert await shop.read(lambda view: view.revision(SHOP, 2, incarnation=1)) == new
    whole = await shop.read(lambda view: view.incarnation_revisions(SHOP, incarnation=1))
    assert whole == [a_revision(1), replace(old, replaced_time=LATER), new, a_revision(3)]


async def test_a_number_may_be_used_again_and_again(shop: Ledger) -> None:
    generations = [a_revision(2, uid=f"uid-{number}") for number in range(4)]
    await add(shop, generations[0])
    for old, new in pairwise(generations):
        await replace_number(shop, old, new)

    whole = await shop.read(lambda view: view.incarnation_revisions(SHOP, incarnation=1))
    assert [revision.uid for revision in whole] == ["uid-0", "uid-1", "uid-2", "uid-3"]
    assert [revision.replaced_time is None for revision in whole] == [False, False, False, True]


async def test_the_newest_of_several_kinds_are_found(shop: Ledger) -> None:
    worked: dict[str, Any] = {"deployed_time": NOON, "success_evidence": Evidence.LEDGER}
    await add(
        shop,
        a_revision(1, **worked),
        a_revision(2, **worked),
        a_revision(3),
        a_revision(4, stored_by_helm=False),
        a_revision(1, incarnation=2, **worked),
    )

    def found(incarnation: int) -> Any:
        return shop.read(
            lambda view: [
                view.newest_revision(SHOP, incarnation=incarnation, stored=False),
                view.newest_revision(SHOP, incarnation=incarnation, stored=True),
                view.newest_successful(SHOP, incarnation=incarnation),
            ]
        )

    assert [revision and revision.revision for revision in await found(1)] == [4, 3, 2]
    assert [revision and revision.revision for revision in await found(2)] == [1, 1, 1]
    assert await found(3) == [None, None, None]


async def test_replaced_revisions_are_not_the_newest_of_anything(shop: Ledger) -> None:
    old = a_revision(2, uid="old", deployed_time=NOON)
    await add(shop, a_revision(1, deployed_time=NOON), old)
    await shop.write(lambda tx: tx.update_revision(replace(old, replaced_time=LATER)))

    newest = await shop.read(lambda view: view.newest_revision(SHOP, incarnation=1, stored=True))
    successful = await shop.read(lambda view: view.newest_successful(SHOP, incarnation=1))
    assert newest == successful == a_revision(1, deployed_time=NOON)


async def test_pages_go_from_new_to_old_over_all_lives_replaced_ones_included(shop: Ledger) -> None:
    old = a_revision(2, uid="old")
    await add(shop, a_revision(1), old)
    await replace_number(shop, old, a_revision(2, uid="new"))
    await add(shop, a_revision(3), a_revision(1, incarnation=2), a_revision(2, incarnation=2))

    pages: list[list[tuple[RevisionPosition, Revision]]] = []
    before: RevisionPosition | None = None
    for _ in range(2):
        page = await shop.read(
            lambda view, before=before: view.revisions_page(SHOP, successful_only=False, before=before, limit=4)  # type: ignore[misc]
        )
        pages.append(page)
        before = page[-1][0]

    listed = [entry for page in pages for entry in page]
    assert [len(page) for page in pages] == [4, 2]
    assert [(revision.incarnation, revision.revision, revision.uid) for _, revision in listed] == [
        (2, 2, "uid-2"),
        (2, 1, "uid-1"),
        (1, 3, "uid-3"),
        (1, 2, "new"),
        (1, 2, "old"),
        (1, 1, "uid-1"),
    ]
    positions = [position for position, _ in listed]
    assert positions == sorted(positions, reverse=True)


async def test_a_page_of_successful_ones_goes_on_where_the_last_ended(shop: Ledger) -> None:
    await add(shop, *(a_revision(number, deployed_time=NOON if number % 2 else None) for number in range(1, 10)))

    first = await shop.read(lambda view: view.revisions_page(SHOP, successful_only=True, before=None, limit=3))
    rest = await shop.read(lambda view: view.revisions_page(SHOP, successful_only=True, before=first[-1][0], limit=3))

    assert [[revision.revision for _, revision in page] for page in (first, rest)] == [[9, 7, 5], [3, 1]]


async def test_what_goes_forward_is_stored(shop: Ledger) -> None:
    await add(shop, a_revision(1, status=Status.PENDING_UPGRADE, description="Preparing upgrade"))
    after = a_revision(
        1,
        status=Status.DEPLOYED,
        description="Upgrade complete",
        update_time=LATER,
        deployed_time=LATER,
        success_evidence=Evidence.LEDGER,
        apply_completed=True,
        operation_id="019a3f00-0000-7000-8000-000000000001",
        actor="alice",
        mark=Mark.BAD,
        stored_by_helm=False,
        uid="put back",
        resource_version=7,
        labels=(("createdAt", "1700000000"), ("team", "blue")),
    )
    await shop.write(lambda tx: tx.update_revision(after))

    assert await shop.read(lambda view: view.revision(SHOP, 1, incarnation=1)) == after


async def test_a_record_that_could_not_be_decoded_gets_its_content_once(shop: Ledger) -> None:
    await add(
        shop,
        a_revision(
            1,
            status=Status.UNKNOWN,
            operation_type=None,
            chart_name="",
            chart_version="",
            app_version="",
            first_deployed=None,
            values_digest="",
            manifest_digest="",
        ),
    )
    decoded = await shop.write(lambda tx: a_revision(1, full_size_bytes=99, payload_digest=tx.archive(b"a record")))
    await shop.write(lambda tx: tx.update_revision(decoded))

    assert await shop.read(lambda view: view.revision(SHOP, 1, incarnation=1)) == decoded


@pytest.mark.parametrize(
    "change",
    [
        {"chart_name": "other"},
        {"chart_version": "9.9.9"},
        {"app_version": "9"},
        {"values_digest": "f" * 64},
        {"manifest_digest": "f" * 64},
        {"values_digest": ""},
        {"manifest_digest": ""},
        {"payload_digest": ""},
        {"full_size_bytes": 1},
        {"create_time": LATER},
        {"first_deployed": LATER},
        {"first_deployed": None},
        {"operation_type": OperationType.INSTALL},
        {"operation_type": None},
        {"rollback_target": 1},
        {"deployed_time": LATER},
        {"deployed_time": None},
        {"operation_id": ""},
        {"operation_id": "another"},
    ],
    ids=lambda change: next(f"{column} = {value!r:.12}" for column, value in change.items()),
)
async def test_content_and_proofs_can_not_be_changed(shop: Ledger, change: dict[str, object]) -> None:
    def body(tx: LedgerTransaction) -> Revision:
        revision = a_revision(
            1,
            operation_type=OperationType.ROLLBACK,
            rollback_target=7,
            deployed_time=NOON,
            operation_id="one",
            payload_digest=tx.archive(b"a record"),
        )
        tx.add_revision(revision)
        return revision

    added = await shop.write(body)

    with pytest.raises(LedgerRuleBroken, match="rule revision_"):
        await shop.write(lambda tx: tx.update_revision(replace(added, **change)))  # type: ignore[arg-type]

    assert await shop.read(lambda view: view.revision(SHOP, 1, incarnation=1)) == added


async def test_an_update_of_a_number_that_nobody_bears_is_refused(shop: Ledger) -> None:
    old = a_revision(2)
    await add(shop, old)
    await shop.write(lambda tx: tx.update_revision(replace(old, replaced_time=LATER)))

    with pytest.raises(LedgerRuleBroken, match="not in the ledger"):
        await shop.write(lambda tx: tx.update_revision(replace(old, status=Status.FAILED)))


async def test_a_revision_points_only_to_a_payload_that_is_archived(shop: Ledger) -> None:
    with pytest.raises(LedgerRuleBroken):
        await add(shop, a_revision(1, payload_digest="0" * 64))


async def test_the_deployed_ones_are_those_that_helm_stores_as_that_now(shop: Ledger) -> None:
    replaced = a_revision(3, status=Status.DEPLOYED, uid="before")
    await add(
        shop,
        a_revision(1, status=Status.DEPLOYED),
        a_revision(2, status=Status.SUPERSEDED),
        replaced,
        a_revision(4, status=Status.DEPLOYED, stored_by_helm=False),
        a_revision(5, status=Status.DEPLOYED),
        a_revision(6, status=Status.DEPLOYED, incarnation=2),
    )
    await replace_number(shop, replaced, a_revision(3, status=Status.FAILED, uid="after"))

    deployed = await shop.read(lambda view: view.deployed_revisions(SHOP, incarnation=1))

    assert sorted(deployed) == [1, 5]


async def test_how_far_records_were_seen_is_told_of_those_that_stand(shop: Ledger) -> None:
    replaced = a_revision(2, uid="before", resource_version=5)
    gone = a_revision(1, uid="gone", resource_version=3, stored_by_helm=False)
    await add(shop, gone, replaced, a_revision(1, uid="other", incarnation=2))
    await replace_number(shop, replaced, a_revision(2, uid="after", resource_version=9))

    versions = await shop.read(lambda view: view.record_versions(SHOP, incarnation=1))

    assert sorted(versions, key=lambda version: version.revision) == [
        RecordVersion(1, "gone", 3, False),
        RecordVersion(2, "after", 9, True),
    ]

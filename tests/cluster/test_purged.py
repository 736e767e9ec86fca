"""Releases that were uninstalled by hand: they come back, and their numbering goes on."""

import pytest
from support.calls import skipped, state
from support.undone import Undone

from helm_rollback.v1.release_pb2 import Revision

pytest_plugins = ["support.undone_fixtures"]


def with_two_revisions(shop: Undone) -> None:
    shop.install("1.0.0", "--labels", "team=blue")
    shop.upgrade("2.0.0")
    shop.until(2, Revision.DEPLOYED)


@pytest.mark.parametrize("target", [1, 2])
def test_an_uninstalled_release_is_put_back_and_numbering_goes_on(any_shop: Undone, target: int) -> None:
    shop = any_shop
    with_two_revisions(shop)
    shop.helm.uninstall("shop")
    shop.until(2, Revision.UNINSTALLED)
    assert not shop.is_live
    assert [revision.stored_by_helm for revision in shop.revisions] == [False, False]

    operation = shop.roll_back(target)

    assert state(operation) == "SUCCEEDED"
    assert (operation.base_revision, operation.target_revision, operation.result_revision) == (2, target, 3)
    assert shop.statuses == ({1: "superseded"} if target == 1 else {}) | {2: "uninstalled", 3: "deployed"}
    assert shop.live_version == f"{target}.0.0"
    assert shop.secret(2)["metadata"]["labels"]["team"] == "blue"
    release = shop.release
    assert (release.incarnation, release.current_revision, release.status) == (1, 3, Revision.DEPLOYED)
    assert [revision.revision for revision in shop.revisions] == [3, 2, 1]
    shop.assert_free()


def test_an_uninstalled_release_that_kept_its_history_comes_back(any_shop: Undone) -> None:
    shop = any_shop
    with_two_revisions(shop)
    shop.helm.uninstall("shop", "--keep-history")
    shop.until(2, Revision.UNINSTALLED)
    assert not shop.is_live

    operation = shop.roll_back(1)

    assert (state(operation), operation.result_revision) == ("SUCCEEDED", 3)
    assert shop.statuses == {1: "superseded", 2: "uninstalled", 3: "deployed"}
    assert shop.live_version == "1.0.0"
    shop.assert_free()


def test_the_last_successful_revision_of_a_purged_release_is_what_was_removed(shop: Undone) -> None:
    with_two_revisions(shop)
    shop.helm.uninstall("shop")
    shop.until(2, Revision.UNINSTALLED)

    operation = shop.back()

    assert (state(operation), operation.selection.revision) == ("SUCCEEDED", 2)
    assert skipped(operation.selection) == {}
    assert shop.statuses == {2: "uninstalled", 3: "deployed"}
    assert shop.live_version == "2.0.0"


def test_the_stream_tells_the_removal_and_the_return(shop: Undone) -> None:
    with_two_revisions(shop)

    with shop.service.follow(shop.release_id, deployed=2) as stream:
        shop.helm.uninstall("shop")
        stream.until_told("revision 2 UNINSTALLING → UNINSTALLED")
        removed = len(stream.told)
        stream.until_settled(shop.roll_back(1).operation_id)

    assert stream.told[0] == "revision 2 DEPLOYED → UNINSTALLING"
    assert sorted(stream.told[1:3]) == ["record 1 removed", "record 2 removed"]
    assert stream.told[removed:] == [
        "operation PENDING",
        "operation RUNNING",
        "revision 3 → PENDING_ROLLBACK",
        "revision 3 PENDING_ROLLBACK → DEPLOYED",
        "operation SUCCEEDED",
    ]


def test_a_release_that_came_back_can_be_purged_and_come_back_again(shop: Undone) -> None:
    with_two_revisions(shop)
    for result in (3, 4):
        shop.helm.uninstall("shop")
        shop.until(result - 1, Revision.UNINSTALLED)
        operation = shop.roll_back(1)
        assert (state(operation), operation.result_revision) == ("SUCCEEDED", result)

    assert shop.statuses == {1: "superseded", 3: "uninstalled", 4: "deployed"}
    assert [(revision.incarnation, revision.revision) for revision in shop.revisions] == [
        (1, 4),
        (1, 3),
        (1, 2),
        (1, 1),
    ]


def test_a_reinstall_is_another_incarnation_and_the_old_history_is_kept(shop: Undone) -> None:
    with_two_revisions(shop)
    shop.helm.uninstall("shop")
    shop.until(2, Revision.UNINSTALLED)
    shop.install("3.0.0")
    shop.upgrade("4.0.0")
    shop.until(2, Revision.DEPLOYED)

    operation = shop.roll_back(1)

    assert (state(operation), operation.incarnation, operation.result_revision) == ("SUCCEEDED", 2, 3)
    assert shop.live_version == "3.0.0"
    listed = [(revision.incarnation, revision.revision, revision.chart_version) for revision in shop.revisions]
    assert listed == [(2, 3, "3.0.0"), (2, 2, "4.0.0"), (2, 1, "3.0.0"), (1, 2, "2.0.0"), (1, 1, "1.0.0")]
    assert "version: '2.0.0'" in shop.revision(2, incarnation=1).manifest

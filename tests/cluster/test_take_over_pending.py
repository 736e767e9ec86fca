"""A Helm of somebody else's that died half-way: refused as pending, unless the caller says that it is dead."""

from collections.abc import Callable
from dataclasses import dataclass

import grpc
import pytest
from support.calls import refusal_of, state
from support.charts import job
from support.undone import Undone
from support.waiting import eventually

from helm_rollback.v1.release_pb2 import Revision

pytest_plugins = ["support.undone_fixtures"]


def install_dies(shop: Undone) -> None:
    chart = shop.chart("1.0.0", hang=job(hooks=["pre-install"]))
    with shop.helm.killed_after("install", "shop", chart):
        eventually(lambda: shop.cluster.client.exists(shop.secret_path(1)), "Helm has begun")
        shop.until(1, Revision.PENDING_INSTALL)


def upgrade_dies(shop: Undone) -> None:
    shop.install("1.0.0")
    chart = shop.chart("2.0.0", hang=job(hooks=["pre-upgrade"]))
    with shop.helm.killed_after("upgrade", "shop", chart):
        shop.until(2, Revision.PENDING_UPGRADE)


def rollback_dies(shop: Undone) -> None:
    shop.install("1.0.0")
    shop.upgrade("2.0.0", hang=job(hooks=["pre-rollback"]))
    shop.upgrade("3.0.0")
    with shop.helm.killed_after("rollback", "shop", "2"):
        shop.until(4, Revision.PENDING_ROLLBACK)


def uninstall_dies(shop: Undone) -> None:
    shop.install("1.0.0")
    shop.upgrade("2.0.0", hang=job(hooks=["pre-delete"]))
    with shop.helm.killed_after("uninstall", "shop"):
        shop.until(2, Revision.UNINSTALLING)


@dataclass(frozen=True)
class Case:
    status: str
    statuses: dict[int, str]
    """After the take-over."""


CASES: dict[Callable[[Undone], None], Case] = {
    install_dies: Case("PENDING_INSTALL", {1: "pending-install", 2: "deployed"}),
    upgrade_dies: Case("PENDING_UPGRADE", {1: "superseded", 2: "pending-upgrade", 3: "deployed"}),
    rollback_dies: Case(
        "PENDING_ROLLBACK", {1: "superseded", 2: "superseded", 3: "superseded", 4: "pending-rollback", 5: "deployed"}
    ),
    uninstall_dies: Case("UNINSTALLING", {1: "superseded", 2: "uninstalling", 3: "deployed"}),
}


@pytest.mark.parametrize("dies", CASES)
def test_what_a_dead_helm_left_is_refused_and_taken_over(shop: Undone, dies: Callable[[Undone], None]) -> None:
    dies(shop)
    expected, current = CASES[dies], max(shop.statuses)

    refusal = refusal_of(lambda: shop.roll_back(1))
    operation = shop.roll_back(1, take_over_pending=True, expected_current_revision=current)

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "RELEASE_PENDING")
    assert (refusal.metadata["status"], refusal.metadata["revision"]) == (expected.status, str(current))
    assert (state(operation), operation.result_revision) == ("SUCCEEDED", current + 1)
    assert shop.statuses == expected.statuses
    assert shop.live_version == "1.0.0"
    shop.assert_free()


def test_a_rollback_to_the_last_successful_one_takes_over_too(shop: Undone) -> None:
    upgrade_dies(shop)

    refusal = refusal_of(shop.back)
    operation = shop.back(take_over_pending=True, expected_current_revision=2)

    assert refusal.reason == "RELEASE_PENDING"
    assert (state(operation), operation.selection.revision) == ("SUCCEEDED", 1)
    assert [revision.revision for revision in shop.revisions if revision.HasField("deployed_time")] == [3, 1]

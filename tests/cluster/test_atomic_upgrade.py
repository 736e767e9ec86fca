"""An atomic upgrade that fails where a superseded revision never worked: the rows of helm.md §2.1.

Helm takes the newest that is superseded or deployed, in most rows that one. This service
ends on the last revision that worked, or says that there is none.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from local_cluster import LocalCluster
from support.by_hand import REJECTED, ByHand
from support.calls import WAIT, failure_reason
from support.charts import deployment, job
from support.helm import Helm
from support.process import ServiceProcess
from support.waiting import eventually

from helm_rollback.v1.helm_options_pb2 import HelmOptions
from helm_rollback.v1.release_pb2 import Operation
from helm_rollback.v1.release_service_pb2 import UpgradeRequest
from helm_rollback.v1.rollback_service_pb2 import ListOperationsRequest

pytest_plugins = ["support.services"]

NO_PODS = HelmOptions(wait_strategy=HelmOptions.HOOKS_ONLY)
"""Nobody makes Pods in this cluster, so nothing is waited for."""
NEVER_ENDS = job("before", hooks=["pre-install", "pre-upgrade"])
"""Nobody runs it here, either: who waits for this hook can be killed meanwhile."""


def a_failed_install_and_an_upgrade(shop: ByHand) -> None:
    shop.fail_to_install()
    shop.upgrade("1.0.0")


def b_failed_upgrade_and_rollback(shop: ByHand) -> None:
    shop.install("1.0.0")
    shop.fail_to_upgrade()
    shop.fail_to_roll_back(2)


def c_killed_rollback_and_a_failed_one(shop: ByHand) -> None:
    shop.install("1.0.0", never=deployment("never"))
    shop.fail_to_upgrade()
    with shop.helm.killed_after("rollback", "shop", "1", "--wait"):
        eventually(lambda: shop.statuses.get(3) == "pending-rollback", "it waits")
    shop.fail_to_roll_back(2)


def d_killed_upgrade_and_a_failed_rollback(shop: ByHand) -> None:
    shop.install("1.0.0")
    with shop.helm.killed_after("upgrade", "shop", shop.chart("1.1.0", before=NEVER_ENDS, bad=REJECTED)):
        eventually(lambda: shop.statuses.get(2) == "pending-upgrade", "it waits")
    shop.fail_to_roll_back(2)


def f_failed_upgrade_uninstalled_and_installed_over(shop: ByHand) -> None:
    shop.install("0.9.0")
    shop.fail_to_upgrade()
    shop.helm.uninstall("shop", "--keep-history")
    shop.install("1.0.0", "--replace")


def g_uninstalled_and_a_failed_rollback(shop: ByHand) -> None:
    shop.install("1.0.0")
    shop.fail_to_upgrade()
    shop.helm.uninstall("shop", "--keep-history")
    shop.fail_to_roll_back(2)


def h_two_failed_rollbacks(shop: ByHand) -> None:
    b_failed_upgrade_and_rollback(shop)
    shop.fail_to_roll_back(2)


ROWS: dict[Callable[[ByHand], None], tuple[int, int]] = {
    a_failed_install_and_an_upgrade: (1, 2),
    b_failed_upgrade_and_rollback: (2, 1),
    c_killed_rollback_and_a_failed_one: (3, 1),
    d_killed_upgrade_and_a_failed_rollback: (2, 1),
    f_failed_upgrade_uninstalled_and_installed_over: (2, 3),
    g_uninstalled_and_a_failed_rollback: (2, 1),
    h_two_failed_rollbacks: (3, 1),
}
"""The revision that is superseded though it never worked, and the last one that did. Row E has none that did."""


@pytest.fixture
def shop(helm: Helm, tmp_path: Path) -> ByHand:
    return ByHand(helm, tmp_path)


def failed_upgrade(service: ServiceProcess, shop: ByHand) -> Operation:
    """What the atomic upgrade came to that the API server refuses."""
    request = UpgradeRequest(
        release_id=f"default.{shop.helm.namespace}.shop",
        archive=shop.packed("2.0.0", bad=REJECTED),
        atomic=True,
        helm_options=NO_PODS,
        wait_timeout=WAIT,
    )
    failed = service.releases.Upgrade(request, timeout=70).operation
    assert failure_reason(failed) == "OBJECT_REJECTED"
    return failed


def caused_by(service: ServiceProcess, failed: Operation) -> list[Operation]:
    request = ListOperationsRequest(release_id=failed.release_id)
    listed = service.rollbacks.ListOperations(request, timeout=30).operations
    return [one for one in listed if one.caused_by_operation_id == failed.operation_id]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.__name__)
def test_it_ends_on_the_last_revision_that_worked(
    row: Callable[[ByHand], None], service: ServiceProcess, shop: ByHand, local_cluster: LocalCluster
) -> None:
    never_worked, worked = ROWS[row]
    row(shop)
    assert shop.statuses[never_worked] == "superseded", "the trap is set"

    failed = failed_upgrade(service, shop)
    eventually(lambda: caused_by(service, failed)[0].HasField("end_time"), "it is rolled back")

    (undone,) = caused_by(service, failed)
    assert (undone.state, undone.target_revision) == (Operation.SUCCEEDED, worked)
    newest = max(shop.statuses)
    assert (shop.statuses[newest], shop.charts[newest]) == ("deployed", "1.0.0")
    live = local_cluster.client.get(f"/api/v1/namespaces/{shop.helm.namespace}/configmaps/shop")
    assert live["data"] == {"version": "1.0.0"}


def test_where_none_ever_worked_it_says_so_and_stays(service: ServiceProcess, shop: ByHand) -> None:
    """Row E: Helm would go back to an install that was killed."""
    with shop.helm.killed_after("install", "shop", shop.chart("0.9.0", before=NEVER_ENDS, bad=REJECTED)):
        eventually(lambda: "pending-install" in shop.helm.run("list", "--pending").stdout, "it waits")
    shop.fail_to_roll_back(1)
    assert shop.statuses[1] == "superseded", "the trap is set"

    failed = failed_upgrade(service, shop)

    assert "; not rolled back: NO_SUCCESSFUL_REVISION: " in failed.failure.message
    assert caused_by(service, failed) == []
    assert shop.statuses == {1: "superseded", 2: "failed", 3: "failed"}

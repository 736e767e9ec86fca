"""Install, upgrade and uninstall on real Helm: interrupted on request, and by the Helms that are older."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration
from local_cluster import LocalCluster
from support.by_hand import ByHand
from support.calls import WAIT, failure_reason
from support.charts import deployment
from support.cluster import BIN_DIR
from support.helm import Helm
from support.process import RunService, ServiceProcess
from support.waiting import eventually

from helm_rollback.v1.helm_options_pb2 import HelmOptions
from helm_rollback.v1.release_pb2 import Failure, Operation
from helm_rollback.v1.release_service_pb2 import InstallRequest, UninstallRequest, UpgradeRequest
from helm_rollback.v1.rollback_service_pb2 import CancelOperationRequest, GetOperationRequest

pytest_plugins = ["support.services"]


@pytest.fixture
def shop(namespace: str) -> str:
    return f"default.{namespace}.shop"


@pytest.fixture
def by_hand(helm: Helm, tmp_path: Path) -> ByHand:
    return ByHand(helm, tmp_path)


def test_a_running_upgrade_is_interrupted_and_told_as_helm_left_it(
    service: ServiceProcess, shop: str, by_hand: ByHand
) -> None:
    by_hand.install("1.0.0")
    chart = by_hand.packed("1.1.0", never=deployment("never"))  # nobody makes its Pods here
    options = HelmOptions(timeout=Duration(seconds=300))
    request = UpgradeRequest(release_id=shop, archive=chart, atomic=True, helm_options=options)
    accepted = service.releases.Upgrade(request, timeout=30).operation
    eventually(lambda: by_hand.statuses.get(2) == "pending-upgrade", "Helm waits for what never comes")

    asked = service.rollbacks.CancelOperation(CancelOperationRequest(operation_id=accepted.operation_id), timeout=30)
    question = GetOperationRequest(operation_id=accepted.operation_id)
    eventually(lambda: service.rollbacks.GetOperation(question).operation.HasField("end_time"), "it has ended")
    ended = service.rollbacks.GetOperation(question).operation

    assert (asked.operation.state, asked.operation.cancel_requested) == (Operation.RUNNING, True)
    assert (failure_reason(ended), ended.cancel_requested, ended.result_revision) == ("INTERRUPTED", True, 2)
    assert ended.failure.message.startswith("cancelled on request: ")
    assert ended.failure.applied in (Failure.PARTLY, Failure.APPLIED)
    eventually(lambda: by_hand.statuses.get(3) == "deployed", "the service has rolled it back")
    assert by_hand.statuses[2] == "failed"
    assert by_hand.charts[3] == "1.0.0"


@pytest.mark.parametrize("atomic", [False, True])
def test_a_running_install_is_interrupted_and_told_as_helm_left_it(
    service: ServiceProcess, shop: str, by_hand: ByHand, local_cluster: LocalCluster, atomic: bool
) -> None:
    chart = by_hand.packed("1.0.0", never=deployment("never"))  # nobody makes its Pods here
    options = HelmOptions(timeout=Duration(seconds=300))
    request = InstallRequest(release_id=shop, archive=chart, atomic=atomic, helm_options=options)
    accepted = service.releases.Install(request, timeout=30).operation
    deployments = f"/apis/apps/v1/namespaces/{by_hand.helm.namespace}/deployments"
    eventually(lambda: local_cluster.client.exists(f"{deployments}/never"), "Helm waits for what never comes")

    asked = service.rollbacks.CancelOperation(CancelOperationRequest(operation_id=accepted.operation_id), timeout=30)
    question = GetOperationRequest(operation_id=accepted.operation_id)
    eventually(lambda: service.rollbacks.GetOperation(question).operation.HasField("end_time"), "it has ended")
    ended = service.rollbacks.GetOperation(question).operation

    assert (asked.operation.state, asked.operation.cancel_requested) == (Operation.RUNNING, True)
    assert (failure_reason(ended), ended.cancel_requested, ended.result_revision) == ("INTERRUPTED", True, 1)
    assert ended.failure.message.startswith("cancelled on request: ")
    if atomic:  # Helm has undone it
        assert ended.failure.applied == Failure.NOT_APPLIED
        assert "shop" not in by_hand.helm.run("list").stdout
        assert not local_cluster.client.exists(f"{deployments}/never")
    else:
        assert ended.failure.applied in (Failure.PARTLY, Failure.APPLIED)
        assert by_hand.statuses == {1: "failed"}
        assert local_cluster.client.exists(f"{deployments}/never")


@pytest.mark.parametrize("program", ["helm3", "helm4.2"])
def test_older_helm_installs_upgrades_and_uninstalls(
    program: str, run_service: RunService, helm: Helm, shop: str, tmp_path: Path
) -> None:
    by_hand = ByHand(helm.of(BIN_DIR / program), tmp_path)
    service = run_service("--helm", BIN_DIR / program)

    installed = service.releases.Install(
        InstallRequest(release_id=shop, archive=by_hand.packed("1.0.0"), wait_timeout=WAIT, labels={"team": "shop"}),
        timeout=70,
    ).operation
    upgraded = service.releases.Upgrade(
        UpgradeRequest(release_id=shop, archive=by_hand.packed("1.1.0"), wait_timeout=WAIT, atomic=True), timeout=70
    ).operation
    charts = by_hand.charts
    gone = service.releases.Uninstall(UninstallRequest(release_id=shop, wait_timeout=WAIT), timeout=70).operation

    assert [one.state for one in (installed, upgraded, gone)] == [Operation.SUCCEEDED] * 3
    assert (installed.result_revision, upgraded.result_revision, gone.result_revision) == (1, 2, 0)
    assert charts == {1: "1.0.0", 2: "1.1.0"}
    assert by_hand.statuses == {1: "superseded", 2: "uninstalled"}

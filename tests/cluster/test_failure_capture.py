"""What is captured of failures on a real API server, with Pods."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration
from local_cluster import LocalCluster
from local_cluster.workloads import PRINTED
from support.by_hand import ByHand
from support.calls import WAIT, failure_reason
from support.charts import deployment, job
from support.cluster import BIN_DIR
from support.helm import Helm
from support.process import RunService, ServiceProcess

from helm_rollback.v1.helm_options_pb2 import HelmOptions
from helm_rollback.v1.release_service_pb2 import GetRevisionRequest, InstallRequest, UpgradeRequest

pytest_plugins = ["support.services"]

SOON = HelmOptions(timeout=Duration(seconds=3))


@pytest.fixture
def shop(workload_namespace: str) -> str:
    return f"default.{workload_namespace}.shop"


@pytest.fixture
def by_hand(workload_helm: Helm, tmp_path: Path) -> ByHand:
    return ByHand(workload_helm, tmp_path)


def captured(service: ServiceProcess, release: str, revision: int) -> list[str]:
    request = GetRevisionRequest(release_id=release, revision=revision, view=GetRevisionRequest.FULL)
    return service.releases.GetRevision(request, timeout=30).revision.captured_failure.splitlines()


def test_a_pod_that_is_not_ready_is_captured_with_what_it_printed(
    workload_service: ServiceProcess, shop: str, by_hand: ByHand
) -> None:
    by_hand.install("1.0.0")
    chart = by_hand.packed("1.1.0", d=deployment(ready=False))
    request = UpgradeRequest(release_id=shop, archive=chart, helm_options=SOON, wait_timeout=WAIT)

    operation = workload_service.releases.Upgrade(request, timeout=70).operation

    assert failure_reason(operation) == "WAIT_TIMED_OUT"
    told = captured(workload_service, shop, 2)
    assert told[:2] == ["Deployment shop", "  0 of 1 replicas are ready"]
    pod = next(at for at, line in enumerate(told) if line.startswith("Pod shop-"))
    assert told[pod + 1 : pod + 3] == ["  is Running", "  container app runs, and is not ready"]
    assert told[-3] == f"Printed last by container app of {told[pod]}"
    assert told[-2:] == [f"  {line}" for line in PRINTED]


def test_a_failed_hook_of_a_rollback_is_captured(workload_service: ServiceProcess, shop: str, by_hand: ByHand) -> None:
    by_hand.install("1.0.0", j=job(hooks=["pre-rollback"], fails=True))
    by_hand.upgrade("1.1.0")

    operation = workload_service.roll_back(shop, 1)

    assert failure_reason(operation) == "HOOK_FAILED"
    told = captured(workload_service, shop, 3)
    assert told[:2] == ["Job shop-job", "  0 of 1 Pods succeeded, 1 failed"]
    assert "  container job ended with exit code 1: Error" in told
    assert f"  {PRINTED[-1]}" in told
    assert "Job shop-job: BackoffLimitExceeded" in told[told.index("Events") + 1]


@pytest.mark.parametrize("program", ["helm", "helm4.2", "helm3"])
def test_an_atomic_install_is_captured_before_helm_deletes_it(
    program: str,
    run_service: RunService,
    workload_cluster: LocalCluster,
    workload_helm: Helm,
    shop: str,
    tmp_path: Path,
) -> None:
    by_hand = ByHand(workload_helm.of(BIN_DIR / program), tmp_path)
    service = run_service("--helm", BIN_DIR / program, kubeconfig=workload_cluster.kubeconfig)
    chart = by_hand.packed("1.0.0", d=deployment(ready=False))
    request = InstallRequest(release_id=shop, archive=chart, atomic=True, helm_options=SOON, wait_timeout=WAIT)

    operation = service.releases.Install(request, timeout=70).operation

    assert failure_reason(operation) == "WAIT_TIMED_OUT"
    assert by_hand.helm.run("history", "shop", check=False).returncode == 1
    told = captured(service, shop, 1)
    assert told[0] == "Deployment shop"
    assert f"  {PRINTED[-1]}" in told

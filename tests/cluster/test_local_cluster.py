"""The local cluster is real where it matters, and leaves nothing behind."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from local_cluster import ApiError, Client, LocalCluster, NotReady, Rule
from support.charts import config_map, deployment, job, write_chart
from support.cluster import BIN_DIR
from support.helm import Helm


def test_helm_installs_upgrades_and_rolls_back(helm: Helm, tmp_path: Path) -> None:
    chart = write_chart(tmp_path)
    helm.install("shop", chart)
    helm.upgrade("shop", chart, "--set", "greeting=goodbye")

    helm.rollback("shop", 1)

    assert helm.statuses("shop") == {1: "superseded", 2: "superseded", 3: "deployed"}
    assert helm.get("manifest", "shop", 3) == helm.get("manifest", "shop", 1)


def test_an_immutable_config_map_makes_an_upgrade_fail(helm: Helm, tmp_path: Path) -> None:
    helm.install("shop", write_chart(tmp_path, templates={"c.yaml": config_map(immutable=True, a="1")}))
    changed = write_chart(tmp_path, templates={"c.yaml": config_map(immutable=True, a="2")})

    refused = helm.upgrade("shop", changed, check=False)

    assert refused.returncode == 1
    assert "field is immutable when `immutable` is set" in refused.stderr
    assert helm.statuses("shop") == {1: "deployed", 2: "failed"}


def test_data_survives_a_restart_of_the_api_server(tmp_path: Path) -> None:
    """A cluster of its own: others may be using the shared one."""
    with LocalCluster(BIN_DIR) as cluster:
        cluster.create_namespace("kept")
        before = cluster.server

        cluster.stop_apiserver(kill=True)
        with pytest.raises(ConnectionRefusedError):
            cluster.client.get("/api/v1/namespaces/kept")
        cluster.start_apiserver()

        assert cluster.server == before
        assert cluster.client.exists("/api/v1/namespaces/kept")


def test_a_user_may_do_only_what_its_rules_say(local_cluster: LocalCluster, namespace: str) -> None:
    user = local_cluster.create_user("reader", [Rule(["get", "list"], ["secrets"])], namespace=namespace)
    client = Client(local_cluster.server, local_cluster.ca_file, user.token)
    secrets = f"/api/v1/namespaces/{namespace}/secrets"

    assert client.get(secrets)["kind"] == "SecretList"
    with pytest.raises(ApiError, match="403"):
        client.create(secrets, {"metadata": {"name": "new"}})


def test_requests_are_audited_on_demand_and_nothing_is_left(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"

    with LocalCluster(BIN_DIR, audit_log=log, extra_apiserver_args=["--v=1"]) as cluster:
        folder = cluster.folder
        pids = [int(file.read_text()) for file in folder.glob("*.pid")]
        cluster.create_namespace("audited")

    assert any('"verb":"create"' in line and "audited" in line for line in log.read_text().splitlines())
    assert len(pids) == 2
    assert not any(_is_alive(pid) for pid in pids)
    assert not folder.exists()


def test_a_failed_start_shows_the_programs_own_words_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    with pytest.raises(NotReady, match="unknown flag: --no-such-flag"):
        LocalCluster(BIN_DIR, extra_apiserver_args=["--no-such-flag"]).__enter__()

    assert not list(tmp_path.iterdir())


def test_a_missing_program_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="make tools"):
        LocalCluster(tmp_path).__enter__()


def test_a_deployment_becomes_ready(workload_helm: Helm, tmp_path: Path) -> None:
    chart = write_chart(tmp_path, templates={"d.yaml": deployment(replicas=2)})

    workload_helm.install("shop", chart, "--wait", "--timeout", "20s")

    assert workload_helm.statuses("shop") == {1: "deployed"}


def test_a_deployment_that_is_never_ready_lets_the_wait_time_out(workload_helm: Helm, tmp_path: Path) -> None:
    chart = write_chart(tmp_path, templates={"d.yaml": deployment(ready=False)})

    late = workload_helm.install("shop", chart, "--wait", "--timeout", "2s", check=False)

    assert late.returncode == 1
    assert workload_helm.statuses("shop") == {1: "failed"}


def test_a_hook_job_completes(workload_helm: Helm, tmp_path: Path) -> None:
    chart = write_chart(tmp_path, templates={"j.yaml": job(hooks=["pre-install"]), "c.yaml": config_map(a="1")})

    workload_helm.install("shop", chart, "--timeout", "20s")

    assert workload_helm.statuses("shop") == {1: "deployed"}


def test_a_failing_hook_job_leaves_a_rollback_pending(workload_helm: Helm, tmp_path: Path) -> None:
    """Helm's own behaviour, which the service exists to repair."""
    templates = {"j.yaml": job(hooks=["pre-rollback"], fails=True), "c.yaml": config_map(a="1")}
    chart = write_chart(tmp_path, templates=templates)
    workload_helm.install("shop", chart)
    workload_helm.upgrade("shop", chart)

    failed = workload_helm.rollback("shop", 1, "--timeout", "20s", check=False)

    assert failed.returncode == 1
    assert workload_helm.statuses("shop")[3] == "pending-rollback"


def test_a_job_runs_as_long_as_it_is_told(
    workload_cluster: LocalCluster, workload_namespace: str, workload_helm: Helm, tmp_path: Path
) -> None:
    workload_helm.install("shop", write_chart(tmp_path, templates={"j.yaml": job(run_for="1s")}))
    path = f"/apis/batch/v1/namespaces/{workload_namespace}/jobs/shop-job"

    started = time.monotonic()
    _eventually(lambda: "completionTime" in workload_cluster.client.get(path)["status"])

    assert time.monotonic() - started > 0.5


def _eventually(holds: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True

"""The real Helm, run by the adapter: it rolls back, and its errors are understood."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from local_cluster import LocalCluster
from support.charts import config_map, deployment, job, write_chart
from support.cluster import BIN_DIR
from support.helm import Helm

from helm_rollback.application.ports import HelmExit, HelmProcess
from helm_rollback.domain.helm_call import HelmRollback
from helm_rollback.domain.helm_options import HelmOptions, ServerSideApply
from helm_rollback.domain.operation import FailureReason
from helm_rollback.domain.release import ReleaseId
from helm_rollback.helm.process import HelmCommand
from helm_rollback.helm.version import find_helm

STAMP = "[0195e0f0-0000-7000-8000-000000000001] Rollback to 1: --no-hooks, „Grüße“ $(x)"


async def roll_back(helm: Helm, revision: int, *, kubeconfig: str = "", **options: Any) -> HelmExit:
    command = HelmCommand(await find_helm(str(BIN_DIR / "helm")))
    assert command.writes_stamp

    async def started(_: HelmProcess) -> None:
        return

    return await command.run(
        ReleaseId("default", helm.namespace, "shop"),
        HelmRollback(revision),
        options=HelmOptions(**options),
        description=STAMP,
        kubeconfig=kubeconfig or helm.kubeconfig.read_text(),
        api_state="",
        started=started,
    )


def two_revisions(helm: Helm, tmp_path: Path, first: dict[str, str], second: dict[str, str]) -> None:
    helm.install("shop", write_chart(tmp_path, version="1.0.0", templates=first))
    helm.upgrade("shop", write_chart(tmp_path, version="2.0.0", templates=second))


async def test_a_rollback_bears_our_description(helm: Helm, tmp_path: Path) -> None:
    two_revisions(helm, tmp_path, {"a.yaml": config_map(a="1")}, {"a.yaml": config_map(a="2")})

    ended = await roll_back(helm, 1)

    assert ended.returncode == 0
    assert ended.output == "Rollback was a success! Happy Helming!\n"
    assert helm.statuses("shop") == {1: "superseded", 2: "superseded", 3: "deployed"}
    assert helm.history_json("shop")[-1]["description"] == STAMP


@pytest.mark.parametrize(
    "options",
    [
        {"server_side_apply": ServerSideApply.ENABLED, "force_conflicts": True},
        {"server_side_apply": ServerSideApply.DISABLED, "force_replace": True},
        {"wait_for_jobs": True, "disable_hooks": True, "cleanup_on_fail": True, "timeout": timedelta(seconds=20)},
    ],
)
async def test_helm_takes_every_option(helm: Helm, tmp_path: Path, options: dict[str, Any]) -> None:
    two_revisions(helm, tmp_path, {"a.yaml": config_map(a="1")}, {"a.yaml": config_map(a="2")})

    ended = await roll_back(helm, 1, **options)

    assert (ended.returncode, ended.output) == (0, "Rollback was a success! Happy Helming!\n")


async def test_a_release_that_is_not_there_is_an_external_change(helm: Helm) -> None:
    ended = await roll_back(helm, 1)

    assert (ended.returncode, ended.reason) == (1, FailureReason.EXTERNAL_CHANGE)


async def test_an_immutable_object_is_rejected(helm: Helm, tmp_path: Path) -> None:
    helm.install("shop", write_chart(tmp_path, templates={"a.yaml": config_map(a="1", immutable=True)}))
    failed = helm.upgrade(
        "shop", write_chart(tmp_path, templates={"a.yaml": config_map(a="2", immutable=True)}), check=False
    )
    assert failed.returncode == 1

    ended = await roll_back(helm, 2)

    assert (ended.returncode, ended.reason) == (1, FailureReason.OBJECT_REJECTED)


async def test_a_field_of_another_manager_is_a_conflict(
    helm: Helm, tmp_path: Path, local_cluster: LocalCluster
) -> None:
    two_revisions(helm, tmp_path, {"a.yaml": config_map(a="1")}, {"a.yaml": config_map(a="2")})
    path = f"/api/v1/namespaces/{helm.namespace}/configmaps/shop"
    live = local_cluster.client.get(path)
    live["data"]["a"] = "mine"
    local_cluster.client.request("PUT", path, live)

    ended = await roll_back(helm, 1)

    assert (ended.returncode, ended.reason) == (1, FailureReason.APPLY_CONFLICT)


async def test_a_cluster_that_is_away_is_unreachable(helm: Helm, local_cluster: LocalCluster) -> None:
    nobody = helm.kubeconfig.read_text().replace(local_cluster.server, "https://127.0.0.1:1")

    ended = await roll_back(helm, 1, kubeconfig=nobody)

    assert (ended.returncode, ended.reason) == (1, FailureReason.CLUSTER_UNREACHABLE)


async def test_a_wrong_token_is_a_denied_permission(helm: Helm, local_cluster: LocalCluster) -> None:
    stranger = helm.kubeconfig.read_text().replace(local_cluster.token, "wrong")

    ended = await roll_back(helm, 1, kubeconfig=stranger)

    assert (ended.returncode, ended.reason) == (1, FailureReason.CLUSTER_PERMISSION_DENIED)


async def test_a_deployment_that_never_gets_ready_times_out(workload_helm: Helm, tmp_path: Path) -> None:
    two_revisions(workload_helm, tmp_path, {"a.yaml": deployment(ready=False)}, {"a.yaml": deployment(replicas=0)})

    ended = await roll_back(workload_helm, 1, timeout=timedelta(seconds=2))

    assert (ended.returncode, ended.reason) == (1, FailureReason.WAIT_TIMED_OUT)
    assert workload_helm.statuses("shop")[3] == "failed"


@pytest.mark.parametrize("event", ["pre-rollback", "post-rollback"])
async def test_a_hook_that_fails_is_a_failed_hook(workload_helm: Helm, tmp_path: Path, event: str) -> None:
    templates = {"a.yaml": config_map(a="1"), "h.yaml": job(hooks=[event], fails=True)}
    two_revisions(workload_helm, tmp_path, templates, templates)

    ended = await roll_back(workload_helm, 1, timeout=timedelta(seconds=20))

    assert (ended.returncode, ended.reason) == (1, FailureReason.HOOK_FAILED)
    assert workload_helm.statuses("shop")[3] == "pending-rollback"


async def test_a_hook_that_never_ends_is_a_failed_hook(workload_helm: Helm, tmp_path: Path) -> None:
    templates = {"a.yaml": config_map(a="1"), "h.yaml": job(hooks=["pre-rollback"], run_for="1h")}
    two_revisions(workload_helm, tmp_path, templates, templates)

    ended = await roll_back(workload_helm, 1, timeout=timedelta(seconds=2))

    assert (ended.returncode, ended.reason) == (1, FailureReason.HOOK_FAILED)

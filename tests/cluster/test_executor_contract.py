"""The real Helm and API server are held to the executor's contract: the same as the fakes."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from contract.executor.objects import Objects
from contract.executor.records import Records
from contract.executor.stage import HELM_3, HELM_4, Play
from contract.executor.suite import Executor, ExecutorWithWorkloads
from local_cluster import Client, LocalCluster
from support.charts import config_map, deployment, job, write_chart
from support.cluster import BIN_DIR
from support.helm import CURRENT, OLDER, Helm

from helm_rollback.application.ports import HelmProcess
from helm_rollback.bootstrap import upstream_of
from helm_rollback.cluster.reader import KubernetesCluster, connect
from helm_rollback.domain.release import ReleaseId
from helm_rollback.fence.gate import FenceGate
from helm_rollback.helm.process import HelmCommand
from helm_rollback.helm.process_identity import is_running
from helm_rollback.helm.version import find_helm

_GOOD = ({"a.yaml": config_map(a="1")}, {"a.yaml": config_map(a="2")})
_TEMPLATES = {
    Play.CURRENT_FAILED: ({"a.yaml": config_map(a="1", immutable=True)}, {"a.yaml": config_map(a="2", immutable=True)}),
    Play.APPLY_FAILS: ({"a.yaml": config_map(a="1")}, {"a.yaml": config_map(a="2", immutable=True)}),
    Play.WAIT_FAILS: ({"a.yaml": deployment(ready=False)}, {"a.yaml": config_map(a="2")}),
    Play.PRE_HOOK_FAILS: (_GOOD[0] | {"job.yaml": job(hooks=["pre-rollback"], fails=True)}, _GOOD[1]),
    Play.POST_HOOK_FAILS: (_GOOD[0] | {"job.yaml": job(hooks=["post-rollback"], fails=True)}, _GOOD[1]),
    Play.PRE_HOOK_HANGS: (_GOOD[0] | {"job.yaml": job(hooks=["pre-rollback"], run_for="60s")}, _GOOD[1]),
}
_TEMPLATES[Play.APPLY_FAILS_AGAIN] = _TEMPLATES[Play.CURRENT_FAILED]


class RealStage:
    """A namespace of a real cluster, with charts that end as the play demands."""

    def __init__(
        self, cluster: KubernetesCluster, client: Client, command: HelmCommand, by_hand: Helm, folder: Path
    ) -> None:
        self.release_id = ReleaseId("default", by_hand.namespace, "shop")
        self.ways = HELM_3 if by_hand.program.name == "helm3" else HELM_4
        self.cluster = cluster
        self.fence = FenceGate({"default": upstream_of(cluster)})
        self.helm = command
        self._client = client
        self._by_hand = by_hand
        self._folder = folder

    async def prepare(self, play: Play) -> None:
        first, second = _TEMPLATES.get(play, _GOOD)
        await self._run("install", "1.0.0", first)
        await self._run("upgrade", "2.0.0", second, check=play not in (Play.CURRENT_FAILED, Play.APPLY_FAILS_AGAIN))
        if play is Play.UNINSTALLED:
            await asyncio.to_thread(self._by_hand.uninstall, "shop", "--keep-history")

    async def upgrade_by_hand(self) -> None:
        await self._run("upgrade", "3.0.0", {"a.yaml": config_map(by="hand")})

    async def put_config_map(self, name: str, labels: dict[str, str], annotations: dict[str, str]) -> None:
        path = f"/api/v1/namespaces/{self.release_id.namespace}/configmaps"
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "labels": labels, "annotations": annotations},
        }
        if self._client.exists(f"{path}/{name}"):
            self._client.request("PUT", f"{path}/{name}", body)
        else:
            self._client.create(path, body)

    async def kill(self, process: HelmProcess) -> None:
        os.kill(process.pid, signal.SIGKILL)
        async with asyncio.timeout(5):
            while is_running(process):  # noqa: ASYNC110 - a child of the adapter's
                await asyncio.sleep(0.01)

    async def _run(self, command: str, version: str, templates: dict[str, str], *, check: bool = True) -> None:
        chart = write_chart(self._folder, version=version, templates=templates)
        await asyncio.to_thread(self._by_hand.run, command, "shop", chart, check=check)


@pytest.fixture(params=[CURRENT, *OLDER])
def program(request: pytest.FixtureRequest) -> Path:
    """Each Helm that the service works with."""
    return BIN_DIR / str(request.param)


async def staged(cluster: LocalCluster, by_hand: Helm, folder: Path) -> AsyncIterator[RealStage]:
    connected = connect("default", kubeconfig=str(cluster.kubeconfig))
    command = HelmCommand(await find_helm(str(by_hand.program)))
    yield RealStage(connected, cluster.client, command, by_hand, folder)
    await connected.close()


class TestRealExecutor(Executor):
    @pytest.fixture
    async def stage(
        self, local_cluster: LocalCluster, helm: Helm, program: Path, tmp_path: Path
    ) -> AsyncIterator[RealStage]:
        async for stage in staged(local_cluster, helm.of(program), tmp_path):
            yield stage


class TestRealExecutorWithWorkloads(ExecutorWithWorkloads):
    @pytest.fixture
    async def stage(
        self, workload_cluster: LocalCluster, workload_helm: Helm, program: Path, tmp_path: Path
    ) -> AsyncIterator[RealStage]:
        async for stage in staged(workload_cluster, workload_helm.of(program), tmp_path):
            yield stage


class TestRealRecords(Records):
    @pytest.fixture
    async def stage(self, local_cluster: LocalCluster, helm: Helm, tmp_path: Path) -> AsyncIterator[RealStage]:
        async for stage in staged(local_cluster, helm, tmp_path):
            yield stage


class TestRealObjects(Objects):
    @pytest.fixture
    async def stage(self, local_cluster: LocalCluster, helm: Helm, tmp_path: Path) -> AsyncIterator[RealStage]:
        async for stage in staged(local_cluster, helm, tmp_path):
            yield stage

"""The real Helm behind the fence: it works unchanged, and writes only what it may."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from local_cluster import LocalCluster
from support.charts import config_map, deployment, write_chart
from support.cluster import BIN_DIR
from support.helm import Helm

from helm_rollback.application.ports import HelmExit, HelmProcess, OpenFence, RecordWrite
from helm_rollback.domain.helm_call import HelmRollback
from helm_rollback.domain.helm_options import HelmOptions
from helm_rollback.domain.operation import FailureReason
from helm_rollback.domain.release import ReleaseId
from helm_rollback.domain.status import Status
from helm_rollback.fence.gate import FenceGate
from helm_rollback.fence.upstream import Upstream
from helm_rollback.helm.process import HelmCommand
from helm_rollback.helm.version import find_helm

STAMP = "[0195e0f0-0000-7000-8000-000000000001] Rollback to 1"
RECORD = "sh.helm.release.v1.shop.v"

Look = Callable[[RecordWrite], Awaitable[str]]


async def allow(_: RecordWrite) -> str:
    return ""


@dataclass
class Run:
    """One rollback through the fence, and what was seen of it."""

    helm: Helm
    cluster: LocalCluster
    folder: Path
    judge: Look = allow
    seconds_left: Callable[[], float] = lambda: 30.0
    judged: list[RecordWrite] = field(default_factory=list)
    processes: list[HelmProcess] = field(default_factory=list)
    fence: OpenFence | None = None

    async def to(self, revision: int) -> HelmExit:
        gate = FenceGate({"default": upstream_of(self.cluster)})
        async with gate.open("default", seconds_left=lambda: self.seconds_left(), judge=self._judge) as self.fence:
            return await self.run_helm(revision, self.fence.kubeconfig)

    async def run_helm(self, revision: int, kubeconfig: str) -> HelmExit:
        command = HelmCommand(await find_helm(str(BIN_DIR / "helm")), folder=self.folder)
        return await command.run(
            ReleaseId("default", self.helm.namespace, "shop"),
            HelmRollback(revision),
            options=HelmOptions(),
            description=STAMP,
            kubeconfig=kubeconfig,
            api_state="",
            started=self._started,
        )

    async def _judge(self, write: RecordWrite) -> str:
        self.judged.append(write)
        return await self.judge(write)

    async def _started(self, process: HelmProcess) -> None:
        self.processes.append(process)

    @property
    def touched(self) -> list[tuple[str, str]]:
        assert self.fence is not None
        return [(touched.method, touched.path.rpartition("/")[2]) for touched in self.fence.touched]


def upstream_of(cluster: LocalCluster) -> Upstream:
    url = urlsplit(cluster.server)

    async def authorization() -> str:
        return f"Bearer {cluster.token}"

    return Upstream(
        host=url.hostname or "",
        port=url.port or 443,
        server_hostname=url.hostname or "",
        ssl_context=ssl.create_default_context(cafile=str(cluster.ca_file)),
        base_path="",
        authorization=authorization,
    )


@pytest.fixture
def run(helm: Helm, local_cluster: LocalCluster, tmp_path: Path) -> Run:
    """A release with revisions 1 and 2, ready to be rolled back."""
    for version in ("1.0.0", "2.0.0"):
        templates = {"a.yaml": config_map(version=version), "b.yaml": config_map("{{ .Release.Name }}-b", a=version)}
        chart = write_chart(tmp_path, version=version, templates=templates)
        (helm.install if version == "1.0.0" else helm.upgrade)("shop", chart)
    return made(helm, local_cluster, tmp_path)


def made(helm: Helm, cluster: LocalCluster, tmp_path: Path) -> Run:
    folder = tmp_path / "private"
    folder.mkdir()
    return Run(helm, cluster, folder)


def live_version(run: Run) -> Any:
    return run.cluster.client.get(f"/api/v1/namespaces/{run.helm.namespace}/configmaps/shop")["data"]["version"]


async def test_helm_works_unchanged_through_the_fence(run: Run) -> None:
    ended = await run.to(1)

    assert (ended.returncode, ended.output) == (0, "Rollback was a success! Happy Helming!\n")
    assert live_version(run) == "1.0.0"
    assert run.helm.statuses("shop") == {1: "superseded", 2: "superseded", 3: "deployed"}
    assert run.helm.history_json("shop")[-1]["description"] == STAMP
    assert run.touched == [
        ("POST", "secrets"),
        ("PATCH", "shop"),
        ("PATCH", "shop-b"),
        ("PUT", f"{RECORD}2"),
        ("PUT", f"{RECORD}3"),
    ]


async def test_every_record_is_judged_with_its_content(run: Run) -> None:
    await run.to(1)

    seen = []
    for write in run.judged:
        assert write.namespace == run.helm.namespace
        assert write.stored is not None
        assert write.stored.record is not None
        assert write.stored.ref.status is write.stored.record.status
        seen.append((write.method, write.secret_name, write.stored.record.status, write.stored.record.description))
    assert seen == [
        ("POST", f"{RECORD}3", Status.PENDING_ROLLBACK, STAMP),
        ("PUT", f"{RECORD}2", Status.SUPERSEDED, "Upgrade complete"),
        ("PUT", f"{RECORD}3", Status.DEPLOYED, STAMP),
    ]
    assert run.judged[0].stored is not None
    assert run.judged[0].stored.record is not None
    assert run.judged[0].stored.record.rollback_target == 1


async def test_a_foreign_upgrade_slipped_in_before_helm_s_first_write(run: Run, tmp_path: Path) -> None:
    async def hold(_: RecordWrite) -> str:
        chart = write_chart(tmp_path, version="3.0.0", templates={"a.yaml": config_map(version="3.0.0")})
        await asyncio.to_thread(run.helm.upgrade, "shop", chart)
        return "current is revision 3, not 2"

    run.judge = hold
    ended = await run.to(1)

    assert (ended.returncode, ended.reason) == (1, FailureReason.EXTERNAL_CHANGE)
    assert "this release record is not passed: current is revision 3, not 2" in ended.output
    assert run.fence is not None
    assert run.fence.refused_records == tuple(run.judged)
    assert run.touched == []
    assert run.helm.statuses("shop") == {1: "superseded", 2: "superseded", 3: "deployed"}
    assert live_version(run) == "3.0.0"


async def test_without_the_lease_nothing_is_written(run: Run) -> None:
    run.seconds_left = lambda: 0.0

    ended = await run.to(1)

    assert (ended.returncode, ended.reason) == (1, FailureReason.INTERRUPTED)
    assert run.helm.statuses("shop") == {1: "superseded", 2: "deployed"}
    assert live_version(run) == "2.0.0"


async def test_a_lease_that_ends_on_the_way_stops_every_further_write(run: Run) -> None:
    left = iter([30.0])
    run.seconds_left = lambda: next(left, 0.0)

    ended = await run.to(1)

    assert (ended.returncode, ended.reason) == (1, FailureReason.INTERRUPTED)
    assert run.touched == [("POST", "secrets")]
    assert run.helm.statuses("shop")[3] == "pending-rollback"
    assert live_version(run) == "2.0.0"


async def test_a_helm_whose_fence_closed_finds_the_port_closed(run: Run) -> None:
    held = asyncio.Event()

    async def hold(_: RecordWrite) -> str:
        held.set()
        await asyncio.sleep(60)
        return ""

    run.judge = hold
    gate = FenceGate({"default": upstream_of(run.cluster)})
    async with gate.open("default", seconds_left=lambda: 30.0, judge=hold) as fence:
        running = asyncio.create_task(run.run_helm(1, fence.kubeconfig))
        await held.wait()

    ended = await running

    assert (ended.returncode, ended.reason) == (1, FailureReason.CLUSTER_UNREACHABLE)
    assert run.helm.statuses("shop") == {1: "superseded", 2: "deployed"}


async def test_an_api_server_that_is_away_is_unreachable(run: Run) -> None:
    nobody = Upstream(
        host="127.0.0.1", port=1, server_hostname="", ssl_context=None, base_path="", authorization=_no_authorization
    )
    async with FenceGate({"default": nobody}).open("default", seconds_left=lambda: 30.0, judge=allow) as fence:
        ended = await run.run_helm(1, fence.kubeconfig)

    assert (ended.returncode, ended.reason) == (1, FailureReason.CLUSTER_UNREACHABLE)


async def test_helm_holds_no_credential_of_the_cluster(run: Run) -> None:
    """Its environment, arguments and files are searched for the cluster's token while it runs."""
    seen: dict[str, bytes] = {}

    async def look(write: RecordWrite) -> str:
        seen.update(everything_of(run.processes[0].pid, run.folder))
        assert write.stored is not None
        seen[f"record {write.secret_name}"] = write.stored.payload
        return ""

    run.judge = look
    ended = await run.to(1)

    seen["output"] = ended.output.encode()
    names = " ".join(seen)
    assert ended.returncode == 0
    assert all(name in names for name in ("environ", "cmdline", "kubeconfig", "discovery"))
    assert run.fence is not None
    assert run.fence.kubeconfig.encode() in seen.values(), "the search would not find what is there"
    canary = run.cluster.token.encode()
    assert canary in run.helm.kubeconfig.read_bytes()
    assert [name for name, content in seen.items() if canary in content] == []
    assert list(run.folder.iterdir()) == []


async def test_a_wait_streams_through_the_fence(
    workload_helm: Helm, workload_cluster: LocalCluster, tmp_path: Path
) -> None:
    for replicas in (1, 2):
        chart = write_chart(tmp_path, templates={"a.yaml": deployment(replicas=replicas)})
        (workload_helm.install if replicas == 1 else workload_helm.upgrade)("shop", chart)
    run = made(workload_helm, workload_cluster, tmp_path)

    ended = await run.to(1)

    assert (ended.returncode, ended.output) == (0, "Rollback was a success! Happy Helming!\n")
    live = workload_cluster.client.get(f"/apis/apps/v1/namespaces/{workload_helm.namespace}/deployments/shop")
    assert live["status"]["readyReplicas"] == 1


async def _no_authorization() -> str:
    return ""


def everything_of(pid: int, folder: Path) -> Iterator[tuple[str, bytes]]:
    """What a process was given, and every file of its folder."""
    for name in ("environ", "cmdline"):
        yield name, Path(f"/proc/{pid}/{name}").read_bytes()
    for path in folder.rglob("*"):
        if path.is_file():
            yield str(path), path.read_bytes()

"""The fakes are held to the executor's contract."""

from __future__ import annotations

import asyncio

import pytest
from contract.executor.objects import Objects
from contract.executor.records import Records
from contract.executor.stage import HELM_4, Play
from contract.executor.suite import Executor, ExecutorWithWorkloads
from support.fakes import (
    Chart,
    FakeCluster,
    FakeFence,
    FakeHelm,
    ForeignHelm,
    HelmRun,
    Point,
    RunEnd,
    config_map,
    hook,
)

from helm_rollback.application.ports import HelmProcess
from helm_rollback.domain.release import ReleaseId

FIRST, SECOND = Chart(version="1.0.0"), Chart(version="2.0.0")
_ENDS = {
    Play.APPLY_FAILS: RunEnd.APPLY_FAILS,
    Play.APPLY_FAILS_AGAIN: RunEnd.APPLY_FAILS,
    Play.WAIT_FAILS: RunEnd.WAIT_FAILS,
    Play.PRE_HOOK_FAILS: RunEnd.PRE_HOOK_FAILS,
    Play.POST_HOOK_FAILS: RunEnd.POST_HOOK_FAILS,
}
_HOOKS = {
    Play.PRE_HOOK_FAILS: "pre-rollback",
    Play.PRE_HOOK_HANGS: "pre-rollback",
    Play.POST_HOOK_FAILS: "post-rollback",
}


class FakeStage:
    """The fakes, told to end as the play demands."""

    def __init__(self, *, writes_stamp: bool) -> None:
        self.release_id = ReleaseId("default", "prod", "shop")
        self.ways = HELM_4
        self.cluster = FakeCluster()
        self.fence = FakeFence({"default": self.cluster})
        self.helm = FakeHelm(self.fence, writes_stamp=writes_stamp)
        self._by_hand = ForeignHelm(self.cluster)

    async def prepare(self, play: Play) -> None:
        hooks = (hook(_HOOKS[play]),) if play in _HOOKS else ()
        self._by_hand.install(Chart(version="1.0.0", hooks=hooks))
        self._by_hand.upgrade(SECOND, fails=play in (Play.CURRENT_FAILED, Play.APPLY_FAILS_AGAIN))
        if play is Play.UNINSTALLED:
            self._by_hand.uninstall(keep_history=True)
        if play is Play.PRE_HOOK_HANGS:
            self.helm.hold(Point.AFTER_CREATE)
        self.helm.scripts.append(HelmRun(end=_ENDS.get(play, RunEnd.SUCCESS)))

    async def upgrade_by_hand(self) -> None:
        self._by_hand.upgrade(Chart(version="3.0.0", manifest=config_map(by="hand")))

    async def put_config_map(self, name: str, labels: dict[str, str], annotations: dict[str, str]) -> None:
        live = self.cluster.objects.put(name, labels=labels, annotations=annotations)
        metadata = {"name": name, "labels": live.labels, "annotations": live.annotations, "uid": live.uid}
        self.cluster.contents.put(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}, namespace=self.release_id.namespace
        )

    async def kill(self, process: HelmProcess) -> None:
        self.helm.kill(process)
        await asyncio.sleep(0)


class Staged:
    """The stage for the fake of a Helm that stamps its records."""

    @pytest.fixture
    def stage(self) -> FakeStage:
        return FakeStage(writes_stamp=True)


class StagedWithoutStamp:
    """The stage for the fake of an older one."""

    @pytest.fixture
    def stage(self) -> FakeStage:
        return FakeStage(writes_stamp=False)


class TestFakeExecutor(Staged, Executor):
    pass


class TestFakeExecutorWithWorkloads(Staged, ExecutorWithWorkloads):
    pass


class TestFakeRecords(Staged, Records):
    pass


class TestOlderFakeExecutor(StagedWithoutStamp, Executor):
    pass


class TestOlderFakeExecutorWithWorkloads(StagedWithoutStamp, ExecutorWithWorkloads):
    pass


class TestFakeObjects(Staged, Objects):
    pass

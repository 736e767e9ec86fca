"""The cluster goes away for a moment, in the middle of the few steps that an operation's end depends on."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration
from support.fakes import Chart, FakeCluster, HelmRun, Point, RunEnd
from support.fakes.documents import Document, hook
from support.recovery import history, killed_at, outcome_after_restart, reason, with_two_revisions
from support.service import rollback_request
from support.world import World

from helm_rollback.domain.errors import ClusterUnreachable
from helm_rollback.domain.record import RecordRef, StoredRecord
from helm_rollback.v1.release_pb2 import Failure, Operation

WAIT = Duration(seconds=20)


class FickleCluster(FakeCluster):
    """Does not answer the first requests of a kind."""

    def __init__(self) -> None:
        super().__init__()
        self.unanswered: Counter[str] = Counter()
        """How many requests are not answered yet, by method."""

    async def set_failed(self, stored: StoredRecord, *, description: str) -> StoredRecord:
        self._answer("set_failed")
        return await super().set_failed(stored, description=description)

    async def delete_record(self, ref: RecordRef) -> None:
        self._answer("delete_record")
        await super().delete_record(ref)

    def _answer(self, method: str) -> None:
        if self.unanswered[method]:
            self.unanswered[method] -= 1
            raise ClusterUnreachable("default", "no answer in time")


@pytest.fixture
def cluster() -> FickleCluster:
    return FickleCluster()


@pytest.fixture
def world(tmp_path: Path, cluster: FickleCluster) -> World:
    return World(folder=tmp_path, cluster=cluster)


async def test_a_dead_attempts_record_is_removed_when_the_cluster_answers_again(
    world: World, cluster: FickleCluster
) -> None:
    async with world:
        with_two_revisions(world)
        killed = await killed_at(world, Point.AFTER_CREATE)
        cluster.unanswered["delete_record"] = 2

        ended = await outcome_after_restart(world, killed)

    assert (ended.state, ended.attempt, ended.result_revision) == (Operation.SUCCEEDED, 2, 3)
    assert cluster.unanswered["delete_record"] == 0
    assert world.by_hand.statuses == {1: "superseded", 2: "superseded", 3: "deployed"}


async def test_a_pending_record_is_set_failed_when_the_cluster_answers_again(
    world: World, cluster: FickleCluster
) -> None:
    async with world:
        with_two_revisions(world, Chart(version="1.0.0", hooks=(hook("pre-rollback"),)))
        world.helm.scripts.append(HelmRun(end=RunEnd.PRE_HOOK_FAILS))
        cluster.unanswered["set_failed"] = 2
        service = await world.start()

        ended = (await service.rollbacks.Rollback(rollback_request(wait_timeout=WAIT))).operation
        told = await history(service)

    assert (reason(ended), ended.failure.applied) == ("HOOK_FAILED", Failure.NOT_APPLIED)
    assert "stays" not in ended.failure.message
    assert cluster.unanswered["set_failed"] == 0
    assert world.by_hand.statuses[3] == "failed"
    assert told[-2:] == ["revision 3 PENDING_ROLLBACK → FAILED", "operation FAILED"]
    assert len(world.helm.started) == 1, "Helm's own end stands"


async def test_a_record_that_may_not_be_set_failed_is_told_to_stay(world: World, cluster: FickleCluster) -> None:
    async with world:
        with_two_revisions(world, Chart(version="1.0.0", hooks=(hook("pre-rollback"),)))
        world.helm.scripts.append(HelmRun(end=RunEnd.PRE_HOOK_FAILS))
        cluster.denied.add("update")
        service = await world.start()

        ended = (await service.rollbacks.Rollback(rollback_request(wait_timeout=WAIT))).operation

    assert reason(ended) == "HOOK_FAILED"
    assert "its record stays pending-rollback" in ended.failure.message
    assert world.by_hand.statuses[3] == "pending-rollback"


async def test_a_dead_attempts_record_that_may_not_be_removed_is_set_failed(
    world: World, cluster: FickleCluster
) -> None:
    """Without the removal a further attempt would take the half-applied copy as its base, so there is none."""
    async with world:
        with_two_revisions(world)
        killed = await killed_at(world, Point.AFTER_CREATE)
        cluster.denied.add("delete")

        ended = await outcome_after_restart(world, killed)

    assert (reason(ended), ended.attempt, ended.result_revision) == ("INTERRUPTED", 1, 3)
    assert "delete secrets" in ended.failure.message
    assert len(world.helm.started) == 1
    assert world.by_hand.statuses == {1: "superseded", 2: "deployed", 3: "failed"}


@pytest.mark.parametrize("hooks", [(), (hook("pre-rollback"),)], ids=["no hooks", "hooks"])
async def test_where_a_dead_attempts_record_may_not_be_touched_at_all_that_is_told(
    world: World, cluster: FickleCluster, hooks: tuple[Document, ...]
) -> None:
    async with world:
        with_two_revisions(world, Chart(version="1.0.0", hooks=hooks))
        killed = await killed_at(world, Point.AFTER_CREATE)
        cluster.denied |= {"delete", "update"}

        ended = await outcome_after_restart(world, killed)

    assert (reason(ended), ended.attempt) == ("INTERRUPTED", 1)
    assert "its record stays pending-rollback" in ended.failure.message
    assert world.by_hand.statuses == {1: "superseded", 2: "deployed", 3: "pending-rollback"}

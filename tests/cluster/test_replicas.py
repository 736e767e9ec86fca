"""Three services on one PostgreSQL: one may die, or stand still, at any moment, and the others go on where it was."""

import time
from pathlib import Path

import pytest
from support.audit import AuditLog
from support.by_hand import ByHand
from support.calls import WAIT, state
from support.held_writes import CREATE, FINISH, SUPERSEDE
from support.helm import Helm
from support.replica_process import LEASE, ReplicaProcess, StartReplicas, others_than, the_one
from support.streams import sequences
from support.waiting import eventually

from helm_rollback.fence.refusals import LEASE_LOST
from helm_rollback.v1.release_pb2 import Operation
from helm_rollback.v1.rollback_service_pb2 import GetOperationRequest, RollbackRequest, WaitOperationRequest

pytest_plugins = ["support.replicas", "support.services"]

TAKE_OVER = LEASE + 2.0
"""Seconds within which another replica has gone on."""


@pytest.fixture
def shop(namespace: str) -> str:
    return f"default.{namespace}.shop"


@pytest.fixture
def by_hand(helm: Helm, tmp_path: Path) -> ByHand:
    """Two revisions."""
    by_hand = ByHand(helm, tmp_path)
    by_hand.install("1.0.0")
    by_hand.upgrade("1.1.0")
    return by_hand


def held_at(write: str, replicas: list[ReplicaProcess], shop: str) -> tuple[ReplicaProcess, Operation, str]:
    """Roll back to revision 1; the replica that does it, whose Helm is held there, the operation and a token."""
    for replica in replicas:
        replica.held_writes.hold(write)
    answer = replicas[0].rollbacks.Rollback(RollbackRequest(release_id=shop, target_revision=1))
    runner = the_one(replicas, lambda one: one.claimed(answer.operation.operation_id), "one has claimed it")
    runner.held_writes.until_held(write)
    for replica in others_than(runner, replicas):
        replica.held_writes.release(write)
    return runner, answer.operation, answer.resume_token


def operation_on(replica: ReplicaProcess, operation_id: str) -> Operation:
    return replica.rollbacks.GetOperation(GetOperationRequest(operation_id=operation_id)).operation


def settled_on(replica: ReplicaProcess, operation_id: str) -> Operation:
    request = WaitOperationRequest(operation_id=operation_id, timeout=WAIT)
    return replica.rollbacks.WaitOperation(request).operation


def assert_without_gap(numbers: list[int]) -> None:
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


@pytest.mark.parametrize("write", [CREATE, SUPERSEDE, FINISH])
def test_what_a_killed_replica_carried_out_is_taken_over(
    replicas: list[ReplicaProcess], by_hand: ByHand, shop: str, write: str
) -> None:
    runner, accepted, token = held_at(write, replicas, shop)
    one, other = others_than(runner, replicas)
    with one.stream(shop, resume_token=token, until=accepted.operation_id) as stream:
        stream.until_told("operation RUNNING")
        runner.kill()
        killed = time.monotonic()
        the_one([one, other], lambda replica: replica.claimed(accepted.operation_id), "another has claimed it")
        took = time.monotonic() - killed
        stream.until_ended()

    operation = settled_on(other, accepted.operation_id)
    assert took < TAKE_OVER
    assert (state(operation), operation.attempt, operation.result_revision) == ("SUCCEEDED", 2, 3)
    assert by_hand.statuses == {1: "superseded", 2: "superseded", 3: "deployed"}
    assert by_hand.charts[3] == "1.0.0"
    assert_without_gap(sequences(stream.events))
    assert stream.told[-1] == "operation SUCCEEDED"
    by_hand.upgrade("1.2.0")


@pytest.mark.parametrize("write", [CREATE, SUPERSEDE, FINISH])
def test_a_replica_that_was_paused_past_its_lease_writes_nothing_more(
    start_replicas: StartReplicas,
    audit_log: AuditLog,
    by_hand: ByHand,
    namespace: str,
    shop: str,
    write: str,
) -> None:
    """Nor does its Helm, which another replica can not end where it runs on another machine."""
    replicas = start_replicas("one", "two", "three", far=True)
    runner, accepted, token = held_at(write, replicas, shop)
    one, other = others_than(runner, replicas)
    with one.stream(shop, resume_token=token, until=accepted.operation_id) as stream:
        runner.pause()
        stream.until_ended()
    operation, written = operation_on(other, accepted.operation_id), audit_log.writes(namespace)
    told = len(stream.events)

    runner.held_writes.release(write)
    runner.resume()
    eventually(lambda: runner.logged(f"operation {accepted.operation_id} is left to its next claim"), "it gives up")

    assert (state(operation), operation.attempt) == ("SUCCEEDED", 2)
    assert operation_on(runner, accepted.operation_id) == operation
    assert audit_log.writes(namespace) == written
    assert runner.logged("write refused")
    if write != CREATE:  # that one is refused since the release is another by now
        assert runner.logged("write refused", refusal=LEASE_LOST)
    with runner.stream(shop, resume_token=token) as again:
        assert len(again.events) == told
    assert by_hand.statuses == {1: "superseded", 2: "superseded", 3: "deployed"}

"""Asked to end while Helm runs: nothing new is begun, all are told, Helm ends, and asking again changes nothing."""

import os
import signal
import threading
from pathlib import Path

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from support.by_hand import ByHand
from support.calls import WAIT, Refusal, refusal_of, state
from support.held_writes import CREATE, FINISH, HeldWrites
from support.helm import Helm
from support.process import RunService, ServiceProcess
from support.waiting import eventually

from helm_rollback.v1.release_service_pb2 import GetReleaseRequest
from helm_rollback.v1.rollback_service_pb2 import (
    GetOperationRequest,
    RollbackLastSuccessfulRequest,
    RollbackRequest,
    WaitOperationRequest,
)

pytest_plugins = ["support.services"]


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


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_while_helm_runs_changes_nothing(
    held_service: ServiceProcess, held_writes: HeldWrites, by_hand: ByHand, shop: str, second: signal.Signals
) -> None:
    service = held_service
    held_writes.hold(FINISH)
    accepted = service.rollbacks.Rollback(RollbackRequest(release_id=shop, target_revision=1)).operation
    held_writes.until_held(FINISH)
    with service.stream(shop) as stream:
        service.ask_to_end()
        stream.until_ended()

    os.kill(service.pid, second)
    refused = [
        refusal_of(lambda: service.rollbacks.Rollback(RollbackRequest(release_id=shop, target_revision=2))),
        refusal_of(lambda: service.rollbacks.RollbackLastSuccessful(RollbackLastSuccessfulRequest(release_id=shop))),
        Refusal.of(stream.error),
    ]
    looked_at = service.rollbacks.GetOperation(GetOperationRequest(operation_id=accepted.operation_id)).operation
    health = HealthStub(service.channel).Check(HealthCheckRequest())
    before_its_last_word = by_hand.statuses
    held_writes.release(FINISH)

    assert service.wait() == 0
    assert before_its_last_word == {1: "superseded", 2: "superseded", 3: "pending-rollback"}, "the signals came earlier"
    assert by_hand.statuses == {1: "superseded", 2: "superseded", 3: "deployed"}
    assert {(one.code, one.reason) for one in refused} == {(grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING")}
    assert all(one.retry_after is not None for one in refused)
    assert state(looked_at) == "RUNNING"
    assert health.status == HealthCheckResponse.NOT_SERVING
    service.start()
    ended = service.rollbacks.GetOperation(GetOperationRequest(operation_id=accepted.operation_id)).operation
    assert (state(ended), ended.attempt) == ("SUCCEEDED", 1)


def test_who_waits_for_an_outcome_is_answered_with_the_operation_as_it_is(
    held_service: ServiceProcess, held_writes: HeldWrites, by_hand: ByHand, shop: str
) -> None:
    service = held_service
    held_writes.hold(CREATE)
    call = service.rollbacks.Rollback.future(
        RollbackRequest(release_id=shop, target_revision=1, wait_timeout=WAIT), timeout=60
    )
    held_writes.until_held(CREATE)
    operation_id = _running(service, shop)
    wait = service.rollbacks.WaitOperation.future(
        WaitOperationRequest(operation_id=operation_id, timeout=WAIT), timeout=60
    )

    service.ask_to_end()
    answers = [call.result().operation, wait.result().operation]
    held_writes.release(CREATE)

    assert service.wait() == 0
    assert [state(answer) for answer in answers] == ["RUNNING", "RUNNING"]
    assert by_hand.statuses[3] == "deployed"


def test_signals_until_the_very_end_do_not_spoil_the_exit_code(
    run_service: RunService, by_hand: ByHand, shop: str
) -> None:
    """A supervisor that has lost its patience sends them every few milliseconds; the last meet a process that ends."""
    service = run_service()
    assert state(service.roll_back(shop, 1)) == "SUCCEEDED"
    over = threading.Event()

    def keep_asking() -> None:
        while not over.wait(0.002):
            try:
                service.ask_to_end()
            except (AssertionError, ProcessLookupError):
                return

    asking = threading.Thread(target=keep_asking)
    asking.start()
    try:
        code = service.wait()
    finally:
        over.set()
        asking.join()

    assert code == 0
    assert "Traceback" not in service.stderr


def _running(service: ServiceProcess, shop: str) -> str:
    def active() -> str:
        return service.releases.GetRelease(GetReleaseRequest(release_id=shop)).release.active_operation_id

    eventually(active, "the operation is under way")
    return active()

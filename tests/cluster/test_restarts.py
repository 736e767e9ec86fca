"""The service dies, or is asked to end, in the middle of its work: nothing is lost, told twice or left half-way."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from support.by_hand import ByHand
from support.calls import WAIT, Refusal, failure_reason, refusal_of, state
from support.charts import config_map
from support.held_writes import CREATE, FINISH, SUPERSEDE, HeldWrites
from support.helm import Helm
from support.process import HELD_SERVICE, RunService, ServiceProcess
from support.streams import sequences, tell
from support.waiting import eventually

from helm_rollback.v1.release_pb2 import Operation
from helm_rollback.v1.rollback_service_pb2 import (
    GetOperationRequest,
    RollbackRequest,
    RollbackResponse,
    WaitOperationRequest,
)

pytest_plugins = ["support.services"]

CLAIMED_WITHIN = 2.0
"""Seconds after it is ready."""
LEASE = ("--lease", "1s")
"""What a dead process held is free again after that."""


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


@pytest.fixture
def held(run_service: RunService, held_writes: HeldWrites) -> ServiceProcess:
    """A service whose Helm can be held, and whose successor does not wait long for its lease."""
    return run_service(*LEASE, program=HELD_SERVICE, environment=held_writes.environment)


@pytest.mark.parametrize("write", [CREATE, SUPERSEDE, FINISH])
def test_a_rollback_whose_service_was_killed_is_carried_out_by_the_next(
    held: ServiceProcess, held_writes: HeldWrites, by_hand: ByHand, shop: str, write: str
) -> None:
    """Before Helm wrote anything, in its middle, and right before its last write. Streams go on over it."""
    held_writes.hold(write)
    answer = held.rollbacks.Rollback(RollbackRequest(release_id=shop, target_revision=1))
    with held.stream(shop, resume_token=answer.resume_token) as before:
        held_writes.until_held(write)
        before.until_told("operation RUNNING")
        held.kill()
        before.until_ended()
    held_writes.release(write)
    held.start()

    with held.stream(shop, resume_token=before.tokens[-1]) as after:
        operation = after.until_settled(answer.operation.operation_id)

    assert state(operation) == "SUCCEEDED"
    assert operation.attempt == 2
    assert by_hand.charts[3] == "1.0.0"
    assert by_hand.statuses == {1: "superseded", 2: "superseded", 3: "deployed"}
    numbers = sequences(before.events + after.events)
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    by_hand.upgrade("1.2.0")


def test_what_a_dead_process_held_is_claimed_as_soon_as_the_next_is_ready(
    run_service: RunService, held_writes: HeldWrites, by_hand: ByHand, shop: str
) -> None:
    """Its lease of half a minute has hardly begun, but nobody else can have the ledger's file."""
    service = run_service(program=HELD_SERVICE, environment=held_writes.environment)
    held_writes.hold(FINISH)
    answer = service.rollbacks.Rollback(RollbackRequest(release_id=shop, target_revision=1))
    held_writes.until_held(FINISH)
    service.kill()
    held_writes.release(FINISH)

    service.start()
    ready = time.monotonic()
    eventually(lambda: service.stderr.count('"operation claimed"') == 2, "it is claimed again")
    took = time.monotonic() - ready

    assert took < CLAIMED_WITHIN
    assert state(_wait(service, answer.operation.operation_id)) == "SUCCEEDED"


def test_what_helm_had_finished_is_not_done_again(
    run_service: RunService, make_helm: Callable[[str], Path], by_hand: ByHand, shop: str, tmp_path: Path
) -> None:
    """Helm has written its last record and lingers; the service dies, and its successor reads what was done."""
    lingering = tmp_path / "lingering"
    linger = f'[ "$1" = rollback ] && echo $$ > {lingering} && while :; do sleep 0.1; done'
    service = run_service(*LEASE, helm=make_helm(f'$HELM "$@" || exit\n{linger}\nexit 0'))
    answer = service.rollbacks.Rollback(RollbackRequest(release_id=shop, target_revision=1))
    eventually(lambda: lingering.exists() and lingering.read_text(), "Helm has done its work")
    orphan = int(lingering.read_text())

    service.restart()
    operation = _wait(service, answer.operation.operation_id)

    assert state(operation) == "SUCCEEDED"
    assert (operation.attempt, operation.result_revision) == (1, 3)
    assert operation.outcome_evidence == Operation.RECONSTRUCTED
    assert by_hand.statuses == {1: "superseded", 2: "superseded", 3: "deployed"}
    eventually(lambda: not _runs(orphan), "the Helm that outlived its service is ended")


def test_rollback_hooks_are_not_run_twice(
    held: ServiceProcess, held_writes: HeldWrites, helm: Helm, shop: str, tmp_path: Path
) -> None:
    """A hook may have migrated a database; whether once is enough, only a person knows."""
    by_hand = ByHand(helm, tmp_path)
    hook = config_map("migration", a="1").replace("\ndata:", "\n  annotations: {helm.sh/hook: pre-rollback}\ndata:")
    by_hand.install("1.0.0", hook=hook)
    by_hand.upgrade("1.1.0")
    held_writes.hold(FINISH)
    answer = held.rollbacks.Rollback(RollbackRequest(release_id=shop, target_revision=1))
    held_writes.until_held(FINISH)

    held.kill()
    held_writes.release(FINISH)
    held.start()
    operation = _wait(held, answer.operation.operation_id)

    assert failure_reason(operation) == "INTERRUPTED"
    assert operation.attempt == 1
    assert by_hand.statuses[3] == "failed"
    by_hand.upgrade("1.2.0")


def test_one_request_id_names_one_operation_across_restarts(
    run_service: RunService, by_hand: ByHand, shop: str
) -> None:
    def ask(**changed: object) -> RollbackResponse:
        content = {"target_revision": 1, "reason": "orders fail", **changed}
        request_id = "5f0c1f2e-8f3b-4a53-9d0e-0a4b8f1f7a11"
        return service.rollbacks.Rollback(RollbackRequest(release_id=shop, request_id=request_id, **content))  # type: ignore[arg-type]

    service = run_service()
    first = ask(wait_timeout=WAIT)

    again = ask()
    service.restart()
    after_a_restart = ask()
    other = refusal_of(lambda: ask(reason="something else"))

    assert state(first.operation) == "SUCCEEDED"
    assert again == after_a_restart == first
    assert (other.code, other.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")
    assert other.metadata["operationId"] == first.operation.operation_id
    assert len(by_hand.statuses) == 3


def test_a_stream_opened_with_any_earlier_token_tells_exactly_the_rest(
    run_service: RunService, by_hand: ByHand, shop: str
) -> None:
    service = run_service()
    for target in (1, 2):
        service.rollbacks.Rollback(RollbackRequest(release_id=shop, target_revision=target, wait_timeout=WAIT))
    with service.stream(shop) as whole:
        past = [response for response in whole.responses if response.HasField("event")]
    service.restart()

    for cut, response in enumerate(past):
        with service.stream(shop, resume_token=response.resume_token) as rest:
            assert [tell(event) for event in rest.events] == [tell(r.event) for r in past[cut + 1 :]]
            assert sequences(rest.events) == sequences([r.event for r in past[cut + 1 :]])


def test_sigterm_lets_helm_end_and_leaves_what_waits_to_the_next_process(
    run_service: RunService, held_writes: HeldWrites, by_hand: ByHand, shop: str, namespace: str
) -> None:
    by_hand.helm.install("other", by_hand.chart("1.0.0").rename(by_hand.folder / "other"), "--set", "a=b")
    service = run_service("--max-helm", "1", program=HELD_SERVICE, environment=held_writes.environment)
    held_writes.hold(CREATE)
    running = service.rollbacks.Rollback(RollbackRequest(release_id=shop, target_revision=1)).operation
    held_writes.until_held(CREATE)
    waiting = service.rollbacks.Rollback(
        RollbackRequest(release_id=f"default.{namespace}.other", target_revision=1)
    ).operation
    with service.stream(shop) as stream:
        service.ask_to_end()
        stream.until_ended()
    drained = Refusal.of(stream.error)
    assert (drained.code, drained.reason) == (grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING")
    held_writes.release(CREATE)

    assert service.wait() == 0
    assert by_hand.statuses[3] == "deployed"
    assert by_hand.helm.statuses("other") == {1: "deployed"}, "nothing new was begun"
    service.start()
    ended = service.rollbacks.GetOperation(GetOperationRequest(operation_id=running.operation_id)).operation
    assert (state(ended), ended.attempt) == ("SUCCEEDED", 1)
    assert state(_wait(service, waiting.operation_id)) == "SUCCEEDED"


def _wait(service: ServiceProcess, operation_id: str) -> Operation:
    request = WaitOperationRequest(operation_id=operation_id, timeout=WAIT)
    return service.rollbacks.WaitOperation(request).operation


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"

"""The ledger's disk is full in the middle of a rollback.

Brought about by a limit on the size of files that the process may write (RLIMIT_FSIZE),
set from outside and taken away again: to SQLite a write that fails.
"""

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from support.altered import ALTERED_SERVICE, HEALTH_PAUSE, altered
from support.by_hand import ByHand
from support.calls import WAIT, refusal_of, state
from support.held_writes import CREATE, FINISH, HeldWrites
from support.helm import Helm
from support.process import RunService, ServiceProcess
from support.streams import sequences
from support.waiting import eventually

from helm_rollback.v1.release_service_pb2 import ListRevisionsRequest
from helm_rollback.v1.rollback_service_pb2 import GetOperationRequest, RollbackRequest

pytest_plugins = ["support.services"]


@pytest.fixture
def shop(namespace: str) -> str:
    return f"default.{namespace}.shop"


@pytest.fixture
def other(by_hand: ByHand, namespace: str) -> str:
    """Another release."""
    by_hand.helm.install("other", by_hand.chart("1.0.0").rename(by_hand.folder / "other"))
    return f"default.{namespace}.other"


@pytest.fixture
def by_hand(helm: Helm, tmp_path: Path) -> ByHand:
    """Two revisions."""
    by_hand = ByHand(helm, tmp_path)
    by_hand.install("1.0.0")
    by_hand.upgrade("1.1.0")
    return by_hand


LEASE_LOST = 1.2
"""Seconds after which a lease of one second, that could not be renewed, is over."""


@pytest.mark.parametrize(("lease", "attempts"), [("30s", 1), ("1s", 2)], ids=["shorter than the lease", "longer"])
def test_a_full_disk_in_the_middle_of_a_rollback_loses_nothing(
    run_service: RunService,
    held_writes: HeldWrites,
    by_hand: ByHand,
    shop: str,
    other: str,
    lease: str,
    attempts: int,
) -> None:
    """Helm is about to write its last word when nothing can be written down any more.

    Where that lasts longer than the lease, the fence shuts, and Helm is started anew afterwards.
    """
    service = run_service(
        *("--lease", lease),
        program=ALTERED_SERVICE,
        environment={**altered({HEALTH_PAUSE: 0.2}), **held_writes.environment},
    )
    health = HealthStub(service.channel)
    held_writes.hold(FINISH)
    answer = service.rollbacks.Rollback(RollbackRequest(release_id=shop, target_revision=1))
    operation_id = answer.operation.operation_id
    held_writes.until_held(FINISH)
    stream = service.stream(shop, resume_token=answer.resume_token)
    stream.until_told("revision 2 DEPLOYED → SUPERSEDED")

    with _disk_full(service):
        eventually(lambda: _serving(health) == HealthCheckResponse.NOT_SERVING, "health says so")
        refused = refusal_of(lambda: service.rollbacks.Rollback(RollbackRequest(release_id=other, target_revision=1)))
        looked_at = service.rollbacks.GetOperation(GetOperationRequest(operation_id=operation_id)).operation
        listed = service.releases.ListRevisions(ListRevisionsRequest(release_id=shop)).revisions
        if attempts > 1:
            lost = time.monotonic() + LEASE_LOST
            eventually(lambda: time.monotonic() > lost, "the lease is over")
        held_writes.release(FINISH)
        if attempts == 1:
            eventually(lambda: by_hand.statuses[3] == "deployed", "Helm has ended")
        told_meanwhile = len(stream.told)
    operation = stream.until_settled(operation_id)
    stream.close()
    eventually(lambda: _serving(health) == HealthCheckResponse.SERVING, "health says so again")
    afterwards = service.rollbacks.Rollback(
        RollbackRequest(release_id=other, target_revision=1, wait_timeout=WAIT)
    ).operation

    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
    assert refused.retry_after is not None
    assert state(looked_at) == "RUNNING", "what was written before is there to be read"
    assert [revision.revision for revision in listed] == [3, 2, 1]
    assert told_meanwhile == 4
    assert (state(operation), operation.attempt) == ("SUCCEEDED", attempts)
    assert by_hand.statuses == {1: "superseded", 2: "superseded", 3: "deployed"}
    assert by_hand.charts[3] == "1.0.0"
    numbers = sequences(stream.events)
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert state(afterwards) == "SUCCEEDED"
    by_hand.assert_free()


def test_what_was_acknowledged_before_the_disk_was_full_survives_a_crash_meanwhile(
    run_service: RunService, held_writes: HeldWrites, by_hand: ByHand, shop: str
) -> None:
    service = run_service(
        "--lease", "1s", program=ALTERED_SERVICE, environment={**altered({}), **held_writes.environment}
    )
    held_writes.hold(CREATE)
    accepted = service.rollbacks.Rollback(RollbackRequest(release_id=shop, target_revision=1)).operation
    held_writes.until_held(CREATE)

    with _disk_full(service):
        refused = refusal_of(lambda: service.rollbacks.Rollback(RollbackRequest(release_id=shop, target_revision=2)))
        service.kill()
    held_writes.release(CREATE)
    service.start()
    with service.stream(shop, until=accepted.operation_id) as stream:
        operation = stream.until_settled(accepted.operation_id)

    assert refused.reason in ("STORE_UNAVAILABLE", "OPERATION_IN_PROGRESS")
    assert state(operation) == "SUCCEEDED"
    assert by_hand.statuses == {1: "superseded", 2: "superseded", 3: "deployed"}


@contextmanager
def _disk_full(service: ServiceProcess) -> Iterator[None]:
    """While the block lasts the process can write to no file."""
    pid, (soft, hard) = service.pid, resource.prlimit(service.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        if Path(f"/proc/{pid}").exists():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))


def _serving(health: HealthStub) -> HealthCheckResponse.ServingStatus.ValueType:
    answer: HealthCheckResponse = health.Check(HealthCheckRequest())
    return answer.status

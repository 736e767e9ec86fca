"""The API server is away: the ledger is served all the same, and everything comes right by itself.

A cluster of its own, since others use the shared one.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from local_cluster import LocalCluster
from support.by_hand import ByHand
from support.calls import WAIT, failure_reason, refusal_of, state
from support.cluster import BIN_DIR
from support.held_writes import CREATE, FINISH, HeldWrites
from support.helm import Helm
from support.process import HELD_SERVICE, RunService

from helm_rollback.v1.history_pb2 import RevisionTransition
from helm_rollback.v1.release_pb2 import Failure
from helm_rollback.v1.release_service_pb2 import ListRevisionsRequest
from helm_rollback.v1.rollback_service_pb2 import RollbackRequest

pytest_plugins = ["support.services"]


@pytest.fixture(scope="module")
def frail_cluster() -> Iterator[LocalCluster]:
    """A cluster whose API server these tests take down; each finds it up."""
    with LocalCluster(BIN_DIR) as cluster:
        yield cluster


@pytest.fixture
def frail_namespace(frail_cluster: LocalCluster) -> str:
    name = f"t-{uuid.uuid4().hex[:8]}"
    frail_cluster.create_namespace(name)
    return name


@pytest.fixture
def shop(frail_namespace: str) -> str:
    return f"default.{frail_namespace}.shop"


@pytest.fixture
def by_hand(frail_cluster: LocalCluster, frail_namespace: str, tmp_path: Path) -> ByHand:
    """Two revisions."""
    by_hand = ByHand(Helm(BIN_DIR / "helm", frail_cluster.kubeconfig, frail_namespace, tmp_path), tmp_path)
    by_hand.install("1.0.0")
    by_hand.upgrade("1.1.0")
    return by_hand


def test_a_repeated_request_is_answered_and_a_new_one_refused(
    frail_cluster: LocalCluster, run_service: RunService, by_hand: ByHand, shop: str
) -> None:
    def ask(number: int) -> RollbackRequest:
        request_id = str(uuid.UUID(int=number))
        return RollbackRequest(release_id=shop, target_revision=1, request_id=request_id, wait_timeout=WAIT)

    service = run_service(kubeconfig=frail_cluster.kubeconfig)
    first = service.rollbacks.Rollback(ask(1))

    with _down(frail_cluster):
        again = service.rollbacks.Rollback(ask(1))
        service.restart()
        after_a_restart = service.rollbacks.Rollback(ask(1))
        new = refusal_of(lambda: service.rollbacks.Rollback(ask(2)))

    assert state(first.operation) == "SUCCEEDED"
    assert again == after_a_restart == first
    assert (new.code, new.reason) == (grpc.StatusCode.UNAVAILABLE, "CLUSTER_UNREACHABLE")
    unused = service.rollbacks.Rollback(ask(2))
    assert state(unused.operation) == "SUCCEEDED"


def test_a_service_that_starts_without_its_cluster_serves_the_ledger_and_recovers(
    frail_cluster: LocalCluster, run_service: RunService, by_hand: ByHand, shop: str
) -> None:
    service = run_service(kubeconfig=frail_cluster.kubeconfig)
    service.follow(shop, deployed=2).close()
    service.stop()

    with _down(frail_cluster):
        service.start()
        listed = service.releases.ListRevisions(ListRevisionsRequest(release_id=shop)).revisions
        health = HealthStub(service.channel).Check(HealthCheckRequest())
        stream = service.stream(shop, tail=0)
        stream.until_caught_up()
    by_hand.upgrade("1.2.0")
    deployed = stream.until_told("revision 3 PENDING_UPGRADE → DEPLOYED")
    stream.close()

    assert [revision.revision for revision in listed] == [2, 1]
    assert health.status == HealthCheckResponse.SERVING
    assert deployed.revision_transition.cause == RevisionTransition.EXTERNAL
    assert deployed.revision_transition.chart_version == "1.2.0"


def test_an_operation_that_waits_for_the_cluster_expires_or_runs_when_it_is_back(
    frail_cluster: LocalCluster, run_service: RunService, held_writes: HeldWrites, by_hand: ByHand, shop: str
) -> None:
    """Accepted, and before Helm could be started the API server went: what is still wanted then is done then."""
    namespace = by_hand.helm.namespace
    for other in ("busy", "late"):
        chart = by_hand.chart("1.0.0").rename(by_hand.folder / other)
        by_hand.helm.install(other, chart)
    service = run_service(
        *("--max-helm", "1", "--lease", "1s"),
        kubeconfig=frail_cluster.kubeconfig,
        program=HELD_SERVICE,
        environment=held_writes.environment,
    )
    held_writes.hold(CREATE)
    service.rollbacks.Rollback(RollbackRequest(release_id=f"default.{namespace}.busy", target_revision=1))
    held_writes.until_held(CREATE)
    wanted = service.rollbacks.Rollback(RollbackRequest(release_id=shop, target_revision=1))
    late = service.rollbacks.Rollback(
        RollbackRequest(release_id=f"default.{namespace}.late", target_revision=1, expire_after=Duration(seconds=1))
    )

    with _down(frail_cluster):
        service.restart()
        with service.stream(f"default.{namespace}.late", resume_token=late.resume_token) as stream:
            expired = stream.until_settled(late.operation.operation_id)
        held_writes.release(CREATE)
    with service.stream(shop, resume_token=wanted.resume_token) as stream:
        ran = stream.until_settled(wanted.operation.operation_id)

    assert (failure_reason(expired), expired.failure.applied) == ("EXPIRED", Failure.NOT_APPLIED)
    assert state(ran) == "SUCCEEDED"
    assert by_hand.statuses == {1: "superseded", 2: "superseded", 3: "deployed"}


def test_a_rollback_that_lost_its_cluster_half_way_does_not_leave_the_release_pending(
    frail_cluster: LocalCluster, run_service: RunService, held_writes: HeldWrites, by_hand: ByHand, shop: str
) -> None:
    """Everything is applied and nothing but Helm's last word is missing, which it can not write."""
    service = run_service(
        kubeconfig=frail_cluster.kubeconfig, program=HELD_SERVICE, environment=held_writes.environment
    )
    held_writes.hold(FINISH)
    answer = service.rollbacks.Rollback(RollbackRequest(release_id=shop, target_revision=1))
    held_writes.until_held(FINISH)

    with _down(frail_cluster):
        held_writes.release(FINISH)
    with service.stream(shop, resume_token=answer.resume_token) as stream:
        operation = stream.until_settled(answer.operation.operation_id)

    assert failure_reason(operation) == "CLUSTER_UNREACHABLE"
    assert operation.failure.applied == Failure.APPLIED
    assert by_hand.statuses[3] == "failed"
    by_hand.assert_free()


@contextmanager
def _down(cluster: LocalCluster) -> Iterator[None]:
    """While the block lasts nobody listens."""
    cluster.stop_apiserver(kill=True)
    try:
        yield
    finally:
        cluster.start_apiserver()

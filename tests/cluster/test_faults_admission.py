"""The API server refuses Helm's last write: the operation tells what is live and what Helm recorded."""

from pathlib import Path

import pytest
from local_cluster import LocalCluster
from support.by_hand import ByHand
from support.calls import WAIT, failure_reason, refusal_of, state
from support.helm import Helm
from support.policies import refusing_record_updates
from support.process import ServiceProcess

from helm_rollback.v1.release_pb2 import Failure, Operation, Revision
from helm_rollback.v1.release_service_pb2 import GetReleaseRequest, GetRevisionRequest
from helm_rollback.v1.rollback_service_pb2 import RollbackRequest

pytest_plugins = ["support.services"]

DEPLOYED = "object.metadata.?labels['status'].orValue('') == 'deployed'"


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


def test_the_last_write_is_refused_and_the_record_is_set_failed(
    service: ServiceProcess, local_cluster: LocalCluster, namespace: str, by_hand: ByHand, shop: str
) -> None:
    """The target is live, and Helm could not say so."""
    with refusing_record_updates(local_cluster, namespace, where=DEPLOYED):
        answer = service.rollbacks.Rollback(RollbackRequest(release_id=shop, target_revision=1, wait_timeout=WAIT))
    operation = answer.operation

    assert failure_reason(operation) == "OBJECT_REJECTED"
    assert operation.failure.applied == Failure.APPLIED
    assert _live_version(local_cluster, namespace) == "1.0.0"
    assert "release records are frozen" in operation.failure.message
    assert (operation.attempt, operation.result_revision) == (1, 3)
    assert operation.outcome_evidence == Operation.OBSERVED
    written = service.releases.GetRevision(GetRevisionRequest(release_id=shop, revision=3)).revision
    assert (written.status, written.HasField("deployed_time")) == (Revision.FAILED, False)
    with service.stream(shop, resume_token=answer.resume_token) as stream:
        assert stream.told == [
            "operation PENDING",
            "operation RUNNING",
            "revision 3 → PENDING_ROLLBACK",
            "revision 2 DEPLOYED → SUPERSEDED",
            "revision 3 PENDING_ROLLBACK → FAILED",
            "operation FAILED",
        ]
    assert by_hand.statuses == {1: "superseded", 2: "superseded", 3: "failed"}
    by_hand.assert_free()


def test_no_record_can_be_updated_so_it_stays_pending_until_somebody_takes_it_over(
    service: ServiceProcess, local_cluster: LocalCluster, namespace: str, by_hand: ByHand, shop: str
) -> None:
    """Not even the service may take the record out of pending. It says so, and when it may, a person puts it right."""
    with refusing_record_updates(local_cluster, namespace):
        operation = service.roll_back(shop, 1)
    pending = service.releases.GetRelease(GetReleaseRequest(release_id=shop)).release
    refused = refusal_of(lambda: service.rollbacks.Rollback(RollbackRequest(release_id=shop, target_revision=1)))
    before = by_hand.statuses
    put_right = service.rollbacks.Rollback(
        RollbackRequest(
            release_id=shop,
            target_revision=1,
            expected_current_revision=3,
            take_over_pending=True,
            wait_timeout=WAIT,
        )
    ).operation

    assert failure_reason(operation) == "OBJECT_REJECTED"
    assert "release records are frozen" in operation.failure.message
    assert "its record stays pending-rollback" in operation.failure.message
    assert "update secrets" in operation.failure.message, "it says what the service was not let do"
    assert operation.result_revision == 3
    assert _live_version(local_cluster, namespace) == "1.0.0"
    assert before == {1: "superseded", 2: "deployed", 3: "pending-rollback"}
    assert (pending.status, pending.current_revision) == (Revision.PENDING_ROLLBACK, 3)
    assert refused.reason == "RELEASE_PENDING"
    assert state(put_right) == "SUCCEEDED"
    assert by_hand.statuses[4] == "deployed"
    by_hand.assert_free()


def _live_version(cluster: LocalCluster, namespace: str) -> str:
    live = cluster.client.get(f"/api/v1/namespaces/{namespace}/configmaps/shop")
    return str(live["data"]["version"])

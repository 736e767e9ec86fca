"""How a rollback can fail at what takes Pods: waits and hooks. See `test_outcomes.py`."""

from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration
from support.by_hand import ByHand
from support.calls import failure_reason
from support.charts import deployment, job
from support.helm import Helm
from support.process import ServiceProcess

from helm_rollback.v1.helm_options_pb2 import HelmOptions
from helm_rollback.v1.history_pb2 import RevisionTransition
from helm_rollback.v1.release_pb2 import Failure

pytest_plugins = ["support.services"]


@pytest.fixture
def shop(workload_namespace: str) -> str:
    return f"default.{workload_namespace}.shop"


@pytest.fixture
def by_hand(workload_helm: Helm, tmp_path: Path) -> ByHand:
    return ByHand(workload_helm, tmp_path)


def test_wait_timed_out_on_a_deployment_that_is_never_ready(
    workload_service: ServiceProcess, shop: str, by_hand: ByHand
) -> None:
    by_hand.install("1.0.0", d=deployment(ready=False))
    by_hand.upgrade("1.1.0")

    operation = workload_service.roll_back(shop, 1, HelmOptions(timeout=Duration(seconds=2)))

    assert failure_reason(operation) == "WAIT_TIMED_OUT"
    assert operation.failure.applied == Failure.APPLIED
    assert by_hand.statuses[3] == "failed"
    by_hand.assert_free()


@pytest.mark.parametrize(
    ("event", "applied"), [("pre-rollback", Failure.NOT_APPLIED), ("post-rollback", Failure.APPLIED)]
)
def test_hook_failed_and_the_record_does_not_stay_pending(
    workload_service: ServiceProcess,
    shop: str,
    by_hand: ByHand,
    event: str,
    applied: Failure.Applied.ValueType,
) -> None:
    """After a failed hook Helm itself leaves the release in pending-rollback, and refuses each upgrade."""
    by_hand.install("1.0.0", j=job(hooks=[event], fails=True))
    by_hand.upgrade("1.1.0")

    with workload_service.follow(shop, deployed=2) as stream:
        operation = workload_service.roll_back(shop, 1)
        stream.until_settled(operation.operation_id)

    assert failure_reason(operation) == "HOOK_FAILED"
    assert operation.failure.applied == applied
    assert by_hand.statuses == {1: "superseded", 2: "deployed", 3: "failed"}
    assert stream.told[-2:] == ["revision 3 PENDING_ROLLBACK → FAILED", "operation FAILED"]
    assert stream.events[-2].revision_transition.cause == RevisionTransition.SERVICE
    by_hand.assert_free()

"""Other people's Helm: what it does is in the stream at once, and what it spoils is refused."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from support.calls import WAIT, Refusal, failure_reason, state
from support.charts import write_chart
from support.held_writes import CREATE, HeldWrites
from support.helm import Helm
from support.process import ServiceProcess

from helm_rollback.v1.history_pb2 import RevisionTransition
from helm_rollback.v1.release_pb2 import Failure, Operation
from helm_rollback.v1.release_service_pb2 import GetReleaseRequest
from helm_rollback.v1.rollback_service_pb2 import ListOperationsRequest, RollbackRequest, RollbackResponse

pytest_plugins = ["support.services"]


@pytest.fixture
def shop(helm: Helm, namespace: str, tmp_path: Path) -> str:
    """A release with two revisions."""
    helm.install("shop", write_chart(tmp_path, version="1.0.0"))
    helm.upgrade("shop", write_chart(tmp_path, version="1.1.0"))
    return f"default.{namespace}.shop"


def test_an_upgrade_by_hand_is_in_an_open_stream_at_once(
    service: ServiceProcess, shop: str, helm: Helm, tmp_path: Path
) -> None:
    with service.follow(shop, deployed=2) as stream:
        helm.upgrade("shop", write_chart(tmp_path, version="1.2.0"), "--description", "by hand")
        deployed = stream.until_told("revision 3 PENDING_UPGRADE → DEPLOYED", seconds=2)

    assert stream.told == [
        "revision 3 → PENDING_UPGRADE",
        "revision 2 DEPLOYED → SUPERSEDED",
        "revision 3 PENDING_UPGRADE → DEPLOYED",
    ]
    transition = deployed.revision_transition
    assert {event.revision_transition.cause for event in stream.events} == {RevisionTransition.EXTERNAL}
    assert transition.operation_type == Operation.UPGRADE
    assert (transition.description, transition.chart_version) == ("by hand", "1.2.0")
    assert (transition.operation_id, transition.actor) == ("", "")


def test_a_rollback_by_hand_tells_its_target(service: ServiceProcess, shop: str, helm: Helm) -> None:
    with service.follow(shop, deployed=2) as stream:
        helm.rollback("shop", 1)
        transition = stream.until_told("revision 3 PENDING_ROLLBACK → DEPLOYED").revision_transition

    assert (transition.operation_type, transition.rollback_target) == (Operation.ROLLBACK, 1)
    assert transition.cause == RevisionTransition.EXTERNAL


def test_an_install_by_hand_is_known_without_being_asked_for(
    service: ServiceProcess, helm: Helm, namespace: str, tmp_path: Path
) -> None:
    helm.install("fresh", write_chart(tmp_path))

    with service.stream(f"default.{namespace}.fresh") as stream:
        deployed = stream.until_told("revision 1 PENDING_INSTALL → DEPLOYED")

    assert stream.told[0] == "revision 1 → PENDING_INSTALL"
    assert deployed.revision_transition.operation_type == Operation.INSTALL
    assert deployed.revision_transition.cause == RevisionTransition.EXTERNAL


def test_an_uninstall_that_keeps_history_ends_in_uninstalled(service: ServiceProcess, shop: str, helm: Helm) -> None:
    with service.follow(shop, deployed=2) as stream:
        helm.uninstall("shop", "--keep-history")
        stream.until_told("revision 2 UNINSTALLING → UNINSTALLED")

    assert stream.told == ["revision 2 DEPLOYED → UNINSTALLING", "revision 2 UNINSTALLING → UNINSTALLED"]


def test_an_uninstall_without_history_removes_the_records_but_not_the_ledgers(
    service: ServiceProcess, shop: str, helm: Helm, tmp_path: Path
) -> None:
    """Helm never writes UNINSTALLED here: the last removal says it. The next life is another incarnation."""
    with service.follow(shop, deployed=2) as stream:
        helm.uninstall("shop")
        stream.until_told("revision 2 UNINSTALLING → UNINSTALLED")
        purged = list(stream.told)
        helm.install("shop", write_chart(tmp_path, version="2.0.0"))
        reborn = stream.until_told("revision 1 PENDING_INSTALL → DEPLOYED")

    assert purged[0] == "revision 2 DEPLOYED → UNINSTALLING"
    assert set(purged[1:3]) == {"record 1 removed", "record 2 removed"}
    assert reborn.revision_transition.incarnation == 2
    assert service.releases.GetRelease(GetReleaseRequest(release_id=shop)).release.incarnation == 2


def test_of_two_rollbacks_at_once_one_runs_and_the_other_learns_its_id(
    service: ServiceProcess, shop: str, helm: Helm
) -> None:
    def ask(_: int) -> RollbackResponse | Refusal:
        try:
            return service.rollbacks.Rollback(request)
        except grpc.RpcError as error:
            return Refusal.of(error)

    request = RollbackRequest(release_id=shop, target_revision=1, wait_timeout=WAIT)
    with ThreadPoolExecutor(2) as callers:
        first, second = callers.map(ask, range(2))
    ran, other = (first, second) if isinstance(first, RollbackResponse) else (second, first)

    assert isinstance(ran, RollbackResponse)
    assert isinstance(other, Refusal)
    assert state(ran.operation) == "SUCCEEDED"
    assert (other.code, other.reason) == (grpc.StatusCode.ABORTED, "OPERATION_IN_PROGRESS")
    assert other.metadata == {"operationId": ran.operation.operation_id, "releaseId": shop}
    assert helm.statuses("shop") == {1: "superseded", 2: "superseded", 3: "deployed"}
    listed = service.rollbacks.ListOperations(ListOperationsRequest(release_id=shop)).operations
    assert [operation.operation_id for operation in listed] == [ran.operation.operation_id]
    assert listed[0].attempt == 1


def test_an_upgrade_between_acceptance_and_helms_first_write_keeps_the_rollback_from_happening(
    held_service: ServiceProcess, held_writes: HeldWrites, shop: str, helm: Helm, tmp_path: Path
) -> None:
    """Helm's own POST would name revision 3 too late, or 4 without anybody's consent: the fence refuses it."""
    held_writes.hold(CREATE)
    answer = held_service.rollbacks.Rollback(RollbackRequest(release_id=shop, target_revision=1))
    with held_service.stream(shop, resume_token=answer.resume_token) as stream:
        held_writes.until_held(CREATE)
        helm.upgrade("shop", write_chart(tmp_path, version="1.2.0"))
        held_writes.release(CREATE)
        operation = stream.until_settled(answer.operation.operation_id)

    assert failure_reason(operation) == "EXTERNAL_CHANGE"
    assert operation.failure.applied == Failure.NOT_APPLIED
    assert operation.result_revision == 0
    assert "this release record is not passed" in held_service.stderr
    assert helm.statuses("shop") == {1: "superseded", 2: "superseded", 3: "deployed"}
    assert helm.history_json("shop")[-1]["chart"] == "demo-1.2.0"
    upgraded = [e.revision_transition for e in stream.events if e.revision_transition.revision == 3]
    assert {transition.cause for transition in upgraded} == {RevisionTransition.EXTERNAL}

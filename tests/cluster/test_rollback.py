"""The main job: a real release put back, and its history streamed while it happens."""

from pathlib import Path

import pytest
from support.calls import WAIT, state
from support.charts import write_chart
from support.helm import Helm
from support.process import ServiceProcess
from support.streams import sequences

from helm_rollback.v1.history_pb2 import RevisionTransition
from helm_rollback.v1.release_service_pb2 import GetReleaseRequest, GetRevisionRequest, ListRevisionsRequest
from helm_rollback.v1.rollback_service_pb2 import RollbackRequest, StreamHistoryRequest

pytest_plugins = ["support.services"]

SIX_EVENTS = [
    "operation PENDING",
    "operation RUNNING",
    "revision 3 → PENDING_ROLLBACK",
    "revision 2 DEPLOYED → SUPERSEDED",
    "revision 3 PENDING_ROLLBACK → DEPLOYED",
    "operation SUCCEEDED",
]


@pytest.fixture
def shop(helm: Helm, namespace: str, tmp_path: Path) -> str:
    """A release whose revisions 1 and 2 differ in chart version and in values."""
    helm.install("shop", write_chart(tmp_path, version="1.0.0"), "--set", "greeting=good")
    helm.upgrade("shop", write_chart(tmp_path, version="1.1.0"), "--set", "greeting=bad")
    return f"default.{namespace}.shop"


def test_a_rollback_streams_its_six_events_in_their_order(service: ServiceProcess, shop: str) -> None:
    with service.follow(shop, deployed=2) as stream:
        answer = service.rollbacks.Rollback(RollbackRequest(release_id=shop, target_revision=1))
        stream.until_settled(answer.operation.operation_id)

    assert stream.told == SIX_EVENTS
    numbers = sequences(stream.events)
    assert numbers == list(range(numbers[0], numbers[0] + 6))
    transitions = [event.revision_transition for event in stream.events if event.HasField("revision_transition")]
    assert {transition.cause for transition in transitions} == {RevisionTransition.SERVICE}
    assert {transition.operation_id for transition in transitions} == {answer.operation.operation_id}
    assert all(event.release_id == shop for event in stream.events)


def test_a_rollback_makes_a_new_revision_with_the_content_of_its_target(
    service: ServiceProcess, shop: str, helm: Helm
) -> None:
    request = RollbackRequest(release_id=shop, target_revision=1, reason="orders fail", wait_timeout=WAIT)
    operation = service.rollbacks.Rollback(request).operation

    assert state(operation) == "SUCCEEDED"
    assert (operation.base_revision, operation.target_revision, operation.result_revision) == (2, 1, 3)
    history = helm.history_json("shop")
    assert [(entry["revision"], entry["status"], entry["chart"]) for entry in history] == [
        (1, "superseded", "demo-1.0.0"),
        (2, "superseded", "demo-1.1.0"),
        (3, "deployed", "demo-1.0.0"),
    ]
    assert history[2]["description"] == f"[{operation.operation_id}] Rollback to 1: orders fail"
    for what in ("values", "manifest"):
        assert helm.get(what, "shop", 3) == helm.get(what, "shop", 1)
        assert helm.get(what, "shop", 3) != helm.get(what, "shop", 2)


def test_the_ledger_tells_what_helm_tells(service: ServiceProcess, shop: str) -> None:
    service.rollbacks.Rollback(RollbackRequest(release_id=shop, target_revision=1, wait_timeout=WAIT))

    listed = service.releases.ListRevisions(ListRevisionsRequest(release_id=shop)).revisions
    release = service.releases.GetRelease(GetReleaseRequest(release_id=shop)).release
    full = service.releases.GetRevision(GetRevisionRequest(release_id=shop, revision=3, view=GetRevisionRequest.FULL))

    assert [revision.revision for revision in listed] == [3, 2, 1]
    assert (listed[0].values_digest, listed[0].manifest_digest) == (listed[2].values_digest, listed[2].manifest_digest)
    assert (release.current_revision, release.last_successful_revision) == (3, 3)
    assert release.active_operation_id == ""
    assert "greeting: good" in full.revision.values_yaml
    assert "greeting: 'good'" in full.revision.manifest


def test_the_token_of_an_acceptance_lies_right_before_its_first_event(service: ServiceProcess, shop: str) -> None:
    first = service.rollbacks.Rollback(RollbackRequest(release_id=shop, target_revision=1, wait_timeout=WAIT))
    second = service.rollbacks.Rollback(RollbackRequest(release_id=shop, target_revision=2, wait_timeout=WAIT))
    request = StreamHistoryRequest(
        release_id=shop, resume_token=first.resume_token, end_after_operation_id=first.operation.operation_id
    )

    events = [response.event for response in service.rollbacks.StreamHistory(request)]

    assert len(events) == 6
    assert events[0].operation_transition.operation.operation_id == first.operation.operation_id
    with service.stream(shop, resume_token=second.resume_token) as stream:
        assert stream.events[0].sequence == events[-1].sequence + 1
        assert stream.events[0].operation_transition.operation.operation_id == second.operation.operation_id


def test_an_upgrade_by_hand_works_afterwards(service: ServiceProcess, shop: str, helm: Helm, tmp_path: Path) -> None:
    service.rollbacks.Rollback(RollbackRequest(release_id=shop, target_revision=1, wait_timeout=WAIT))

    helm.upgrade("shop", write_chart(tmp_path, version="1.2.0"))

    assert helm.statuses("shop") == {1: "superseded", 2: "superseded", 3: "superseded", 4: "deployed"}

"""Every call works on every one of three replicas, also all at once."""

import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from support.by_hand import ByHand
from support.calls import WAIT, Refusal, state
from support.charts import config_map, write_chart
from support.helm import Helm
from support.replica_process import ReplicaProcess, StartReplicas, others_than, the_one
from support.streams import sequences, tell

from helm_rollback.v1.release_pb2 import Operation, Revision
from helm_rollback.v1.release_service_pb2 import GetReleaseRequest
from helm_rollback.v1.rollback_service_pb2 import RollbackRequest, WaitOperationRequest

pytest_plugins = ["support.replicas"]

RELEASES = 20
CALLS = 200


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


def at_once(calls: Sequence[Callable[[], Operation]]) -> list[Operation | Refusal]:
    """The answers, or refusals, of calls that are made together."""

    def made(call: Callable[[], Operation]) -> Operation | Refusal:
        try:
            return call()
        except grpc.RpcError as error:
            return Refusal.of(error)

    with ThreadPoolExecutor(len(calls)) as callers:
        return list(callers.map(made, calls))


def accepting(replica: ReplicaProcess, request: RollbackRequest) -> Callable[[], Operation]:
    return lambda: replica.rollbacks.Rollback(request).operation


def settled_on(replica: ReplicaProcess, operation_id: str) -> Operation:
    request = WaitOperationRequest(operation_id=operation_id, timeout=WAIT)
    return replica.rollbacks.WaitOperation(request).operation


def test_a_rollback_asked_of_one_is_followed_and_awaited_on_the_others(
    replicas: list[ReplicaProcess], by_hand: ByHand, shop: str
) -> None:
    """The one asked is not the one that observes: it looks for itself at what was just done by hand."""
    observer = the_one(replicas, lambda replica: replica.observes, "one observes")
    asked, other = others_than(observer, replicas)
    by_hand.upgrade("1.2.0")

    answer = asked.rollbacks.Rollback(RollbackRequest(release_id=shop, target_revision=1))
    with other.stream(shop, resume_token=answer.resume_token, until=answer.operation.operation_id) as stream:
        operation = settled_on(observer, answer.operation.operation_id)
        stream.until_ended()

    assert (answer.operation.base_revision, state(operation), operation.result_revision) == (3, "SUCCEEDED", 4)
    assert stream.told == [
        "operation PENDING",
        "operation RUNNING",
        "revision 4 → PENDING_ROLLBACK",
        "revision 3 DEPLOYED → SUPERSEDED",
        "revision 4 PENDING_ROLLBACK → DEPLOYED",
        "operation SUCCEEDED",
    ]


def test_what_was_done_by_hand_is_accepted_upon_at_once_by_one_that_does_not_observe(
    replicas: list[ReplicaProcess], by_hand: ByHand, shop: str
) -> None:
    """It waits for no timer: it is woken when the observing one has written it down."""
    observer = the_one(replicas, lambda replica: replica.observes, "one observes")
    asked = others_than(observer, replicas)[0]
    asked.until_seen(shop, 2, Revision.DEPLOYED)
    took = []
    for number in range(5):
        by_hand.upgrade(f"2.{number}.0")
        began = time.monotonic()
        refused = at_once([accepting(asked, RollbackRequest(release_id=shop, target_revision=99))])
        took.append(time.monotonic() - began)
        assert [answer.reason for answer in refused if isinstance(answer, Refusal)] == ["REVISION_NOT_FOUND"]

    assert min(took) < 0.25, took


def test_one_request_id_is_one_operation_however_many_are_asked(
    replicas: list[ReplicaProcess], by_hand: ByHand, shop: str
) -> None:
    request = RollbackRequest(release_id=shop, target_revision=1, request_id=str(uuid.uuid4()))

    answers = at_once([accepting(replica, request) for replica in replicas * 5])

    assert all(isinstance(answer, Operation) for answer in answers), answers
    assert len({answer.operation_id for answer in answers if isinstance(answer, Operation)}) == 1
    assert len(by_hand.statuses) <= 3


def test_a_release_that_all_are_asked_about_first_is_adopted_once(
    by_hand: ByHand, start_replicas: StartReplicas, shop: str
) -> None:
    """The one that observes does so, too."""
    replicas = start_replicas("one", "two", "three")

    with ThreadPoolExecutor() as callers:
        found = list(
            callers.map(
                lambda replica: replica.releases.GetRelease(GetReleaseRequest(release_id=shop)).release, replicas * 3
            )
        )

    assert {release.current_revision for release in found} == {2}
    with replicas[0].stream(shop) as stream:
        assert sequences(stream.events) == list(range(1, len(stream.events) + 1))
        assert stream.told == ["revision 1 → SUPERSEDED", "revision 2 → DEPLOYED"]
    assert by_hand.statuses == {1: "superseded", 2: "deployed"}


def test_of_many_rollbacks_of_a_release_one_is_accepted_at_a_time(
    replicas: list[ReplicaProcess], helm: Helm, namespace: str, tmp_path: Path
) -> None:
    names = [f"shop-{number}" for number in range(RELEASES)]
    _install_twice(helm, names, tmp_path)
    ids = [f"default.{namespace}.{name}" for name in names]
    calls = [
        accepting(replicas[number % 3], RollbackRequest(release_id=ids[number % RELEASES], target_revision=1))
        for number in range(CALLS)
    ]

    answers = at_once(calls)

    refusals = Counter((answer.code, answer.reason) for answer in answers if isinstance(answer, Refusal))
    assert set(refusals) == {(grpc.StatusCode.ABORTED, "OPERATION_IN_PROGRESS")}, refusals
    accepted = [answer for answer in answers if isinstance(answer, Operation)]
    assert {operation.release_id for operation in accepted} == set(ids)
    for number, operation in enumerate(accepted):
        assert state(settled_on(replicas[number % 3], operation.operation_id)) == "SUCCEEDED"
    for release_id in ids:
        _check_one_at_a_time(replicas[0], release_id, Counter(one.release_id for one in accepted)[release_id])


def _install_twice(helm: Helm, names: Sequence[str], folder: Path) -> None:
    """Two revisions each."""

    def install(name: str) -> None:
        for version in ("1.0.0", "1.1.0"):
            place = folder / name / version
            place.mkdir(parents=True)
            chart = write_chart(place, version=version, templates={"map.yaml": config_map(name, version=version)})
            helm.run("upgrade", "--install", name, chart)

    with ThreadPoolExecutor(4) as helms:
        list(helms.map(install, names))


def _check_one_at_a_time(replica: ReplicaProcess, release_id: str, accepted: int) -> None:
    """No operation began before the one before it had ended, and there are no more than were accepted."""
    with replica.stream(release_id) as stream:
        changes = [tell(event) for event in stream.events if event.HasField("operation_transition")]
    assert changes == ["operation PENDING", "operation RUNNING", "operation SUCCEEDED"] * accepted

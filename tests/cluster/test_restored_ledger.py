"""The ledger of yesterday is put back: what the cluster still shows is told anew, nothing is done twice."""

import shutil
from pathlib import Path

import grpc
import pytest
from support.by_hand import ByHand
from support.calls import WAIT, Refusal, state
from support.held_writes import CREATE, HeldWrites
from support.helm import Helm
from support.process import HELD_SERVICE, RunService, ServiceProcess
from support.streams import sequences

from helm_rollback.v1.history_pb2 import RevisionTransition
from helm_rollback.v1.release_pb2 import Operation, Revision
from helm_rollback.v1.release_service_pb2 import ListRevisionsRequest
from helm_rollback.v1.rollback_service_pb2 import RollbackRequest

pytest_plugins = ["support.services"]

REQUEST_ID = "0b8f4d6c-51c9-4a3c-8a63-6a0d1c2f9e10"


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
def held(run_service: RunService, held_writes: HeldWrites, tmp_path: Path) -> ServiceProcess:
    """A service whose ledger is in a folder of its own, and whose Helm can be held."""
    (tmp_path / "ledger").mkdir()
    return run_service(
        *("--database", f"sqlite:///{tmp_path / 'ledger' / 'ledger.db'}", "--lease", "1s"),
        program=HELD_SERVICE,
        environment=held_writes.environment,
    )


def back_up(folder: Path) -> None:
    shutil.copytree(folder / "ledger", folder / "backup")


def restore(folder: Path) -> None:
    shutil.rmtree(folder / "ledger")
    shutil.copytree(folder / "backup", folder / "ledger")


def test_what_happened_since_is_told_as_somebody_elses(
    held: ServiceProcess, by_hand: ByHand, shop: str, tmp_path: Path
) -> None:
    held.follow(shop, deployed=2).close()
    held.stop()
    back_up(tmp_path)
    held.start()
    request = RollbackRequest(release_id=shop, target_revision=1, request_id=REQUEST_ID, wait_timeout=WAIT)
    lost = held.rollbacks.Rollback(request).operation
    by_hand.upgrade("1.2.0")
    with held.stream(shop) as before:
        before.until_told("revision 4 PENDING_UPGRADE → DEPLOYED")
    held.stop()
    restore(tmp_path)
    held.start()

    held.until_seen(shop, 4, Revision.DEPLOYED)
    with held.stream(shop) as stream:
        stream.until_caught_up()
    with held.stream(shop, resume_token=before.tokens[-1]) as resumed:
        resumed.until_ended()
    again = held.rollbacks.Rollback(request).operation

    numbers = sequences(stream.events)
    assert numbers == list(range(1, len(numbers) + 1))
    since = [event.revision_transition for event in stream.events if event.revision_transition.revision > 2]
    assert {(change.cause, change.operation_id) for change in since} == {(RevisionTransition.EXTERNAL, "")}
    listed = held.releases.ListRevisions(ListRevisionsRequest(release_id=shop)).revisions
    assert [revision.revision for revision in listed] == [5, 4, 3, 2, 1]
    refusal = Refusal.of(resumed.error)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.OUT_OF_RANGE, "RESUME_POSITION_LOST")
    assert state(lost) == state(again) == "SUCCEEDED"
    assert again.operation_id != lost.operation_id, "its request id is forgotten, so it is a new one"
    assert (again.base_revision, again.result_revision) == (4, 5)


def test_what_was_under_way_then_ends_as_the_cluster_shows_and_is_not_done_again(
    held: ServiceProcess, held_writes: HeldWrites, by_hand: ByHand, shop: str, tmp_path: Path
) -> None:
    held_writes.hold(CREATE)
    answer = held.rollbacks.Rollback(RollbackRequest(release_id=shop, target_revision=1))
    held_writes.until_held(CREATE)
    held.kill()
    back_up(tmp_path)
    held_writes.release(CREATE)
    held.start()
    done = _settled(held, shop, answer.operation)
    held.stop()
    restore(tmp_path)
    held.start()

    operation = _settled(held, shop, answer.operation)

    assert (state(done), done.attempt) == ("SUCCEEDED", 2)
    assert (state(operation), operation.attempt, operation.result_revision) == ("SUCCEEDED", 1, 3)
    assert operation.outcome_evidence == Operation.RECONSTRUCTED
    assert by_hand.statuses == {1: "superseded", 2: "superseded", 3: "deployed"}


def _settled(service: ServiceProcess, release_id: str, operation: Operation) -> Operation:
    with service.stream(release_id, until=operation.operation_id) as stream:
        return stream.until_settled(operation.operation_id)

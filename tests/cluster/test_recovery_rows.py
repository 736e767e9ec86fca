"""A service killed in the middle of a rollback, and what somebody does before the next is there: on real Helm.

The other rows of the table in docs/architecture.md are in test_restarts.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from local_cluster import LocalCluster
from support.by_hand import ByHand
from support.calls import WAIT, failure_reason
from support.held_writes import CREATE, FINISH, HeldWrites
from support.helm import Helm
from support.process import HELD_SERVICE, RunService

from helm_rollback.v1.release_pb2 import Failure, Operation
from helm_rollback.v1.rollback_service_pb2 import RollbackRequest, WaitOperationRequest

pytest_plugins = ["support.services"]

Meanwhile = Callable[[ByHand], object]
Outcome = Callable[[str, Meanwhile], Operation]


@dataclass(frozen=True)
class Row:
    killed_at: str
    meanwhile: Meanwhile
    reason: str
    applied: Failure.Applied.ValueType
    result: int
    statuses: dict[int, str]
    """Afterwards."""


def upgrade(by_hand: ByHand) -> None:
    by_hand.upgrade("1.2.0")


def roll_back(by_hand: ByHand) -> None:
    """Helm upgrades nothing that is pending, but it rolls back."""
    by_hand.helm.rollback("shop", 2)


def uninstall(by_hand: ByHand) -> None:
    by_hand.helm.uninstall("shop", "--keep-history")


ROWS = {
    "none of ours, the head moved": Row(
        CREATE, upgrade, "EXTERNAL_CHANGE", Failure.NOT_APPLIED, 0, {1: "superseded", 2: "superseded", 3: "deployed"}
    ),
    "ours, pending, not newest": Row(
        FINISH,
        roll_back,
        "INTERRUPTED",
        Failure.UNKNOWN,
        3,
        {1: "superseded", 2: "superseded", 3: "failed", 4: "deployed"},
    ),
    "ours tells nothing any more": Row(
        FINISH, uninstall, "OUTCOME_UNKNOWN", Failure.UNKNOWN, 0, {1: "superseded", 2: "superseded", 3: "uninstalled"}
    ),
}


@pytest.fixture
def by_hand(helm: Helm, tmp_path: Path) -> ByHand:
    """Two revisions."""
    by_hand = ByHand(helm, tmp_path)
    by_hand.install("1.0.0")
    by_hand.upgrade("1.1.0")
    return by_hand


@pytest.fixture
def outcome(run_service: RunService, held_writes: HeldWrites, by_hand: ByHand, namespace: str) -> Outcome:
    """Kills a service at a write, lets something happen, and starts it again: the operation's end."""

    def end(killed_at: str, meanwhile: Meanwhile) -> Operation:
        service = run_service(program=HELD_SERVICE, environment=held_writes.environment)
        held_writes.hold(killed_at)
        request = RollbackRequest(release_id=f"default.{namespace}.shop", target_revision=1)
        accepted = service.rollbacks.Rollback(request).operation
        held_writes.until_held(killed_at)
        service.kill()
        held_writes.release(killed_at)
        meanwhile(by_hand)
        service.start()
        wait = WaitOperationRequest(operation_id=accepted.operation_id, timeout=WAIT)
        return service.rollbacks.WaitOperation(wait).operation

    return end


@pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))
def test_what_somebody_did_since_decides(outcome: Outcome, by_hand: ByHand, row: Row) -> None:
    operation = outcome(row.killed_at, row.meanwhile)

    assert failure_reason(operation) == row.reason
    assert (operation.failure.applied, operation.result_revision, operation.attempt) == (row.applied, row.result, 1)
    assert by_hand.statuses == row.statuses


def test_where_nothing_is_left_of_it_the_outcome_is_unknown(
    outcome: Outcome, by_hand: ByHand, local_cluster: LocalCluster, namespace: str
) -> None:
    operation = outcome(FINISH, lambda by_hand: by_hand.helm.uninstall("shop"))

    assert (failure_reason(operation), operation.failure.applied) == ("OUTCOME_UNKNOWN", Failure.UNKNOWN)
    secrets = local_cluster.client.get(f"/api/v1/namespaces/{namespace}/secrets?labelSelector=owner%3Dhelm")
    assert secrets["items"] == [], "nothing was put back"
    by_hand.install("2.0.0")

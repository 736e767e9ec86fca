"""Revisions that Helm has pruned: the ledger keeps them, and a rollback puts them back."""

from pathlib import Path

import pytest
from support.by_hand import ByHand
from support.calls import state
from support.helm import Helm
from support.process import ServiceProcess

from helm_rollback.v1.release_pb2 import Revision

pytest_plugins = ["support.services"]


@pytest.fixture
def shop(helm: Helm, tmp_path: Path) -> ByHand:
    return ByHand(helm, tmp_path)


@pytest.fixture
def release_id(service: ServiceProcess, shop: ByHand, namespace: str) -> str:
    """Seven revisions, of which Helm has kept three."""
    release_id = f"default.{namespace}.shop"
    shop.install("1.0.0", "--labels", "team=blue")
    for number in range(2, 8):
        shop.upgrade(f"{number}.0.0", "--history-max", "3")
        service.until_seen(release_id, number, Revision.DEPLOYED)
    assert shop.statuses == {5: "superseded", 6: "superseded", 7: "deployed"}
    return release_id


def test_a_pruned_revision_is_put_back_and_rolled_back_to(
    service: ServiceProcess, release_id: str, shop: ByHand
) -> None:
    operation = service.roll_back(release_id, 2)

    assert state(operation) == "SUCCEEDED"
    assert (operation.base_revision, operation.target_revision, operation.result_revision) == (7, 2, 8)
    assert shop.statuses == {2: "superseded", 5: "superseded", 6: "superseded", 7: "superseded", 8: "deployed"}

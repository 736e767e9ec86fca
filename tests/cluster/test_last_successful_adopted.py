"""Histories that were there before the service: only Helm's records speak for a revision."""

from collections.abc import Callable
from pathlib import Path

import pytest
from local_cluster import LocalCluster
from support.by_hand import ByHand
from support.calls import WAIT, evidence, refusal_of, skipped, state
from support.helm import Helm
from support.process import ServiceProcess

from helm_rollback.v1.release_pb2 import Revision
from helm_rollback.v1.rollback_service_pb2 import RollbackLastSuccessfulRequest, RollbackRequest

pytest_plugins = ["support.services"]


@pytest.fixture
def past(helm: Helm, tmp_path: Path) -> ByHand:
    """The release before the service is started."""
    return ByHand(helm, tmp_path)


@pytest.fixture
def shop(namespace: str) -> str:
    return f"default.{namespace}.shop"


def test_what_helms_records_prove_is_chosen(past: ByHand, shop: str, run_service: Callable[[], ServiceProcess]) -> None:
    past.install("1.0.0")
    past.upgrade("1.1.0")
    past.upgrade("1.2.0")
    past.helm.rollback("shop", 2)
    past.fail_to_upgrade()

    operation = run_service().rollbacks.RollbackLastSuccessful(_blind(shop)).operation

    assert (state(operation), operation.selection.revision) == ("SUCCEEDED", 4)
    assert skipped(operation.selection) == {5: "CURRENT"}


def test_a_failed_revision_that_helm_called_superseded_is_not_chosen(
    past: ByHand, shop: str, run_service: Callable[[], ServiceProcess]
) -> None:
    """And the one below it is no longer deployed either: an upgrade that worked proves itself by its text."""
    past.install("1.0.0")
    past.upgrade("1.1.0")
    past.fail_to_upgrade()
    past.fail_to_roll_back(3)
    past.helm.rollback("shop", 2, "--description", "back by hand")
    past.fail_to_upgrade()
    assert past.statuses == {1: "superseded", 2: "superseded", 3: "superseded", 4: "failed", 5: "deployed", 6: "failed"}
    service = run_service()

    operation = service.rollbacks.RollbackLastSuccessful(
        RollbackLastSuccessfulRequest(release_id=shop, expected_current_revision=6, wait_timeout=WAIT)
    ).operation
    meant = service.rollbacks.RollbackLastSuccessful(
        RollbackLastSuccessfulRequest(release_id=shop, expected_current_revision=7, wait_timeout=WAIT)
    ).operation

    assert (state(operation), operation.selection.revision) == ("SUCCEEDED", 5)
    assert (state(meant), meant.selection.revision) == ("SUCCEEDED", 1)
    assert evidence(meant.selection) == "HELM_RECORD"
    assert skipped(meant.selection)[3] == "NOT_SUCCESSFUL"


def test_a_newer_revision_that_nothing_proves_is_left_to_a_person(
    past: ByHand, shop: str, namespace: str, local_cluster: LocalCluster, run_service: Callable[[], ServiceProcess]
) -> None:
    """What proves a superseded rollback is the record after it, and here somebody deleted that."""
    past.install("1.0.0")
    past.upgrade("1.1.0")
    past.helm.rollback("shop", 1)
    past.upgrade("1.3.0")
    past.fail_to_upgrade()
    local_cluster.client.delete(f"/api/v1/namespaces/{namespace}/secrets/sh.helm.release.v1.shop.v4")
    service = run_service()

    refusal = refusal_of(lambda: service.rollbacks.RollbackLastSuccessful(_blind(shop)))
    named = service.rollbacks.Rollback(RollbackRequest(release_id=shop, target_revision=3, wait_timeout=WAIT))

    assert refusal.reason == "SUCCESS_UNPROVEN"
    assert refusal.metadata == {"revision": "3", "releaseId": shop}
    assert state(named.operation) == "SUCCEEDED"
    assert past.charts[6] == "1.0.0"


def test_an_uninstalled_revision_proves_nothing_any_more(
    past: ByHand, shop: str, run_service: Callable[[], ServiceProcess]
) -> None:
    """Uninstalling overwrites the text by which the record told that it had worked."""
    past.install("1.0.0")
    past.upgrade("1.1.0")
    past.helm.uninstall("shop", "--keep-history")
    service = run_service()
    service.until_seen(shop, 2, Revision.UNINSTALLED)

    refusal = refusal_of(lambda: service.rollbacks.RollbackLastSuccessful(_blind(shop)))

    assert (refusal.reason, refusal.metadata["revision"]) == ("SUCCESS_UNPROVEN", "2")


def _blind(release_id: str) -> RollbackLastSuccessfulRequest:
    return RollbackLastSuccessfulRequest(release_id=release_id, wait_timeout=WAIT)

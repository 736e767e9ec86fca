"""Back to the last revision that worked, on histories that the real Helm wrote.

The rules as a table are in `domain/last_successful.py` and its unit tests; here
each meets the records that Helm really leaves.
"""

from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from support.by_hand import ByHand
from support.calls import WAIT, Refusal, evidence, failure_reason, refusal_of, skipped, state
from support.charts import config_map
from support.helm import Helm
from support.process import ServiceProcess

from helm_rollback.v1.release_pb2 import Operation, Revision
from helm_rollback.v1.rollback_service_pb2 import RollbackLastSuccessfulRequest, RollbackRequest

pytest_plugins = ["support.services"]

DEPLOYED, FAILED, UNINSTALLED = Revision.DEPLOYED, Revision.FAILED, Revision.UNINSTALLED


@dataclass
class Shop(ByHand):
    """A release, changed by hand and put back by the service."""

    release_id: str
    service: ServiceProcess

    def back(self, revision: int, status: Revision.Status.ValueType, expected: int | None = None) -> Operation:
        """RollbackLastSuccessful, once the ledger has seen `revision` at `status`."""
        self.service.until_seen(self.release_id, revision, status)
        return self.service.rollbacks.RollbackLastSuccessful(self._request(expected)).operation

    def refused(self, revision: int, status: Revision.Status.ValueType, expected: int | None = None) -> Refusal:
        self.service.until_seen(self.release_id, revision, status)
        return refusal_of(lambda: self.service.rollbacks.RollbackLastSuccessful(self._request(expected)))

    def roll_back(self, target: int) -> Operation:
        request = RollbackRequest(release_id=self.release_id, target_revision=target, wait_timeout=WAIT)
        return self.service.rollbacks.Rollback(request).operation

    def _request(self, expected: int | None) -> RollbackLastSuccessfulRequest:
        return RollbackLastSuccessfulRequest(
            release_id=self.release_id, expected_current_revision=expected, wait_timeout=WAIT
        )


@pytest.fixture
def shop(service: ServiceProcess, helm: Helm, namespace: str, tmp_path: Path) -> Shop:
    """A release that is not installed yet."""
    return Shop(helm, tmp_path, f"default.{namespace}.shop", service)


def test_a_failed_upgrade_is_left_for_the_revision_before(shop: Shop) -> None:
    shop.install("1.0.0")
    shop.fail_to_upgrade()

    operation = shop.back(2, FAILED)

    assert state(operation) == "SUCCEEDED"
    assert operation.selection.revision == operation.target_revision == 1
    assert evidence(operation.selection) == "LEDGER"
    assert skipped(operation.selection) == {2: "CURRENT"}
    assert shop.statuses[3] == "deployed"
    assert shop.helm.get("manifest", "shop", 3) == shop.helm.get("manifest", "shop", 1)


def test_several_failed_upgrades_are_passed_over(shop: Shop) -> None:
    shop.install("1.0.0")
    shop.upgrade("1.1.0")
    shop.fail_to_upgrade("1.2.0")
    shop.fail_to_upgrade("1.2.1")

    operation = shop.back(4, FAILED)

    assert (state(operation), operation.selection.revision) == ("SUCCEEDED", 2)
    assert skipped(operation.selection) == {4: "CURRENT", 3: "NOT_SUCCESSFUL"}
    assert [entry.status for entry in operation.selection.skipped] == [FAILED, FAILED]
    assert "No_Name" in operation.selection.skipped[1].explanation


def test_a_failed_revision_that_helm_called_superseded_is_not_chosen(shop: Shop) -> None:
    """A rollback by hand that fails while applying turns its base, whatever it was, into `superseded`."""
    shop.install("1.0.0")
    shop.upgrade("1.1.0", c=config_map("fixed", immutable=True, a="1"))
    shop.fail_to_upgrade("1.2.0", c=config_map("fixed", immutable=True, a="2"))
    shop.fail_to_roll_back(3)
    assert shop.statuses == {1: "superseded", 2: "deployed", 3: "superseded", 4: "failed"}

    operation = shop.back(4, FAILED)

    assert (state(operation), operation.selection.revision) == ("SUCCEEDED", 2)
    assert skipped(operation.selection) == {4: "CURRENT", 3: "NOT_SUCCESSFUL"}
    assert operation.selection.skipped[1].status == Revision.SUPERSEDED


def test_a_blind_call_on_a_successful_release_is_refused_and_a_meant_one_is_not(shop: Shop) -> None:
    shop.install("1.0.0")
    shop.upgrade("1.1.0")

    blind = shop.refused(2, DEPLOYED)
    meant = shop.back(2, DEPLOYED, expected=2)
    again = shop.refused(3, DEPLOYED)

    assert (blind.code, blind.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "CURRENT_IS_SUCCESSFUL")
    assert blind.metadata == {"currentRevision": "2", "releaseId": shop.release_id}
    assert (state(meant), meant.selection.revision) == ("SUCCEEDED", 1)
    assert (again.code, again.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ALREADY_ROLLED_BACK")
    assert again.metadata == {"currentRevision": "3", "releaseId": shop.release_id}
    assert len(shop.helm.history_json("shop")) == 3


def test_what_a_rollback_went_over_is_never_chosen_again(shop: Shop) -> None:
    shop.install("1.0.0")
    shop.upgrade("1.1.0")
    shop.upgrade("1.2.0")
    assert state(shop.roll_back(1)) == "SUCCEEDED"

    none = shop.refused(4, DEPLOYED, expected=4)
    shop.fail_to_upgrade()
    after_a_failure = shop.back(5, FAILED)

    assert none.reason == "NO_SUCCESSFUL_REVISION"
    assert none.metadata["skipped"] == "4:CURRENT,3:ROLLED_BACK_FROM,2:ROLLED_BACK_FROM,1:SAME_CONTENT"
    assert (state(after_a_failure), after_a_failure.selection.revision) == ("SUCCEEDED", 4)


def test_a_rollback_that_failed_while_applying_excludes_only_the_revision_that_it_left(shop: Shop) -> None:
    shop.install("1.0.0")
    shop.upgrade("1.1.0", c=config_map("fixed", immutable=True, a="1"))
    shop.upgrade("1.2.0")
    shop.upgrade("1.3.0", c=config_map("fixed", immutable=True, a="2"))
    failed = shop.roll_back(2)
    assert failure_reason(failed) == "OBJECT_REJECTED"

    operation = shop.back(5, FAILED)

    assert (state(operation), operation.selection.revision) == ("SUCCEEDED", 3)
    assert skipped(operation.selection) == {5: "CURRENT", 4: "ROLLED_BACK_FROM"}
    assert "5" in operation.selection.skipped[1].explanation


def test_an_upgrade_that_brought_old_content_back_counts_as_a_rollback(shop: Shop) -> None:
    shop.install("0.9.0")
    shop.upgrade("1.0.0")
    shop.upgrade("1.1.0")
    shop.upgrade("1.0.0")

    operation = shop.back(4, DEPLOYED, expected=4)

    assert (state(operation), operation.selection.revision) == ("SUCCEEDED", 1)
    assert skipped(operation.selection) == {4: "CURRENT", 3: "ROLLED_BACK_FROM", 2: "SAME_CONTENT"}


def test_where_nothing_ever_worked_nothing_is_chosen(shop: Shop) -> None:
    shop.fail_to_install()

    refusal = shop.refused(1, FAILED)

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "NO_SUCCESSFUL_REVISION")
    assert refusal.metadata["skipped"] == "1:CURRENT"


def test_an_uninstalled_release_comes_back_as_it_was(shop: Shop) -> None:
    shop.install("1.0.0")
    shop.upgrade("1.1.0")
    shop.helm.uninstall("shop", "--keep-history")

    operation = shop.back(2, UNINSTALLED)

    assert (state(operation), operation.selection.revision) == ("SUCCEEDED", 2)
    assert skipped(operation.selection) == {}
    assert shop.statuses[3] == "deployed"
    assert shop.charts[3] == "1.1.0"


def test_a_life_boundary_is_not_crossed(shop: Shop) -> None:
    """`helm install --replace` over an uninstalled release goes on numbering, but it is another release."""
    shop.install("1.0.0")
    shop.helm.uninstall("shop", "--keep-history")
    shop.install("2.0.0", "--replace")
    shop.upgrade("2.1.0")

    within = shop.back(3, DEPLOYED, expected=3)
    none = shop.refused(4, DEPLOYED, expected=4)

    assert (state(within), within.selection.revision) == ("SUCCEEDED", 2)
    assert none.reason == "NO_SUCCESSFUL_REVISION"
    assert none.metadata["skipped"] == "4:CURRENT,3:ROLLED_BACK_FROM,2:SAME_CONTENT,1:BEFORE_BOUNDARY"

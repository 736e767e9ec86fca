"""Which of Helm's writes to release records pass: design.md §1, "The fence"."""

from __future__ import annotations

from typing import Any

import pytest
from support.revisions import a_record
from support.samples import an_operation

from helm_rollback.domain.record import HelmRecord, secret_name
from helm_rollback.domain.record_rules import RecordRules
from helm_rollback.domain.status import Status

OPERATION = an_operation(1, base_revision=4, target_revision=2, reason="bad deploy")
RULES = RecordRules(operation=OPERATION, deployed={3}, stamped=True)
PENDING = Status.PENDING_ROLLBACK


def record(revision: int, status: Status = PENDING, description: str = OPERATION.stamp, **changes: Any) -> HelmRecord:
    return a_record(revision, status, description=description, **changes)


def refusal(method: str, written: HelmRecord | None, *, name: str = "", rules: RecordRules = RULES) -> str:
    number = written.revision if written is not None else 5
    return rules.refusal(method=method, name=name or secret_name("shop", number), record=written)


PASSED = [
    ("its own record, stamped, right after the base", "POST", record(5)),
    ("its own record again, while hooks run", "PUT", record(5)),
    ("its own record, deployed", "PUT", record(5, Status.DEPLOYED)),
    (
        "its own record, failed, with Helm's text in place of the stamp",
        "PUT",
        record(5, Status.FAILED, "Rollback failed"),
    ),
    ("the deployed one, becoming superseded", "PUT", record(3, Status.SUPERSEDED, "Upgrade complete")),
]


@pytest.mark.parametrize(("method", "written"), [case[1:] for case in PASSED], ids=[case[0] for case in PASSED])
def test_helm_may_write(method: str, written: HelmRecord) -> None:
    assert refusal(method, written) == ""


FOREIGN_STAMP = an_operation(2, base_revision=4, target_revision=2).stamp
REFUSED = [
    ("a record after somebody else's", "POST", record(6), "the release changed"),
    ("the base's number anew", "POST", record(4), "the release changed"),
    ("its own record without a stamp", "POST", record(5, description="Rollback to 2"), "stamp"),
    ("its own record with another operation's stamp", "POST", record(5, description=FOREIGN_STAMP), "stamp"),
    ("a base that is not deployed, becoming superseded", "PUT", record(4, Status.SUPERSEDED), "revision 4"),
    ("a base that is not deployed, as it was", "PUT", record(4, Status.FAILED), "revision 4"),
    ("the deployed one, as it was", "PUT", record(3, Status.DEPLOYED), "revision 3"),
    ("the deployed one, becoming failed", "PUT", record(3, Status.FAILED), "revision 3"),
    ("the target", "PUT", record(2, Status.SUPERSEDED), "revision 2"),
    ("a record after its own", "PUT", record(6, Status.SUPERSEDED), "revision 6"),
    ("another release's record", "POST", record(5, name="blog"), "default.prod.shop"),
    ("a record of another namespace", "PUT", record(5, namespace="test"), "default.prod.shop"),
    ("its own record in pieces", "PATCH", record(5), "PATCH"),
    ("a record that can not be read", "POST", None, "can not be read"),
    ("a record that can not be read, over its own", "PUT", None, "can not be read"),
]


@pytest.mark.parametrize(
    ("method", "written", "reason"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_helm_may_not_write(method: str, written: HelmRecord | None, reason: str) -> None:
    assert reason in refusal(method, written)


@pytest.mark.parametrize("written", [None, record(5), record(1, Status.SUPERSEDED)])
def test_helm_may_delete_no_record(written: HelmRecord | None) -> None:
    assert "deletes no release record" in refusal("DELETE", written)


@pytest.mark.parametrize("name", ["sh.helm.release.v1.shop.v4", "sh.helm.release.v1.blog.v5", "shop", "x"])
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_record_passes_only_under_its_own_name(method: str, name: str) -> None:
    assert refusal(method, record(5), name=name)


def test_a_helm_that_can_not_stamp_need_not() -> None:
    older = RecordRules(operation=OPERATION, deployed={3}, stamped=False)

    assert refusal("POST", record(5, description="Rollback to 2"), rules=older) == ""
    assert refusal("POST", record(6, description="Rollback to 2"), rules=older)


def test_several_deployed_records_may_all_become_superseded() -> None:
    two = RecordRules(operation=OPERATION, deployed={1, 4}, stamped=True)

    assert refusal("PUT", record(1, Status.SUPERSEDED), rules=two) == ""
    assert refusal("PUT", record(4, Status.SUPERSEDED), rules=two) == ""
    assert refusal("PUT", record(3, Status.SUPERSEDED), rules=two)


def test_the_result_is_the_revision_after_the_base() -> None:
    assert RULES.result_revision == 5

"""What made a revision, what a rollback restored, and how far it came, as its record tells."""

from __future__ import annotations

from typing import Any

import pytest
from support.revisions import a_hook, a_record
from support.samples import NOON, an_operation, operation_id

from helm_rollback.domain.evidence import (
    apply_completed,
    is_stamped_by,
    operation_type,
    rollback_hooks,
    rollback_target,
)
from helm_rollback.domain.operation import OperationType
from helm_rollback.domain.record import HelmRecord
from helm_rollback.domain.status import Status

INSTALLED: dict[str, Any] = {"first_deployed": NOON, "last_deployed": NOON}

TARGETS = [
    ("the field of Helm 4.3", a_record(rollback_target=3, description="back!"), 3),
    ("the field before the text", a_record(rollback_target=3, description="Rollback to 4"), 3),
    ("Helm's own text", a_record(description="Rollback to 12"), 12),
    ("our stamp", a_record(description=an_operation(target_revision=7).stamp), 7),
    ("our stamp with a reason", a_record(description=an_operation(target_revision=7, reason="to 8, or 9").stamp), 7),
    ("our stamp, cut", a_record(description=an_operation(target_revision=7, reason="x" * 200).stamp), 7),
    ("an upgrade", a_record(), 0),
    ("a failure's text", a_record(description='Rollback "shop" failed: Rollback to 3'), 0),
    ("more text than Helm's", a_record(description="Rollback to 3 was the plan"), 0),
    ("a line below Helm's text", a_record(description="Rollback to 3\n"), 0),
    ("a ticket, which is no stamp", a_record(description="[SHOP-1] Rollback to 3"), 0),
    ("a number that no revision has", a_record(description="Rollback to " + "9" * 5000), 0),
    ("revision 0", a_record(description="Rollback to 0"), 0),
    ("digits of another script", a_record(description="Rollback to ٣"), 0),
]


@pytest.mark.parametrize(("record", "target"), [case[1:] for case in TARGETS], ids=[case[0] for case in TARGETS])
def test_the_target_of_a_rollback_is_told_by(record: HelmRecord, target: int) -> None:
    assert rollback_target(record) == target


TYPES = [
    ("a first install", a_record(1, description="Install complete", **INSTALLED), OperationType.INSTALL),
    ("an install of Helm 3, whose times are not known", a_record(1, first_deployed=None), OperationType.INSTALL),
    ("an install over a removed release", a_record(5, description="x", **INSTALLED), OperationType.INSTALL),
    (
        "a failed install",
        a_record(5, Status.FAILED, description='Release "x" failed: n', **INSTALLED),
        OperationType.INSTALL,
    ),
    ("an upgrade", a_record(), OperationType.UPGRADE),
    (
        "an upgrade under way",
        a_record(2, Status.PENDING_UPGRADE, description="Preparing upgrade"),
        OperationType.UPGRADE,
    ),
    ("a failed upgrade", a_record(2, Status.FAILED, description='Upgrade "x" failed: n'), OperationType.UPGRADE),
    ("an upgrade whose times are not known", a_record(first_deployed=None, last_deployed=None), OperationType.UPGRADE),
    ("a rollback", a_record(3, description="Rollback to 1"), OperationType.ROLLBACK),
    ("a rollback with a text of one's own", a_record(3, rollback_target=1, description="x"), OperationType.ROLLBACK),
    ("a rollback under way", a_record(3, Status.PENDING_ROLLBACK, description="x"), OperationType.ROLLBACK),
    (
        "a rollback that failed",
        a_record(3, Status.FAILED, description='Rollback "x" failed: n'),
        OperationType.ROLLBACK,
    ),
    (
        "a rollback whose wait failed, without the field of Helm 4.3",
        a_record(3, Status.FAILED, description='Release "x" failed: n'),
        OperationType.ROLLBACK,
    ),
]


@pytest.mark.parametrize(("record", "made_by"), [case[1:] for case in TYPES], ids=[case[0] for case in TYPES])
def test_what_made_a_revision(record: HelmRecord, made_by: OperationType) -> None:
    assert operation_type(record) is made_by


PRE, POST = "pre-rollback", "post-rollback"
REACHED: list[tuple[str, dict[str, Any], bool | None]] = [
    ("it worked", {"status": Status.DEPLOYED}, True),
    ("its wait failed", {"status": Status.FAILED, "description": 'Release "shop" failed: no'}, True),
    ("its wait failed, superseded since", {"description": 'Release "shop" failed: no'}, True),
    ("its apply failed", {"status": Status.FAILED, "description": 'Rollback "shop" failed: no'}, False),
    (
        "its apply failed after a hook of both events",
        {
            "status": Status.FAILED,
            "description": 'Rollback "shop" failed: no',
            "hooks": (a_hook(PRE, POST, phase="Succeeded"),),
        },
        False,
    ),
    ("it was killed", {"status": Status.PENDING_ROLLBACK}, False),
    ("it was killed, and set failed", {"status": Status.FAILED}, False),
    (
        "a hook before the apply ran",
        {"status": Status.PENDING_ROLLBACK, "hooks": (a_hook(PRE, phase="Running"),)},
        False,
    ),
    (
        "a hook after the apply ran",
        {"status": Status.PENDING_ROLLBACK, "hooks": (a_hook(POST, phase="Running"),)},
        True,
    ),
    ("that hook ran only in the target", {"status": Status.PENDING_ROLLBACK, "hooks": (a_hook(POST),)}, False),
    (
        "a hook ran that stands before and after the apply",
        {"status": Status.PENDING_ROLLBACK, "hooks": (a_hook(PRE, POST, phase="Running"),)},
        None,
    ),
    ("it was superseded", {}, None),
    ("it was uninstalled", {"status": Status.UNINSTALLED, "description": "Uninstallation complete"}, None),
]


@pytest.mark.parametrize(("changes", "completed"), [case[1:] for case in REACHED], ids=[case[0] for case in REACHED])
def test_whether_the_apply_of_a_rollback_was_completed_if(changes: dict[str, Any], completed: bool | None) -> None:
    rollback = {"status": Status.SUPERSEDED, "description": "Rollback to 1"}

    assert apply_completed(a_record(3, **{**rollback, **changes})) is completed


def test_rollback_hooks_stand_in_the_order_in_which_helm_runs_them() -> None:
    hooks = (
        a_hook(POST, name="after"),
        a_hook("pre-upgrade", name="of upgrades"),
        a_hook(PRE, name="b"),
        a_hook(PRE, name="a", weight=1),
        a_hook(PRE, POST, name="c", weight=-1),
    )

    assert [hook.name for hook in rollback_hooks(a_record(hooks=hooks))] == ["c", "b", "a", "c", "after"]


def test_a_record_is_stamped_by_one_operation_only() -> None:
    record = a_record(description=an_operation(1).stamp)

    assert is_stamped_by(record, operation_id(1))
    assert not is_stamped_by(record, operation_id(2))
    assert not is_stamped_by(a_record(description="Rollback to 1"), operation_id(1))

"""Whose a record is that bears no stamp: by number, text, content and time, or not at all."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from support.samples import NOON, a_revision, an_operation

from helm_rollback.domain.attribution import CLOCK_TOLERANCE, is_what_it_writes, may_be_own
from helm_rollback.domain.operation import OperationState, OperationType
from helm_rollback.domain.revision import Revision
from helm_rollback.domain.status import Status

SECOND = timedelta(seconds=1)
HELD = NOON + 30 * SECOND
OPERATION = an_operation(state=OperationState.RUNNING, attempt=1, start_time=NOON)
TARGET = a_revision(1)
FAILED_TEXT = 'Rollback "shop" failed: field is immutable'


def after(**changes: Any) -> Revision:
    """Revision 3, as Helm before 4.3 writes it for a rollback to 1."""
    return a_revision(
        3,
        **{
            "status": Status.DEPLOYED,
            "operation_type": OperationType.ROLLBACK,
            "rollback_target": 1,
            "description": "Rollback to 1",
            "values_digest": TARGET.values_digest,
            "manifest_digest": TARGET.manifest_digest,
            "last_deployed": NOON + SECOND,
            **changes,
        },
    )


def attributed(revision: Revision, *, target: Revision | None = TARGET, helm_until: datetime | None = HELD) -> bool:
    return is_what_it_writes(OPERATION, revision, target, helm_until=helm_until)


@pytest.mark.parametrize("status", [Status.PENDING_ROLLBACK, Status.DEPLOYED, Status.SUPERSEDED, Status.FAILED])
def test_what_helm_wrote_for_that_target_in_that_time_is_the_operations(status: Status) -> None:
    assert attributed(after(status=status))


@pytest.mark.parametrize("text", [FAILED_TEXT, 'Release "shop" failed: context deadline exceeded'])
@pytest.mark.parametrize("target", [0, 1], ids=["target not told", "target told"])
def test_a_failure_whose_text_replaced_the_target_is_known_by_its_content(text: str, target: int) -> None:
    assert attributed(after(status=Status.FAILED, description=text, rollback_target=target))


def test_what_was_seen_as_a_rollback_before_it_was_uninstalled_is_the_operations() -> None:
    assert attributed(after(status=Status.UNINSTALLED, description="Uninstallation complete"))


OTHERS = {
    "another target": after(rollback_target=2, description="Rollback to 2"),
    "a failure for another target": after(status=Status.FAILED, description=FAILED_TEXT, rollback_target=2),
    "an upgrade": after(operation_type=OperationType.UPGRADE, rollback_target=0, description="Upgrade complete"),
    "a text of somebody's own": after(description="back to what worked"),
    "another service's stamp": after(description="[019a3f00-0000-7000-8000-000000000009] Rollback to 1"),
    "another manifest": after(manifest_digest="f" * 64),
    "other values": after(values_digest="f" * 64),
    "an uninstalled one of which nothing else is known": after(
        status=Status.UNINSTALLED, description="Uninstallation complete", rollback_target=0
    ),
    "made long before": after(last_deployed=NOON - CLOCK_TOLERANCE - SECOND),
    "made long after": after(last_deployed=HELD + CLOCK_TOLERANCE + SECOND),
    "made nobody knows when": after(last_deployed=None),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_whatever_does_not_fit_is_not_taken_for_the_operations(other: Revision) -> None:
    assert not attributed(other)


def test_without_knowing_the_targets_content_nothing_is_taken() -> None:
    assert not attributed(after(), target=None)
    assert not attributed(after(manifest_digest=""), target=a_revision(1, manifest_digest=""))


def test_without_knowing_how_long_it_was_held_nothing_is_taken() -> None:
    assert not attributed(after(), helm_until=None)


@pytest.mark.parametrize("made", [NOON - CLOCK_TOLERANCE, HELD + CLOCK_TOLERANCE])
def test_clocks_may_differ_a_little(made: datetime) -> None:
    assert attributed(after(last_deployed=made))


@pytest.mark.parametrize(
    ("revision", "stamped", "unstamped"),
    [
        (after(), False, True),
        (after(status=Status.FAILED, description=FAILED_TEXT), True, True),
        (after(status=Status.FAILED, description=FAILED_TEXT, rollback_target=0), True, True),
        (after(status=Status.UNKNOWN), True, True),
        (after(status=Status.UNINSTALLED, operation_type=None, rollback_target=0), True, True),
        (after(rollback_target=2, description="Rollback to 2"), False, False),
        (after(status=Status.FAILED, description=FAILED_TEXT, rollback_target=2), False, False),
        (after(operation_type=OperationType.UPGRADE, rollback_target=0), False, False),
    ],
)
def test_what_is_certainly_someone_elses_is_told_from_what_may_be_ours(
    revision: Revision, stamped: bool, unstamped: bool
) -> None:
    assert may_be_own(OPERATION, revision, stamped=True) is stamped
    assert may_be_own(OPERATION, revision, stamped=False) is unstamped

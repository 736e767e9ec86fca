"""Values for tests: every builder defaults everything, so a test names only what matters to it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from helm_rollback.domain.history import Cause, RevisionTransition
from helm_rollback.domain.operation import Operation, OperationState, OperationType
from helm_rollback.domain.release import Release, ReleaseId
from helm_rollback.domain.revision import Revision
from helm_rollback.domain.status import Status

NOON = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
SHOP = ReleaseId("default", "prod", "shop")
BLOG = ReleaseId("default", "prod", "blog")


class Clock:
    """A clock that stands until a test moves it."""

    def __init__(self, start: datetime = NOON) -> None:
        self._now = start

    def __call__(self) -> datetime:
        return self._now

    def move(self, by: timedelta) -> None:
        self._now += by


def operation_id(number: int) -> str:
    """A UUIDv7 that sorts as the number does."""
    return f"019a3f00-0000-7000-8000-{number:012x}"


def a_release(release_id: ReleaseId = SHOP, **changes: Any) -> Release:
    release = Release(
        release_id=release_id,
        incarnation=1,
        current_revision=1,
        status=Status.DEPLOYED,
        last_successful_revision=1,
        chart_name="shop",
        chart_version="1.0.0",
        app_version="1",
        active_operation_id="",
        last_sequence=0,
        update_time=NOON,
    )
    return replace(release, **changes)


def a_revision(revision: int = 1, release_id: ReleaseId = SHOP, **changes: Any) -> Revision:
    made = Revision(
        release_id=release_id,
        incarnation=1,
        revision=revision,
        status=Status.SUPERSEDED,
        operation_type=OperationType.UPGRADE,
        rollback_target=0,
        description="Upgrade complete",
        chart_name="shop",
        chart_version=f"1.0.{revision}",
        app_version="1",
        create_time=NOON,
        update_time=NOON,
        first_deployed=NOON,
        values_digest=f"{revision:064x}",
        manifest_digest=f"{revision:064x}",
        uid=f"uid-{revision}",
        resource_version=100 + revision,
    )
    return replace(made, **changes)


def an_operation(number: int = 1, release_id: ReleaseId = SHOP, **changes: Any) -> Operation:
    made = Operation(
        operation_id=operation_id(number),
        release_id=release_id,
        incarnation=1,
        type=OperationType.ROLLBACK,
        state=OperationState.PENDING,
        base_revision=2,
        base_status=Status.DEPLOYED,
        target_revision=1,
        actor="anonymous",
        actor_verified=False,
        reason="",
        create_time=NOON,
        expire_time=NOON + timedelta(hours=1),
    )
    return replace(made, **changes)


def finished(operation: Operation, state: OperationState = OperationState.SUCCEEDED, **changes: Any) -> Operation:
    return replace(operation, state=state, end_time=NOON + timedelta(minutes=1), **changes)


def a_transition(revision: int = 1, to_status: Status = Status.DEPLOYED, **changes: Any) -> RevisionTransition:
    made = RevisionTransition(
        incarnation=1,
        revision=revision,
        from_status=None,
        to_status=to_status,
        operation_type=OperationType.INSTALL,
        rollback_target=0,
        chart_version="1.0.0",
        description="Install complete",
        operation_id="",
        actor="",
        cause=Cause.EXTERNAL,
    )
    return replace(made, **changes)

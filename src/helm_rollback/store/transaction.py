"""Writes: `LedgerTransaction` on the writing connection, inside one transaction."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Connection, Select, bindparam, case, insert, literal_column, select, update

from helm_rollback.application.ports import Claim, HelmProcess
from helm_rollback.domain.chart import ChartChange
from helm_rollback.domain.errors import OperationInProgress, RequestIdReused
from helm_rollback.domain.history import Change, HistoryEvent
from helm_rollback.domain.operation import Operation
from helm_rollback.domain.release import Release, ReleaseId
from helm_rollback.domain.revision import Revision
from helm_rollback.store import chart_changes, leases, observations, payloads
from helm_rollback.store.engines.database import InsertIfAbsent, Now
from helm_rollback.store.errors import LedgerRuleBroken
from helm_rollback.store.mapping import (
    change_values,
    operation_values,
    release_identity,
    release_values,
    revision_values,
)
from helm_rollback.store.tables import captured_failure, event, operation, release, revision
from helm_rollback.store.view import View

_lock_release: Final[Select[Any]] = (
    select(literal_column("1")).select_from(release).where(release.c.release_id == bindparam("id")).with_for_update()
)
_insert_release: Final = InsertIfAbsent(release)
_update_release: Final = update(release).where(release.c.release_id == bindparam("of_release"))
_insert_revision: Final = insert(revision)
_update_revision: Final = update(revision).where(
    revision.c.release_id == bindparam("of_release"),
    revision.c.incarnation == bindparam("of_incarnation"),
    revision.c.number == bindparam("of_number"),
    revision.c.replaced_time.is_(None),
)
_insert_operation: Final = InsertIfAbsent(operation).execution_options(preserve_rowcount=True)
_update_operation: Final = update(operation).where(operation.c.operation_id == bindparam("of_operation"))
_now: Final = bindparam("now", type_=release.c.last_event_time.type)  # a CASE gives its branches no type
_next_sequence: Final = (
    update(release)
    .where(release.c.release_id == bindparam("of_release"))
    .values(
        last_sequence=release.c.last_sequence + 1,
        last_event_time=case((release.c.last_event_time > _now, release.c.last_event_time), else_=_now),
    )
    .returning(release.c.last_sequence, release.c.last_event_time)
)
_insert_event: Final = insert(event)
_insert_captured_failure: Final = InsertIfAbsent(captured_failure)


class Transaction(View):
    """The ledger, changing. What it touched is kept for those to be woken after the commit."""

    def __init__(self, connection: Connection, ledger_id: str, now: Now, *, alone: bool) -> None:
        """`alone`: no other transaction writes, so there is no row to lock."""
        super().__init__(connection, ledger_id, now)
        self._alone = alone
        self.touched: set[ReleaseId] = set()
        self.claimable = False

    # --- releases ---

    def lock_release(self, release_id: ReleaseId) -> Release | None:
        if not self._alone:
            # A statement sees what was committed when it began, and it may have waited since: so look in another.
            self._connection.execute(_lock_release, {"id": str(release_id)})
        return self.release(release_id)

    def add_release(self, release: Release) -> None:
        values = release_identity(release.release_id) | release_values(release)
        self._connection.execute(_insert_release, values | {"last_sequence": release.last_sequence})

    def update_release(self, release: Release) -> None:
        values = release_values(release) | {"of_release": str(release.release_id)}
        self._expect_one(self._connection.execute(_update_release, values).rowcount, release.release_id)

    # --- revisions ---

    def add_revision(self, revision: Revision) -> None:
        self._connection.execute(_insert_revision, revision_values(revision))

    def update_revision(self, revision: Revision) -> None:
        values = revision_values(revision) | {
            "of_release": str(revision.release_id),
            "of_incarnation": revision.incarnation,
            "of_number": revision.revision,
        }
        self._expect_one(self._connection.execute(_update_revision, values).rowcount, revision.release_id)

    # --- operations ---

    def add_operation(self, operation: Operation) -> None:
        values = operation_values(operation) | {"fence_token": 0}
        if self._connection.execute(_insert_operation, values).rowcount != 1:
            raise self._why_refused(operation)
        self.claimable = True

    def _why_refused(self, operation: Operation) -> Exception:
        """Which of the unique keys is taken, and by whom."""
        namesake = self.operation_of_request(operation.request_id)
        if namesake is not None:
            return RequestIdReused(operation.request_id, namesake.operation_id, namesake.release_id)
        live = self.live_operation(operation.release_id)
        if live is not None:
            return OperationInProgress(operation.release_id, live.operation_id)
        return LedgerRuleBroken(f"operation {operation.operation_id} is there already")

    def update_operation(self, operation: Operation) -> None:
        values = operation_values(operation) | {"of_operation": operation.operation_id}
        if operation.state.is_terminal:
            values |= leases.NO_LEASE
        self._expect_one(self._connection.execute(_update_operation, values).rowcount, operation.operation_id)

    def add_chart_change(self, operation_id: str, change: ChartChange) -> None:
        chart_changes.add(self._connection, operation_id, change)

    def add_captured_failure(self, operation_id: str, text: str) -> None:
        self._connection.execute(_insert_captured_failure, {"operation_id": operation_id, "body": text})

    # --- events ---

    def append(self, release_id: ReleaseId, change: Change) -> HistoryEvent:
        row = self._connection.execute(_next_sequence, {"of_release": str(release_id), "now": self.now()}).first()
        if row is None:
            raise LedgerRuleBroken(f"{release_id} is not in the ledger")
        sequence, time = row
        values = {"release_id": str(release_id), "sequence": sequence, "time": time, **change_values(change)}
        self._connection.execute(_insert_event, values)
        self.touched.add(release_id)
        return HistoryEvent(release_id=release_id, sequence=sequence, time=time, change=change)

    # --- payloads and clusters ---

    def archive(self, payload: bytes) -> str:
        return payloads.archive(self._connection, payload, self.now())

    def claim_observation(self, cluster: str, *, owner: str, lease: timedelta) -> int | None:
        return observations.claim(self._connection, cluster, owner=owner, now=self.now(), lease=lease)

    def renew_observation(self, cluster: str, *, token: int, lease: timedelta) -> bool:
        return observations.renew(self._connection, cluster, token=token, until=self.now() + lease)

    def end_observation(self, cluster: str, *, token: int) -> None:
        observations.end(self._connection, cluster, token=token)

    def save_observed_version(self, cluster: str, resource_version: int, *, token: int) -> bool:
        return observations.save_version(self._connection, cluster, resource_version, token=token, now=self.now())

    def try_writing(self) -> None:
        observations.touch(self._connection, now=self.now())

    # --- claims ---

    def claim(
        self,
        *,
        owner: str,
        lease: timedelta,
        grace: timedelta,
        limit: int,
        besides: Collection[str] = (),
        besides_clusters: Collection[str] = (),
    ) -> list[Claim]:
        return leases.claim(
            self._connection,
            owner=owner,
            now=self.now(),
            lease=lease,
            grace=grace,
            limit=limit,
            besides=besides,
            besides_clusters=besides_clusters,
        )

    def renew(self, operation_id: str, *, owner: str, token: int, lease: timedelta) -> bool:
        return leases.renew(self._connection, operation_id, owner=owner, token=token, until=self.now() + lease)

    def holds(self, operation_id: str, *, owner: str, token: int) -> bool:
        return leases.holds(self._connection, operation_id, owner=owner, token=token)

    def give_back(self, operation_id: str, *, owner: str, token: int) -> None:
        leases.give_back(self._connection, operation_id, owner=owner, token=token)
        self.claimable = True

    def save_helm_process(self, operation_id: str, process: HelmProcess) -> None:
        leases.save_process(self._connection, operation_id, process)

    def _expect_one(self, changed: int, what: object) -> None:
        if changed != 1:
            raise LedgerRuleBroken(f"{what} is not in the ledger, so it can not be changed")

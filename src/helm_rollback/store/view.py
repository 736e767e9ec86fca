"""Reads: `LedgerView` on one connection, inside one transaction.

Statements are built once, here at the top: building one costs more than running it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Select, bindparam, literal_column, or_, select, text, tuple_

from helm_rollback.application.ports import HelmProcess, RecordVersion, RevisionPosition
from helm_rollback.domain.chart import ChartChange
from helm_rollback.domain.history import HistoryEvent
from helm_rollback.domain.operation import Operation, OperationState
from helm_rollback.domain.release import Release, ReleaseId
from helm_rollback.domain.revision import Revision
from helm_rollback.domain.status import Status
from helm_rollback.store import chart_changes, leases, observations, payloads
from helm_rollback.store.engines.database import Now
from helm_rollback.store.mapping import to_event, to_operation, to_position, to_release, to_revision
from helm_rollback.store.tables import IS_LIVE, captured_failure, event, operation, release, revision

_active: Final[Any] = literal_column(
    f"(SELECT operation_id FROM operation WHERE operation.release_id = release.release_id AND operation.{IS_LIVE})"  # noqa: S608
).label("active_operation_id")
_releases: Final = select(release, _active).order_by(release.c.release_id)
_releases_with_events: Final = select(release, _active).where(release.c.last_event_time >= bindparam("since"))
_release: Final = select(release, _active).where(release.c.release_id == bindparam("id"))

_incarnation: Final = select(revision).where(
    revision.c.release_id == bindparam("id"), revision.c.incarnation == bindparam("incarnation")
)
_standing: Final = _incarnation.where(revision.c.replaced_time.is_(None))
_newest: Final = _standing.order_by(revision.c.number.desc()).limit(1)
_revision: Final = _standing.where(revision.c.number == bindparam("number"))
_stood_before: Final[Select[Any]] = (
    select(literal_column("1"))
    .select_from(revision, release)
    .where(
        revision.c.release_id == bindparam("id"),
        release.c.release_id == revision.c.release_id,
        revision.c.number == bindparam("number"),
        revision.c.uid == bindparam("uid"),
        or_(revision.c.replaced_time.is_not(None), revision.c.incarnation < release.c.incarnation),
    )
)
_replaced_since: Final = select(revision.c.number).where(
    revision.c.release_id == bindparam("id"),
    revision.c.incarnation == bindparam("incarnation"),
    revision.c.number == bindparam("number"),
    revision.c.replaced_time > bindparam("since"),
)
_newest_stored: Final = _newest.where(revision.c.stored_by_helm.is_(True))
_newest_successful: Final = _newest.where(revision.c.deployed_time.is_not(None))
_versions: Final = select(
    revision.c.number, revision.c.uid, revision.c.resource_version, revision.c.stored_by_helm
).where(
    revision.c.release_id == bindparam("id"),
    revision.c.incarnation == bindparam("incarnation"),
    revision.c.replaced_time.is_(None),
)
_deployed: Final = select(revision.c.number).where(
    revision.c.release_id == bindparam("id"),
    revision.c.incarnation == bindparam("incarnation"),
    revision.c.status == Status.DEPLOYED.value,
    revision.c.replaced_time.is_(None),
    revision.c.stored_by_helm.is_(True),
)
_whole_incarnation: Final = _incarnation.order_by(revision.c.number, revision.c.key)

_position: Final = (revision.c.incarnation, revision.c.number, revision.c.key)
_page: Final = (
    select(revision)
    .where(revision.c.release_id == bindparam("id"))
    .order_by(*(column.desc() for column in _position))
    .limit(bindparam("most"))
)
_before: Final = tuple_(*_position) < tuple_(bindparam("incarnation"), bindparam("number"), bindparam("key"))
_successful: Final = revision.c.deployed_time.is_not(None)
_pages: Final = {
    (False, False): _page,
    (False, True): _page.where(_before),
    (True, False): _page.where(_successful),
    (True, True): _page.where(_successful, _before),
}

_operation: Final = select(operation).where(operation.c.operation_id == bindparam("id"))
_operation_of_request: Final = select(operation).where(operation.c.request_id == bindparam("id"))
_captured_failure: Final = select(captured_failure.c.body).where(captured_failure.c.operation_id == bindparam("id"))
_live_operation: Final = select(operation).where(operation.c.release_id == bindparam("id"), text(IS_LIVE))

_events: Final = (
    select(event.c.sequence, event.c.time, event.c.kind, event.c.change)
    .where(event.c.release_id == bindparam("id"), event.c.sequence > bindparam("after"))
    .order_by(event.c.sequence)
    .limit(bindparam("most"))
)


class View:
    """One snapshot of the ledger."""

    def __init__(self, connection: Connection, ledger_id: str, now: Now) -> None:
        self._connection = connection
        self._ledger_id = ledger_id
        self._now = now

    @property
    def ledger_id(self) -> str:
        return self._ledger_id

    def now(self) -> datetime:
        return self._now(self._connection)

    # --- releases ---

    def release(self, release_id: ReleaseId) -> Release | None:
        row = self._connection.execute(_release, {"id": str(release_id)}).first()
        return None if row is None else to_release(row)

    def releases(
        self, *, cluster: str = "", namespace: str = "", status: Status | None = None, after: str = "", limit: int
    ) -> list[Release]:
        statement = _releases.limit(limit)
        if after:
            statement = statement.where(release.c.release_id > after)
        if cluster:
            statement = statement.where(release.c.cluster == cluster)
        if namespace:
            statement = statement.where(release.c.namespace == namespace)
        if status is not None:
            statement = statement.where(release.c.status == status.value)
        return [to_release(row) for row in self._connection.execute(statement)]

    def releases_with_events(self, *, since: datetime) -> list[Release]:
        return [to_release(row) for row in self._connection.execute(_releases_with_events, {"since": since})]

    # --- revisions ---

    def revision(self, release_id: ReleaseId, revision: int, *, incarnation: int) -> Revision | None:
        return self._one_revision(_revision, release_id, incarnation=incarnation, number=revision)

    def was_replaced(self, release_id: ReleaseId, revision: int, *, incarnation: int, since: datetime) -> bool:
        where = {"id": str(release_id), "incarnation": incarnation, "number": revision, "since": since}
        return self._connection.execute(_replaced_since, where).first() is not None

    def stood_before(self, release_id: ReleaseId, revision: int, *, uid: str) -> bool:
        where = {"id": str(release_id), "number": revision, "uid": uid}
        return self._connection.execute(_stood_before, where).first() is not None

    def newest_revision(self, release_id: ReleaseId, *, incarnation: int, stored: bool) -> Revision | None:
        return self._one_revision(_newest_stored if stored else _newest, release_id, incarnation=incarnation)

    def newest_successful(self, release_id: ReleaseId, *, incarnation: int) -> Revision | None:
        return self._one_revision(_newest_successful, release_id, incarnation=incarnation)

    def _one_revision(self, statement: Select[Any], release_id: ReleaseId, **where: int) -> Revision | None:
        row = self._connection.execute(statement, {"id": str(release_id), **where}).first()
        return None if row is None else to_revision(row, release_id)

    def deployed_revisions(self, release_id: ReleaseId, *, incarnation: int) -> list[int]:
        rows = self._connection.execute(_deployed, {"id": str(release_id), "incarnation": incarnation})
        return [row.number for row in rows]

    def record_versions(self, release_id: ReleaseId, *, incarnation: int) -> list[RecordVersion]:
        rows = self._connection.execute(_versions, {"id": str(release_id), "incarnation": incarnation})
        return [RecordVersion(*row) for row in rows]

    def incarnation_revisions(self, release_id: ReleaseId, *, incarnation: int) -> list[Revision]:
        rows = self._connection.execute(_whole_incarnation, {"id": str(release_id), "incarnation": incarnation})
        return [to_revision(row, release_id) for row in rows]

    def revisions_page(
        self, release_id: ReleaseId, *, successful_only: bool, before: RevisionPosition | None, limit: int
    ) -> list[tuple[RevisionPosition, Revision]]:
        where: dict[str, object] = {"id": str(release_id), "most": limit}
        if before is not None:
            where |= {"incarnation": before.incarnation, "number": before.revision, "key": before.key}
        rows = self._connection.execute(_pages[successful_only, before is not None], where)
        return [(to_position(row), to_revision(row, release_id)) for row in rows]

    # --- operations ---

    def operation(self, operation_id: str) -> Operation | None:
        return self._one_operation(_operation, operation_id)

    def operation_of_request(self, request_id: str) -> Operation | None:
        return self._one_operation(_operation_of_request, request_id)

    def live_operation(self, release_id: ReleaseId) -> Operation | None:
        return self._one_operation(_live_operation, str(release_id))

    def _one_operation(self, statement: Select[Any], key: str) -> Operation | None:
        row = self._connection.execute(statement, {"id": key}).first()
        return None if row is None else to_operation(row)

    def operations(
        self,
        *,
        release_id: ReleaseId | None = None,
        state: OperationState | None = None,
        request_id: str = "",
        before: str = "",
        limit: int,
    ) -> list[Operation]:
        statement = select(operation).order_by(operation.c.operation_id.desc()).limit(limit)
        if release_id is not None:
            statement = statement.where(operation.c.release_id == str(release_id))
        if state is not None:
            statement = statement.where(operation.c.state == state.value)
            if not state.is_terminal:
                statement = statement.where(text(IS_LIVE))  # lets the small index of live ones serve
        if request_id:
            statement = statement.where(operation.c.request_id == request_id)
        if before:
            statement = statement.where(operation.c.operation_id < before)
        return [to_operation(row) for row in self._connection.execute(statement)]

    def chart_change(self, operation_id: str) -> ChartChange | None:
        return chart_changes.read(self._connection, operation_id)

    def captured_failure(self, operation_id: str) -> str:
        return str(self._connection.execute(_captured_failure, {"id": operation_id}).scalar() or "")

    def helm_process(self, operation_id: str) -> HelmProcess | None:
        return leases.process(self._connection, operation_id)

    # --- the rest ---

    def events(self, release_id: ReleaseId, *, after: int, limit: int) -> list[HistoryEvent]:
        rows = self._connection.execute(_events, {"id": str(release_id), "after": after, "most": limit})
        return [
            to_event(release_id, sequence=sequence, time=time, kind=kind, change=change)
            for sequence, time, kind, change in rows
        ]

    def payload(self, digest: str) -> bytes | None:
        return payloads.content(self._connection, digest)

    def observed_version(self, cluster: str) -> int | None:
        return observations.version(self._connection, cluster)

"""The ledger, read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from helm_rollback.application.ports.helm import HelmProcess
from helm_rollback.domain.chart import ChartChange
from helm_rollback.domain.history import HistoryEvent
from helm_rollback.domain.operation import Operation, OperationState
from helm_rollback.domain.release import Release, ReleaseId
from helm_rollback.domain.revision import Revision
from helm_rollback.domain.status import Status


class LedgerView(Protocol):
    """The ledger as one consistent snapshot. Every method returns plain frozen values."""

    @property
    def ledger_id(self) -> str:
        """The UUID that was given to this ledger when it was made; resume tokens bear it."""

    def release(self, release_id: ReleaseId) -> Release | None: ...

    def releases(
        self, *, cluster: str = "", namespace: str = "", status: Status | None = None, after: str = "", limit: int
    ) -> list[Release]:
        """Ordered by release id (as text); only those behind the id `after`. Empty filters match all."""

    def releases_with_events(self, *, since: datetime) -> list[Release]:
        """Those whose newest event is of that time or later."""

    def revision(self, release_id: ReleaseId, revision: int, *, incarnation: int) -> Revision | None:
        """The revision that bears the number now; replaced ones are not found."""

    def was_replaced(self, release_id: ReleaseId, revision: int, *, incarnation: int, since: datetime) -> bool:
        """Whether Helm used the number again after that time, so that another revision bears it now."""

    def stood_before(self, release_id: ReleaseId, revision: int, *, uid: str) -> bool:
        """Whether the Secret with this uid held the number in an earlier life, or before it was used again."""

    def newest_revision(self, release_id: ReleaseId, *, incarnation: int, stored: bool) -> Revision | None:
        """The highest not replaced one; with `stored`, of those that Helm still stores."""

    def newest_successful(self, release_id: ReleaseId, *, incarnation: int) -> Revision | None: ...

    def deployed_revisions(self, release_id: ReleaseId, *, incarnation: int) -> list[int]:
        """Those that Helm stores as DEPLOYED: one as a rule, but Helm can leave several."""

    def record_versions(self, release_id: ReleaseId, *, incarnation: int) -> list[RecordVersion]:
        """How far each not replaced revision of an incarnation was seen: little to read, and asked often."""

    def incarnation_revisions(self, release_id: ReleaseId, *, incarnation: int) -> list[Revision]:
        """All of one incarnation, oldest first, replaced ones included (right before what replaced them)."""

    def revisions_page(
        self, release_id: ReleaseId, *, successful_only: bool, before: RevisionPosition | None, limit: int
    ) -> list[tuple[RevisionPosition, Revision]]:
        """Newest first over all incarnations, replaced ones included; those behind `before`."""

    def operation(self, operation_id: str) -> Operation | None: ...

    def operation_of_request(self, request_id: str) -> Operation | None: ...

    def live_operation(self, release_id: ReleaseId) -> Operation | None:
        """The one that is PENDING or RUNNING; there is at most one."""

    def operations(
        self,
        *,
        release_id: ReleaseId | None = None,
        state: OperationState | None = None,
        request_id: str = "",
        before: str = "",
        limit: int,
    ) -> list[Operation]:
        """Newest first (operation ids are UUIDv7); those older than the id `before`."""

    def events(self, release_id: ReleaseId, *, after: int, limit: int) -> list[HistoryEvent]:
        """In sequence order, those with a sequence above `after`."""

    def payload(self, digest: str) -> bytes | None:
        """The archived record with this digest, checked against it. Raises LedgerCorrupt where it differs."""

    def chart_change(self, operation_id: str) -> ChartChange | None:
        """What an install or upgrade was given."""

    def captured_failure(self, operation_id: str) -> str:
        """What was captured when the operation failed; empty where nothing was."""

    def helm_process(self, operation_id: str) -> HelmProcess | None:
        """The Helm that was last started for an operation."""

    def observed_version(self, cluster: str) -> int | None:
        """The resourceVersion up to which the cluster's records are in the ledger."""

    def now(self) -> datetime:
        """The ledger's clock: the only one that is compared with stored times."""


@dataclass(frozen=True, slots=True)
class RecordVersion:
    """The newest version of a record that the ledger has."""

    revision: int
    uid: str
    resource_version: int
    stored_by_helm: bool


@dataclass(frozen=True, slots=True, order=True)
class RevisionPosition:
    """Where a revision stands in a listing."""

    incarnation: int
    revision: int
    key: int
    """The ledger's own key: later rows have higher ones."""

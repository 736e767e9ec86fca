"""What the use cases need of the world, as protocols. The adapters implement them.

Everything that can hang has a deadline inside the adapter. Foreign errors are
turned into those of `domain/errors.py` there, too.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence, Set
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple, Protocol, TypeVar

from helm_rollback.application.crash_points import Reached, go_on
from helm_rollback.application.drain import Drain
from helm_rollback.domain.chart import ChartChange, ChartSources
from helm_rollback.domain.helm_call import HelmCall
from helm_rollback.domain.helm_options import HelmOptions
from helm_rollback.domain.history import Change, HistoryEvent
from helm_rollback.domain.live_object import LiveObject, Resource, group_of
from helm_rollback.domain.operation import FailureReason, Operation, OperationState
from helm_rollback.domain.record import HelmRecord, RecordRef, StoredRecord
from helm_rollback.domain.release import Release, ReleaseId
from helm_rollback.domain.revision import Revision
from helm_rollback.domain.status import Status

T = TypeVar("T")


# --- the ledger -----------------------------------------------------------------------


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A worker's right to carry an operation out. `token` grows with every claim of the operation."""

    operation: Operation
    token: int
    helm_until: datetime | None = None
    """Until when a Helm that was started under an earlier claim may have written; None where none was."""


class LedgerTransaction(LedgerView, Protocol):
    """The ledger, changing. All that one transaction does becomes durable together, or not at all."""

    def lock_release(self, release_id: ReleaseId) -> Release | None:
        """Hold the release until the transaction ends, so that nobody else changes it meanwhile."""

    def add_release(self, release: Release) -> None:
        """Enter it, and hold it until the transaction ends. One that somebody entered just now stays as it is."""

    def update_release(self, release: Release) -> None:
        """Store the projection; `last_sequence` is left to `append`."""

    def add_revision(self, revision: Revision) -> None: ...

    def update_revision(self, revision: Revision) -> None:
        """Store what may go forward of the revision that bears the number now. Content can not change."""

    def add_operation(self, operation: Operation) -> None:
        """Raises OperationInProgress or RequestIdReused where the constraint says so."""

    def update_operation(self, operation: Operation) -> None: ...

    def add_chart_change(self, operation_id: str, change: ChartChange) -> None:
        """Store what an install or upgrade was given; its operation is there already."""

    def add_captured_failure(self, operation_id: str, text: str) -> None:
        """Store what was captured when the operation failed; what was stored before stays."""

    def append(self, release_id: ReleaseId, change: Change) -> HistoryEvent:
        """Append an event with the next sequence; wakes those who watch the release, after the commit."""

    def archive(self, payload: bytes) -> str:
        """Store a record's payload if it is not there yet; its digest."""

    def claim_observation(self, cluster: str, *, owner: str, lease: timedelta) -> int | None:
        """Take the right to observe a cluster, for `lease` from now: its token, or None where another has it."""

    def renew_observation(self, cluster: str, *, token: int, lease: timedelta) -> bool:
        """Prolong it; False when someone else has taken it since."""

    def end_observation(self, cluster: str, *, token: int) -> None:
        """Give it up, so that another replica need not wait for it to run out."""

    def save_observed_version(self, cluster: str, resource_version: int, *, token: int) -> bool:
        """Note how far the cluster was seen; False, and nothing noted, when someone else observes it by now."""

    def try_writing(self) -> None:
        """Write something that changes nothing: whether the ledger takes a write shows only so."""

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
        """Take up to `limit` live operations that nobody holds, oldest first, for `lease` from now.

        None of `besides`: what the caller still carries out is not free, though its lease
        may have run out, by a clock that jumped or after a pause. None of `besides_clusters`, too.

        A lease that ran out counts as held for `grace` longer; one that was given back does not.
        `owner` names one process, from its start to its end: a name that was used before would
        hold what its namesake held.
        """

    def renew(self, operation_id: str, *, owner: str, token: int, lease: timedelta) -> bool:
        """Prolong a claim; False when someone else has taken the operation since."""

    def holds(self, operation_id: str, *, owner: str, token: int) -> bool:
        """Whether the claim is still the newest: ask in each transaction that writes for an operation."""

    def give_back(self, operation_id: str, *, owner: str, token: int) -> None:
        """End a claim before its time, so that another worker need not wait for it to run out."""

    def save_helm_process(self, operation_id: str, process: HelmProcess) -> None: ...


class Wakeup(Protocol):
    """Tells that something may have changed. A hint: whoever is woken reads the ledger."""

    async def wait(self, timeout: float) -> bool:
        """Wait until there was a change since the last wait; False after `timeout` seconds."""


class Ledger(Protocol):
    """Runs functions against the ledger, each in one transaction, off the event loop.

    Raises StoreUnavailable where the database does not answer; then a write may or
    may not have been done.
    """

    async def read(self, body: Callable[[LedgerView], T]) -> T: ...

    async def write(self, body: Callable[[LedgerTransaction], T]) -> T:
        """Commit when `body` returns, undo everything when it raises. May run it again after a conflict."""

    def watch(self, release_id: ReleaseId) -> AbstractContextManager[Wakeup]:
        """Be woken at each event of one release."""

    def watch_releases(self) -> AbstractContextManager[Wakeup]:
        """Be woken at each event of any release."""

    def watch_operations(self) -> AbstractContextManager[Wakeup]:
        """Be woken when an operation is accepted."""


# --- a cluster ------------------------------------------------------------------------


class WatchKind(StrEnum):
    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchEvent:
    kind: WatchKind
    resource_version: int
    stored: StoredRecord | None
    """None for a BOOKMARK."""


class WatchExpired(Exception):
    """The cluster no longer has the changes since that resourceVersion (410 Gone): LIST again."""


class RecordConflict(Exception):
    """The record, or object, changed or went since it was read: nothing was written."""


class RecordRefused(Exception):
    """The API server does not take the record: its namespace is gone, it is too large, or a policy is against it."""


@dataclass(frozen=True, slots=True)
class ServedKind:
    api_version: str
    kind: str


@dataclass(frozen=True, slots=True)
class Served:
    """What an API server serves."""

    resources: Mapping[ServedKind, Resource]
    """Of each group, the versions in the server's order: the one it prefers first."""
    state: str = ""
    """Names this state of the API: what was read of it in a state of the same name still holds. Empty: not known."""

    @property
    def kinds(self) -> Set[ServedKind]:
        """Every kind that has a resource of its own."""
        return self.resources.keys()

    def resource(self, api_version: str, kind: str) -> Resource | None:
        """That of a kind, in another version of its group where this one is not served; None where none is."""
        if (exact := self.resources.get(ServedKind(api_version, kind))) is not None:
            return exact
        group = group_of(api_version)
        return next((known for known in self.resources.values() if (known.group, known.kind) == (group, kind)), None)


class Listing(NamedTuple):
    """What a LIST told."""

    refs: list[RecordRef]
    """Ascending by revision within a release."""
    resource_version: int
    """The cluster's version that it is of: whatever has a higher one came later."""


class Cluster(Protocol):
    """One cluster: its release records, and single objects. Raises ClusterUnreachable, ClusterPermissionDenied."""

    @property
    def name(self) -> str: ...

    async def list_release(self, release_id: ReleaseId) -> Listing:
        """The records of one release. Metadata only."""

    async def list_all(self) -> Listing:
        """Every release record of the cluster. Metadata only."""

    def watch(self, resource_version: int) -> AsyncIterator[WatchEvent]:
        """Every change after `resource_version`. Ends when the server ends it; raises WatchExpired on 410."""

    async def read_record(self, ref: RecordRef) -> StoredRecord | None:
        """The newest version of a record; None when it is gone."""

    async def read_revision(self, release_id: ReleaseId, revision: int) -> StoredRecord | None:
        """The record that stands where Helm keeps that revision; None where none does."""

    async def read_version(self, ref: RecordRef, resource_version: int) -> StoredRecord | None:
        """The record as it was at `resource_version`; None where the cluster no longer has that."""

    async def set_failed(self, stored: StoredRecord, *, description: str) -> StoredRecord:
        """Set status `failed` in label and payload. Raises RecordConflict unless it is still that version."""

    async def create_record(
        self,
        release_id: ReleaseId,
        revision: int,
        payload: bytes,
        *,
        status: Status,
        description: str,
        labels: Mapping[str, str],
    ) -> RecordRef:
        """Put a record back, with `status` in label and payload. `labels` are its further ones.

        Raises RecordConflict where a Secret of that name is there, RecordRefused.
        """

    async def delete_record(self, ref: RecordRef) -> None:
        """Delete exactly that version. Raises RecordConflict unless it is still that version."""

    async def read_object(
        self, release_id: ReleaseId, resource: Resource, namespace: str, name: str
    ) -> LiveObject | None:
        """Any object, as it is now; None where there is none. `namespace`: empty for one of the whole cluster."""

    async def read_content(
        self, release_id: ReleaseId, resource: Resource, namespace: str, name: str
    ) -> Mapping[str, Any] | None:
        """The whole of any object, as it is now; None where there is none."""

    async def list_contents(
        self,
        release_id: ReleaseId,
        resource: Resource,
        namespace: str,
        *,
        labels: str = "",
        fields: str = "",
        limit: int,
    ) -> list[Mapping[str, Any]]:
        """Whole objects of a namespace, at most `limit`, by name. `labels` and `fields` select, as in kubectl."""

    async def read_log(
        self, release_id: ReleaseId, namespace: str, pod: str, container: str, *, previous: bool, lines: int, size: int
    ) -> str:
        """The last lines that a container printed, at most `size` bytes; `previous`: before it was restarted.

        Raises ClusterUnreachable also where its node does not tell.
        """

    async def delete_object(self, release_id: ReleaseId, live: LiveObject) -> None:
        """Delete exactly that version, and in the background what it owns; one that is gone needs no deleting.

        Raises RecordConflict where it has changed.
        """

    async def served_kinds(self) -> Served:
        """What the API server serves now."""

    async def uid(self) -> str:
        """The uid of the namespace kube-system: which cluster this is, whatever it is called."""


# --- Helm and its fence ---------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class HelmProcess:
    """A Helm that was started: enough to find it again, and not to mistake another for it."""

    host: str
    pid: int
    start_ticks: int
    """Field 22 of /proc/PID/stat: a reused pid has another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HelmExit:
    """How Helm ended. What happened is in the records, not here."""

    returncode: int
    """As of subprocess: negative is the signal that ended it."""
    output: str
    """The end of what it printed to stdout and stderr."""
    reason: FailureReason
    """Its error text, classified; meaningless after success."""
    timed_out: bool = False
    """It was killed since it outlived its deadline."""


class Helm(Protocol):
    """Runs Helm's command line."""

    @property
    def writes_stamp(self) -> bool:
        """Whether its `rollback` has --description (Helm ≥ 4.3)."""

    def check_available(self) -> None:
        """Raise HelmUnavailable where there is no Helm to run; asked before anything is accepted."""

    async def run(
        self,
        release_id: ReleaseId,
        call: HelmCall,
        *,
        options: HelmOptions,
        description: str,
        kubeconfig: str,
        api_state: str,
        started: Callable[[HelmProcess], Awaitable[None]],
        cancelled: Callable[[], Awaitable[None]] | None = None,
    ) -> HelmExit:
        """Run to the end, whatever happens to the caller's task but its cancellation. Raises HelmUnavailable.

        `api_state` is `Served.state` as of now: what an earlier run read of the API in
        the same state is used again; with another, or none, Helm reads it anew.
        `cancelled` returns when Helm is to be interrupted, which it takes for an end of
        its own in an install or upgrade only.
        """

    def reason_of(self, text: str) -> FailureReason:
        """What an error text of Helm's means."""

    async def end_orphan(self, process: HelmProcess) -> None:
        """Kill a Helm that an earlier process of this service left running on this host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordWrite:
    """A write of a release record that Helm asks the fence to pass."""

    method: str
    """POST, PUT, PATCH or DELETE."""
    namespace: str
    secret_name: str
    stored: StoredRecord | None
    """What it wants to write; None for DELETE."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TouchedObject:
    """An object that Helm wrote through the fence."""

    method: str
    path: str


class OpenFence(Protocol):
    """One operation's passage to the cluster."""

    @property
    def kubeconfig(self) -> str:
        """A kubeconfig for Helm: a loopback address and a one-time token, no credential of the cluster."""

    @property
    def touched(self) -> Sequence[TouchedObject]:
        """What was passed and answered with success, in order; release records included."""

    @property
    def refused_records(self) -> Sequence[RecordWrite]:
        """Record writes that were not passed."""


class Fence(Protocol):
    """Opens passages. A read passes always; a write only while `seconds_left` are more than 0."""

    def open(
        self,
        cluster: str,
        *,
        seconds_left: Callable[[], float],
        judge: Callable[[RecordWrite], Awaitable[str]],
        sent_for: str = "",
    ) -> AbstractAsyncContextManager[OpenFence]:
        """`judge` answers why a record write may not pass, or nothing. It is asked before
        `seconds_left`, which is asked last, with the write's body in hand: what has not reached the API
        server within that time never does. `sent_for` is added to the User-Agent of all
        that passes, so that the API server's audit log tells one run of Helm from another."""


# --- together -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """All that the use cases reach, wired in `bootstrap.py`."""

    ledger: Ledger
    ledger_id: str
    clusters: Mapping[str, Cluster]
    helm: Helm
    fence: Fence
    decode: Callable[[bytes], HelmRecord]
    """Reads an archived payload."""
    new_operation_id: Callable[[datetime], str]
    """Gives UUIDv7s: they sort by the time that it is told."""
    drain: Drain
    chart_sources: ChartSources = field(default_factory=ChartSources)
    """From where charts may come, as the settings say."""
    heartbeat_seconds: float = 15.0
    """After how much silence a stream says that it is alive."""
    reached: Reached = go_on
    """Told at each crash point."""

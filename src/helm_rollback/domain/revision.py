"""One revision in the ledger: what it was, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from helm_rollback.domain.operation import OperationType
from helm_rollback.domain.release import ReleaseId
from helm_rollback.domain.selection import Evidence
from helm_rollback.domain.status import Status


class Mark(StrEnum):
    """What a person said of a revision."""

    GOOD = "GOOD"
    BAD = "BAD"
    UNMARKED = "UNMARKED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One revision. Its content never changes; status, description and proofs go forward."""

    release_id: ReleaseId
    incarnation: int
    revision: int
    status: Status
    operation_type: OperationType | None
    """None where the record does not tell what made it."""
    rollback_target: int
    """The revision that this one restored; 0 unless it is a rollback."""
    description: str
    chart_name: str
    chart_version: str
    app_version: str
    create_time: datetime
    """When Helm first wrote the record, as far as known."""
    update_time: datetime
    """When the ledger last saw it change."""
    first_deployed: datetime | None
    """Helm's own; a change of it with numbering going on is a life boundary."""
    last_deployed: datetime | None = None
    """Helm's own: when this revision was made. With the content it tells a record put back from a new one."""
    deployed_time: datetime | None = None
    """When it was seen DEPLOYED, or was by its records. Never unset: it is what makes it successful."""
    success_evidence: Evidence | None = None
    unproven: bool = False
    """Whether Helm's records leave open if it ever worked. False once that is decided."""
    apply_completed: bool | None = None
    """Of a rollback: whether its manifest was fully applied, though it may have failed after; None: not known."""
    replaced_time: datetime | None = None
    """Set when Helm used the number again after the record was deleted by hand."""
    operation_id: str = ""
    """The operation of this service that made it, empty for anyone else's."""
    actor: str = ""
    reason: str = ""
    mark: Mark = Mark.UNMARKED
    values_digest: str = ""
    manifest_digest: str = ""
    payload_digest: str = ""
    """Which archived payload holds the record; empty where none could be read."""
    full_size_bytes: int = 0
    """Size of values and manifest together: what view FULL adds."""
    stored_by_helm: bool = True
    uid: str = ""
    resource_version: int = 0
    """With `uid`, the newest version of the Secret that was applied. Older ones are dropped."""
    labels: tuple[tuple[str, str], ...] = ()
    """The further labels of that version, sorted: custom ones, and Helm's notes of times."""

    @property
    def successful(self) -> bool:
        """Whether it worked once, whatever Helm called it later."""
        return self.deployed_time is not None

    @property
    def contents(self) -> frozenset[tuple[str, ...]]:
        """What it tells the cluster, named in two ways: by manifest and hooks, and by chart and values."""
        by_manifest = (self.manifest_digest,)
        by_chart = (self.chart_name, self.chart_version, self.values_digest)
        return frozenset(name for name in (by_manifest, by_chart) if name[-1])

    def same_content(self, other: Revision) -> bool:
        """Whether both tell the cluster the same, by either name. What could not be read is like nothing."""
        return not self.contents.isdisjoint(other.contents)

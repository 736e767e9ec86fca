"""Which of Helm's writes to release records belong to an operation.

During `helm rollback` Helm creates base + 1, rewrites it as it goes, and supersedes
what is deployed (`pkg/action/rollback.go`, performRollback). Everything else is
refused: above all a record of another number, which means that someone else's Helm
came in between.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from helm_rollback.domain.evidence import is_stamped_by
from helm_rollback.domain.operation import Operation
from helm_rollback.domain.record import HelmRecord, secret_name
from helm_rollback.domain.status import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRules:
    """What one operation's Helm may write."""

    operation: Operation
    deployed: Set[int]
    """The revisions that were DEPLOYED when Helm was started."""
    stamped: bool
    """Whether this Helm can stamp its record (Helm ≥ 4.3)."""

    @property
    def result_revision(self) -> int:
        """The one revision that this operation may create."""
        return self.operation.base_revision + 1

    def refusal(self, *, method: str, name: str, record: HelmRecord | None) -> str:
        """Why the write may not pass; empty where it may. `record` is what is to be written."""
        if method == "DELETE":
            return "this operation deletes no release record"
        if record is None:
            return "the release record can not be read"
        own = self.operation.release_id
        if (record.name, record.namespace) != (own.name, own.namespace) or name != secret_name(
            own.name, record.revision
        ):
            return f"the record is not of release {own}"
        if method == "POST":
            return self._refuse_creating(record)
        if method == "PUT":
            return self._refuse_rewriting(record)
        return f"Helm does not {method} release records"

    def _refuse_creating(self, record: HelmRecord) -> str:
        if record.revision != self.result_revision:
            return f"revision {self.result_revision} was to be created, not {record.revision}: the release changed"
        if self.stamped and not is_stamped_by(record, self.operation.operation_id):
            return "the record does not bear this operation's stamp"
        return ""

    def _refuse_rewriting(self, record: HelmRecord) -> str:
        if record.revision == self.result_revision:
            return ""
        if record.revision in self.deployed and record.status is Status.SUPERSEDED:
            return ""
        return f"revision {record.revision} is not this operation's to rewrite"

"""Which of Helm's writes to release records belong to an operation.

Each command of Helm's writes certain records and no others (`performRollback` in
`pkg/action/rollback.go`, `performInstall` in `install.go`, `releasingUpgrade` in
`upgrade.go`, `Run` in `uninstall.go`). Everything else is refused: above all a record of
another number, which means that someone else's Helm came in between.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from helm_rollback.domain.evidence import is_stamped_by
from helm_rollback.domain.operation import Operation, OperationType
from helm_rollback.domain.record import HelmRecord, revision_of_secret, secret_name
from helm_rollback.domain.status import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRules:
    """What one operation's Helm may write."""

    operation: Operation
    deployed: Set[int]
    """The revisions that were DEPLOYED when Helm was started."""
    stamped: bool
    """Whether this Helm can stamp a rollback's record (Helm ≥ 4.3)."""

    @property
    def result_revision(self) -> int:
        """The one revision that this operation may create; an uninstall creates none."""
        return self.operation.base_revision + 1

    def refusal(self, *, method: str, name: str, record: HelmRecord | None) -> str:
        """Why the write may not pass; empty where it may. `record` is what is to be written."""
        if method == "DELETE":
            return self._refuse_deleting(name)
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
        if self.operation.type is OperationType.UNINSTALL:
            return "an uninstall creates no release record"
        if record.revision != self.result_revision:
            return f"revision {self.result_revision} was to be created, not {record.revision}: the release changed"
        stamps_at_once = self.stamped and self.operation.type is OperationType.ROLLBACK
        if stamps_at_once and not is_stamped_by(record, self.operation.operation_id):
            return "the record does not bear this operation's stamp"
        return ""

    def _refuse_rewriting(self, record: HelmRecord) -> str:
        if record.revision == self._own_revision:
            return ""
        if record.status is Status.SUPERSEDED and record.revision in self._superseded:
            return ""
        return f"revision {record.revision} is not this operation's to rewrite"

    @property
    def _own_revision(self) -> int:
        """The one that it may rewrite as it likes."""
        is_uninstall = self.operation.type is OperationType.UNINSTALL
        return self.operation.base_revision if is_uninstall else self.result_revision

    @property
    def _superseded(self) -> Set[int]:
        """Those that it may supersede. Without a deployed one, a chart supersedes the revision that it goes over."""
        return self.deployed | {self.operation.base_revision} if self.operation.is_by_chart else self.deployed

    def _refuse_deleting(self, name: str) -> str:
        """An uninstall that purges deletes every record, and so does a failed install that Helm undoes."""
        operation = self.operation
        undoes = operation.is_undone_by_helm
        if not operation.purge and not undoes:
            return "this operation deletes no release record"
        revision = revision_of_secret(name, operation.release_id.name)
        if not 1 <= revision <= self._own_revision:
            return f"{name} is not this operation's to delete"
        return ""

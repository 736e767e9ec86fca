"""An operation: one accepted request to change a release, and its states.

```mermaid
stateDiagram-v2
    [*] --> PENDING : a
    PENDING --> RUNNING : b
    RUNNING --> RUNNING : c
    RUNNING --> SUCCEEDED : d
    RUNNING --> FAILED : e
    PENDING --> FAILED : f
    PENDING --> CANCELLED : g
```

The letters are explained in docs/architecture.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from helm_rollback.domain.helm_options import HelmOptions
from helm_rollback.domain.release import ReleaseId
from helm_rollback.domain.selection import Selection
from helm_rollback.domain.status import Status


class OperationType(StrEnum):
    """What an operation does, and what made a revision."""

    INSTALL = "INSTALL"
    UPGRADE = "UPGRADE"
    ROLLBACK = "ROLLBACK"
    UNINSTALL = "UNINSTALL"


class OperationState(StrEnum):
    """Where an operation stands."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def is_terminal(self) -> bool:
        return self not in (OperationState.PENDING, OperationState.RUNNING)


class OutcomeEvidence(StrEnum):
    """How an outcome is known."""

    OBSERVED = "OBSERVED"
    """Read from Helm's records at the end of our own run."""
    RECONSTRUCTED = "RECONSTRUCTED"
    """Read from Helm's records after an interruption."""


class Applied(StrEnum):
    """Whether the target's manifest is live after a failure."""

    NOT_APPLIED = "NOT_APPLIED"
    PARTLY = "PARTLY"
    APPLIED = "APPLIED"
    UNKNOWN = "UNKNOWN"


class FailureReason(StrEnum):
    """Why an accepted operation failed. The names are those of the public `ErrorReason`."""

    HELM_FAILED = "HELM_FAILED"
    WAIT_TIMED_OUT = "WAIT_TIMED_OUT"
    HOOK_FAILED = "HOOK_FAILED"
    APPLY_CONFLICT = "APPLY_CONFLICT"
    OBJECT_REJECTED = "OBJECT_REJECTED"
    KIND_NOT_SERVED = "KIND_NOT_SERVED"
    RECORD_MISMATCH = "RECORD_MISMATCH"
    RECORD_TOO_LARGE = "RECORD_TOO_LARGE"
    EXTERNAL_CHANGE = "EXTERNAL_CHANGE"
    EXPIRED = "EXPIRED"
    INTERRUPTED = "INTERRUPTED"
    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"
    CLUSTER_PERMISSION_DENIED = "CLUSTER_PERMISSION_DENIED"
    CLUSTER_UNREACHABLE = "CLUSTER_UNREACHABLE"
    HELM_UNAVAILABLE = "HELM_UNAVAILABLE"
    INTERNAL = "INTERNAL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why and how far: an outcome, never an exception."""

    reason: FailureReason
    message: str
    applied: Applied
    helm_output: str = ""
    """The last 4 KiB that Helm printed, without secret values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftoverObject:
    """A live object of the release that the target's manifest does not have."""

    api_version: str
    kind: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One accepted request, as a whole. Each change of it is an event that carries all of this."""

    operation_id: str
    release_id: ReleaseId
    incarnation: int
    type: OperationType
    state: OperationState
    base_revision: int
    """Current when it was accepted."""
    base_status: Status
    """Current's status then. Either differs when Helm is to start: EXTERNAL_CHANGE."""
    target_revision: int
    actor: str
    actor_verified: bool
    reason: str
    create_time: datetime
    expire_time: datetime
    """Still PENDING then: FAILED with EXPIRED."""
    result_revision: int = 0
    """The revision it wrote; 0 until known, and when none was written."""
    failure: Failure | None = None
    request_id: str = ""
    request_digest: str = ""
    """Digest of the request's content, method and actor: what one request_id stands for."""
    start_time: datetime | None = None
    end_time: datetime | None = None
    """Set exactly when the state is terminal."""
    attempt: int = 0
    """How often Helm was started; counted durably before each start."""
    selection: Selection | None = None
    outcome_evidence: OutcomeEvidence | None = None
    leftover_objects: tuple[LeftoverObject, ...] = ()
    caused_by_operation_id: str = ""
    cancel_requested: bool = False
    helm_options: HelmOptions = field(default_factory=HelmOptions)
    remove_leftovers: bool = False
    """Whether what is left over of newer revisions is to be deleted, not only listed."""
    atomic: bool = False
    """Whether what fails is undone: an install by Helm itself, an upgrade by a rollback of this service's own."""
    purge: bool = False
    """Whether an uninstall deletes Helm's records, too."""
    record_time: datetime | None = None
    """Of an install or upgrade: when Helm made its record, by Helm's clock. Noted before the record is let pass,
    so it tells whose the record is: Helm writes the stamp only at the end, and keeps this time."""
    start_sequence: int = 0
    """The release's last sequence before this operation's first event: where its resume token lies."""

    @property
    def stamp(self) -> str:
        """What Helm is given as description: `[ID] Rollback to K: REASON`, cut to Helm's 256 characters."""
        what = f"Rollback to {self.target_revision}" if self.type is OperationType.ROLLBACK else self.type.capitalize()
        return stamp(self.operation_id, what, self.reason)

    @property
    def is_undone_by_helm(self) -> bool:
        """Whether Helm undoes it where it fails, and deletes its record (`pkg/action/install.go`, failRelease)."""
        return self.type is OperationType.INSTALL and self.atomic

    @property
    def is_by_chart(self) -> bool:
        """Whether it brings a chart: an install or an upgrade. Only these can be stopped while they run."""
        return self.type in (OperationType.INSTALL, OperationType.UPGRADE)


DESCRIPTION_MAX = 256
"""Helm's limit for `--description` (`pkg/cmd/rollback.go`), in runes."""


def stamp(operation_id: str, what: str, reason: str) -> str:
    """The description that marks a record as one operation's; `what` is such as `Rollback to 3`."""
    text = f"[{operation_id}] {what}"
    return (f"{text}: {reason}" if reason else text)[:DESCRIPTION_MAX]


def stamped_operation(description: str) -> str:
    """The operation whose stamp `description` bears, or nothing."""
    closing = description.find("]")
    return description[1:closing] if description.startswith("[") and closing == 37 else ""

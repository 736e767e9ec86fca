"""How Helm is to carry an operation out, and which wishes exclude each other."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from helm_rollback.domain.violations import Violations


class WaitStrategy(StrEnum):
    """Helm 4's `--wait` strategies (`pkg/kube/client.go`)."""

    WATCHER = "WATCHER"
    HOOKS_ONLY = "HOOKS_ONLY"
    LEGACY = "LEGACY"


class ServerSideApply(StrEnum):
    """Helm 4's `--server-side`; AUTO follows the target revision's own method."""

    AUTO = "AUTO"
    ENABLED = "ENABLED"
    DISABLED = "DISABLED"


DEFAULT_TIMEOUT = timedelta(minutes=5)
MIN_TIMEOUT = timedelta(seconds=1)
MAX_TIMEOUT = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class HelmOptions:
    """Options of one Helm run. The defaults are the service's, and Helm's where it has one."""

    timeout: timedelta = DEFAULT_TIMEOUT
    """Helm's limit for each step (a hook, a wait), not for the whole; 1 s to 24 h."""
    wait_strategy: WaitStrategy = WaitStrategy.WATCHER
    wait_for_jobs: bool = False
    disable_hooks: bool = False
    cleanup_on_fail: bool = False
    force_replace: bool = False
    force_conflicts: bool = False
    server_side_apply: ServerSideApply = ServerSideApply.AUTO

    def __post_init__(self) -> None:
        """Refuse, before anything starts, what Helm would refuse after writing a record.

        Helm finds out late: see `pkg/kube/client.go`, where the combination fails
        inside the apply and leaves a failed revision behind.
        """
        found = Violations()
        if not MIN_TIMEOUT <= self.timeout <= MAX_TIMEOUT:
            found.add("helm_options.timeout", "must be between 1 s and 24 h")
        if self.force_replace and self.force_conflicts:
            found.add("helm_options.force_replace", "excludes force_conflicts: set one of them")
        elif self.force_replace and self.server_side_apply is not ServerSideApply.DISABLED:
            found.add("helm_options.force_replace", "needs server_side_apply = DISABLED")
        elif self.force_conflicts and self.server_side_apply is not ServerSideApply.ENABLED:
            found.add("helm_options.force_conflicts", "needs server_side_apply = ENABLED")
        found.check()

    def may_conflict(self, *, target_applied_server_side: bool) -> bool:
        """Whether a rollback to that target stops where a field belongs to somebody else."""
        match self.server_side_apply:
            case ServerSideApply.AUTO:
                return target_applied_server_side
            case ServerSideApply.ENABLED:
                return not self.force_conflicts
            case ServerSideApply.DISABLED:
                return False

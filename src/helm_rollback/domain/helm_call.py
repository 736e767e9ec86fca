"""What Helm is called for: one value for each of its commands that this service runs."""

from __future__ import annotations

from dataclasses import dataclass

from helm_rollback.domain.chart import ChartChange


@dataclass(frozen=True, slots=True)
class HelmRollback:
    """`helm rollback`."""

    target_revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HelmInstall:
    """`helm install`."""

    change: ChartChange
    replace: bool = False
    """Over an uninstalled release whose history was kept."""
    atomic: bool = False
    """Helm undoes an install that fails (`--rollback-on-failure`, `--atomic` in Helm 3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HelmUpgrade:
    """`helm upgrade`; never with Helm's own rollback, which can choose a revision that never worked."""

    change: ChartChange


@dataclass(frozen=True, slots=True, kw_only=True)
class HelmUninstall:
    """`helm uninstall`."""

    keep_history: bool


HelmCall = HelmRollback | HelmInstall | HelmUpgrade | HelmUninstall

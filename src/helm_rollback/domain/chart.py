"""A chart that a release is to get, and what goes with it: what an install or an upgrade is given."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from helm_rollback.domain.errors import InvalidField
from helm_rollback.domain.violations import Violations

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_OCI = re.compile(r"oci://[A-Za-z0-9][A-Za-z0-9.:-]*(/[a-z0-9][a-z0-9._-]*)+(@sha256:[0-9a-f]{64})?")
# A version or a range of them (github.com/Masterminds/semver); its first character begins no flag.
_VERSION = re.compile(r"[A-Za-z0-9^~<>=*][A-Za-z0-9.+~^<>=|*, -]{0,127}")
_LABEL_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_LABEL_PREFIX = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_HELMS_OWN_LABELS = frozenset({"name", "owner", "status", "version", "createdAt", "modifiedAt"})
"""Helm refuses these (`pkg/storage/driver/labels.go`)."""


class ValuesMode(StrEnum):
    """What becomes of the values of the revision before (`pkg/cmd/upgrade.go`)."""

    RESET = "RESET"
    REUSE = "REUSE"
    RESET_THEN_REUSE = "RESET_THEN_REUSE"


@dataclass(frozen=True, slots=True)
class ChartArchive:
    """A packaged chart (`.tgz`)."""

    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class OciChart:
    """A chart in an OCI registry: `oci://HOST/PATH`."""

    reference: str


@dataclass(frozen=True, slots=True)
class RepositoryChart:
    """A chart in a repository that the settings name."""

    repository: str
    name: str


Chart = ChartArchive | OciChart | RepositoryChart


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartChange:
    """What an install or an upgrade is to bring. Making one raises InvalidField or InvalidFields."""

    chart: Chart
    version: str = ""
    """The version, or a range; empty: the newest. An archive has its own."""
    values_yaml: str = field(default="", repr=False)
    values_mode: ValuesMode | None = None
    """None: as Helm does without a flag, RESET with values and REUSE without any."""
    create_namespace: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    """Further labels of Helm's record."""

    def __post_init__(self) -> None:
        found = Violations()
        match self.chart:
            case OciChart(reference) if not _OCI.fullmatch(reference):
                found.add("oci", "must be a reference such as oci://registry.example.com/charts/shop")
            case RepositoryChart(repository, name):
                if not _NAME.fullmatch(repository):
                    found.add("repository.repository", "must be the name of a repository in the service's settings")
                if not _NAME.fullmatch(name):
                    found.add("repository.name", "must be a chart's name: letters, digits, '.', '_' and '-'")
            case _:
                pass
        if self.version and not _VERSION.fullmatch(self.version):
            found.add("version", "must be a version or a range of versions, such as 1.2.3 or ^1.2")
        if self.version and isinstance(self.chart, ChartArchive):
            found.add("version", "is the archive's own; leave it out")
        for key, value in self.labels.items():
            _check_label(key, value, found)
        found.check()


def _check_label(key: str, value: str, found: Violations) -> None:
    prefix, slash, name = key.rpartition("/")
    if not _LABEL_NAME.fullmatch(name) or (slash and not _LABEL_PREFIX.fullmatch(prefix)):
        found.add("labels", f"{key!r} must be a label's key as Kubernetes has it, such as team or example.com/team")
    if key in _HELMS_OWN_LABELS:
        found.add("labels", f"{key} is a label of Helm's own")
    if value and not _LABEL_NAME.fullmatch(value):
        found.add("labels", f"the value of {key!r} must be at most 63 letters, digits, '-', '_' and '.'")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartSources:
    """From where charts may come beside archives in requests. By default from nowhere."""

    repositories: Mapping[str, str] = field(default_factory=dict)
    """URLs by name."""
    registries: tuple[str, ...] = ()
    """Prefixes of OCI references: `oci://HOST/PATH`."""

    def check(self, chart: Chart) -> None:
        """Raise InvalidField where the settings do not allow this chart."""
        match chart:
            case RepositoryChart(repository) if repository not in self.repositories:
                known = ", ".join(sorted(self.repositories)) or "none"
                raise InvalidField("repository.repository", f"is not in the service's settings; there are: {known}")
            case OciChart(reference) if not any(self._is_below(reference, prefix) for prefix in self.registries):
                known = ", ".join(self.registries) or "none"
                raise InvalidField("oci", f"is of no registry that the service's settings allow; there are: {known}")
            case _:
                return

    @staticmethod
    def _is_below(reference: str, prefix: str) -> bool:
        return reference.startswith(f"{prefix.rstrip('/')}/")

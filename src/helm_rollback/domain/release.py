"""A release and its name.

`<cluster>.<namespace>.<name>` names a release everywhere: in requests, events,
logs and the ledger. It is made from what it names, so two services that never
met agree on it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from helm_rollback.domain.errors import InvalidField
from helm_rollback.domain.status import Status

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
# Helm's own rule, pkg/chart/common/util/validate_name.go.
_RELEASE_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_RELEASE_NAME_MAX = 53


@dataclass(frozen=True, slots=True, order=True)
class ReleaseId:
    """Which release: the cluster's name in this service, the namespace, Helm's release name."""

    cluster: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.cluster}.{self.namespace}.{self.name}"

    @classmethod
    def parse(cls, text: str, *, field: str = "release_id") -> ReleaseId:
        """The release that `text` names. Raises InvalidField, naming `field` and the fix."""
        parts = text.split(".", 2)
        if len(parts) != 3:
            raise InvalidField(field, "must be <cluster>.<namespace>.<name>, such as default.prod.shop")
        cluster, namespace, name = parts
        check_dns_label(cluster, field=field, what="the cluster")
        check_dns_label(namespace, field=field, what="the namespace")
        if len(name) > _RELEASE_NAME_MAX:
            raise InvalidField(field, f"the release name has {len(name)} characters, Helm allows {_RELEASE_NAME_MAX}")
        if not _RELEASE_NAME.fullmatch(name):
            raise InvalidField(
                field,
                "the release name must be lower-case letters, digits, '-' and '.', "
                "each part between dots beginning and ending with a letter or digit",
            )
        return cls(cluster, namespace, name)


def check_dns_label(text: str, *, field: str, what: str) -> None:
    """Raise InvalidField unless `text` is a DNS label (RFC 1123, at most 63 characters)."""
    if not _DNS_LABEL.fullmatch(text):
        raise InvalidField(
            field,
            f"{what} must be a DNS label: at most 63 lower-case letters, digits and '-', "
            "beginning and ending with a letter or digit",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What the ledger knows of a release as a whole: a projection of its history."""

    release_id: ReleaseId
    incarnation: int
    """1 in the first life; +1 when numbering restarts after a purge."""
    current_revision: int
    """The newest revision that Helm stores, whatever its status; after the last is gone, the newest it stored."""
    status: Status
    """Current's status."""
    last_successful_revision: int
    """The newest revision of this incarnation that worked, current included; 0 when none did."""
    chart_name: str
    chart_version: str
    app_version: str
    active_operation_id: str
    """The operation under way, empty when there is none."""
    last_sequence: int
    """The sequence of the newest event; 0 before the first."""
    update_time: datetime

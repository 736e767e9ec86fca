"""What the use cases need of the world, as protocols. The adapters implement them.

Everything that can hang has a deadline inside the adapter. Foreign errors are
turned into those of `domain/errors.py` there, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from helm_rollback.application.crash_points import Reached, go_on
from helm_rollback.application.drain import Drain
from helm_rollback.application.ports.cluster import (
    Cluster,
    Listing,
    RecordConflict,
    RecordRefused,
    Served,
    ServedKind,
    WatchEvent,
    WatchExpired,
    WatchKind,
)
from helm_rollback.application.ports.fence import Fence, OpenFence, RecordWrite, TouchedObject
from helm_rollback.application.ports.helm import Helm, HelmExit, HelmProcess
from helm_rollback.application.ports.ledger import Claim, Ledger, LedgerTransaction, T, Wakeup
from helm_rollback.application.ports.ledger_view import LedgerView, RecordVersion, RevisionPosition
from helm_rollback.domain.chart import ChartSources
from helm_rollback.domain.record import HelmRecord

__all__ = [
    "Claim",
    "Cluster",
    "Fence",
    "Helm",
    "HelmExit",
    "HelmProcess",
    "Ledger",
    "LedgerTransaction",
    "LedgerView",
    "Listing",
    "OpenFence",
    "Ports",
    "RecordConflict",
    "RecordRefused",
    "RecordVersion",
    "RecordWrite",
    "RevisionPosition",
    "Served",
    "ServedKind",
    "T",
    "TouchedObject",
    "Wakeup",
    "WatchEvent",
    "WatchExpired",
    "WatchKind",
]


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

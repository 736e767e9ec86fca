"""All that a round left behind, for the checker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby

from fault.audit import HelmRun, Write
from fault.clients import Answers
from fault.followers import Follower
from fault.ledger_reader import LedgerRows
from fault.live import Live


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when."""

    start: datetime
    end: datetime

    def overlaps(self, other: Span) -> bool:
        return self.start <= other.end and other.start <= self.end


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Of one round, after everything has come to rest."""

    namespace: str
    answers: Answers
    followers: Sequence[Follower]
    ledger: LedgerRows
    live: Live
    writes: Sequence[Write]
    """By anybody, in the order in which the API server answered."""
    helm_starts: Counter[str]
    """Operation id → how often the service started a Helm for it, as that Helm's own start tells."""
    disturbances: Sequence[str] = field(default=())
    """What did not come to rest, or ended otherwise than it should."""

    def release_id(self, release: str) -> str:
        return f"default.{self.namespace}.{release}"

    def writes_for(self, operation_id: str) -> list[Write]:
        """What Helm wrote for an operation, in all its attempts."""
        return [write for write in self.writes if write.run is not None and write.run.operation_id == operation_id]

    def runs(self) -> Iterator[tuple[HelmRun, str, list[Write]]]:
        """Each Helm run of the service that wrote something, the release, and its writes."""

        def key(write: Write) -> tuple[str, str, int]:
            assert write.run is not None
            return write.release, write.run.operation_id, write.run.attempt

        of_runs = sorted((write for write in self.writes if write.run is not None), key=key)
        for (release, operation_id, attempt), writes in groupby(of_runs, key):
            yield HelmRun(operation_id, attempt), release, list(writes)


def span_of(writes: Sequence[Write]) -> Span:
    """From the first request to the last answer."""
    return Span(min(write.received for write in writes), max(write.done for write in writes))

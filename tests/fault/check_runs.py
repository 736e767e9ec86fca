"""Helm runs: at most one at a time on a release, and of each operation no more than its attempts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations

from fault.audit import HelmRun
from fault.evidence import Evidence, Span, span_of


def check_runs(evidence: Evidence) -> Iterator[str]:
    """By the API server's audit log, and by the starts of Helm itself."""
    attempts = {row["operation_id"]: row["attempt"] for row in evidence.ledger.operation}
    for operation_id, starts in evidence.helm_starts.items():
        if starts > attempts.get(operation_id, 0):
            yield f"operation {operation_id}: Helm was started {starts} times for {attempts.get(operation_id)} attempts"
    spans: dict[str, list[tuple[HelmRun, Span]]] = defaultdict(list)
    for run, release, writes in evidence.runs():
        if run.attempt > attempts.get(run.operation_id, 0):
            yield f"operation {run.operation_id}: a Helm of attempt {run.attempt} wrote, which the ledger does not know"
        spans[release].append((run, span_of(writes)))
    for release, found in spans.items():
        for (one, its), (other, others) in combinations(found, 2):
            if its.overlaps(others):
                yield f"{release}: the writes of {one} and {other} interleave: {its}, {others}"
    yield from _check_records(evidence)
    yield from _check_own_writes(evidence, spans)


def _check_records(evidence: Evidence) -> Iterator[str]:
    """A Helm of ours creates the revision after the base and no other, and only once an earlier attempt's is gone."""
    bases = {row["operation_id"]: row["base_revision"] for row in evidence.ledger.operation}
    stored: dict[tuple[str, str], HelmRun] = {}
    for write in evidence.writes:
        if not write.revision:
            continue
        if write.verb == "delete":
            stored.pop((write.release, write.uid), None)
        if write.verb == "create" and write.run is not None:
            for (release, _), other in stored.items():
                if release == write.release and other.operation_id == write.run.operation_id:
                    yield f"{write.release}: {write.run} was started over the record of {other}"
            if write.revision != bases.get(write.run.operation_id, 0) + 1:
                yield f"{write.release}: {write.run} created revision {write.revision}"
            stored[write.release, write.uid] = write.run


def _check_own_writes(evidence: Evidence, spans: dict[str, list[tuple[HelmRun, Span]]]) -> Iterator[str]:
    """The service itself changes a record, or deletes an object, only while none of its Helms writes."""
    for write in evidence.writes:
        if write.foreign or write.run is not None:
            continue
        for run, span in spans[write.release]:
            if span.overlaps(Span(write.received, write.done)):
                yield f"{write.release}: the service wrote {write.name} in the middle of {run}"

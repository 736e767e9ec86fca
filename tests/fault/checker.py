"""The independent checker: was every promise kept?

It knows what the API server and the database say, and what clients were told; never what the service says.
"""

from __future__ import annotations

from collections.abc import Iterator

from fault.check_events import check_events, check_followers
from fault.check_operations import check_operations
from fault.check_revisions import check_revisions
from fault.check_runs import check_runs
from fault.evidence import Evidence


def violations(evidence: Evidence) -> list[str]:
    """Each broken promise, in a sentence; none where all were kept."""
    return list(_all(evidence))


def _all(evidence: Evidence) -> Iterator[str]:
    yield from evidence.disturbances
    yield from check_operations(evidence)
    yield from check_runs(evidence)
    yield from check_events(evidence)
    yield from check_followers(evidence)
    yield from check_revisions(evidence)

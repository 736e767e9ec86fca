"""When a round has come to rest: nothing under way, everything observed, everybody told."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from fault.followers import Follower
from fault.stage import Stage

REST_SECONDS = 30.0
"""In which it must be so. It usually takes two."""


def come_to_rest(stage: Stage, followers: Sequence[Follower]) -> list[str]:
    """Wait for it; what did not come so far."""
    found = []
    if not _soon(lambda: not _under_way(stage)):
        found.append(f"operations have not ended: {_under_way(stage)}")
    if not _soon(lambda: is_observed(stage)):
        found.append("the observer has not seen everything")
    last = {row["release_id"]: row["last_sequence"] for row in stage.query("SELECT * FROM release")}
    for follower in followers:
        if not follower.finish(last.get(follower.release_id, 0), REST_SECONDS):
            found.append(f"{follower.release_id}: a client did not hear everything")
    return found


def is_observed(stage: Stage) -> bool:
    """Whether the ledger has the newest version of every record that is stored, and no other."""
    live = {(record.uid, record.resource_version) for record in stage.read_live().records}
    rows = stage.query("SELECT uid, resource_version FROM revision WHERE stored_by_helm")
    return live == {(row["uid"], row["resource_version"]) for row in rows}


def _under_way(stage: Stage) -> list[str]:
    rows = stage.query("SELECT operation_id, state FROM operation WHERE end_time IS NULL")
    return [f"{row['operation_id']} {row['state']}" for row in rows]


def _soon(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + REST_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True

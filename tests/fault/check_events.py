"""Events: without a gap, without a double, and each client heard them all, in order."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from fault.evidence import Evidence
from fault.followers import Follower
from fault.ledger_reader import Row


def check_events(evidence: Evidence) -> Iterator[str]:
    """Sequences run from 1 to the release's last one; time does not fall."""
    for release in evidence.ledger.release:
        rows = evidence.ledger.events(release["release_id"])
        numbers = [row["sequence"] for row in rows]
        if numbers != list(range(1, release["last_sequence"] + 1)):
            yield f"{release['release_id']}: sequences {numbers}, the last should be {release['last_sequence']}"
        for before, after in pairwise(rows):
            if after["time"] < before["time"]:
                yield f"{release['release_id']}: event {after['sequence']} is older than the one before"
        yield from _check_states(release["release_id"], rows)


def _check_states(release_id: str, rows: list[Row]) -> Iterator[str]:
    """An operation begins PENDING, its attempts count up by one, and it ends once."""
    told: dict[str, list[tuple[str, int]]] = {}
    for row in rows:
        if row["kind"] == "OperationTransition":
            operation = row["change"]["operation"]
            told.setdefault(operation["operation_id"], []).append((operation["state"], operation.get("attempt", 0)))
    for operation_id, steps in told.items():
        runs = [attempt for state, attempt in steps if state == "RUNNING"]
        states = [state for state, _ in steps]
        ends = [state for state in states if state not in ("PENDING", "RUNNING")]
        counted = runs == list(range(1, len(runs) + 1))
        if states[0] != "PENDING" or not counted or ends != states[-1:]:
            yield f"{release_id}: operation {operation_id} went {steps}"


def check_followers(evidence: Evidence) -> Iterator[str]:
    """Everyone who resumed by token heard each event once, in order, and what the ledger says."""
    for follower in evidence.followers:
        rows = evidence.ledger.events(follower.release_id)
        expected = [(row["sequence"], words_of_row(row)) for row in rows]
        if follower.heard != expected:
            yield f"{follower.release_id}: a client heard {_difference(follower, expected)}"
        for refusal in follower.refusals:
            yield f"{follower.release_id}: a stream with a good token was refused with {refusal}"


def words_of_row(row: Row) -> str:
    """What an event's row says, in the words of `fault.followers.words_of`."""
    change = row["change"]
    match row["kind"]:
        case "OperationTransition":
            operation = change["operation"]
            return f"operation {operation['operation_id']} {operation['state']} {operation.get('attempt', 0)}"
        case "RevisionTransition":
            before = change["from_status"] or "none"
            where = f"{change['incarnation']}.{change['revision']}"
            return f"revision {where} {before} → {change['to_status']} {change['operation_id']}"
        case "RecordRemoval":
            return f"removal {change['incarnation']}.{change['revision']}"
        case other:
            return str(other)


def _difference(follower: Follower, expected: list[tuple[int, str]]) -> str:
    """The first place where the two part."""
    for at, (heard, told) in enumerate(zip(follower.heard, expected, strict=False)):
        if heard != told:
            return f"at {at}: {heard}, the ledger says {told}"
    return f"{len(follower.heard)} events, the ledger has {len(expected)}"

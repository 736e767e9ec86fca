"""Revisions: all that the cluster ever stored is in the ledger, as it was, and none has changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from fault.audit import Write
from fault.evidence import Evidence
from fault.ledger_reader import content, digest


def check_revisions(evidence: Evidence) -> Iterator[str]:
    """By the payloads' digests, by the audit log, and by what is live."""
    for payload in evidence.ledger.payload:
        if digest(payload) != payload["digest"]:
            yield f"payload {payload['digest']} is not what was archived"
    versions: dict[str, list[Write]] = defaultdict(list)
    for write in evidence.writes:
        if write.revision:
            versions[write.uid].append(write)
    yield from _check_known(evidence, versions)
    yield from _check_content(evidence)
    yield from _check_live(evidence)


def _check_known(evidence: Evidence, versions: dict[str, list[Write]]) -> Iterator[str]:
    """Every record that was ever stored is in the ledger, also what came and went while nobody could observe.

    Whoever observes next begins where the ledger stands. Of a record that was put back the
    ledger has the newer uid only, and the content of both.
    """
    known = {row["uid"] for row in evidence.ledger.revision}
    archived = {content(payload) for payload in evidence.ledger.payload}
    for uid, writes in versions.items():
        kept = any(write.payload in archived for write in writes if write.verb != "delete")
        if uid not in known and not kept:
            yield f"{writes[0].name} ({uid}) was stored {writes[0].received:%X} and is not in the ledger"


def _check_content(evidence: Evidence) -> Iterator[str]:
    """What was archived of a revision is, to the byte, a version that the API server was sent."""
    versions: dict[tuple[str, int], list[Write]] = defaultdict(list)
    for write in evidence.writes:
        if write.revision and write.verb != "delete":
            versions[evidence.release_id(write.release), write.revision].append(write)
    for row in evidence.ledger.revision:
        writes = versions[row["release_id"], row["number"]]
        if not writes or row["payload_digest"] is None:
            yield f"revision {row['release_id']} {row['number']}: nothing was archived, or nobody wrote it"
        elif evidence.ledger.payload_bytes(row["payload_digest"]) not in [write.payload for write in writes]:
            yield f"revision {row['release_id']} {row['number']}: the archive holds what was never stored"


def _check_live(evidence: Evidence) -> Iterator[str]:
    """What is stored now is what the ledger says is stored."""
    live = {
        (evidence.release_id(record.release), record.revision, record.uid, record.status.upper().replace("-", "_"))
        for record in evidence.live.records
    }
    ledger = {
        (row["release_id"], row["number"], row["uid"], row["status"])
        for row in evidence.ledger.revision
        if row["stored_by_helm"] and row["replaced_time"] is None
    }
    for missing in sorted(live - ledger):
        yield f"live, and not so in the ledger: {missing}"
    for extra in sorted(ledger - live):
        yield f"in the ledger, and not so live: {extra}"

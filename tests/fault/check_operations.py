"""Operations: every one that was acknowledged exists, has ended, and ended as the cluster shows."""

from __future__ import annotations

from collections.abc import Iterator

from fault.audit import Write
from fault.evidence import Evidence
from fault.ledger_reader import Row
from fault.live import objects_of

_NOTHING_RUN = {"EXTERNAL_CHANGE", "EXPIRED", "KIND_NOT_SERVED", "RECORD_MISMATCH"}
_NEVER_REFUSED_WITH = {"INTERNAL", "REQUEST_ID_REUSED", "INVALID_FIELD", "UNAUTHENTICATED", "PERMISSION_DENIED"}


def check_operations(evidence: Evidence) -> Iterator[str]:
    """By what the clients were told, the audit log, and the live objects."""
    yield from _check_acknowledged(evidence)
    for operation in evidence.ledger.operation:
        name = f"operation {operation['operation_id']} ({operation['release_id']})"
        for problem in _check_end(evidence, operation):
            yield f"{name}: {problem}"


def _check_acknowledged(evidence: Evidence) -> Iterator[str]:
    by_id = {row["operation_id"]: row for row in evidence.ledger.operation}
    for told in evidence.answers.acknowledged:
        row = by_id.get(told.operation_id)
        if row is None:
            yield f"operation {told.operation_id} was acknowledged and does not exist"
            continue
        if row["request_id"] != told.wish.request_id:
            yield f"operation {told.operation_id} was acknowledged for another request"
        if told.state not in ("PENDING", "RUNNING", row["state"]):
            yield f"operation {told.operation_id} was told as {told.state} and is {row['state']}"
    for refusal in evidence.answers.refused:
        if refusal.reason in _NEVER_REFUSED_WITH:
            yield f"a request was refused with {refusal.reason}"
        if any(row["request_id"] == refusal.wish.request_id for row in evidence.ledger.operation):
            yield f"request {refusal.wish.request_id} was refused with {refusal.reason}, and accepted"
    for wish in evidence.answers.unanswered:
        yield f"nobody answered {wish}"


def _check_end(evidence: Evidence, operation: Row) -> Iterator[str]:
    release = operation["release_id"].rpartition(".")[2]
    by_run = evidence.writes_for(operation["operation_id"])
    result = operation["base_revision"] + 1
    deployed = [write for write in by_run if write.revision == result and write.status == "deployed"]
    match operation["state"]:
        case "SUCCEEDED" if operation["type"] == "UNINSTALL":
            yield from _check_uninstalled(operation, by_run)
        case "SUCCEEDED":
            if operation["result_revision"] != result:
                yield f"its result is {operation['result_revision']}, after {operation['base_revision']}"
            if len(deployed) != 1:
                yield f"it succeeded, and its Helm wrote the record deployed {len(deployed)} times"
            else:
                yield from _check_objects(evidence, operation, release, deployed[0])
        case "FAILED":
            yield from _check_failed(evidence, operation, by_run, deployed)
        case "CANCELLED":
            if by_run:
                yield "it was cancelled, and its Helm wrote"
        case state:
            yield f"it has not ended: {state}"
    yield from _check_not_pending(evidence, release, operation)


def _check_uninstalled(operation: Row, by_run: list[Write]) -> Iterator[str]:
    """Its Helm left no record where it was to purge, and said so in the newest where it was not."""
    if operation["result_revision"]:
        yield f"it is an uninstall, and has the result {operation['result_revision']}"
    if any(write.verb == "create" and write.revision for write in by_run):
        yield "it is an uninstall, and its Helm created a record"
    if not by_run:
        return  # there was nothing to do
    last = [write for write in by_run if write.revision == operation["base_revision"]][-1:]
    if operation["purge"] and not (last and last[0].verb == "delete"):
        yield "it was to purge, and its Helm did not delete the newest record"
    if not operation["purge"] and not (last and last[0].status == "uninstalled"):
        yield "its Helm did not write the newest record uninstalled"


def _check_failed(evidence: Evidence, operation: Row, by_run: list[Write], deployed: list[Write]) -> Iterator[str]:
    reason, applied = operation["failure"]["reason"], operation["failure"]["applied"]
    if deployed:
        yield f"it failed with {reason}, and its Helm wrote the record deployed"
    if reason in _NOTHING_RUN and not operation["attempt"] and by_run:
        yield f"it failed with {reason}, and its Helm wrote {[write.name for write in by_run]}"
    objects = [write.name for write in by_run if not write.revision]
    undone = operation["type"] == "INSTALL" and operation["atomic"]
    if applied == "NOT_APPLIED" and objects and not undone:
        yield f"nothing was applied, it says, and its Helm wrote {objects}"
    if reason == "INTERNAL":
        yield f"it failed with an internal error: {operation['failure']['message']}"


def _check_objects(evidence: Evidence, operation: Row, release: str, finished: Write) -> Iterator[str]:
    """What is live is exactly the target, unless somebody else has written meanwhile or since."""
    began = min(write.received for write in evidence.writes_for(operation["operation_id"]))
    others = [write for write in evidence.writes if write.release == release and write.done > began]
    if any(_changes(write) and _is_of_another(write, operation) for write in others):
        return
    target = objects_of(finished.payload)
    live = dict(evidence.live.config_maps.get(release, {}))
    listed = {each["name"] for each in operation["leftover_objects"]}
    is_rollback = operation["type"] == "ROLLBACK"
    wanted = _target_payload(evidence, operation) if is_rollback else None
    if wanted is not None and objects_of(wanted) != target:
        yield f"its record holds other objects than its target, revision {operation['target_revision']}"
    for name in sorted(set(target) | set(live)):
        if name in target and live.get(name) != target[name]:
            yield f"{name} should be {target[name]} and is {live.get(name)}"
        if is_rollback and name not in target and name not in listed | _objects_before(evidence, operation):
            yield f"{name} is live, not of the target, and not listed as left over"
    for name in listed & _objects_of_base(evidence, operation):
        yield f"{name} was left over, though the revision that it replaced had it"


def _is_of_another(write: Write, operation: Row) -> bool:
    """Whether neither this operation's Helm wrote it, nor the service itself: what is left over is removed for it."""
    return write.foreign or (write.run is not None and write.run.operation_id != operation["operation_id"])


def _changes(write: Write) -> bool:
    """Whether objects may differ after it. Helm creates a record first of all."""
    return not write.revision or write.verb == "create"


def _target_payload(evidence: Evidence, operation: Row) -> bytes | None:
    return _payload(evidence, operation, operation["target_revision"])


def _objects_of_base(evidence: Evidence, operation: Row) -> set[str]:
    payload = _payload(evidence, operation, operation["base_revision"])
    return set(objects_of(payload)) if payload is not None else set()


def _objects_before(evidence: Evidence, operation: Row) -> set[str]:
    """What revisions older than the target had: left over of these is nothing that a rollback to it is to list."""
    numbers = range(1, operation["target_revision"])
    found = [_payload(evidence, operation, number) for number in numbers]
    return {name for payload in found if payload is not None for name in objects_of(payload)}


def _payload(evidence: Evidence, operation: Row, number: int) -> bytes | None:
    key = (operation["release_id"], operation["incarnation"], number)
    rows = [
        row
        for row in evidence.ledger.revision
        if (row["release_id"], row["incarnation"], row["number"]) == key and row["replaced_time"] is None
    ]
    return evidence.ledger.payload_bytes(rows[0]["payload_digest"]) if rows else None


def _check_not_pending(evidence: Evidence, release: str, operation: Row) -> Iterator[str]:
    """No operation of ours leaves a release pending."""
    own = {write.uid for write in evidence.writes_for(operation["operation_id"])}
    for record in evidence.live.records:
        if record.release == release and record.uid in own and record.status.startswith("pending"):
            yield f"its record {record.revision} stays {record.status}"

"""Messages as words: for tables, status lines and event lines."""

from __future__ import annotations

from datetime import UTC

from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.timestamp_pb2 import Timestamp

from helm_rollback.v1.error_reason_pb2 import ErrorReason
from helm_rollback.v1.history_pb2 import HistoryEvent, RevisionTransition
from helm_rollback.v1.release_pb2 import Failure, Operation, Revision


def clean(text: str) -> str:
    """What others wrote, on one line and without what would move a terminal's cursor."""
    return "".join(char if char.isprintable() else " " for char in text)


def moment(time: Timestamp) -> str:
    """A time on this machine's clock; nothing where it is unset."""
    return f"{time.ToDatetime(tzinfo=UTC).astimezone():%Y-%m-%d %H:%M:%S}" if time.ByteSize() else ""


def enum_name(enum: EnumDescriptor, number: int) -> str:
    """A value's name; nothing for unspecified; the number itself where a newer server sent it."""
    if number == 0:
        return ""
    value = enum.values_by_number.get(number)
    return value.name if value else str(number)


def status(number: int) -> str:
    return enum_name(Revision.Status.DESCRIPTOR, number)


def state(operation: Operation) -> str:
    return enum_name(Operation.State.DESCRIPTOR, operation.state)


def made_by(revision: Revision | RevisionTransition) -> str:
    """What made a revision: "Install", "Upgrade", "Rollback to 2"."""
    name = enum_name(Operation.Type.DESCRIPTOR, revision.operation_type).capitalize()
    return f"{name} to {revision.rollback_target}" if revision.rollback_target else name


def who_and_why(revision: Revision) -> str:
    """Whoever asked for it and the reason; for what others did, Helm's own description."""
    if not revision.operation_id:
        return clean(revision.description)
    return clean(f"{revision.actor}: {revision.reason}" if revision.reason else revision.actor)


def operation_line(operation: Operation) -> str:
    """An operation in one line."""
    name = enum_name(Operation.Type.DESCRIPTOR, operation.type).capitalize()
    target = f" to {operation.target_revision}" if operation.target_revision else ""
    result = f", revision {operation.result_revision}" if operation.result_revision else ""
    return f"{name}{target} {state(operation)}{result}{failure_text(operation)}"


def failure_text(operation: Operation) -> str:
    """Why an operation failed, and how far it had come; nothing where it did not."""
    if not operation.HasField("failure"):
        return ""
    failure = operation.failure
    reason = enum_name(ErrorReason.DESCRIPTOR, failure.error_reason) or "for an unknown reason"
    applied = enum_name(Failure.Applied.DESCRIPTOR, failure.applied)
    return f": {reason} ({applied}): {clean(failure.message)}" if applied else f": {reason}: {clean(failure.message)}"


def event_line(event: HistoryEvent) -> str:
    """An event in one line, with its sequence and time."""
    return f"{event.sequence:>5}  {moment(event.time)}  {event_text(event)}"


def event_text(event: HistoryEvent) -> str:
    """What happened."""
    match event.WhichOneof("change"):
        case "revision_transition":
            return _revision_text(event.revision_transition)
        case "operation_transition":
            return _operation_text(event.operation_transition.operation)
        case "record_removal":
            return f"revision {event.record_removal.revision}: Helm no longer stores its record"
        case "mark_change":
            mark = event.mark_change
            return f"revision {mark.revision}: marked {enum_name(Revision.Mark.DESCRIPTOR, mark.mark)}"
        case _:
            return "something that this client does not know"


def _revision_text(change: RevisionTransition) -> str:
    steps = " → ".join(name for name in (status(change.from_status), status(change.to_status)) if name)
    arrow = "" if change.from_status else "→ "
    facts = [
        made_by(change),
        change.chart_version,
        "" if change.cause == RevisionTransition.SERVICE else _cause(change),
    ]
    told = ", ".join(clean(fact) for fact in facts if fact)
    return f"revision {change.revision} {arrow}{steps}" + (f" ({told})" if told else "")


def _cause(change: RevisionTransition) -> str:
    return enum_name(RevisionTransition.Cause.DESCRIPTOR, change.cause).lower()


def _operation_text(operation: Operation) -> str:
    attempt = f", attempt {operation.attempt}" if operation.attempt > 1 else ""
    asked = f" by {clean(operation.actor)}" if operation.state == Operation.PENDING else ""
    why = f": {clean(operation.reason)}" if asked and operation.reason else ""
    return f"operation {operation_line(operation)}{attempt}{asked}{why}"

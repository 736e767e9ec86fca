"""Messages as words."""

from __future__ import annotations

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from helm_rollback.cli import text
from helm_rollback.v1.error_reason_pb2 import ErrorReason
from helm_rollback.v1.history_pb2 import HistoryEvent, OperationTransition, RecordRemoval, RevisionTransition
from helm_rollback.v1.release_pb2 import Failure, Operation, Revision


def test_control_characters_do_not_reach_a_terminal() -> None:
    assert text.clean("a\x1b[2Jb\nc\u202ed") == "a [2Jb c d"


@pytest.mark.parametrize(
    ("kind", "target", "words"),
    [
        (Operation.INSTALL, 0, "Install"),
        (Operation.UPGRADE, 0, "Upgrade"),
        (Operation.ROLLBACK, 2, "Rollback to 2"),
        (Operation.UNINSTALL, 0, "Uninstall"),
        (Operation.TYPE_UNSPECIFIED, 0, ""),
    ],
)
def test_what_made_a_revision(kind: Operation.Type.ValueType, target: int, words: str) -> None:
    assert text.made_by(Revision(operation_type=kind, rollback_target=target)) == words


@pytest.mark.parametrize(
    ("revision", "words"),
    [
        (Revision(operation_id="x", actor="ci", reason="it broke"), "ci: it broke"),
        (Revision(operation_id="x", actor="ci"), "ci"),
        (Revision(description="Upgrade complete"), "Upgrade complete"),
    ],
)
def test_who_made_a_revision_and_why(revision: Revision, words: str) -> None:
    assert text.who_and_why(revision) == words


def test_an_operation_in_a_line() -> None:
    operation = Operation(
        type=Operation.ROLLBACK,
        target_revision=1,
        state=Operation.FAILED,
        result_revision=3,
        failure=Failure(error_reason=ErrorReason.HOOK_FAILED, applied=Failure.NOT_APPLIED, message="Job failed"),
    )

    assert text.operation_line(operation) == ("Rollback to 1 FAILED, revision 3: HOOK_FAILED (NOT_APPLIED): Job failed")


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (
            HistoryEvent(
                revision_transition=RevisionTransition(
                    revision=3,
                    from_status=Revision.PENDING_ROLLBACK,
                    to_status=Revision.DEPLOYED,
                    operation_type=Operation.ROLLBACK,
                    rollback_target=1,
                    chart_version="1.0.0",
                    cause=RevisionTransition.SERVICE,
                )
            ),
            "revision 3 PENDING_ROLLBACK → DEPLOYED (Rollback to 1, 1.0.0)",
        ),
        (
            HistoryEvent(
                revision_transition=RevisionTransition(
                    revision=4, to_status=Revision.PENDING_UPGRADE, cause=RevisionTransition.EXTERNAL
                )
            ),
            "revision 4 → PENDING_UPGRADE (external)",
        ),
        (
            HistoryEvent(
                operation_transition=OperationTransition(
                    operation=Operation(
                        type=Operation.ROLLBACK, target_revision=1, state=Operation.PENDING, actor="ci", reason="broke"
                    )
                )
            ),
            "operation Rollback to 1 PENDING by ci: broke",
        ),
        (HistoryEvent(record_removal=RecordRemoval(revision=1)), "revision 1: Helm no longer stores its record"),
        (HistoryEvent(), "something that this client does not know"),
    ],
)
def test_an_event_in_words(event: HistoryEvent, words: str) -> None:
    assert text.event_text(event) == words


def test_a_value_of_a_newer_server_is_shown_as_its_number() -> None:
    assert text.status(99) == "99"


def test_a_time_that_is_unset_is_nothing() -> None:
    assert text.moment(Timestamp()) == ""

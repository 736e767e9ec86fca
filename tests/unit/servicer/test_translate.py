"""Translation loses nothing: enums by name, every field there and back."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

import pytest
from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from support.samples import NOON, SHOP, a_release, a_revision, a_transition, an_operation, finished, operation_id

from helm_rollback.application.stream_history import CaughtUp, Heartbeat, StreamedEvent, StreamItem
from helm_rollback.domain.helm_options import HelmOptions, ServerSideApply, WaitStrategy
from helm_rollback.domain.history import Cause, HistoryEvent, MarkChange, OperationTransition, RecordRemoval
from helm_rollback.domain.operation import (
    Applied,
    Failure,
    FailureReason,
    LeftoverObject,
    OperationState,
    OperationType,
    OutcomeEvidence,
)
from helm_rollback.domain.revision import Mark
from helm_rollback.domain.selection import Evidence, Selection, SkippedRevision, SkipReason
from helm_rollback.domain.status import Status
from helm_rollback.servicer.translate import fields, history, resources, rollback_requests
from helm_rollback.v1 import helm_options_pb2, history_pb2, release_pb2
from helm_rollback.v1 import rollback_service_pb2 as pb
from helm_rollback.v1.error_reason_pb2 import ErrorReason

ENUMS: list[tuple[type[StrEnum], EnumDescriptor]] = [
    (Status, release_pb2.Revision.Status.DESCRIPTOR),
    (Mark, release_pb2.Revision.Mark.DESCRIPTOR),
    (OperationType, release_pb2.Operation.Type.DESCRIPTOR),
    (OperationState, release_pb2.Operation.State.DESCRIPTOR),
    (OutcomeEvidence, release_pb2.Operation.OutcomeEvidence.DESCRIPTOR),
    (Applied, release_pb2.Failure.Applied.DESCRIPTOR),
    (Evidence, release_pb2.Selection.Evidence.DESCRIPTOR),
    (SkipReason, release_pb2.SkippedRevision.SkipReason.DESCRIPTOR),
    (Cause, history_pb2.RevisionTransition.Cause.DESCRIPTOR),
    (WaitStrategy, helm_options_pb2.HelmOptions.WaitStrategy.DESCRIPTOR),
    (ServerSideApply, helm_options_pb2.HelmOptions.ServerSideApply.DESCRIPTOR),
]


@pytest.mark.parametrize(("ours", "proto"), ENUMS, ids=[ours.__name__ for ours, _ in ENUMS])
def test_enums_have_the_same_values(ours: type[StrEnum], proto: EnumDescriptor) -> None:
    assert {value.name for value in proto.values if value.number} == {value.value for value in ours}


def test_every_failure_has_a_public_reason() -> None:
    assert {reason.value for reason in FailureReason} <= set(ErrorReason.keys())


def test_an_operation_fills_every_field() -> None:
    operation = finished(
        an_operation(
            incarnation=2, reason="why", request_id=operation_id(9), start_time=NOON, attempt=2, result_revision=3,
            actor_verified=True, caused_by_operation_id=operation_id(8), cancel_requested=True,
            outcome_evidence=OutcomeEvidence.RECONSTRUCTED,
            leftover_objects=(LeftoverObject(api_version="v1", kind="Pod", namespace="prod", name="old"),),
            failure=Failure(reason=FailureReason.HELM_FAILED, message="broke", applied=Applied.PARTLY, helm_output="E"),
            selection=Selection(
                revision=1, success_evidence=Evidence.LEDGER, skipped_count=1,
                skipped=(SkippedRevision(revision=2, status=Status.FAILED, skip_reason=SkipReason.CURRENT,
                                         explanation="is current"),),
            ),
        ),
        OperationState.FAILED,
    )  # fmt: skip

    message = resources.operation(operation)

    assert unset(message) == set()
    assert unset(message.failure) == set()
    assert unset(message.selection) == set()
    assert unset(message.selection.skipped[0]) == set()
    assert unset(message.leftover_objects[0]) == set()
    assert message.create_time.ToDatetime(tzinfo=NOON.tzinfo) == NOON


def test_what_is_not_known_is_unset() -> None:
    message = resources.operation(an_operation())

    assert {"end_time", "start_time", "failure", "selection", "outcome_evidence"} <= unset(message)


def test_a_revision_fills_every_field_but_the_full_ones() -> None:
    revision = a_revision(
        2, rollback_target=1, operation_type=OperationType.ROLLBACK, deployed_time=NOON, replaced_time=NOON,
        success_evidence=Evidence.HELM_RECORD, operation_id=operation_id(1), actor="ci", reason="why",
        full_size_bytes=10, mark=Mark.GOOD,
    )  # fmt: skip

    assert unset(resources.revision(revision)) == {"values_yaml", "manifest", "captured_failure"}


def test_a_release_fills_every_field() -> None:
    assert unset(resources.release(a_release(active_operation_id=operation_id(1), last_sequence=3))) == set()


CHANGES = [
    (a_transition(from_status=Status.FAILED, operation_id=operation_id(1), actor="ci"), "revision_transition"),
    (OperationTransition(operation=an_operation()), "operation_transition"),
    (RecordRemoval(incarnation=1, revision=2), "record_removal"),
    (MarkChange(incarnation=1, revision=2, mark=Mark.BAD, actor="ci", reason="why"), "mark_change"),
]


@pytest.mark.parametrize(("change", "name"), CHANGES, ids=[name for _, name in CHANGES])
def test_each_change_has_its_message(change: object, name: str) -> None:
    event = HistoryEvent(release_id=SHOP, sequence=5, time=NOON, change=change)  # type: ignore[arg-type]

    message = history.history_event(event)

    assert (message.WhichOneof("change"), message.sequence, message.release_id) == (name, 5, str(SHOP))
    assert unset(getattr(message, name)) <= {"rollback_target"}


@pytest.mark.parametrize(
    ("item", "name"),
    [
        (StreamedEvent(HistoryEvent(release_id=SHOP, sequence=5, time=NOON, change=a_transition())), "event"),
        (CaughtUp(5), "caught_up"),
        (Heartbeat(NOON, 5), "heartbeat"),
    ],
)
def test_each_item_carries_its_token(item: StreamItem, name: str) -> None:
    response = history.stream_response(item, token="token")

    assert (response.WhichOneof("item"), response.resume_token) == (name, "token")


def test_an_absent_helm_options_is_an_empty_one() -> None:
    absent = rollback_requests.rollback(pb.RollbackRequest(release_id=str(SHOP), target_revision=1))
    empty = rollback_requests.rollback(
        pb.RollbackRequest(release_id=str(SHOP), target_revision=1, helm_options=helm_options_pb2.HelmOptions())
    )

    assert absent == empty
    assert absent.command.helm_options == HelmOptions()


def test_a_command_carries_what_was_asked() -> None:
    request = pb.RollbackRequest(
        release_id=str(SHOP), target_revision=3, request_id=operation_id(1).upper(), expected_current_revision=5,
        reason="why", wait_timeout=Duration(seconds=2), expire_after=Duration(seconds=90), take_over_pending=True,
        allow_marked_bad=True, remove_leftovers=True,
        helm_options=helm_options_pb2.HelmOptions(
            timeout=Duration(seconds=7, nanos=5_000_000), wait_strategy=helm_options_pb2.HelmOptions.LEGACY,
            wait_for_jobs=True, disable_hooks=True, cleanup_on_fail=True, force_conflicts=True,
            server_side_apply=helm_options_pb2.HelmOptions.ENABLED,
        ),
    )  # fmt: skip

    asked = rollback_requests.rollback(request)
    command = asked.command

    assert (command.release_id, command.target_revision, command.expected_current_revision) == (SHOP, 3, 5)
    assert (command.request_id, command.reason) == (operation_id(1), "why")
    assert command.expire_after == timedelta(seconds=90)
    assert (command.take_over_pending, command.allow_marked_bad, command.remove_leftovers) == (True, True, True)
    assert command.helm_options == HelmOptions(
        timeout=timedelta(seconds=7, milliseconds=5), wait_strategy=WaitStrategy.LEGACY, wait_for_jobs=True,
        disable_hooks=True, cleanup_on_fail=True, force_conflicts=True, server_side_apply=ServerSideApply.ENABLED,
    )  # fmt: skip
    assert asked.wait_timeout == timedelta(seconds=2)


def test_the_last_successful_one_has_no_target() -> None:
    request = pb.RollbackLastSuccessfulRequest(release_id=str(SHOP))

    assert rollback_requests.rollback_last_successful(request).command.target_revision is None


@pytest.mark.parametrize("seconds", [0, 1, 315_576_000_000])
def test_valid_spans_are_taken(seconds: int) -> None:
    assert fields.span(Duration(seconds=seconds), field="timeout") == timedelta(seconds=seconds)


def unset(message: Message) -> set[str]:
    """The message's fields that have no value, or their default."""
    return {field.name for field in message.DESCRIPTOR.fields} - {field.name for field, _ in message.ListFields()}

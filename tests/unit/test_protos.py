"""The protos hold the contract: names, shape, and comments that can serve as the reference manual."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path

import proto
import pytest
from google.protobuf import json_format
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
    ServiceDescriptorProto,
)
from google.rpc.error_details_pb2 import ErrorInfo

from helm_rollback.domain.errors import ForeignPage, InvalidFields, Refused
from helm_rollback.v1.release_pb2 import Failure

METHODS = {
    "RollbackService": [
        "Rollback",
        "RollbackLastSuccessful",
        "StreamHistory",
        "GetOperation",
        "WaitOperation",
        "ListOperations",
        "CancelOperation",
        "PreviewRollback",
    ],
    "ReleaseService": [
        "GetRelease",
        "ListReleases",
        "ListRevisions",
        "GetRevision",
        "MarkRevision",
        "StreamReleases",
        "Install",
        "Upgrade",
        "Uninstall",
    ],
}

ENUMS = {
    "Revision.Status": "UNKNOWN DEPLOYED UNINSTALLED SUPERSEDED FAILED UNINSTALLING"
    " PENDING_INSTALL PENDING_UPGRADE PENDING_ROLLBACK",
    "Revision.Mark": "GOOD BAD UNMARKED",
    "Operation.Type": "INSTALL UPGRADE ROLLBACK UNINSTALL",
    "Operation.State": "PENDING RUNNING SUCCEEDED FAILED CANCELLED",
    "Operation.OutcomeEvidence": "OBSERVED RECONSTRUCTED",
    "Failure.Applied": "NOT_APPLIED PARTLY APPLIED UNKNOWN",
    "Selection.Evidence": "LEDGER HELM_RECORD MARKED",
    "SkippedRevision.SkipReason": "CURRENT NOT_SUCCESSFUL UNPROVEN ROLLED_BACK_FROM SAME_CONTENT"
    " MARKED_BAD BEFORE_BOUNDARY REPLACED",
    "RevisionTransition.Cause": "SERVICE EXTERNAL ADOPTED",
    "HelmOptions.WaitStrategy": "WATCHER HOOKS_ONLY LEGACY",
    "HelmOptions.ServerSideApply": "AUTO ENABLED DISABLED",
    "GetRevisionRequest.View": "BASIC FULL",
    "ObjectChange.Action": "CREATE CHANGE DELETE UNCHANGED",
    "Warning.Code": "KIND_NOT_SERVED IMMUTABLE_FIELD CRD_DELETED OLD_CHOICE FIELD_CONFLICT NEVER_SUCCESSFUL LEFTOVER",
    "UpgradeRequest.ValuesMode": "RESET REUSE RESET_THEN_REUSE",
}

FIELDS = {
    "RollbackRequest": "release_id target_revision request_id expected_current_revision reason helm_options"
    " wait_timeout expire_after take_over_pending allow_marked_bad remove_leftovers",
    "RollbackLastSuccessfulRequest": "release_id request_id expected_current_revision reason helm_options"
    " wait_timeout expire_after take_over_pending remove_leftovers",
    "RollbackResponse": "operation resume_token",
    "RollbackLastSuccessfulResponse": "operation resume_token",
    "StreamHistoryRequest": "release_id resume_token after_sequence tail end_when_caught_up end_after_operation_id",
    "StreamHistoryResponse": "event caught_up heartbeat resume_token",
    "GetOperationRequest": "operation_id",
    "GetOperationResponse": "operation",
    "WaitOperationRequest": "operation_id timeout",
    "WaitOperationResponse": "operation",
    "ListOperationsRequest": "release_id state request_id page_size page_token",
    "ListOperationsResponse": "operations next_page_token",
    "CancelOperationRequest": "operation_id reason",
    "CancelOperationResponse": "operation",
    "StreamReleasesRequest": "cluster namespace release_ids",
    "StreamReleasesResponse": "release caught_up heartbeat",
    "RepositoryChart": "repository name",
    "InstallRequest": "release_id archive oci repository version values_yaml atomic create_namespace labels"
    " request_id reason helm_options wait_timeout expire_after",
    "UpgradeRequest": "release_id archive oci repository version values_yaml atomic create_namespace labels"
    " request_id reason helm_options wait_timeout expire_after expected_current_revision values_mode"
    " install_if_missing take_over_pending",
    "UninstallRequest": "release_id purge request_id expected_current_revision reason helm_options wait_timeout"
    " expire_after take_over_pending",
    "InstallResponse": "operation resume_token",
    "UpgradeResponse": "operation resume_token",
    "UninstallResponse": "operation resume_token",
    "PreviewRollbackRequest": "release_id target_revision last_successful helm_options",
    "PreviewRollbackResponse": "selection base_revision values_diff changes hooks warnings truncated",
    "ObjectChange": "api_version kind namespace name action diff drifted",
    "Hook": "kind name events",
    "Warning": "code message kind name",
    "GetReleaseRequest": "release_id",
    "GetReleaseResponse": "release",
    "ListReleasesRequest": "cluster namespace status page_size page_token",
    "ListReleasesResponse": "releases next_page_token",
    "ListRevisionsRequest": "release_id successful_only page_size page_token",
    "ListRevisionsResponse": "revisions next_page_token",
    "GetRevisionRequest": "release_id revision incarnation view",
    "GetRevisionResponse": "revision",
    "MarkRevisionRequest": "release_id revision incarnation mark reason",
    "MarkRevisionResponse": "revision",
    "HelmOptions": "timeout wait_strategy wait_for_jobs disable_hooks cleanup_on_fail force_replace force_conflicts"
    " server_side_apply",
    "Release": "release_id cluster namespace name incarnation current_revision status last_successful_revision"
    " chart_name chart_version app_version active_operation_id last_sequence update_time",
    "Revision": "release_id incarnation revision status operation_type rollback_target description chart_name"
    " chart_version app_version create_time update_time deployed_time success_evidence replaced_time operation_id"
    " actor reason mark values_digest manifest_digest stored_by_helm full_size_bytes values_yaml manifest"
    " captured_failure",
    "Operation": "operation_id release_id incarnation type state base_revision target_revision result_revision"
    " failure request_id actor actor_verified reason create_time start_time end_time expire_time attempt selection"
    " outcome_evidence leftover_objects caused_by_operation_id cancel_requested",
    "Failure": "error_reason message helm_output applied",
    "Selection": "revision success_evidence skipped skipped_count",
    "SkippedRevision": "revision status skip_reason explanation",
    "LeftoverObject": "api_version kind namespace name",
    "HistoryEvent": "sequence time release_id revision_transition operation_transition record_removal mark_change",
    "RevisionTransition": "incarnation revision from_status to_status operation_type rollback_target chart_version"
    " description operation_id actor cause",
    "OperationTransition": "operation",
    "RecordRemoval": "incarnation revision",
    "MarkChange": "incarnation revision mark actor reason",
    "CaughtUp": "last_sequence",
    "Heartbeat": "time last_sequence",
}

REFUSALS = (
    "INVALID_FIELD INVALID_RESUME_TOKEN"
    " RELEASE_NOT_FOUND REVISION_NOT_FOUND OPERATION_NOT_FOUND CLUSTER_NOT_CONFIGURED"
    " REQUEST_ID_REUSED RELEASE_EXISTS"
    " NO_SUCCESSFUL_REVISION SUCCESS_UNPROVEN CURRENT_IS_SUCCESSFUL ALREADY_ROLLED_BACK RELEASE_PENDING"
    " NOT_CANCELLABLE REVISION_MARKED_BAD CLUSTER_PERMISSION_DENIED"
    " OPERATION_IN_PROGRESS CURRENT_REVISION_CHANGED"
    " RESUME_POSITION_LOST"
    " CLUSTER_UNREACHABLE STORE_UNAVAILABLE HELM_UNAVAILABLE SERVER_DRAINING"
    " TOO_MANY_STREAMS OVERLOADED"
    " UNAUTHENTICATED PERMISSION_DENIED"
    " INTERNAL"
)

FAILURES = (
    "HELM_FAILED WAIT_TIMED_OUT HOOK_FAILED APPLY_CONFLICT OBJECT_REJECTED KIND_NOT_SERVED RECORD_MISMATCH"
    " RECORD_TOO_LARGE EXTERNAL_CHANGE EXPIRED INTERRUPTED OUTCOME_UNKNOWN"
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Sequence[FileDescriptorProto]:
    """The protos as protoc reads them, with comments, which generated Python leaves out."""
    output = tmp_path_factory.mktemp("protos") / "descriptors.binpb"
    command = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={proto.PROTOS}", "--include_source_info"]
    sources = [str(path) for path in (proto.PROTOS / proto.PACKAGE).glob("*.proto")]
    subprocess.run([*command, f"--descriptor_set_out={output}", *sources], check=True)
    return FileDescriptorSet.FromString(output.read_bytes()).file


def test_every_element_has_a_comment(files: Sequence[FileDescriptorProto]) -> None:
    """The comments are the reference manual, so nothing is without one."""
    commented = {name for name, comment in elements(files) if comment.strip()}

    assert {name for name, _ in elements(files)} - commented == set()
    assert len(commented) > 250, "the walk over the descriptors has gone blind"


def test_every_file_sets_packages_and_imports_only_google_protobuf(files: Sequence[FileDescriptorProto]) -> None:
    """A client needs nothing but protoc's own files to compile the contract in its language."""
    for file in files:
        foreign = [
            name
            for name in file.dependency
            if not name.startswith(("google/protobuf/", f"{proto.PACKAGE.as_posix()}/"))
        ]

        assert foreign == [], file.name
        assert file.package == "helm_rollback.v1", file.name
        assert file.options.go_package, file.name
        assert file.options.java_package, file.name


def test_services_have_the_methods_of_the_contract(files: Sequence[FileDescriptorProto]) -> None:
    """No method is forgotten, and none is there before it works."""
    services = {service.name: [method.name for method in service.method] for service in all_services(files)}

    assert services == METHODS


def test_each_method_owns_its_request_and_response(files: Sequence[FileDescriptorProto]) -> None:
    """So each can grow without the others; only StreamHistory streams."""
    for method in all_methods(files):
        assert method.input_type == f".helm_rollback.v1.{method.name}Request"
        assert method.output_type == f".helm_rollback.v1.{method.name}Response"
        assert not method.client_streaming
        assert method.server_streaming == method.name.startswith("Stream"), method.name


def test_messages_are_top_level_and_have_the_fields_of_the_contract(files: Sequence[FileDescriptorProto]) -> None:
    """Order and numbers are ours to choose; names and their number are not."""
    messages = all_messages(files)

    assert {name: sorted(field.name for field in message.field) for name, message in messages.items()} == {
        name: sorted(names.split()) for name, names in FIELDS.items()
    }
    nested = [one for message in messages.values() for one in message.nested_type]
    assert all(one.options.map_entry for one in nested)


def test_enums_have_the_values_of_the_contract(files: Sequence[FileDescriptorProto]) -> None:
    """All but ErrorReason are nested, so that their values need no prefix."""
    enums = {name: [value.name for value in enum.value][1:] for name, enum in all_enums(files).items()}
    expected = ENUMS | {"ErrorReason": f"{REFUSALS} {FAILURES}"}

    assert enums == {name: values.split() for name, values in expected.items()}


def test_zero_of_each_enum_says_that_nothing_was_said(files: Sequence[FileDescriptorProto]) -> None:
    """Zero is what an absent field reads as, so it must mean nothing else."""
    for name, enum in all_enums(files).items():
        own = re.sub(r"(?<!^)(?=[A-Z])", "_", name.rpartition(".")[2]).upper()

        assert (enum.value[0].number, enum.value[0].name) == (0, f"{own}_UNSPECIFIED")


def test_every_refusal_shows_an_error_info_that_a_client_could_receive(files: Sequence[FileDescriptorProto]) -> None:
    """An example that does not parse would teach clients something wrong."""
    comments = dict(elements(files))
    for reason in REFUSALS.split():
        info = json_format.Parse(example(comments[f"ErrorReason.{reason}"]), ErrorInfo())

        assert (info.reason, info.domain) == (reason, "helm-rollback")
        assert [key for key in info.metadata if not re.fullmatch(r"[a-z]+([A-Z][a-z]+)*", key)] == []


def test_example_of_a_refusal_has_the_facts_of_the_error_behind_it(files: Sequence[FileDescriptorProto]) -> None:
    """The fields of a domain error travel as metadata, so example and error must not drift apart."""
    comments = dict(elements(files))
    # InvalidFields has the facts of InvalidField; ForeignPage is one cause of PERMISSION_DENIED.
    for error in set(subclasses(Refused)) - {InvalidFields, ForeignPage}:
        reason = re.sub(r"(?<!^)(?=[A-Z])", "_", error.__name__).upper()
        shown = json.loads(example(comments[f"ErrorReason.{reason}"]))["metadata"]
        held = {re.sub(r"_([a-z])", lambda found: found[1].upper(), field.name) for field in fields(error)}

        assert shown.keys() - {"releaseId"} == held - {"releaseId"}, reason


def test_every_failure_reason_shows_a_failure_that_a_client_could_read(files: Sequence[FileDescriptorProto]) -> None:
    """These never come as an ErrorInfo, so their example is the failure of an operation."""
    comments = dict(elements(files))
    for reason in FAILURES.split():
        text = example(comments[f"ErrorReason.{reason}"])
        failure = json_format.Parse(text, Failure())

        assert json.loads(text)["errorReason"] == reason
        assert failure.message
        assert failure.applied != Failure.APPLIED_UNSPECIFIED


def test_absent_expected_revision_differs_from_zero(files: Sequence[FileDescriptorProto]) -> None:
    """A caller that expects revision 0 has a bug, which must not read as "whatever is current"."""
    messages = all_messages(files)
    for request in ("RollbackRequest", "RollbackLastSuccessfulRequest"):
        field = next(field for field in messages[request].field if field.name == "expected_current_revision")

        assert field.proto3_optional


def test_both_rollbacks_number_their_common_fields_alike(files: Sequence[FileDescriptorProto]) -> None:
    """A request for one can then be built from the other's by name and by number."""
    messages = all_messages(files)
    named = {field.name: field.number for field in messages["RollbackRequest"].field}
    chosen = {field.name: field.number for field in messages["RollbackLastSuccessfulRequest"].field}

    assert chosen.items() <= named.items()


def test_committed_python_is_what_the_protos_make(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The comparison accepts the committed tree, and names the file that differs from it."""
    assert proto.is_regenerated()

    stale = proto.ROOT / "src" / proto.PACKAGE
    copy = tmp_path / "src" / proto.PACKAGE
    copy.mkdir(parents=True)
    for name, content in proto.read_all(stale).items():
        (copy / name).write_bytes(content)
    (copy / "release_pb2.py").write_text("# edited by hand\n", encoding="utf-8")
    monkeypatch.setattr(proto, "ROOT", tmp_path)
    monkeypatch.setattr(proto, "GENERATED", copy)

    assert not proto.is_regenerated()
    assert capsys.readouterr().err.splitlines() == [
        "src/helm_rollback/v1/release_pb2.py: not what the protos make; run tools/proto.py"
    ]


def example(comment: str) -> str:
    """The indented JSON of a comment."""
    return "\n".join(line for line in comment.splitlines() if line.startswith("     "))


def subclasses(error: type[Refused]) -> Iterator[type[Refused]]:
    """The errors that stand for a reason of their own: those that no other derives from."""
    for derived in error.__subclasses__():
        if derived.__subclasses__():
            yield from subclasses(derived)
        else:
            yield derived


def all_services(files: Sequence[FileDescriptorProto]) -> Iterator[ServiceDescriptorProto]:
    for file in files:
        yield from file.service


def all_methods(files: Sequence[FileDescriptorProto]) -> Iterator[MethodDescriptorProto]:
    for service in all_services(files):
        yield from service.method


def all_messages(files: Sequence[FileDescriptorProto]) -> dict[str, DescriptorProto]:
    return {message.name: message for file in files for message in file.message_type}


def all_enums(files: Sequence[FileDescriptorProto]) -> dict[str, EnumDescriptorProto]:
    nested = {
        f"{message.name}.{enum.name}": enum for message in all_messages(files).values() for enum in message.enum_type
    }
    return nested | {enum.name: enum for file in files for enum in file.enum_type}


def elements(files: Sequence[FileDescriptorProto]) -> Iterator[tuple[str, str]]:
    """Each thing that wants a comment, as (name, comment).

    A comment is found by a path of field numbers of descriptor.proto: in a file 4 is messages, 5
    enums, 6 services; in a message 2 is fields, 4 enums, 8 oneofs; in an enum and a service 2 is
    values and methods.
    """
    for file in files:
        comments = {tuple(place.path): place.leading_comments for place in file.source_code_info.location}
        for i, message in enumerate(file.message_type):
            yield message.name, comments.get((4, i), "")
            for j, field in enumerate(message.field):
                yield f"{message.name}.{field.name}", comments.get((4, i, 2, j), "")
            for j, enum in enumerate(message.enum_type):
                yield from enum_elements(f"{message.name}.{enum.name}", enum, (4, i, 4, j), comments)
            optional = {field.oneof_index for field in message.field if field.proto3_optional}
            for j, oneof in enumerate(message.oneof_decl):
                if j not in optional:
                    yield f"{message.name}.{oneof.name}", comments.get((4, i, 8, j), "")
        for i, enum in enumerate(file.enum_type):
            yield from enum_elements(enum.name, enum, (5, i), comments)
        for i, service in enumerate(file.service):
            yield service.name, comments.get((6, i), "")
            for j, method in enumerate(service.method):
                yield f"{service.name}.{method.name}", comments.get((6, i, 2, j), "")


def enum_elements(
    name: str, enum: EnumDescriptorProto, path: tuple[int, ...], comments: dict[tuple[int, ...], str]
) -> Iterator[tuple[str, str]]:
    """An enum and its values, as `elements` gives them."""
    yield name, comments.get(path, "")
    for i, value in enumerate(enum.value):
        yield f"{name}.{value.name}", comments.get((*path, 2, i), "")

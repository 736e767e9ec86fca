"""The one table from errors to status codes: complete, as in the contract, and small on the wire."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from helm_rollback.domain import errors
from helm_rollback.domain.release import ReleaseId
from helm_rollback.servicer.error_status import CODES, status_of
from helm_rollback.v1.error_reason_pb2 import ErrorReason

SHOP = ReleaseId("default", "prod", "shop")

CONTRACT = {
    "INVALID_ARGUMENT": "INVALID_FIELD INVALID_RESUME_TOKEN",
    "NOT_FOUND": "RELEASE_NOT_FOUND REVISION_NOT_FOUND OPERATION_NOT_FOUND CLUSTER_NOT_CONFIGURED",
    "ALREADY_EXISTS": "REQUEST_ID_REUSED RELEASE_EXISTS",
    "FAILED_PRECONDITION": "NO_SUCCESSFUL_REVISION SUCCESS_UNPROVEN CURRENT_IS_SUCCESSFUL ALREADY_ROLLED_BACK "
    "RELEASE_PENDING NOT_CANCELLABLE REVISION_MARKED_BAD CLUSTER_PERMISSION_DENIED",
    "ABORTED": "OPERATION_IN_PROGRESS CURRENT_REVISION_CHANGED",
    "OUT_OF_RANGE": "RESUME_POSITION_LOST",
    "UNAVAILABLE": "CLUSTER_UNREACHABLE STORE_UNAVAILABLE HELM_UNAVAILABLE SERVER_DRAINING",
    "RESOURCE_EXHAUSTED": "TOO_MANY_STREAMS OVERLOADED",
    "PERMISSION_DENIED": "PERMISSION_DENIED",
}


def concrete(error: type[errors.Refused] = errors.Refused) -> Iterator[type[errors.Refused]]:
    """Every refusal that can be raised."""
    for child in error.__subclasses__():
        if child.text or not child.__subclasses__():
            yield child
        yield from concrete(child)


def an_error(kind: type[errors.Refused], text: str = "why") -> errors.Refused:
    """An error of this kind, with `text` wherever it takes one."""
    violations = tuple(errors.InvalidField(text, text) for _ in range(14))  # as many as a request can have
    known: dict[str, Any] = {
        "ReleaseId": SHOP, "int": 7, "datetime": datetime(2026, 11, 1, tzinfo=UTC),
        "tuple[InvalidField, ...]": violations,
    }  # fmt: skip
    facts = [known.get(str(field.type).split(" |")[0], text) for field in dataclasses.fields(kind)]
    return kind(*facts)


def info_of(status: Status) -> ErrorInfo:
    info = ErrorInfo()
    assert any(detail.Unpack(info) for detail in status.details)
    return info


def has(status: Status, kind: type[Any]) -> bool:
    return any(detail.Is(kind.DESCRIPTOR) for detail in status.details)


def test_every_refusal_has_a_row() -> None:
    assert set(concrete()) == set(CODES)


def test_the_rows_are_those_of_the_contract() -> None:
    rows = {ErrorReason.Name(reason): code.name for code, reason in CODES.values()}

    assert rows == {reason: code for code, reasons in CONTRACT.items() for reason in reasons.split()}


@pytest.mark.parametrize("kind", CODES)
def test_an_error_carries_its_facts(kind: type[errors.Refused]) -> None:
    error = an_error(kind)

    status = status_of(error, release_id=str(SHOP))

    code, reason = CODES[kind]
    info = info_of(status)
    assert (status.code, info.reason, info.domain) == (code.value[0], ErrorReason.Name(reason), "helm-rollback")
    assert info.metadata["releaseId"] == str(SHOP)
    assert error.metadata.items() <= dict(info.metadata).items()
    assert status.message == str(error)


@pytest.mark.parametrize("kind", CODES)
def test_details_stay_small_whatever_the_facts_are(kind: type[errors.Refused]) -> None:
    status = status_of(an_error(kind, "längst zu viel " * 10_000), release_id=str(SHOP))

    assert status.ByteSize() < 4096


@pytest.mark.parametrize("kind", CODES)
def test_details_are_those_of_the_code(kind: type[errors.Refused]) -> None:
    status = status_of(an_error(kind))

    code, _ = CODES[kind]
    assert has(status, BadRequest) == (code is grpc.StatusCode.INVALID_ARGUMENT)
    assert has(status, RetryInfo) == (code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED))


def test_a_release_is_named_even_where_the_error_does_not_know_it() -> None:
    assert info_of(status_of(errors.HelmUnavailable("gone"), release_id="a.b.c")).metadata["releaseId"] == "a.b.c"


def test_a_fault_is_told_by_an_id_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    status = status_of(RuntimeError("SELECT * FROM secrets WHERE password = 'hunter2'"))

    info = info_of(status)
    assert (status.code, info.reason) == (grpc.StatusCode.INTERNAL.value[0], "INTERNAL")
    assert "hunter2" not in str(status)
    assert info.metadata["errorId"] in status.message
    assert info.metadata["errorId"] in caplog.text
    assert "hunter2" in caplog.text


def test_text_that_is_no_unicode_is_replaced() -> None:
    assert "?" in status_of(errors.InvalidField("reason", "\udcff")).message

"""Whatever a request holds, its translation gives a value, or refuses by the field's name."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helm_rollback.domain import errors
from helm_rollback.servicer.translate import chart_requests, preview, release_requests, rollback_requests
from helm_rollback.v1 import release_service_pb2 as releases
from helm_rollback.v1 import rollback_service_pb2 as pb

Translation = Callable[[Any], object]

REFUSALS = (errors.InvalidField, errors.InvalidFields, errors.InvalidResumeToken)

IDS = st.sampled_from(["default.prod.shop", "default.prod", "..", "default.prod.shop/..", "DEFAULT.prod.shop"])
UUIDS = st.uuids().map(str)
TEXTS = st.text(max_size=300) | IDS | UUIDS | st.sampled_from(["--flag", "1.2.3", "oci://host/path", "a: =", "{"])
SCALARS: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_STRING: TEXTS,
    FieldDescriptor.TYPE_BYTES: st.binary(max_size=300),
    FieldDescriptor.TYPE_INT32: st.integers(-(2**31), 2**31 - 1) | st.integers(-1, 3),
    FieldDescriptor.TYPE_INT64: st.integers(-(2**63), 2**63 - 1) | st.integers(-1, 3),
    FieldDescriptor.TYPE_ENUM: st.integers(-1, 12),
}


TRANSLATIONS: dict[type[Message], Translation] = {
    releases.InstallRequest: chart_requests.install,
    releases.UpgradeRequest: chart_requests.upgrade,
    releases.UninstallRequest: chart_requests.uninstall,
    releases.ListReleasesRequest: release_requests.list_releases,
    releases.StreamReleasesRequest: release_requests.stream_releases,
    releases.ListRevisionsRequest: release_requests.list_revisions,
    releases.GetRevisionRequest: release_requests.get_revision,
    releases.MarkRevisionRequest: release_requests.mark_revision,
    pb.RollbackRequest: rollback_requests.rollback,
    pb.RollbackLastSuccessfulRequest: rollback_requests.rollback_last_successful,
    pb.GetOperationRequest: rollback_requests.operation_id,
    pb.WaitOperationRequest: rollback_requests.wait_operation,
    pb.CancelOperationRequest: rollback_requests.cancel_operation,
    pb.StreamHistoryRequest: partial(rollback_requests.stream_history, ledger_id=str(UUID(int=1))),
    pb.ListOperationsRequest: rollback_requests.list_operations,
    pb.PreviewRollbackRequest: preview.question,
}


def contents(message: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Some of a message's fields, with values of their types."""
    return st.fixed_dictionaries({}, optional={field.name: _values(field) for field in message.fields})


def _values(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return st.dictionaries(TEXTS, TEXTS, max_size=3)
    single = contents(field.message_type) if field.message_type is not None else SCALARS[field.type]
    return st.lists(single, max_size=3) if field.is_repeated else single


@pytest.mark.parametrize("make", TRANSLATIONS, ids=lambda make: make.DESCRIPTOR.name)
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None, derandomize=True)
@given(data=st.data())
def test_a_request_becomes_a_value_or_is_refused(make: type[Message], data: st.DataObject) -> None:
    request = make(**data.draw(contents(make.DESCRIPTOR)))

    with suppress(*REFUSALS):
        assert TRANSLATIONS[make](request) is not None

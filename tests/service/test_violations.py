"""A request with several bad fields is refused once, by the names of them all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from support.calls import refused

from helm_rollback.application.drain import Drain
from helm_rollback.servicer.server import Server
from helm_rollback.v1 import release_service_pb2 as releases
from helm_rollback.v1 import rollback_service_pb2 as pb
from helm_rollback.v1.helm_options_pb2 import HelmOptions
from helm_rollback.v1.release_service_pb2_grpc import ReleaseServiceStub
from helm_rollback.v1.rollback_service_pb2_grpc import RollbackServiceStub

PAST = Duration(seconds=-1)
UNKNOWN: Any = 99
IN_BOTH: dict[str, Any] = {
    "release_id": "..",
    "wait_timeout": PAST,
    "expire_after": PAST,
    "helm_options": HelmOptions(
        timeout=PAST, wait_strategy=UNKNOWN, server_side_apply=UNKNOWN, force_replace=True, force_conflicts=True
    ),
    "request_id": "x",
    "reason": "\n",
    "take_over_pending": True,
}
FIELDS_OF_BOTH = (
    "release_id wait_timeout expire_after helm_options.timeout helm_options.wait_strategy"
    " helm_options.server_side_apply helm_options.force_replace request_id reason take_over_pending"
)

CASES: list[tuple[Message, str]] = [
    (pb.RollbackRequest(target_revision=-1, **IN_BOTH), f"target_revision {FIELDS_OF_BOTH}"),
    (pb.RollbackLastSuccessfulRequest(**IN_BOTH), FIELDS_OF_BOTH),
    (
        pb.RollbackRequest(release_id="a.b.c", target_revision=0, expected_current_revision=0),
        "target_revision expected_current_revision",
    ),
    (
        pb.StreamHistoryRequest(release_id="..", tail=-1, end_after_operation_id="x"),
        "release_id tail end_after_operation_id",
    ),
    (
        pb.StreamHistoryRequest(release_id="..", resume_token="x", end_after_operation_id="x"),
        "release_id end_after_operation_id",
    ),
    (pb.WaitOperationRequest(operation_id="x", timeout=PAST), "operation_id timeout"),
    (pb.CancelOperationRequest(operation_id="x", reason="\n"), "operation_id reason"),
    (
        pb.ListOperationsRequest(release_id="..", request_id="x", state=UNKNOWN, page_size=-1, page_token="x"),
        "release_id request_id state page_size",
    ),
    (pb.ListOperationsRequest(page_size=-1, page_token="x"), "page_size page_token"),
    (
        releases.ListReleasesRequest(cluster="A", namespace="B", status=UNKNOWN, page_size=-1),
        "cluster namespace status page_size",
    ),
    (releases.ListRevisionsRequest(release_id="..", page_size=-1), "release_id page_size"),
    (
        releases.GetRevisionRequest(release_id="..", revision=-1, incarnation=-1, view=UNKNOWN),
        "release_id revision incarnation view",
    ),
]


@pytest.fixture
async def channel() -> AsyncIterator[grpc.aio.Channel]:
    """To a server without any port: whatever touched one would end in INTERNAL."""
    server = Server(cast("Any", SimpleNamespace(drain=Drain(), ledger_id="")))
    async with grpc.aio.insecure_channel(await server.start("127.0.0.1:0")) as channel:
        yield channel
    await server.stop()


@pytest.mark.parametrize(
    ("request_", "names"), CASES, ids=[f"{type(request).__name__}-{n}" for n, (request, _) in enumerate(CASES)]
)
async def test_every_bad_field_is_named_once(channel: grpc.aio.Channel, request_: Message, names: str) -> None:
    of_releases = request_.DESCRIPTOR.file.name.endswith("release_service.proto")
    stub: Any = (ReleaseServiceStub if of_releases else RollbackServiceStub)(channel)
    told = await refused(getattr(stub, type(request_).__name__.removesuffix("Request"))(request_))

    assert (told.code, told.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert sorted(told.fields) == sorted(names.split())
    assert told.metadata["field"] == ", ".join(told.fields)
    assert all(f"{field}: " in told.message for field in told.fields[:10])
    assert told.size < 4096

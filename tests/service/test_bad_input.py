"""Bad input is refused by name before anything is looked at: no ledger, no cluster, no Helm."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest
from grpc_status import rpc_status
from service.in_process import told

from helm_rollback.application.drain import Drain
from helm_rollback.domain import resume_token
from helm_rollback.domain.release import ReleaseId
from helm_rollback.servicer import page_token
from helm_rollback.servicer.server import Server
from helm_rollback.v1 import release_service_pb2 as releases
from helm_rollback.v1 import rollback_service_pb2 as pb
from helm_rollback.v1.helm_options_pb2 import HelmOptions
from helm_rollback.v1.release_service_pb2_grpc import ReleaseServiceStub
from helm_rollback.v1.rollback_service_pb2_grpc import RollbackServiceStub

LEDGER = "01890a5d-ac96-774b-bcce-b302099a8057"
DISABLED = HelmOptions.DISABLED
SHOP, BLOG = "default.prod.shop", "default.prod.blog"


@pytest.fixture
async def channel() -> AsyncIterator[grpc.aio.Channel]:
    """To a server without any port: whatever touched one would end in INTERNAL."""
    ports = SimpleNamespace(drain=Drain(), ledger_id=LEDGER)
    server = Server(cast("Any", ports))
    async with grpc.aio.insecure_channel(await server.start("127.0.0.1:0")) as channel:
        yield channel
    await server.stop()


def rollback(release_id: str = SHOP, target_revision: int = 1, **fields: Any) -> pb.RollbackRequest:
    return pb.RollbackRequest(release_id=release_id, target_revision=target_revision, **fields)


def unknown_enum(request: Message, number: int, value: int) -> Any:
    """The request, with an enum's value that these protos do not have."""
    raw = request.SerializeToString() + bytes([number << 3, value])
    return type(request).FromString(raw)


RELEASE_IDS = [
    "", "shop", "prod.shop", "default..shop", ".prod.shop", "default.prod.", "Default.prod.shop",
    "default.prod.-x", "default.prod.x-", "default.prod.a/b", "default.prod.a..b", "default.prod.a\n",
    "default.prod.a\0", "default.pröd.shop", f"default.prod.{'a' * 54}", f"{'a' * 64}.prod.shop", "x" * 100_000,
]  # fmt: skip

DURATIONS = [
    Duration(seconds=-1),
    Duration(nanos=-1),
    Duration(seconds=1, nanos=-1),
    Duration(seconds=2**62),
    Duration(seconds=-(2**62)),
    Duration(nanos=2**31 - 1),
]

CASES: list[tuple[str, Message]] = [
    *(("release_id", rollback(text)) for text in RELEASE_IDS),
    *(("release_id", pb.RollbackLastSuccessfulRequest(release_id=text)) for text in RELEASE_IDS),
    *(("release_id", pb.StreamHistoryRequest(release_id=text)) for text in RELEASE_IDS),
    *(("release_id", releases.GetReleaseRequest(release_id=text)) for text in RELEASE_IDS),
    *(("wait_timeout", rollback(wait_timeout=span)) for span in DURATIONS),
    *(("expire_after", rollback(expire_after=span)) for span in DURATIONS),
    *(("helm_options.timeout", rollback(helm_options=HelmOptions(timeout=span))) for span in DURATIONS),
    *(("timeout", pb.WaitOperationRequest(operation_id=LEDGER, timeout=span)) for span in DURATIONS),
    *(("operation_id", pb.GetOperationRequest(operation_id=text)) for text in ("", "1", "x" * 36, LEDGER + "0")),
    ("operation_id", pb.WaitOperationRequest()),
    ("operation_id", pb.CancelOperationRequest(operation_id="x" * 100_000)),
    ("target_revision", rollback(target_revision=0)),
    ("target_revision", rollback(target_revision=-1)),
    ("expected_current_revision", rollback(expected_current_revision=0)),
    ("expected_current_revision", rollback(expected_current_revision=-1)),
    ("request_id", rollback(request_id="once")),
    ("request_id", rollback(request_id="{" + LEDGER + "}")),
    ("request_id", rollback(request_id="x" * 100_000)),
    ("reason", rollback(reason="two\nlines")),
    ("reason", rollback(reason="x" * 201)),
    ("reason", pb.CancelOperationRequest(operation_id=LEDGER, reason="two\nlines")),
    ("expire_after", rollback(expire_after=Duration())),
    ("expire_after", rollback(expire_after=Duration(seconds=7 * 86400 + 1))),
    ("take_over_pending", rollback(take_over_pending=True)),
    ("helm_options.timeout", rollback(helm_options=HelmOptions(timeout=Duration()))),
    ("helm_options.timeout", rollback(helm_options=HelmOptions(timeout=Duration(seconds=86401)))),
    ("helm_options.force_replace", rollback(helm_options=HelmOptions(force_replace=True))),
    ("helm_options.force_conflicts", rollback(helm_options=HelmOptions(force_conflicts=True))),
    (
        "helm_options.force_replace",
        rollback(helm_options=HelmOptions(force_replace=True, force_conflicts=True, server_side_apply=DISABLED)),
    ),
    ("helm_options.wait_strategy", rollback(helm_options=unknown_enum(HelmOptions(), 2, 99))),
    ("helm_options.server_side_apply", rollback(helm_options=unknown_enum(HelmOptions(), 8, 99))),
    ("after_sequence", pb.StreamHistoryRequest(release_id=SHOP, after_sequence=-1)),
    ("tail", pb.StreamHistoryRequest(release_id=SHOP, tail=-1)),
    ("end_after_operation_id", pb.StreamHistoryRequest(release_id=SHOP, end_after_operation_id="mine")),
    ("release_id", pb.ListOperationsRequest(release_id="shop")),
    ("request_id", pb.ListOperationsRequest(request_id="once")),
    ("state", unknown_enum(pb.ListOperationsRequest(), 2, 99)),
    ("page_size", pb.ListOperationsRequest(page_size=-1)),
    ("page_token", pb.ListOperationsRequest(page_token="next")),
    ("page_token", pb.ListOperationsRequest(page_token="x" * 100_000)),
    ("cluster", releases.ListReleasesRequest(cluster="a.b")),
    ("namespace", releases.ListReleasesRequest(namespace="A")),
    ("status", unknown_enum(releases.ListReleasesRequest(), 3, 99)),
    ("page_size", releases.ListReleasesRequest(page_size=-1)),
    ("page_token", releases.ListReleasesRequest(page_token="next")),
    (
        "page_token",
        releases.ListReleasesRequest(page_token=page_token.encode("a.b.c", "ListReleases", "", "", "UNKNOWN")),
    ),
    ("page_size", releases.ListRevisionsRequest(release_id=SHOP, page_size=-1)),
    (
        "page_token",
        releases.ListRevisionsRequest(
            release_id=SHOP, page_token=page_token.encode("1.2.3", "ListRevisions", BLOG, "False")
        ),
    ),
    ("revision", releases.GetRevisionRequest(release_id=SHOP)),
    ("revision", releases.GetRevisionRequest(release_id=SHOP, revision=-1)),
    ("incarnation", releases.GetRevisionRequest(release_id=SHOP, revision=1, incarnation=-1)),
    ("view", unknown_enum(releases.GetRevisionRequest(release_id=SHOP, revision=1), 4, 99)),
]  # fmt: skip


async def answer(channel: grpc.aio.Channel, request: Message, **options: Any) -> grpc.aio.AioRpcError:
    """How the method with this request type refuses it."""
    method = type(request).__name__.removesuffix("Request")
    stub: Any = ReleaseServiceStub if request.DESCRIPTOR.file.name.endswith("release_service.proto") else None
    call = getattr((stub or RollbackServiceStub)(channel), method)(request, **options)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        async for _ in call if hasattr(call, "__aiter__") else _as_stream(call):
            pass
    return refused.value


async def _as_stream(call: Any) -> AsyncIterator[Any]:
    yield await call


def fields_of(error: grpc.aio.AioRpcError) -> list[str]:
    """The fields that the refusal names, each with a sentence."""
    status: Any = rpc_status.from_call(error)
    bad = BadRequest()
    assert any(detail.Unpack(bad) for detail in status.details)
    assert all(violation.description for violation in bad.field_violations)
    assert status.ByteSize() < 4096
    return [violation.field for violation in bad.field_violations]


@pytest.mark.parametrize(
    ("field", "request_"), CASES, ids=[f"{type(r).__name__}-{f}-{n}" for n, (f, r) in enumerate(CASES)]
)
async def test_is_refused_by_the_name_of_its_field(channel: grpc.aio.Channel, field: str, request_: Message) -> None:
    error = await answer(channel, request_)

    assert (error.code(), told(error).reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert fields_of(error) == [field]
    assert told(error).metadata["field"] == field


@pytest.mark.parametrize(
    ("token", "code", "reason"),
    [
        ("", grpc.StatusCode.INVALID_ARGUMENT, "INVALID_RESUME_TOKEN"),
        ("näh", grpc.StatusCode.INVALID_ARGUMENT, "INVALID_RESUME_TOKEN"),
        (os.urandom(40).hex(), grpc.StatusCode.INVALID_ARGUMENT, "INVALID_RESUME_TOKEN"),
        ("A" * 100_000, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_RESUME_TOKEN"),
        (
            resume_token.encode(LEDGER, ReleaseId.parse(BLOG), 3),
            grpc.StatusCode.INVALID_ARGUMENT,
            "INVALID_RESUME_TOKEN",
        ),
        (
            resume_token.encode(LEDGER.replace("0", "1"), ReleaseId.parse(SHOP), 3),
            grpc.StatusCode.OUT_OF_RANGE,
            "RESUME_POSITION_LOST",
        ),
    ],
    ids=["empty", "no ascii", "random", "huge", "of another release", "of another ledger"],
)
async def test_a_token_from_elsewhere_is_refused(
    channel: grpc.aio.Channel, token: str, code: grpc.StatusCode, reason: str
) -> None:
    error = await answer(channel, pb.StreamHistoryRequest(release_id=SHOP, resume_token=token))

    assert (error.code(), told(error).reason) == (code, reason)
    assert told(error).metadata["releaseId"] == SHOP


METHODS = [
    f"/{service.full_name}/{method.name}"
    for file in (pb.DESCRIPTOR, releases.DESCRIPTOR)
    for service in file.services_by_name.values()
    for method in service.methods
]


@pytest.mark.parametrize("raw", [b"\xff\xff\xff", b"\x0a\x02\xff\xfe"], ids=["no message", "no UTF-8"])
@pytest.mark.parametrize("method", METHODS)
async def test_bytes_that_are_no_request_are_refused(channel: grpc.aio.Channel, method: str, raw: bytes) -> None:
    multicallable: Any = channel.unary_stream if method.endswith("StreamHistory") else channel.unary_unary
    call = multicallable(method)(raw)

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        async for _ in call if hasattr(call, "__aiter__") else _as_stream(call):
            pass

    assert (refused.value.code(), told(refused.value).reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert fields_of(refused.value) == ["request"]


@pytest.mark.parametrize("actors", [["x" * 101], ["ci", "me"]], ids=["too long", "twice"])
async def test_an_actor_that_is_no_single_short_line_is_refused(channel: grpc.aio.Channel, actors: list[str]) -> None:
    error = await answer(channel, rollback(), metadata=[("x-helm-rollback-actor", actor) for actor in actors])

    assert (error.code(), told(error).reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert fields_of(error) == ["x-helm-rollback-actor"]

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
from support.calls import Refusal, refused
from support.service import rollback_request as rollback

from helm_rollback.application.drain import Drain
from helm_rollback.domain import resume_token
from helm_rollback.domain.release import ReleaseId
from helm_rollback.servicer import page_token
from helm_rollback.servicer.server import Server
from helm_rollback.v1 import release_service_pb2 as releases
from helm_rollback.v1 import rollback_service_pb2 as pb
from helm_rollback.v1.helm_options_pb2 import HelmOptions
from helm_rollback.v1.release_pb2 import Revision
from helm_rollback.v1.release_service_pb2_grpc import ReleaseServiceStub
from helm_rollback.v1.rollback_service_pb2_grpc import RollbackServiceStub

LEDGER = "01890a5d-ac96-774b-bcce-b302099a8057"
DISABLED = HelmOptions.DISABLED
GOOD = Revision.GOOD
SHOP, BLOG = "default.prod.shop", "default.prod.blog"


@pytest.fixture
async def channel() -> AsyncIterator[grpc.aio.Channel]:
    """To a server without any port: whatever touched one would end in INTERNAL."""
    ports = SimpleNamespace(drain=Drain(), ledger_id=LEDGER)
    server = Server(cast("Any", ports))
    async with grpc.aio.insecure_channel(await server.start("127.0.0.1:0")) as channel:
        yield channel
    await server.stop()


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
    *(("release_id", rollback(release=text)) for text in RELEASE_IDS),
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
    ("target_revision", rollback(0)),
    ("target_revision", rollback(-1)),
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
    ("revision", releases.MarkRevisionRequest(release_id=SHOP, mark=GOOD)),
    ("incarnation", releases.MarkRevisionRequest(release_id=SHOP, revision=1, mark=GOOD, incarnation=-1)),
    ("mark", releases.MarkRevisionRequest(release_id=SHOP, revision=1)),
    ("mark", unknown_enum(releases.MarkRevisionRequest(release_id=SHOP, revision=1), 4, 99)),
    ("reason", releases.MarkRevisionRequest(release_id=SHOP, revision=1, mark=GOOD, reason="two\nlines")),
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


async def answer(channel: grpc.aio.Channel, request: Message, **options: Any) -> Refusal:
    """How the method with this request type refuses it."""
    method = type(request).__name__.removesuffix("Request")
    stub: Any = ReleaseServiceStub if request.DESCRIPTOR.file.name.endswith("release_service.proto") else None
    return await short_refusal(getattr((stub or RollbackServiceStub)(channel), method)(request, **options))


async def short_refusal(call: Any) -> Refusal:
    """How the call is refused; however much was sent, little comes back."""
    told = await refused(call)
    assert told.size < 4096
    return told


@pytest.mark.parametrize(
    ("field", "request_"), CASES, ids=[f"{type(r).__name__}-{f}-{n}" for n, (f, r) in enumerate(CASES)]
)
async def test_is_refused_by_the_name_of_its_field(channel: grpc.aio.Channel, field: str, request_: Message) -> None:
    told = await answer(channel, request_)

    assert (told.code, told.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert told.fields == (field,)
    assert told.metadata["field"] == field


@pytest.mark.parametrize(
    ("token", "code", "reason"),
    [
        ("", grpc.StatusCode.INVALID_ARGUMENT, "INVALID_RESUME_TOKEN"),
        ("not base64 at all!", grpc.StatusCode.INVALID_ARGUMENT, "INVALID_RESUME_TOKEN"),
        ("AAAA", grpc.StatusCode.INVALID_ARGUMENT, "INVALID_RESUME_TOKEN"),
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
    ids=["empty", "no base64", "short", "no ascii", "random", "huge", "of another release", "of another ledger"],
)
async def test_a_token_from_elsewhere_is_refused(
    channel: grpc.aio.Channel, token: str, code: grpc.StatusCode, reason: str
) -> None:
    told = await answer(channel, pb.StreamHistoryRequest(release_id=SHOP, resume_token=token))

    assert (told.code, told.reason) == (code, reason)
    assert told.fields == (("resume_token",) if reason == "INVALID_RESUME_TOKEN" else ())
    assert told.metadata["releaseId"] == SHOP


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

    told = await short_refusal(multicallable(method)(raw))

    assert (told.code, told.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert told.fields == ("request",)


@pytest.mark.parametrize("actors", [["x" * 101], ["ci", "me"]], ids=["too long", "twice"])
async def test_an_actor_that_is_no_single_short_line_is_refused(channel: grpc.aio.Channel, actors: list[str]) -> None:
    told = await answer(channel, rollback(), metadata=[("x-helm-rollback-actor", actor) for actor in actors])

    assert (told.code, told.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert told.fields == ("x-helm-rollback-actor",)

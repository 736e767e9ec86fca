"""Around the methods: health, reflection, the log, the end of a server."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from support.calls import refused
from support.service import Service, rollback_request
from support.world import Choices, World

from helm_rollback.servicer.server import SERVICES, Server
from helm_rollback.v1 import release_service_pb2 as releases
from helm_rollback.v1 import rollback_service_pb2 as pb

SHOP = "default.prod.shop"
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


async def health_of(service: Service, name: str) -> int:
    stub = health_pb2_grpc.HealthStub(service.channel)
    status: int = (await stub.Check(health_pb2.HealthCheckRequest(service=name))).status
    return status


@pytest.mark.parametrize("name", ["", *SERVICES])
async def test_health_is_serving_until_the_drain(service: Service, name: str) -> None:
    assert await health_of(service, name) == SERVING

    await service.server.set_serving(False)
    assert await health_of(service, name) == NOT_SERVING

    await service.server.set_serving(True)
    await service.server.drain()
    await service.server.set_serving(True)
    assert await health_of(service, name) == NOT_SERVING


async def test_reflection_lists_the_services_on_loopback(service: Service) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(service.channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")

    answers = [answer async for answer in stub.ServerReflectionInfo(iter([request]))]

    listed = {each.name for each in answers[0].list_services_response.service}
    assert set(SERVICES) | {"grpc.health.v1.Health"} <= listed


async def test_reflection_can_be_turned_off(service: Service) -> None:
    server = Server(service.ports, reflect=False)
    async with grpc.aio.insecure_channel(await server.start("127.0.0.1:0")) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            [answer async for answer in stub.ServerReflectionInfo(iter([]))]
    await server.stop()

    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_port_in_use_is_told_by_name(service: Service) -> None:
    other = Server(service.ports)

    with pytest.raises(OSError, match=f"can not listen on {service.address}"):
        await other.start(service.address)


async def test_looking_goes_on_during_the_drain(world: World, service: Service) -> None:
    world.release()
    await service.server.drain()

    answer = await service.releases.GetRelease(releases.GetReleaseRequest(release_id=SHOP))

    assert answer.release.current_revision == 2


async def test_a_call_that_does_not_end_is_cut_off_in_time(world: World) -> None:
    service = await world.start(Choices(works=False, observes=False))  # so nothing else reads
    asked, never = asyncio.Event(), asyncio.Event()

    async def read(body: Any) -> Any:
        asked.set()
        await never.wait()

    service.ledger.read = read  # type: ignore[method-assign]
    looking = asyncio.ensure_future(
        how_it_ended(service.releases.GetRelease(releases.GetReleaseRequest(release_id=SHOP)))
    )
    await asked.wait()

    await service.server.stop(limit=timedelta(milliseconds=10))

    assert await looking in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


async def test_each_call_leaves_one_line_of_names_and_numbers(
    world: World, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    world.release()
    caplog.set_level(logging.INFO, logger="helm_rollback.call")
    request = rollback_request(reason="quarterly figures", wait_timeout=Duration(seconds=20))

    answer = await service.rollbacks.Rollback(request, metadata=(("x-helm-rollback-actor", "ci"),))
    await refused(service.rollbacks.Rollback(rollback_request(release="default.prod.none")))

    accepted, other = lines(caplog)
    assert accepted["method"] == "/helm_rollback.v1.RollbackService/Rollback"
    assert accepted["operation_id"] == answer.operation.operation_id
    assert (accepted["code"], accepted["actor"], accepted["release_id"]) == ("OK", "ci", SHOP)
    assert accepted["duration_ms"] > 0
    assert (other["code"], other["reason"]) == ("NOT_FOUND", "RELEASE_NOT_FOUND")
    assert "quarterly" not in str(accepted)
    assert answer.resume_token not in str(accepted)


async def test_a_client_that_leaves_is_logged_as_cancelled(
    world: World, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    world.release()
    caplog.set_level(logging.INFO, logger="helm_rollback.call")
    stream: Any = service.rollbacks.StreamHistory(pb.StreamHistoryRequest(release_id=SHOP))
    await stream.read()

    stream.cancel()
    await service.server._calls.wait_idle()

    assert [line["code"] for line in lines(caplog)] == ["CANCELLED"]


async def test_the_place_of_a_closed_stream_is_free_again(world: World) -> None:
    world.release()
    service = await world.start(Choices(max_streams=1))
    request = pb.StreamHistoryRequest(release_id=SHOP, end_when_caught_up=True)
    for _ in range(3):
        assert [response async for response in service.rollbacks.StreamHistory(request)]


async def test_requests_of_almost_32_mib_are_received(service: Service) -> None:
    request = rollback_request(reason="x" * (32 * 1024 * 1024 - 1024))

    assert (await refused(service.rollbacks.Rollback(request))).reason == "INVALID_FIELD"


async def test_a_cancelled_call_does_not_cut_its_acceptance(world: World) -> None:
    world.release()
    service = await world.start(Choices(works=False, observes=False))  # so nothing else writes
    await service.releases.GetRelease(releases.GetReleaseRequest(release_id=SHOP))
    entered, go_on, written = asyncio.Event(), asyncio.Event(), asyncio.Event()
    write = service.ledger.write

    async def slow_write(body: Any) -> Any:
        entered.set()
        await go_on.wait()
        answer = await write(body)
        written.set()
        return answer

    service.ledger.write = slow_write  # type: ignore[method-assign]
    call: Any = service.rollbacks.Rollback(rollback_request())
    await entered.wait()
    call.cancel()
    await service.server._calls.wait_idle()  # the server has seen it
    go_on.set()
    await written.wait()

    listed = await service.rollbacks.ListOperations(pb.ListOperationsRequest(release_id=SHOP))
    assert len(listed.operations) == 1


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [record.__dict__ for record in caplog.records if record.name == "helm_rollback.call"]


async def how_it_ended(call: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await call
    return ended.value.code()

"""One request_id names one operation, for ever: repeating a call is safe."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from support.calls import Refusal, refused
from support.fakes import Point
from support.service import Service, rollback_request
from support.world import Choices, World

from helm_rollback.v1 import rollback_service_pb2 as pb
from helm_rollback.v1.helm_options_pb2 import HelmOptions
from helm_rollback.v1.release_pb2 import Operation

ID = "01890a5d-ac96-774b-bcce-b302099a8057"
SHOP = "default.prod.shop"
ACTOR = "x-helm-rollback-actor"


@pytest.fixture
async def world(world: World) -> World:
    world.release(revisions=3)
    return world


async def ask(service: Service, actor: str = "", **fields: Any) -> Operation:
    metadata = ((ACTOR, actor),) if actor else ()
    request = rollback_request(**({"request_id": ID} | fields))
    return (await service.rollbacks.Rollback(request, metadata=metadata)).operation


async def operations(service: Service) -> list[Operation]:
    listed = await service.rollbacks.ListOperations(pb.ListOperationsRequest())
    return list(listed.operations)


def is_reused(told: Refusal, operation: Operation) -> bool:
    assert told.metadata == {"requestId": ID, "operationId": operation.operation_id, "releaseId": SHOP}
    return (told.code, told.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")


async def test_the_same_request_is_the_same_operation_as_it_is_now(world: World, service: Service) -> None:
    first = await ask(service)
    await service.settled(first.operation_id)

    again = await ask(service)

    assert again.operation_id == first.operation_id
    assert again.state == Operation.SUCCEEDED
    assert len(world.helm.started) == 1


async def test_both_answers_bear_the_same_token(service: Service) -> None:
    first = await service.rollbacks.Rollback(rollback_request(request_id=ID))
    again = await service.rollbacks.Rollback(rollback_request(request_id=ID))

    assert first.resume_token == again.resume_token


async def test_a_replay_waits_as_the_first_call_would(service: Service) -> None:
    await ask(service)

    again = await ask(service, wait_timeout=Duration(seconds=20))

    assert again.state == Operation.SUCCEEDED


@pytest.mark.parametrize("spelling", [ID.upper(), ID.title()])
async def test_the_spelling_of_the_id_does_not_matter(service: Service, spelling: str) -> None:
    first = await ask(service)

    assert (await ask(service, request_id=spelling)).operation_id == first.operation_id


async def test_what_is_absent_equals_its_default(service: Service) -> None:
    first = await ask(service)
    spelled_out = HelmOptions(timeout=Duration(seconds=300), wait_strategy=HelmOptions.WATCHER)

    again = await ask(service, helm_options=spelled_out, expire_after=Duration(seconds=3600))

    assert again.operation_id == first.operation_id


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_it_is_the_same_after_a_restart(world: World, service: Service, how: str) -> None:
    first = await ask(service)
    await service.settled(first.operation_id)
    await (world.stop() if how == "stop" else world.kill())

    again = await ask(await world.start())

    assert (again.operation_id, again.state) == (first.operation_id, Operation.SUCCEEDED)
    assert len(world.helm.started) == 1


async def test_it_is_the_same_while_the_cluster_and_helm_are_away(world: World, service: Service) -> None:
    first = await ask(service)
    await service.settled(first.operation_id)
    world.helm.unavailable = "it was removed"

    with world.cluster.away():
        again = await ask(service)

    assert again.operation_id == first.operation_id


async def test_it_is_the_same_while_the_server_drains(service: Service) -> None:
    first = await ask(service)
    await service.settled(first.operation_id)
    service.ports.drain.start()

    assert (await ask(service)).operation_id == first.operation_id


@pytest.mark.parametrize(
    "other",
    [
        {"target": 2},
        {"reason": "another"},
        {"expected_current_revision": 3},
        {"expire_after": Duration(seconds=60)},
        {"helm_options": HelmOptions(disable_hooks=True)},
        {"allow_marked_bad": True},
        {"remove_leftovers": True},
        {"expected_current_revision": 3, "take_over_pending": True},
        {"actor": "somebody-else"},
        {"release": "default.prod.blog"},
    ],
    ids=lambda other: ",".join(other),
)
async def test_other_content_is_refused_and_names_the_operation(service: Service, other: dict[str, Any]) -> None:
    first = await ask(service)

    told = await refused(ask(service, **other))

    assert is_reused(told, first)


async def test_another_method_is_refused(service: Service) -> None:
    first = await ask(service)

    request = pb.RollbackLastSuccessfulRequest(release_id=SHOP, request_id=ID)
    told = await refused(service.rollbacks.RollbackLastSuccessful(request))

    assert is_reused(told, first)


async def test_how_long_the_caller_waits_is_no_content(service: Service) -> None:
    first = await ask(service, wait_timeout=Duration(seconds=20))

    assert (await ask(service, wait_timeout=Duration(seconds=1))).operation_id == first.operation_id


async def test_a_refused_request_does_not_use_its_id_up(world: World, service: Service) -> None:
    assert (await refused(ask(service, target=9))).reason == "REVISION_NOT_FOUND"
    assert (await refused(ask(service, expected_current_revision=1))).reason == "CURRENT_REVISION_CHANGED"
    with world.cluster.away():
        assert (await refused(ask(service))).reason == "CLUSTER_UNREACHABLE"

    accepted = await ask(service, target=2)

    assert accepted.request_id == ID
    assert [operation.operation_id for operation in await operations(service)] == [accepted.operation_id]


async def test_a_request_that_comes_many_times_at_once_is_one_operation(world: World, service: Service) -> None:
    hold = world.helm.hold(Point.BEFORE_CREATE)

    answers = await asyncio.gather(*(ask(service) for _ in range(20)))

    assert len({operation.operation_id for operation in answers}) == 1
    hold.release()
    await service.settled(answers[0].operation_id)
    assert len(await operations(service)) == len(world.helm.started) == 1


async def test_an_operation_is_found_by_its_request_id(world: World) -> None:
    service = await world.start(Choices(works=False))
    made = await ask(service)

    listed = await service.rollbacks.ListOperations(pb.ListOperationsRequest(request_id=ID.upper()))
    other = await service.rollbacks.ListOperations(pb.ListOperationsRequest(request_id=ID[:-1] + "8"))

    assert [operation.operation_id for operation in listed.operations] == [made.operation_id]
    assert list(other.operations) == []


async def test_a_last_successful_choice_is_replayed_and_not_made_again(world: World, service: Service) -> None:
    world.by_hand.upgrade(fails=True)
    request = pb.RollbackLastSuccessfulRequest(
        release_id=SHOP, request_id=ID, wait_timeout=Duration(seconds=20), expected_current_revision=4
    )
    first = (await service.rollbacks.RollbackLastSuccessful(request)).operation

    again = (await service.rollbacks.RollbackLastSuccessful(request)).operation

    assert first.state == Operation.SUCCEEDED
    assert again == first
    assert first.selection.revision == 3

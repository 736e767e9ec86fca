"""StreamHistory: past events, one caught_up, then live ones; each once, from any token on."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from support.calls import refused
from support.fakes import Point
from support.following import Following
from support.samples import operation_id
from support.service import Service, rollback_request
from support.streams import sequences
from support.world import Choices, World

from helm_rollback.domain import resume_token
from helm_rollback.domain.release import ReleaseId
from helm_rollback.v1 import rollback_service_pb2 as pb
from helm_rollback.v1.history_pb2 import RevisionTransition
from helm_rollback.v1.release_pb2 import Operation
from helm_rollback.v1.rollback_service_pb2 import StreamHistoryResponse

SHOP = "default.prod.shop"
SIX_EVENTS = [
    "operation PENDING",
    "operation RUNNING",
    "revision 3 → PENDING_ROLLBACK",
    "revision 2 DEPLOYED → SUPERSEDED",
    "revision 3 PENDING_ROLLBACK → DEPLOYED",
    "operation SUCCEEDED",
]


@pytest.fixture
async def world(world: World) -> World:
    world.release()
    return world


@pytest.fixture
async def service(world: World, service: Service) -> Service:
    """One that watches: what it still had to list, it would tell without the steps in between."""
    await service.until_observed(world.cluster)
    return service


def stream(service: Service, release_id: str = SHOP, **fields: Any) -> Any:
    return service.rollbacks.StreamHistory(pb.StreamHistoryRequest(release_id=release_id, **fields))


async def collected(service: Service, **fields: Any) -> list[StreamHistoryResponse]:
    """All responses of a stream that ends."""
    return [response async for response in stream(service, **fields)]


async def rolled_back(service: Service, target: int = 1) -> tuple[str, str]:
    """Roll back to the end: the operation's id, and the token of its acceptance."""
    answer = await service.rollbacks.Rollback(rollback_request(target))
    assert (await service.settled(answer.operation.operation_id)).state == Operation.SUCCEEDED
    return answer.operation.operation_id, answer.resume_token


def events_of(responses: list[StreamHistoryResponse]) -> list[int]:
    return sequences([response.event for response in responses if response.HasField("event")])


# --- what is told ---------------------------------------------------------------------


async def test_a_rollback_is_six_events_in_their_order_with_contiguous_sequences(service: Service) -> None:
    async with Following(stream(service, tail=0)) as following:
        before = following.responses[0].caught_up.last_sequence
        await service.rollbacks.Rollback(rollback_request())
        await following.until_told("operation SUCCEEDED")

    assert following.told == SIX_EVENTS
    assert sequences(following.events) == list(range(before + 1, before + 7))
    transitions = [event.revision_transition for event in following.events if event.HasField("revision_transition")]
    assert {transition.cause for transition in transitions} == {RevisionTransition.SERVICE}


async def test_a_rollback_of_an_uninstalled_release_has_no_superseded_step(world: World, service: Service) -> None:
    world.by_hand.uninstall(keep_history=True)

    _, token = await rolled_back(service)
    told = await collected(service, resume_token=token, end_when_caught_up=True)

    names = [response.event.revision_transition.to_status for response in told if response.HasField("event")]
    assert len(names) == 5


async def test_what_others_do_is_told_as_external_and_in_order(world: World, service: Service) -> None:
    await service.until_observed(world.cluster)
    async with Following(stream(service)) as following:
        world.by_hand.upgrade()
        await following.until_told("revision 3 PENDING_UPGRADE → DEPLOYED")

    assert following.told[-3:] == [
        "revision 3 → PENDING_UPGRADE",
        "revision 2 DEPLOYED → SUPERSEDED",
        "revision 3 PENDING_UPGRADE → DEPLOYED",
    ]
    assert following.events[-1].revision_transition.cause == RevisionTransition.EXTERNAL


async def test_what_was_there_first_is_adopted_in_ascending_order(service: Service) -> None:
    told = await collected(service, end_when_caught_up=True)

    found = [(one.event.revision_transition.revision, one.event.revision_transition.cause) for one in told[:2]]
    assert found == [(1, RevisionTransition.ADOPTED), (2, RevisionTransition.ADOPTED)]


async def test_statuses_that_came_and_went_unobserved_are_one_net_transition(world: World) -> None:
    service = await world.start()
    await collected(service, end_when_caught_up=True)
    await world.stop()
    world.cluster.forget_changes()
    world.by_hand.upgrade()
    world.cluster.forget_changes()

    service = await world.start()
    async with Following(stream(service)) as following:
        await following.until_told("revision 3 → DEPLOYED")

    assert following.told[2:] == ["revision 2 DEPLOYED → SUPERSEDED", "revision 3 → DEPLOYED"]
    assert {event.revision_transition.cause for event in following.events[2:]} == {RevisionTransition.EXTERNAL}


async def test_a_restart_tells_what_happened_meanwhile_version_by_version(world: World) -> None:
    service = await world.start()
    await service.until_observed(world.cluster)  # from there the next one watches on
    await world.stop()
    world.by_hand.upgrade()

    service = await world.start()
    async with Following(stream(service)) as following:
        await following.until_told("revision 3 PENDING_UPGRADE → DEPLOYED")

    assert following.told[2:] == [
        "revision 3 → PENDING_UPGRADE",
        "revision 2 DEPLOYED → SUPERSEDED",
        "revision 3 PENDING_UPGRADE → DEPLOYED",
    ]


# --- where it begins ------------------------------------------------------------------


async def test_the_token_of_an_acceptance_lies_right_before_its_first_event(service: Service) -> None:
    await rolled_back(service)
    made, token = await rolled_back(service, 2)

    told = await collected(service, resume_token=token, end_after_operation_id=made)

    assert told[0].event.operation_transition.operation.operation_id == made
    assert told[0].event.operation_transition.operation.state == Operation.PENDING
    assert len(told) == 6


async def test_caught_up_comes_exactly_once_between_past_and_live(service: Service) -> None:
    await rolled_back(service)
    async with Following(stream(service)) as following:
        past = len(following.responses)
        await service.rollbacks.Rollback(rollback_request(2))
        await following.until(lambda: following.told.count("operation SUCCEEDED") == 2, "the second rollback")

    marks = [index for index, response in enumerate(following.responses) if response.HasField("caught_up")]
    assert marks == [past - 1]
    assert following.responses[past - 1].caught_up.last_sequence == following.events[past - 2].sequence


@pytest.mark.parametrize(
    ("tail", "told"), [(0, []), (2, [7, 8]), (8, [1, 2, 3, 4, 5, 6, 7, 8]), (99, list(range(1, 9)))]
)
async def test_a_tail_is_the_newest_past_events(service: Service, tail: int, told: list[int]) -> None:
    await rolled_back(service)

    responses = await collected(service, tail=tail, end_when_caught_up=True)

    assert events_of(responses) == told
    assert responses[-1].caught_up.last_sequence == 8


async def test_a_sequence_is_gone_on_after(service: Service) -> None:
    await rolled_back(service)

    assert events_of(await collected(service, after_sequence=6, end_when_caught_up=True)) == [7, 8]
    assert events_of(await collected(service, after_sequence=0, end_when_caught_up=True)) == list(range(1, 9))


async def test_a_release_that_nobody_asked_for_before_is_adopted_by_a_stream(world: World) -> None:
    service = await world.start(Choices(observes=False))

    assert events_of(await collected(service, end_when_caught_up=True)) == [1, 2]


# --- where it ends --------------------------------------------------------------------


async def test_it_ends_with_the_operation_that_it_was_to_end_after(service: Service) -> None:
    answer = await service.rollbacks.Rollback(rollback_request())

    told = await collected(service, end_after_operation_id=answer.operation.operation_id)

    assert told[-1].event.operation_transition.operation.state == Operation.SUCCEEDED


async def test_it_ends_right_after_caught_up_where_the_operation_lies_before_its_start(service: Service) -> None:
    made, _ = await rolled_back(service)

    told = await collected(service, tail=0, end_after_operation_id=made)

    assert [response.WhichOneof("item") for response in told] == ["caught_up"]


async def test_of_two_ends_the_first_wins(world: World, service: Service) -> None:
    hold = world.helm.hold(Point.BEFORE_CREATE)
    running = await service.rollbacks.Rollback(rollback_request())
    await hold.reached.wait()

    told = await collected(service, end_after_operation_id=running.operation.operation_id, end_when_caught_up=True)

    assert told[-1].HasField("caught_up")
    hold.release()


async def test_an_operation_of_another_release_is_not_found(world: World, service: Service) -> None:
    world.release("blog")
    made, _ = await rolled_back(service)

    told = await refused(stream(service, "default.prod.blog", end_after_operation_id=made))

    assert (told.code, told.reason) == (grpc.StatusCode.NOT_FOUND, "OPERATION_NOT_FOUND")
    assert told.metadata == {"operationId": made, "releaseId": "default.prod.blog"}
    assert (await refused(stream(service, end_after_operation_id=operation_id(999)))).reason == "OPERATION_NOT_FOUND"


async def test_a_purge_does_not_end_a_stream(world: World, service: Service) -> None:
    async with Following(stream(service)) as following:
        world.by_hand.uninstall()
        world.by_hand.install()
        await following.until_told("revision 1 PENDING_INSTALL → DEPLOYED")

    assert following.events[-1].revision_transition.incarnation == 2
    assert "revision 2 UNINSTALLING → UNINSTALLED" in following.told


async def test_a_drain_ends_streams_and_their_tokens_work_on_the_successor(world: World, service: Service) -> None:
    async with Following(stream(service)) as following:
        await service.server.drain()
        end = await following.ended()
        await world.stop()

    assert end is not None
    assert (end.code, end.reason) == (grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING")
    assert end.retry_after is not None
    world.by_hand.upgrade()
    successor = await world.start()
    async with Following(stream(successor, resume_token=following.responses[-1].resume_token)) as again:
        await again.until_told("revision 3 PENDING_UPGRADE → DEPLOYED")
    assert sequences(again.events) == [3, 4, 5]


# --- how it lives ---------------------------------------------------------------------


async def test_headers_are_sent_at_once(service: Service) -> None:
    call = stream(service, tail=0)

    await call.initial_metadata()

    assert not call.done()
    call.cancel()


async def test_silence_is_broken_by_heartbeats_that_repeat_the_token(world: World) -> None:
    service = await world.start(Choices(heartbeat_seconds=0.02))
    async with Following(stream(service)) as following:
        await following.until(lambda: following.responses[-1].HasField("heartbeat"), "a heartbeat")
        heartbeat = following.responses[-1]
        caught_up = next(response for response in following.responses if response.HasField("caught_up"))

    assert heartbeat.heartbeat.last_sequence == caught_up.caught_up.last_sequence == 2
    assert heartbeat.resume_token == caught_up.resume_token
    assert heartbeat.heartbeat.time.ToDatetime() == world.clock().replace(tzinfo=None)


async def test_a_reader_that_does_not_read_delays_no_other_and_loses_nothing(world: World, service: Service) -> None:
    lazy = stream(service)
    await lazy.initial_metadata()
    async with Following(stream(service)) as eager:
        for _ in range(3, 103):
            world.by_hand.upgrade()
        await eager.until_told("revision 102 PENDING_UPGRADE → DEPLOYED")
        told: list[int] = []
        while len(told) < len(eager.events):
            response = await lazy.read()
            told += [response.event.sequence] if response.HasField("event") else []
    lazy.cancel()

    assert told == sequences(eager.events) == list(range(1, len(told) + 1))


# --- tokens that do not fit; those from elsewhere are in test_bad_input.py ------------


async def test_a_token_ahead_of_the_ledger_is_a_lost_position(service: Service) -> None:
    token = resume_token.encode(service.ports.ledger_id, ReleaseId.parse(SHOP), 1_000)

    told = await refused(stream(service, resume_token=token))

    assert (told.code, told.reason) == (grpc.StatusCode.OUT_OF_RANGE, "RESUME_POSITION_LOST")

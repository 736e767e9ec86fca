"""Nothing is lost and nothing is told twice, wherever a stream is cut and however often the service restarts."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.fakes import Point
from support.service import Service, rollback_request
from support.world import World

from helm_rollback.v1 import rollback_service_pb2 as pb
from helm_rollback.v1.rollback_service_pb2 import StreamHistoryResponse

SHOP = "default.prod.shop"


class Step(Enum):
    """What happens between two looks at the stream."""

    ROLLBACK = auto()
    UPGRADE = auto()
    FAILED_UPGRADE = auto()
    REINSTALL = auto()
    STOP = auto()
    KILL = auto()
    KILL_IN_ROLLBACK = auto()


class Reader:
    """A client that drops its stream now and then, and goes on with the token of the last response that it kept."""

    def __init__(self) -> None:
        self.kept: list[StreamHistoryResponse] = []

    async def read(self, service: Service, *, at_most: int) -> None:
        request = pb.StreamHistoryRequest(release_id=SHOP, end_when_caught_up=True)
        if self.kept:
            request.resume_token = self.kept[-1].resume_token
        call = service.rollbacks.StreamHistory(request)
        async for response in call:
            if at_most == 0:
                break
            at_most -= 1
            self.kept.append(response)
        call.cancel()


async def the_rest(service: Service, token: str | None = None) -> list[StreamHistoryResponse]:
    """All that is told from a token on, until it is caught up."""
    request = pb.StreamHistoryRequest(release_id=SHOP, end_when_caught_up=True)
    if token is not None:
        request.resume_token = token
    return [response async for response in service.rollbacks.StreamHistory(request)]


def events(responses: Sequence[StreamHistoryResponse]) -> list[bytes]:
    return [
        response.event.SerializeToString(deterministic=True) for response in responses if response.HasField("event")
    ]


async def happen(world: World, service: Service, step: Step) -> Service:
    """Let it happen; the service that runs afterwards."""
    match step:
        case Step.ROLLBACK:
            answer = await service.rollbacks.Rollback(rollback_request(max(world.by_hand.stored)))
            await service.settled(answer.operation.operation_id)
        case Step.UPGRADE:
            world.by_hand.upgrade()
        case Step.FAILED_UPGRADE:
            world.by_hand.upgrade(fails=True)
        case Step.REINSTALL:
            world.by_hand.uninstall()
            world.by_hand.install()
        case Step.STOP:
            await world.stop()
            return await world.start()
        case Step.KILL:
            await world.kill()
            return await world.start()
        case Step.KILL_IN_ROLLBACK:
            hold = world.helm.hold(Point.AFTER_CREATE)
            answer = await service.rollbacks.Rollback(rollback_request(max(world.by_hand.stored)))
            await hold.reached.wait()
            await world.kill()
            hold.release()
            service = await world.start()
            await service.settled(answer.operation.operation_id)
    return service


@given(happening=st.lists(st.tuples(st.sampled_from(Step), st.integers(0, 9)), max_size=7))
@example(happening=[(Step.KILL_IN_ROLLBACK, 0), (Step.KILL_IN_ROLLBACK, 0)])
@settings(max_examples=10, deadline=None)
async def test_any_cuts_and_restarts_leave_every_event_told_once(happening: list[tuple[Step, int]]) -> None:
    with TemporaryDirectory() as folder:
        async with World(folder=Path(folder)) as world:
            world.release()
            service = await world.start()
            reader = Reader()
            for step, at_most in happening:
                service = await happen(world, service, step)
                await reader.read(service, at_most=at_most)
            await service.until_observed(world.cluster)
            await reader.read(service, at_most=10_000)
            everything = await the_rest(service)

            assert events(reader.kept) == events(everything)
            assert [one.event.sequence for one in everything[:-1]] == list(range(1, len(everything)))
            for response in reader.kept[::3]:
                position = reader.kept.index(response) + 1
                assert events(await the_rest(service, response.resume_token)) == events(reader.kept[position:])

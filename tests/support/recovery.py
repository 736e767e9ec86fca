"""A service killed in the middle of a rollback, and its successor."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from support.fakes import Chart, Point
from support.service import Service, rollback_request
from support.streams import tell
from support.waiting import PATIENCE
from support.world import Choices, World

from helm_rollback.application.crash_points import CrashPoint
from helm_rollback.v1 import rollback_service_pb2 as pb
from helm_rollback.v1.error_reason_pb2 import ErrorReason
from helm_rollback.v1.release_pb2 import Operation

SHOP = "default.prod.shop"
ON_BOTH_ENGINES = pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
"""For a module's `pytestmark`: a restart on SQLite voids the leases, on PostgreSQL they run out."""


def with_two_revisions(world: World, first: Chart | None = None) -> None:
    world.by_hand.install(first or Chart(version="1.0.0"))
    world.by_hand.upgrade(Chart(version="2.0.0"))


async def killed_at(world: World, point: Point, **fields: Any) -> str:
    """Let a service accept a rollback to 1, and kill it where Helm has come to `point`; the operation's id."""
    service = await world.start()
    await service.until_observed(world.cluster)
    hold = world.helm.hold(point)
    accepted = (await service.rollbacks.Rollback(rollback_request(**fields))).operation
    await hold.reached.wait()
    await world.kill()
    hold.release()
    return accepted.operation_id


async def killed_while_the_cluster_is_away(world: World) -> None:
    """Let a service claim what is open, without being able to look at it, and kill it."""
    claimed = asyncio.Event()
    with world.cluster.away():
        await world.start(Choices(reached=lambda point: claimed.set() if point is CrashPoint.CLAIMED else None))
        await asyncio.wait_for(claimed.wait(), PATIENCE)
        await world.kill()


async def outcome_after_restart(world: World, operation_id: str) -> Operation:
    return await (await world.start()).settled(operation_id)


def reason(operation: Operation) -> str:
    assert operation.state == Operation.FAILED, operation
    return ErrorReason.Name(operation.failure.error_reason)


async def history(service: Service) -> list[str]:
    request = pb.StreamHistoryRequest(release_id=SHOP, end_when_caught_up=True)
    responses = [response async for response in service.rollbacks.StreamHistory(request)]
    return [tell(response.event) for response in responses if response.HasField("event")]

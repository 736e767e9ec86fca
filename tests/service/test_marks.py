"""MarkRevision: what a person says of a revision, and what the choice and a rollback make of it."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from support.calls import refused
from support.fakes import Chart
from support.service import Service, rollback_request
from support.world import Choices, World

from helm_rollback.v1 import release_service_pb2 as pb
from helm_rollback.v1.history_pb2 import MarkChange
from helm_rollback.v1.release_pb2 import Revision, Selection, SkippedRevision
from helm_rollback.v1.rollback_service_pb2 import RollbackLastSuccessfulRequest, StreamHistoryRequest

SHOP = "default.prod.shop"


async def mark(service: Service, revision: int, mark: Revision.Mark.ValueType, **fields: Any) -> Revision:
    request = pb.MarkRevisionRequest(release_id=SHOP, revision=revision, mark=mark, **fields)
    return (await service.releases.MarkRevision(request)).revision


async def marks_told(service: Service) -> list[MarkChange]:
    stream = service.rollbacks.StreamHistory(StreamHistoryRequest(release_id=SHOP, end_when_caught_up=True))
    return [
        answer.event.mark_change
        async for answer in stream
        if answer.WhichOneof("item") == "event" and answer.event.HasField("mark_change")
    ]


async def test_a_mark_is_kept_and_told_with_who_said_so_and_why(world: World) -> None:
    world.release()
    service = await world.start()

    marked = await mark(service, 1, Revision.BAD, reason="it loses orders")

    assert (marked.revision, marked.mark, marked.status) == (1, Revision.BAD, Revision.SUPERSEDED)
    request = pb.GetRevisionRequest(release_id=SHOP, revision=1)
    assert (await service.releases.GetRevision(request)).revision == marked
    [told] = await marks_told(service)
    assert (told.incarnation, told.revision, told.mark) == (1, 1, Revision.BAD)
    assert (told.actor, told.reason) == ("anonymous", "it loses orders")


async def test_the_same_mark_again_is_no_event_and_another_is(world: World) -> None:
    world.release()
    service = await world.start()

    first = await mark(service, 1, Revision.BAD)
    assert await mark(service, 1, Revision.BAD, reason="said again") == first
    await mark(service, 1, Revision.GOOD)
    await mark(service, 1, Revision.UNMARKED)

    assert [told.mark for told in await marks_told(service)] == [Revision.BAD, Revision.GOOD, Revision.UNMARKED]


async def test_one_marked_bad_is_neither_chosen_nor_rolled_back_to_unless_it_is_meant(world: World) -> None:
    world.release(revisions=3).upgrade(fails=True)
    service = await world.start(Choices(works=False))
    await mark(service, 3, Revision.BAD)

    refusal = await refused(service.rollbacks.Rollback(rollback_request(3)))
    chosen = (await service.rollbacks.RollbackLastSuccessful(RollbackLastSuccessfulRequest(release_id=SHOP))).operation

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "REVISION_MARKED_BAD")
    assert chosen.selection.revision == 2
    skipped = {one.revision: one.skip_reason for one in chosen.selection.skipped}
    assert skipped[3] == SkippedRevision.MARKED_BAD


async def test_one_marked_bad_is_rolled_back_to_where_that_is_meant(world: World) -> None:
    world.release()
    service = await world.start(Choices(works=False))
    await mark(service, 1, Revision.BAD)

    operation = (await service.rollbacks.Rollback(rollback_request(1, allow_marked_bad=True))).operation

    assert operation.target_revision == 1


async def test_one_marked_good_is_chosen_though_it_never_worked(world: World) -> None:
    """Its wait ran out, say, and it came up a minute later."""
    world.release().upgrade(Chart(version="3.0.0"), fails=True)
    world.by_hand.upgrade(Chart(version="4.0.0"), fails=True)
    service = await world.start(Choices(works=False))
    await mark(service, 3, Revision.GOOD)

    chosen = (await service.rollbacks.RollbackLastSuccessful(RollbackLastSuccessfulRequest(release_id=SHOP))).operation

    assert (chosen.selection.revision, chosen.selection.success_evidence) == (3, Selection.MARKED)


async def test_a_mark_on_a_release_that_was_never_seen_adopts_it(world: World) -> None:
    world.release()
    service = await world.start(Choices(observes=False))

    assert (await mark(service, 2, Revision.GOOD)).mark == Revision.GOOD


@pytest.mark.parametrize(("revision", "incarnation"), [(3, 0), (1, 2)])
async def test_what_is_not_there_can_not_be_marked(world: World, revision: int, incarnation: int) -> None:
    world.release()
    service = await world.start()

    request = pb.MarkRevisionRequest(release_id=SHOP, revision=revision, incarnation=incarnation, mark=Revision.GOOD)
    refusal = await refused(service.releases.MarkRevision(request))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "REVISION_NOT_FOUND")
    assert await marks_told(service) == []

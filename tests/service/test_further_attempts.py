"""An attempt after an interrupted one: what the first may have done is not forgotten when the second fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from support.fakes import Chart, HelmRun, Point, RunEnd
from support.recovery import ON_BOTH_ENGINES, history, killed_at, outcome_after_restart, reason, with_two_revisions
from support.service import rollback_request
from support.world import Choices, World

from helm_rollback.application.ports import ServedKind
from helm_rollback.domain.errors import ClusterUnreachable, StoreUnavailable
from helm_rollback.v1.release_pb2 import Failure, Operation

pytestmark = ON_BOTH_ENGINES

WAIT = Duration(seconds=20)


@pytest.fixture
async def killed(world: World) -> str:
    """An operation whose first attempt had applied everything."""
    with_two_revisions(world)
    return await killed_at(world, Point.BEFORE_SUPERSEDE)


async def test_one_that_is_not_begun_again_says_that_something_may_be_applied(world: World, killed: str) -> None:
    world.cluster.served.discard(ServedKind("v1", "ConfigMap"))

    ended = await outcome_after_restart(world, killed)

    assert (reason(ended), ended.failure.applied) == ("KIND_NOT_SERVED", Failure.UNKNOWN)
    assert "earlier attempt" in ended.failure.message


@pytest.mark.parametrize("end", [RunEnd.REFUSED_AT_ONCE, RunEnd.APPLY_FAILS])
async def test_one_that_fails_before_it_applied_anything_says_so_too(world: World, killed: str, end: RunEnd) -> None:
    world.helm.scripts.append(HelmRun(end=end))

    ended = await outcome_after_restart(world, killed)

    assert (ended.attempt, ended.failure.applied) == (2, Failure.UNKNOWN)
    assert ended.result_revision == (3 if end is RunEnd.APPLY_FAILS else 0), "the dead attempt's was removed"


async def test_one_that_meets_somebody_elses_upgrade_says_so_too(world: World, killed: str) -> None:
    hold = world.helm.hold(Point.BEFORE_CREATE)
    service = await world.start()
    await hold.reached.wait()
    world.by_hand.upgrade(Chart(version="7.0.0"))
    hold.release()

    ended = await service.settled(killed)

    assert (reason(ended), ended.failure.applied) == ("EXTERNAL_CHANGE", Failure.UNKNOWN)


async def test_a_record_that_we_set_failed_and_did_not_hear_of_tells_no_less(world: World) -> None:
    with_two_revisions(world)
    world.helm.scripts.append(HelmRun(end=RunEnd.KILLED_AFTER_SUPERSEDE))
    _lose_first_answer(world, "set_failed")
    service = await world.start()

    ended = (await service.rollbacks.Rollback(rollback_request(wait_timeout=WAIT))).operation

    assert (ended.state, ended.failure.applied) == (Operation.FAILED, Failure.APPLIED)
    assert world.by_hand.statuses[3] == "failed"


async def test_an_internal_error_leaves_no_record_pending(world: World) -> None:
    with_two_revisions(world)
    world.helm.scripts.append(HelmRun(end=RunEnd.KILLED_AT_CREATE))
    run: Callable[..., Awaitable[Any]] = world.helm.run

    async def broken(*arguments: Any, **named: Any) -> None:
        await run(*arguments, **named)
        raise RuntimeError("its output is gone")

    vars(world.helm)["run"] = broken
    service = await world.start()

    ended = (await service.rollbacks.Rollback(rollback_request(wait_timeout=WAIT))).operation

    assert reason(ended) == "INTERNAL"
    assert world.by_hand.statuses[3] == "failed"


async def test_a_run_longer_than_the_expiry_bears_a_moment_without_its_cluster(world: World) -> None:
    with_two_revisions(world)
    service = await world.start()
    hold = world.helm.hold(Point.AFTER_CREATE)
    world.helm.scripts.append(HelmRun(end=RunEnd.KILLED_AT_CREATE))
    request = rollback_request(expire_after=Duration(seconds=60))
    accepted = (await service.rollbacks.Rollback(request)).operation
    await hold.reached.wait()
    world.clock.move(timedelta(seconds=120))
    _lose_first_answer(world, "list_release")
    hold.release()

    ended = await service.settled(accepted.operation_id)

    assert reason(ended) == "INTERRUPTED"
    assert world.by_hand.statuses[3] == "failed"


async def test_an_attempt_whose_counting_was_not_heard_of_is_counted_once(world: World) -> None:
    with_two_revisions(world)
    service = await world.start(Choices(works=False))
    write: Callable[..., Awaitable[Any]] = service.ledger.write
    cut: list[bool] = []

    async def writes(body: Any) -> Any:
        answer = await write(body)
        if getattr(answer, "attempt", 0) == 1 and not cut:
            cut.append(True)
            raise StoreUnavailable("the connection was lost at the commit")
        return answer

    vars(service.ledger)["write"] = writes
    working = asyncio.create_task(service.worker.run())
    ended = (await service.rollbacks.Rollback(rollback_request(wait_timeout=WAIT))).operation
    working.cancel()

    assert cut
    assert (ended.state, ended.attempt, len(world.helm.started)) == (Operation.SUCCEEDED, 1, 1)
    assert (await history(service)).count("operation RUNNING") == 1


def _lose_first_answer(world: World, method: str) -> None:
    """It does what it is asked, and the first time nobody hears of it."""
    call: Callable[..., Awaitable[Any]] = getattr(world.cluster, method)
    lost: list[bool] = []

    async def fickle(*arguments: Any, **named: Any) -> Any:
        answer = await call(*arguments, **named)
        if not lost:
            lost.append(True)
            raise ClusterUnreachable("default", "connection reset")
        return answer

    vars(world.cluster)[method] = fickle

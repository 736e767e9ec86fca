"""A service that is killed in the middle of an install, an upgrade or an uninstall: what its successor makes of it."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from support.chart_operations import SHOP, Ask, cancel, install, killed_at, uninstall, upgrade
from support.fakes import Chart, Point
from support.recovery import ON_BOTH_ENGINES, outcome_after_restart, reason
from support.world import World

from helm_rollback.application.ports import Served
from helm_rollback.v1.release_pb2 import Failure, Operation
from helm_rollback.v1.rollback_service_pb2 import ListOperationsRequest

pytestmark = ON_BOTH_ENGINES

INSTALL = partial(install, chart=Chart(version="1.0.0"))
UPGRADE = partial(upgrade, chart=Chart(version="3.0.0"))


@pytest.mark.parametrize("point", [Point.BEFORE_CREATE, Point.AFTER_CREATE, Point.AFTER_SUPERSEDE, Point.AFTER_END])
async def test_an_interrupted_install_is_carried_out(world: World, point: Point) -> None:
    killed = await killed_at(world, point, INSTALL)

    ended = await outcome_after_restart(world, killed)

    attempts = 1 if point is Point.AFTER_END else 2
    assert (ended.state, ended.attempt, ended.result_revision, ended.incarnation) == (
        Operation.SUCCEEDED, attempts, 1, 1,
    )  # fmt: skip
    assert world.by_hand.statuses == {1: "deployed"}


@pytest.mark.parametrize("point", [Point.BEFORE_CREATE, Point.AFTER_CREATE, Point.AFTER_SUPERSEDE, Point.AFTER_END])
async def test_an_interrupted_upgrade_is_carried_out(world: World, point: Point) -> None:
    world.release()
    killed = await killed_at(world, point, UPGRADE)

    ended = await outcome_after_restart(world, killed)

    attempts = 1 if point is Point.AFTER_END else 2
    assert (ended.state, ended.attempt, ended.result_revision) == (Operation.SUCCEEDED, attempts, 3)
    assert world.by_hand.statuses == {1: "superseded", 2: "superseded", 3: "deployed"}


@pytest.mark.parametrize("purge", [False, True])
@pytest.mark.parametrize("point", [Point.BEFORE_CREATE, Point.AFTER_CREATE, Point.AFTER_END])
async def test_an_interrupted_uninstall_is_carried_out(world: World, point: Point, purge: bool) -> None:
    world.release()
    killed = await killed_at(world, point, partial(uninstall, purge=purge))

    ended = await outcome_after_restart(world, killed)

    attempts = 1 if point is Point.AFTER_END else 2
    assert (ended.state, ended.attempt) == (Operation.SUCCEEDED, attempts)
    assert world.by_hand.statuses == ({} if purge else {1: "superseded", 2: "uninstalled"})


@pytest.mark.parametrize("ask", [UPGRADE, uninstall], ids=["upgrade", "uninstall"])
async def test_killed_before_helm_wrote_and_overtaken_it_is_not_run_again(world: World, ask: Ask) -> None:
    world.release()
    killed = await killed_at(world, Point.BEFORE_CREATE, ask)
    world.by_hand.upgrade(Chart(version="9.0.0"))

    ended = await outcome_after_restart(world, killed)

    assert reason(ended) in {"EXTERNAL_CHANGE", "INTERRUPTED"}
    assert len(world.helm.started) == 1
    assert world.by_hand.statuses[3] == "deployed"


@pytest.mark.parametrize(("ask", "revision"), [(INSTALL, 1), (UPGRADE, 3)], ids=["install", "upgrade"])
@pytest.mark.parametrize("point", [Point.BEFORE_CREATE, Point.AFTER_CREATE])
async def test_what_was_cancelled_is_not_started_again(world: World, point: Point, ask: Ask, revision: int) -> None:
    if ask is UPGRADE:
        world.release()
    killed = await killed_at(world, point, ask, cancelled=True)

    ended = await outcome_after_restart(world, killed)

    wrote = point is Point.AFTER_CREATE
    assert (reason(ended), ended.cancel_requested, ended.attempt) == ("INTERRUPTED", True, 1)
    assert (ended.result_revision, len(world.helm.started)) == (revision if wrote else 0, 1)
    assert "cancelled on request" in ended.failure.message
    assert world.by_hand.statuses.get(revision) == ("failed" if wrote else None)


async def test_a_cancelled_atomic_upgrade_is_undone_by_the_successor(world: World) -> None:
    world.release()
    killed = await killed_at(world, Point.AFTER_CREATE, partial(UPGRADE, atomic=True), cancelled=True)

    service = await world.start()
    ended = await service.settled(killed)
    newest = (await service.rollbacks.ListOperations(ListOperationsRequest(release_id=SHOP))).operations[0]
    undone = await service.settled(newest.operation_id)

    assert (reason(ended), ended.result_revision) == ("INTERRUPTED", 3)
    assert (undone.caused_by_operation_id, undone.state) == (killed, Operation.SUCCEEDED)
    assert len(world.helm.started) == 2  # the upgrade that was killed, and the rollback
    assert world.by_hand.statuses[4] == "deployed"


async def test_a_cancellation_that_comes_right_before_the_next_attempt_is_heeded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.release()
    killed = await killed_at(world, Point.BEFORE_CREATE, UPGRADE)
    looking, looked = asyncio.Event(), asyncio.Event()
    served = await world.cluster.served_kinds()

    async def served_later() -> Served:
        looking.set()
        await looked.wait()
        return served

    monkeypatch.setattr(world.cluster, "served_kinds", served_later)
    service = await world.start()
    await looking.wait()
    await cancel(service, killed)
    looked.set()

    ended = await service.settled(killed)

    assert (reason(ended), ended.attempt, len(world.helm.started)) == ("INTERRUPTED", 1, 1)


async def test_an_atomic_upgrade_of_which_nobody_knows_what_it_wrote_is_not_undone(world: World) -> None:
    world.release()
    killed = await killed_at(world, Point.AFTER_CREATE, partial(UPGRADE, atomic=True))
    world.cluster.delete("prod", "sh.helm.release.v1.shop.v3")
    world.by_hand.upgrade(Chart(version="9.0.0"))

    ended = await outcome_after_restart(world, killed)

    assert (reason(ended), ended.result_revision, len(world.helm.started)) == ("OUTCOME_UNKNOWN", 0, 1)
    assert "; not rolled back: OUTCOME_UNKNOWN: " in ended.failure.message


async def test_somebody_elses_install_is_not_taken_for_ours(world: World) -> None:
    killed = await killed_at(world, Point.BEFORE_CREATE, INSTALL)
    world.by_hand.install(Chart(version="9.0.0"))

    ended = await outcome_after_restart(world, killed)

    assert (reason(ended), ended.failure.applied) == ("EXTERNAL_CHANGE", Failure.NOT_APPLIED)


@pytest.mark.parametrize("atomic", [False, True])
async def test_an_interrupted_upgrade_that_others_went_over_is_not_run_again(world: World, atomic: bool) -> None:
    world.release()
    killed = await killed_at(world, Point.AFTER_CREATE, partial(UPGRADE, atomic=atomic))
    world.by_hand.rollback(1)

    ended = await outcome_after_restart(world, killed)

    assert (reason(ended), ended.result_revision, len(world.helm.started)) == ("INTERRUPTED", 3, 1)
    assert ("; not rolled back: CURRENT_REVISION_CHANGED: " in ended.failure.message) is atomic
    assert world.by_hand.statuses[3] == "failed"
    assert world.by_hand.statuses[4] == "deployed"

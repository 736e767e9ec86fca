"""Where Helm could not do it, it is not started, and the outcome says what is amiss."""

from __future__ import annotations

import sqlite3

import pytest
from google.protobuf.duration_pb2 import Duration
from support.recovery import reason, with_two_revisions
from support.service import rollback_request
from support.world import World

from helm_rollback.v1.release_pb2 import Failure, Operation
from helm_rollback.v1.release_service_pb2 import GetReleaseRequest


async def rolled_back(world: World) -> Operation:
    """The outcome of a rollback to revision 1."""
    service = await world.start()
    return (await service.rollbacks.Rollback(rollback_request(wait_timeout=Duration(seconds=20)))).operation


async def seen(world: World) -> None:
    """The ledger knows the release; then the service is away."""
    service = await world.start()
    await service.releases.GetRelease(GetReleaseRequest(release_id="default.prod.shop"))
    await world.stop()


def assert_nothing_was_run(world: World, operation: Operation) -> None:
    assert world.helm.started == []
    assert (operation.attempt, operation.failure.applied) == (0, Failure.NOT_APPLIED)


@pytest.mark.parametrize(("damaged", "told"), [(1, "record of revision 1"), (2, "record of the current revision 2")])
async def test_a_record_that_can_not_be_read_is_told_as_that(world: World, damaged: int, told: str) -> None:
    with_two_revisions(world)
    await seen(world)
    world.cluster.damage("prod", "shop", damaged)

    operation = await rolled_back(world)

    assert reason(operation) == "RECORD_MISMATCH"
    assert f"{told} can not be read" in operation.failure.message
    assert_nothing_was_run(world, operation)


@pytest.mark.parametrize("purged", [False, True], ids=["pruned", "purged"])
async def test_what_was_never_read_can_not_be_put_back(world: World, purged: bool) -> None:
    with_two_revisions(world)
    world.cluster.damage("prod", "shop", 2 if purged else 1)
    await seen(world)
    for revision in [2, 1] if purged else [1]:
        world.by_hand.forget(revision)

    operation = await rolled_back(world)

    assert reason(operation) == "RECORD_MISMATCH"
    assert f"no longer stores revision {2 if purged else 1}" in operation.failure.message
    assert "could not be read while it did" in operation.failure.message
    assert_nothing_was_run(world, operation)
    assert world.by_hand.stored.keys() == (set() if purged else {2})


async def test_without_the_right_to_create_secrets_nothing_is_put_back(world: World) -> None:
    with_two_revisions(world)
    await seen(world)
    world.by_hand.forget(1)
    world.cluster.denied.add("create")

    operation = await rolled_back(world)

    assert reason(operation) == "CLUSTER_PERMISSION_DENIED"
    assert "revision 1, and it could not be put back" in operation.failure.message
    assert "may not create secrets in namespace prod" in operation.failure.message
    assert_nothing_was_run(world, operation)


async def test_into_a_namespace_that_is_gone_nothing_is_put_back(world: World) -> None:
    with_two_revisions(world)
    await seen(world)
    world.by_hand.uninstall()
    world.cluster.gone_namespaces.add("prod")

    operation = await rolled_back(world)

    assert reason(operation) == "OBJECT_REJECTED"
    assert "namespace prod is gone" in operation.failure.message
    assert_nothing_was_run(world, operation)


async def test_a_kind_that_is_not_served_is_told_before_anything_is_put_back(world: World) -> None:
    with_two_revisions(world)
    await seen(world)
    world.by_hand.forget(1)
    world.cluster.served.clear()

    operation = await rolled_back(world)

    assert reason(operation) == "KIND_NOT_SERVED"
    assert_nothing_was_run(world, operation)
    assert world.by_hand.stored.keys() == {2}


@pytest.mark.parametrize("pruned", [False, True], ids=["stored by Helm", "pruned"])
async def test_an_archive_that_was_damaged_on_disk_is_an_internal_error(
    world: World, pruned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """It is this ledger that is broken, no record of Helm's; the log says which payload."""
    with_two_revisions(world)
    await seen(world)
    if pruned:
        world.by_hand.forget(1)
    with sqlite3.connect(world.folder / "ledger.db") as ledger:
        ledger.execute("DROP TRIGGER payload_is_not_changed")
        ledger.execute(
            "UPDATE payload SET body = x'1f8b08' WHERE digest = (SELECT payload_digest FROM revision WHERE number = 1)"
        )
    ledger.close()

    operation = await rolled_back(world)

    assert reason(operation) == "INTERNAL"
    assert "is not what was put in" in caplog.text
    assert_nothing_was_run(world, operation)
    assert (1 in world.by_hand.stored) is not pruned

"""What Helm no longer stores is put back from the ledger before Helm goes there."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from support.fakes import Chart
from support.fakes.documents import rollback_document
from support.recovery import SHOP, history, reason
from support.service import Service, rollback_request
from support.world import Choices, World

from helm_rollback.application.crash_points import CrashPoint
from helm_rollback.domain.errors import ClusterUnreachable
from helm_rollback.domain.record import RecordRef
from helm_rollback.domain.release import ReleaseId
from helm_rollback.v1 import release_service_pb2 as releases
from helm_rollback.v1 import rollback_service_pb2 as pb
from helm_rollback.v1.history_pb2 import RevisionTransition
from helm_rollback.v1.release_pb2 import Operation, Release, Revision

RELEASE = ReleaseId("default", "prod", "shop")


@pytest.fixture
async def service(world: World) -> Service:
    """One that has watched four revisions come."""
    service = await world.start()
    world.release(revisions=4)
    await service.until_observed(world.cluster)
    return service


async def rolled_back(service: Service, target: int = 1, **fields: Any) -> Operation:
    request = rollback_request(target, wait_timeout=Duration(seconds=20), **fields)
    return (await service.rollbacks.Rollback(request)).operation


async def release_of(service: Service) -> Release:
    return (await service.releases.GetRelease(releases.GetReleaseRequest(release_id=SHOP))).release


async def revision_of(service: Service, number: int) -> Revision:
    request = releases.GetRevisionRequest(release_id=SHOP, revision=number)
    return (await service.releases.GetRevision(request)).revision


async def events_after(service: Service, sequence: int) -> list[str]:
    return (await history(service))[sequence:]


async def last_sequence(service: Service) -> int:
    return (await release_of(service)).last_sequence


# --- pruned ---------------------------------------------------------------------------


async def test_a_pruned_target_is_put_back_and_nothing_else_is_told_of_it(world: World, service: Service) -> None:
    before = await revision_of(service, 1)
    world.by_hand.forget(1)
    await service.until_observed(world.cluster)
    assert not (await revision_of(service, 1)).stored_by_helm
    told = await last_sequence(service)

    operation = await rolled_back(service)

    assert (operation.state, operation.result_revision, operation.attempt) == (Operation.SUCCEEDED, 5, 1)
    assert world.by_hand.statuses == {
        1: "superseded",
        2: "superseded",
        3: "superseded",
        4: "superseded",
        5: "deployed",
    }
    assert await events_after(service, told) == [
        "operation PENDING",
        "operation RUNNING",
        "revision 5 → PENDING_ROLLBACK",
        "revision 4 DEPLOYED → SUPERSEDED",
        "revision 5 PENDING_ROLLBACK → DEPLOYED",
        "operation SUCCEEDED",
    ]
    after = await revision_of(service, 1)
    assert after.stored_by_helm
    assert not after.HasField("replaced_time")
    before.update_time.CopyFrom(after.update_time)
    assert after == before


async def test_the_last_successful_one_is_put_back_where_it_was_pruned(world: World, service: Service) -> None:
    world.by_hand.upgrade(Chart(version="5.0.0"), fails=True)
    world.by_hand.forget(4)
    await service.until_observed(world.cluster)
    request = pb.RollbackLastSuccessfulRequest(release_id=SHOP, wait_timeout=Duration(seconds=20))

    operation = (await service.rollbacks.RollbackLastSuccessful(request)).operation

    assert (operation.state, operation.selection.revision) == (Operation.SUCCEEDED, 4)
    assert world.by_hand.statuses[4] == "superseded"
    assert world.by_hand.statuses[6] == "deployed"


async def test_a_deployed_record_that_was_deleted_comes_back_superseded(world: World, service: Service) -> None:
    """Helm itself never prunes it. Two deployed ones would confuse Helm."""
    world.by_hand.upgrade(Chart(version="5.0.0"), fails=True)
    world.by_hand.forget(4)
    await service.until_observed(world.cluster)
    accepted = await service.rollbacks.Rollback(rollback_request(4, wait_timeout=Duration(seconds=20)))

    request = pb.StreamHistoryRequest(release_id=SHOP, resume_token=accepted.resume_token, end_when_caught_up=True)
    told = [response.event async for response in service.rollbacks.StreamHistory(request)]
    (moved,) = [event.revision_transition for event in told if event.revision_transition.revision == 4]

    assert accepted.operation.state == Operation.SUCCEEDED
    assert (moved.from_status, moved.to_status) == (Revision.DEPLOYED, Revision.SUPERSEDED)
    assert moved.cause == RevisionTransition.SERVICE
    assert moved.operation_id == accepted.operation.operation_id
    assert world.by_hand.statuses == {
        1: "superseded",
        2: "superseded",
        3: "superseded",
        4: "superseded",
        5: "failed",
        6: "deployed",
    }


async def test_custom_labels_come_back(world: World) -> None:
    service = await world.start()
    world.release(revisions=2)
    document = world.by_hand.stored[2]
    world.cluster.create(document | {"version": 3}, {"team": "blue", "createdAt": "1700000000"})
    await service.until_observed(world.cluster)
    world.by_hand.forget(1)
    world.by_hand.upgrade()
    world.by_hand.forget(3)
    await service.until_observed(world.cluster)

    operation = await rolled_back(service, 3)

    put_back = await world.cluster.read_revision(RELEASE, 3)
    assert operation.state == Operation.SUCCEEDED
    assert put_back is not None
    assert put_back.further_labels == {"team": "blue", "createdAt": "1700000000"}


async def test_a_record_that_was_damaged_and_deleted_comes_back_as_it_was_read(world: World, service: Service) -> None:
    world.cluster.damage("prod", "shop", 2)
    await service.until_observed(world.cluster)
    assert (await revision_of(service, 2)).status == Revision.UNKNOWN
    world.by_hand.forget(2)
    await service.until_observed(world.cluster)

    operation = await rolled_back(service, 2)

    put_back = await revision_of(service, 2)
    assert operation.state == Operation.SUCCEEDED
    assert put_back.stored_by_helm
    assert (put_back.status, put_back.description) == (Revision.SUPERSEDED, "Upgrade complete")
    assert put_back.HasField("deployed_time")


async def test_what_never_worked_is_not_made_successful_by_being_put_back(world: World, service: Service) -> None:
    """A killed rollback that the next, failing one calls superseded looks perfect to whoever reads only records."""
    by_hand, cluster = world.by_hand, world.cluster
    killed = rollback_document(by_hand.stored[4], by_hand.stored[1], description="", now=cluster.now())
    cluster.create(killed)
    by_hand.rollback(2, fails_to_apply=True)
    by_hand.upgrade(Chart(version="7.0.0"))
    by_hand.upgrade(Chart(version="8.0.0"))
    await service.until_observed(cluster)
    assert by_hand.statuses[5] == "superseded"
    by_hand.forget(5)
    await service.until_observed(cluster)

    operation = await rolled_back(service, 5)

    put_back = await revision_of(service, 5)
    assert operation.state == Operation.SUCCEEDED
    assert put_back.stored_by_helm
    assert not put_back.HasField("deployed_time")
    assert put_back.success_evidence == 0


async def test_a_stored_target_costs_nothing_extra(world: World, service: Service) -> None:
    before = world.cluster.requests.copy()

    await rolled_back(service)

    asked = world.cluster.requests - before
    assert "create" not in asked
    assert asked["get"] == 1, "the target, which is compared with the archive"


# --- purged ---------------------------------------------------------------------------


@pytest.mark.parametrize("target", [1, 4])
async def test_after_a_purge_the_newest_is_put_back_beside_the_target(
    world: World, service: Service, target: int
) -> None:
    world.by_hand.uninstall()
    await service.until_observed(world.cluster)
    assert world.by_hand.stored == {}
    assert (await release_of(service)).status == Revision.UNINSTALLED
    told = await last_sequence(service)

    operation = await rolled_back(service, target)

    assert (operation.state, operation.base_revision, operation.result_revision) == (Operation.SUCCEEDED, 4, 5)
    older = {1: "superseded"} if target == 1 else {}
    assert world.by_hand.statuses == {**older, 4: "uninstalled", 5: "deployed"}
    release = await release_of(service)
    assert (release.incarnation, release.current_revision, release.status) == (1, 5, Revision.DEPLOYED)
    assert await events_after(service, told) == [
        "operation PENDING",
        "operation RUNNING",
        "revision 5 → PENDING_ROLLBACK",
        "revision 5 PENDING_ROLLBACK → DEPLOYED",
        "operation SUCCEEDED",
    ]


async def test_after_a_purge_the_last_successful_one_is_what_was_removed(world: World, service: Service) -> None:
    world.by_hand.uninstall()
    await service.until_observed(world.cluster)
    request = pb.RollbackLastSuccessfulRequest(release_id=SHOP, wait_timeout=Duration(seconds=20))

    operation = (await service.rollbacks.RollbackLastSuccessful(request)).operation

    assert (operation.state, operation.selection.revision) == (Operation.SUCCEEDED, 4)
    assert world.by_hand.statuses == {4: "uninstalled", 5: "deployed"}


async def test_a_reinstall_is_another_incarnation_also_where_its_number_was_pruned_before_the_first_look(
    world: World,
) -> None:
    world.release(revisions=4)
    world.by_hand.forget(1)
    world.by_hand.forget(2)
    service = await world.start()
    await service.until_observed(world.cluster)
    world.by_hand.uninstall()
    world.by_hand.install(Chart(version="9.0.0"))
    await service.until_observed(world.cluster)

    release = await release_of(service)
    request = releases.ListRevisionsRequest(release_id=SHOP)
    listed = (await service.releases.ListRevisions(request)).revisions

    assert (release.incarnation, release.current_revision) == (2, 1)
    assert [(revision.incarnation, revision.revision) for revision in listed] == [(2, 1), (1, 4), (1, 3)]


# --- interrupted, or overtaken --------------------------------------------------------


@pytest.mark.parametrize("puts", [1, 2], ids=["after the newest", "after the target"])
async def test_killed_while_records_are_put_back_it_goes_on_from_there(
    world: World, service: Service, puts: int
) -> None:
    world.by_hand.uninstall()
    await service.until_observed(world.cluster)
    await world.stop()
    killed, left = asyncio.Event(), puts

    def reached(point: CrashPoint) -> None:
        nonlocal left
        left -= point is CrashPoint.PUT_BACK
        if not left:
            killed.set()
            raise asyncio.CancelledError

    service = await world.start(Choices(reached=reached))
    accepted = (await service.rollbacks.Rollback(rollback_request())).operation
    await killed.wait()
    await world.kill()
    assert world.by_hand.statuses == {1: "superseded", 4: "uninstalled"} if puts == 2 else {4: "uninstalled"}
    assert world.helm.started == []

    operation = await (await world.start()).settled(accepted.operation_id)

    assert (operation.state, operation.attempt, operation.result_revision) == (Operation.SUCCEEDED, 1, 5)
    assert world.by_hand.statuses == {1: "superseded", 4: "uninstalled", 5: "deployed"}


async def test_a_reinstall_after_acceptance_is_an_external_change_and_nothing_is_put_back(
    world: World, service: Service
) -> None:
    world.by_hand.uninstall()
    await service.until_observed(world.cluster)
    await world.stop()
    service = await world.start(Choices(works=False))
    accepted = (await service.rollbacks.Rollback(rollback_request())).operation
    await world.stop()
    world.by_hand.install(Chart(version="9.0.0"))

    operation = await (await world.start()).settled(accepted.operation_id)

    assert reason(operation) == "EXTERNAL_CHANGE"
    assert world.by_hand.statuses == {1: "deployed"}


async def test_what_was_put_back_gives_way_to_an_install_at_the_same_moment(
    world: World, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copies of the old life would be the newest records of the new one."""
    world.by_hand.uninstall()
    await service.until_observed(world.cluster)
    create_record = world.cluster.create_record

    async def overtaken(*given: Any, **more: Any) -> RecordRef:
        if not world.by_hand.stored:
            world.by_hand.install(Chart(version="9.0.0"))
        return await create_record(*given, **more)

    monkeypatch.setattr(world.cluster, "create_record", overtaken)

    operation = await rolled_back(service)

    await service.until_observed(world.cluster)
    release = await release_of(service)
    assert reason(operation) == "EXTERNAL_CHANGE"
    assert world.helm.started == []
    assert world.by_hand.statuses == {1: "deployed"}
    assert (release.incarnation, release.current_revision, release.status) == (2, 1, Revision.DEPLOYED)


async def test_a_release_that_is_unreachable_while_it_is_put_back_is_waited_for(
    world: World, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.by_hand.forget(1)
    await service.until_observed(world.cluster)
    create_record = world.cluster.create_record
    answers = iter((True, False))

    async def unanswered(*given: Any, **more: Any) -> RecordRef:
        made = await create_record(*given, **more)
        if next(answers):
            raise ClusterUnreachable("default", "no answer in time")
        return made

    monkeypatch.setattr(world.cluster, "create_record", unanswered)

    operation = await rolled_back(service)

    assert (operation.state, operation.attempt) == (Operation.SUCCEEDED, 1)
    assert world.by_hand.statuses[1] == "superseded"


# --- a number used again --------------------------------------------------------------


async def test_a_number_that_this_service_uses_again_replaces_the_one_before(world: World, service: Service) -> None:
    world.by_hand.forget(4)
    await service.until_observed(world.cluster)

    operation = await rolled_back(service, 1, expected_current_revision=3)

    listed = (await service.releases.ListRevisions(releases.ListRevisionsRequest(release_id=SHOP))).revisions
    assert (operation.state, operation.base_revision, operation.result_revision) == (Operation.SUCCEEDED, 3, 4)
    assert [revision.revision for revision in listed] == [4, 4, 3, 2, 1]
    assert [revision.HasField("replaced_time") for revision in listed] == [False, True, False, False, False]
    assert listed[0].operation_id == operation.operation_id

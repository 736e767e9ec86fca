"""ReleaseService: releases, their revisions, and what a revision held, secrets masked."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from support.calls import refused
from support.fakes import Chart, config_map, secret
from support.service import Service, rollback_request
from support.world import Choices, World

from helm_rollback.v1 import release_service_pb2 as pb
from helm_rollback.v1.release_pb2 import Operation, Release, Revision, Selection

SHOP = "default.prod.shop"


async def release_of(service: Service, release_id: str = SHOP) -> Release:
    return (await service.releases.GetRelease(pb.GetReleaseRequest(release_id=release_id))).release


async def revisions_of(service: Service, **fields: Any) -> list[Revision]:
    answer = await service.releases.ListRevisions(pb.ListRevisionsRequest(release_id=SHOP, **fields))
    return list(answer.revisions)


async def revision_of(service: Service, revision: int, **fields: Any) -> Revision:
    request = pb.GetRevisionRequest(release_id=SHOP, revision=revision, **fields)
    return (await service.releases.GetRevision(request)).revision


# --- a release ------------------------------------------------------------------------


@pytest.mark.parametrize("observes", [True, False], ids=["observed", "never seen"])
async def test_a_release_is_known_whether_it_was_seen_before_or_not(world: World, observes: bool) -> None:
    world.release()
    service = await world.start(Choices(observes=observes))

    release = await release_of(service)

    assert (release.release_id, release.cluster, release.namespace, release.name) == (SHOP, "default", "prod", "shop")
    assert (release.incarnation, release.current_revision, release.status) == (1, 2, Revision.DEPLOYED)
    assert release.last_successful_revision == 2
    assert (release.chart_name, release.chart_version, release.app_version) == ("demo", "2.0.0", "2.0.0")
    assert (release.active_operation_id, release.last_sequence) == ("", 2)


async def test_a_failed_upgrade_is_current_but_not_the_last_successful(world: World) -> None:
    world.release().upgrade(fails=True)
    service = await world.start()

    release = await release_of(service)

    assert (release.current_revision, release.status, release.last_successful_revision) == (3, Revision.FAILED, 2)


async def test_a_release_names_the_operation_under_way(world: World) -> None:
    world.release()
    service = await world.start(Choices(works=False))

    operation = (await service.rollbacks.Rollback(rollback_request())).operation

    assert (await release_of(service)).active_operation_id == operation.operation_id


async def test_the_ledger_is_served_while_the_cluster_is_away(world: World) -> None:
    world.release()
    service = await world.start()
    await release_of(service)

    with world.cluster.away():
        assert (await release_of(service)).current_revision == 2
        assert [revision.revision for revision in await revisions_of(service)] == [2, 1]
        told = await refused(release_of(service, "default.prod.blog"))

    assert told.reason == "CLUSTER_UNREACHABLE"


async def test_a_release_that_is_nowhere_is_not_found(world: World) -> None:
    service = await world.start()

    for call in (release_of(service), revisions_of(service), revision_of(service, 1)):
        told = await refused(call)
        assert (told.code, told.reason) == (grpc.StatusCode.NOT_FOUND, "RELEASE_NOT_FOUND")


async def test_a_purged_release_stays_in_the_ledger(world: World) -> None:
    service = await world.start()
    await service.until_observed(world.cluster)
    world.release().uninstall()
    await service.until_observed(world.cluster)

    release = await release_of(service)

    assert (release.status, release.current_revision) == (Revision.UNINSTALLED, 2)
    assert [revision.stored_by_helm for revision in await revisions_of(service)] == [False, False]


# --- revisions ------------------------------------------------------------------------


async def test_a_history_tells_newest_first_who_made_what_and_why(world: World) -> None:
    world.release().upgrade(fails=True)
    service = await world.start()
    request = rollback_request(2, reason="orders fail", wait_timeout=Duration(seconds=20))
    operation = (await service.rollbacks.Rollback(request, metadata=(("x-helm-rollback-actor", "ada"),))).operation

    history = await revisions_of(service)

    types = [Operation.ROLLBACK, Operation.UPGRADE, Operation.UPGRADE, Operation.INSTALL]
    assert [revision.revision for revision in history] == [4, 3, 2, 1]
    assert [revision.operation_type for revision in history] == types
    statuses = [Revision.DEPLOYED, Revision.FAILED, Revision.SUPERSEDED, Revision.SUPERSEDED]
    assert [revision.status for revision in history] == statuses
    newest = history[0]
    assert (newest.rollback_target, newest.actor, newest.reason) == (2, "ada", "orders fail")
    assert newest.operation_id == operation.operation_id
    assert newest.success_evidence == Selection.LEDGER
    assert [revision.HasField("deployed_time") for revision in history] == [True, False, True, True]
    assert (newest.values_digest, newest.manifest_digest) == (history[2].values_digest, history[2].manifest_digest)
    assert [revision.revision for revision in await revisions_of(service, successful_only=True)] == [4, 2, 1]


async def test_pages_of_revisions_go_through_all_incarnations(world: World) -> None:
    service = await world.start()
    await service.until_observed(world.cluster)
    world.release(revisions=3).uninstall()
    world.by_hand.install()
    await service.until_observed(world.cluster)
    found: list[tuple[int, int]] = []
    request = pb.ListRevisionsRequest(release_id=SHOP, page_size=3)

    while answer := await service.releases.ListRevisions(request):
        found += [(revision.incarnation, revision.revision) for revision in answer.revisions]
        if not answer.next_page_token:
            break
        request.page_token = answer.next_page_token

    assert found == [(2, 1), (1, 3), (1, 2), (1, 1)]
    assert (await revision_of(service, 3, incarnation=1)).status == Revision.UNINSTALLED
    assert (await refused(revision_of(service, 3))).reason == "REVISION_NOT_FOUND"


async def test_a_number_that_is_used_again_keeps_both_revisions(world: World) -> None:
    world.release()
    service = await world.start()
    await service.until_observed(world.cluster)
    world.by_hand.begin_upgrade(Chart(version="3.0.0"))
    world.by_hand.forget(3)
    world.by_hand.upgrade(Chart(version="3.1.0"))
    await service.until_observed(world.cluster)

    history = await revisions_of(service)

    assert [(one.revision, one.chart_version) for one in history] == [
        (3, "3.1.0"),
        (3, "3.0.0"),
        (2, "2.0.0"),
        (1, "1.0.0"),
    ]
    assert [one.HasField("replaced_time") for one in history] == [False, True, False, False]
    assert {one.incarnation for one in history} == {1}


async def test_a_record_that_can_not_be_read_is_reported_and_stops_nothing(world: World) -> None:
    world.release()
    service = await world.start()
    await service.until_observed(world.cluster)
    world.cluster.damage("prod", "shop", 2)
    world.release("blog")
    await service.until_observed(world.cluster)

    assert (await revision_of(service, 2)).status == Revision.UNKNOWN
    assert (await release_of(service, "default.prod.blog")).status == Revision.DEPLOYED


# --- one revision in full -------------------------------------------------------------

PASSWORD = "correct horse battery"
WITH_SECRET = Chart(
    version="1.0.0",
    values={"greeting": "hello", "password": PASSWORD},
    manifest=config_map(greeting="hello") + secret(password=PASSWORD),
)


async def test_full_adds_values_and_manifest_with_secrets_masked(world: World) -> None:
    world.by_hand.install(WITH_SECRET)
    service = await world.start()

    full = await revision_of(service, 1, view=pb.GetRevisionRequest.FULL)

    assert "greeting: hello" in full.values_yaml
    assert "kind: ConfigMap" in full.manifest
    assert "kind: Secret" in full.manifest
    told = full.SerializeToString()
    assert PASSWORD.encode() not in told
    assert b"Y29ycmVjdCBob3JzZSBiYXR0ZXJ5" not in told
    assert full.full_size_bytes > 0


@pytest.mark.parametrize("view", [pb.GetRevisionRequest.VIEW_UNSPECIFIED, pb.GetRevisionRequest.BASIC])
async def test_basic_leaves_the_content_out(world: World, view: pb.GetRevisionRequest.View.ValueType) -> None:
    world.by_hand.install(WITH_SECRET)
    service = await world.start()

    basic = await revision_of(service, 1, view=view)

    assert (basic.values_yaml, basic.manifest) == ("", "")
    assert basic.full_size_bytes > 0


async def test_what_helm_pruned_is_still_there_in_full(world: World) -> None:
    world.release(revisions=3)
    service = await world.start()
    await service.until_observed(world.cluster)
    world.by_hand.forget(1)
    await service.until_observed(world.cluster)

    full = await revision_of(service, 1, view=pb.GetRevisionRequest.FULL)

    assert not full.stored_by_helm
    assert "version: 1.0.0" in full.manifest

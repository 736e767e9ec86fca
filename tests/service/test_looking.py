"""Looking at releases, revisions and operations, page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from service.in_process import Service, refusal
from support.fakes import Chart, secret

from helm_rollback.v1 import release_service_pb2 as releases
from helm_rollback.v1 import rollback_service_pb2 as pb
from helm_rollback.v1.release_pb2 import Operation, Revision

SHOP = "default.prod.shop"


async def pages(method: Any, request: Any) -> AsyncIterator[Any]:
    """Every page of a listing."""
    while True:
        page = await method(request)
        yield page
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


async def known(service: Service, *names: str) -> None:
    """Releases that the service has seen."""
    for name in names:
        service.installed(name=name, revisions=1)
        await service.releases.GetRelease(releases.GetReleaseRequest(release_id=f"default.prod.{name}"))


async def test_releases_come_in_order_and_each_once(service: Service) -> None:
    await known(service, "c", "a", "e", "b", "d")
    request = releases.ListReleasesRequest(page_size=2)

    listed = [
        [release.name for release in page.releases] async for page in pages(service.releases.ListReleases, request)
    ]

    assert listed == [["a", "b"], ["c", "d"], ["e"]]


async def test_releases_are_found_by_every_filter(service: Service) -> None:
    await known(service, "shop")
    found: dict[str, Any] = {"cluster": "default", "namespace": "prod", "status": Revision.DEPLOYED}
    missed: dict[str, Any] = {"namespace": "test", "status": Revision.FAILED}

    for name, value in found.items():
        answer = await service.releases.ListReleases(releases.ListReleasesRequest(**{name: value}))
        assert [release.release_id for release in answer.releases] == [SHOP]
    for name, value in missed.items():
        answer = await service.releases.ListReleases(releases.ListReleasesRequest(**{name: value}))
        assert not answer.releases


async def test_a_token_is_refused_with_other_filters(service: Service) -> None:
    await known(service, "a", "b")
    first = await service.releases.ListReleases(releases.ListReleasesRequest(page_size=1))
    other = releases.ListReleasesRequest(page_size=1, namespace="prod", page_token=first.next_page_token)

    told = await refusal(service.releases.ListReleases(other))

    assert (told.code, told.metadata["field"]) == (grpc.StatusCode.INVALID_ARGUMENT, "page_token")


async def test_the_page_size_may_change_from_page_to_page(service: Service) -> None:
    await known(service, "a", "b", "c")
    first = await service.releases.ListReleases(releases.ListReleasesRequest(page_size=1))
    rest = releases.ListReleasesRequest(page_size=9, page_token=first.next_page_token)

    answer = await service.releases.ListReleases(rest)

    assert [release.name for release in answer.releases] == ["b", "c"]


async def test_revisions_come_newest_first_over_pages(service: Service) -> None:
    service.installed(revisions=5)
    request = releases.ListRevisionsRequest(release_id=SHOP, page_size=2)

    listed = [
        [revision.revision for revision in page.revisions]
        async for page in pages(service.releases.ListRevisions, request)
    ]

    assert listed == [[5, 4], [3, 2], [1]]


async def test_only_successful_revisions_are_listed_on_request(service: Service) -> None:
    release = service.installed(revisions=2)
    release.upgrade(fails=True)
    request = releases.ListRevisionsRequest(release_id=SHOP, successful_only=True)

    answer = await service.releases.ListRevisions(request)

    assert [revision.revision for revision in answer.revisions] == [2, 1]


async def test_operations_come_newest_first_over_pages(service: Service) -> None:
    service.installed()
    made = []
    for _ in range(3):
        request = pb.RollbackRequest(release_id=SHOP, target_revision=1, wait_timeout=Duration(seconds=20))
        made.append((await service.rollbacks.Rollback(request)).operation.operation_id)

    listing = pb.ListOperationsRequest(release_id=SHOP, state=Operation.SUCCEEDED, page_size=2)
    listed = [
        [operation.operation_id for operation in page.operations]
        async for page in pages(service.rollbacks.ListOperations, listing)
    ]

    assert listed == [made[:0:-1], made[:1]]


async def test_an_operation_is_found_by_its_request(service: Service) -> None:
    service.installed()
    request_id = "01890a5d-ac96-774b-bcce-b302099a8057"
    request = pb.RollbackRequest(release_id=SHOP, target_revision=1, request_id=request_id)
    made = (await service.rollbacks.Rollback(request)).operation

    listed = await service.rollbacks.ListOperations(pb.ListOperationsRequest(request_id=request_id.upper()))

    assert [operation.operation_id for operation in listed.operations] == [made.operation_id]


async def test_a_full_revision_has_its_content_without_secrets(service: Service) -> None:
    chart = Chart(values={"replicas": 2}, manifest=secret(password="hunter2-hunter2"))
    service.release().install(chart)
    basic = releases.GetRevisionRequest(release_id=SHOP, revision=1)
    full = releases.GetRevisionRequest(release_id=SHOP, revision=1, view=releases.GetRevisionRequest.FULL)

    plain = (await service.releases.GetRevision(basic)).revision
    content = (await service.releases.GetRevision(full)).revision

    assert (plain.values_yaml, plain.manifest) == ("", "")
    assert content.values_yaml == "replicas: 2\n"
    assert "kind: Secret" in content.manifest
    assert "aHVudGVyMi1odW50ZXIy" not in content.manifest


async def test_a_release_that_nobody_asked_for_before_is_adopted(service: Service) -> None:
    service.installed(revisions=3)

    release = (await service.releases.GetRelease(releases.GetReleaseRequest(release_id=SHOP))).release

    assert (release.cluster, release.namespace, release.name) == ("default", "prod", "shop")
    assert (release.current_revision, release.last_successful_revision) == (3, 3)

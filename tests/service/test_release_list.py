"""All releases of the clusters, filtered, in pages."""

from __future__ import annotations

from typing import Any

from support.calls import refused
from support.fakes import ForeignHelm
from support.service import Service
from support.world import World

from helm_rollback.v1 import release_service_pb2 as pb
from helm_rollback.v1.release_pb2 import Revision


async def listed(service: Service, **fields: Any) -> list[str]:
    answer = await service.releases.ListReleases(pb.ListReleasesRequest(**fields))
    return [release.release_id for release in answer.releases]


async def test_releases_are_listed_by_id_and_filtered(world: World) -> None:
    for namespace, name in (("prod", "shop"), ("prod", "blog"), ("test", "shop")):
        ForeignHelm(world.cluster, name, namespace).install()
    ForeignHelm(world.cluster, "shop", "test").upgrade(fails=True)
    service = await world.start()
    await service.until_observed(world.cluster)

    assert await listed(service) == ["default.prod.blog", "default.prod.shop", "default.test.shop"]
    assert await listed(service, cluster="default") == await listed(service)
    assert await listed(service, namespace="prod") == ["default.prod.blog", "default.prod.shop"]
    assert await listed(service, status=Revision.FAILED) == ["default.test.shop"]
    assert await listed(service, cluster="default", namespace="other") == []
    assert (await refused(listed(service, cluster="staging"))).reason == "CLUSTER_NOT_CONFIGURED"


async def test_pages_of_releases_hold_each_once(world: World) -> None:
    names = [f"shop-{number}" for number in range(5)]
    for name in names[1::2] + names[::2]:
        ForeignHelm(world.cluster, name).install()
    service = await world.start()
    await service.until_observed(world.cluster)
    found: list[str] = []
    request = pb.ListReleasesRequest(page_size=2)

    while answer := await service.releases.ListReleases(request):
        found += [release.name for release in answer.releases]
        if not answer.next_page_token:
            break
        request.page_token = answer.next_page_token

    assert found == names
    request.page_size = 9
    assert [release.name for release in (await service.releases.ListReleases(request)).releases] == names[4:]
    request.namespace = "prod"
    assert (await refused(service.releases.ListReleases(request))).fields == ("page_token",)

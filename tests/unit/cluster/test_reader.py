"""Paging, ETags and what a write carries, against an API server that a test plays."""

import json
from typing import Any

import httpx2
import pytest
from unit.cluster.api import answering, connection, metadata, metadata_list

from helm_rollback.application.ports import ServedKind
from helm_rollback.cluster.reader import KubernetesCluster
from helm_rollback.domain.errors import ClusterUnreachable
from helm_rollback.domain.release import ReleaseId
from helm_rollback.helm.record import ref_from_metadata

SHOP = ReleaseId("default", "prod", "shop")


class Server:
    """Gives the prepared answers one by one; keeps the requests."""

    def __init__(self, *answers: httpx2.Response) -> None:
        self.requests: list[httpx2.Request] = []
        self._answers = list(answers)
        self.cluster = KubernetesCluster(connection(self._answer))

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        return self._answers.pop(0)

    def parameters(self) -> list[dict[str, str]]:
        return [dict(request.url.params) for request in self.requests]


def page(*items: Any, version: int = 100, more: str = "") -> httpx2.Response:
    return httpx2.Response(200, json=metadata_list(*items, version=version, more=more))


async def test_a_release_is_listed_as_metadata_by_its_labels() -> None:
    server = Server(page(metadata(revision=10), metadata(revision=2), metadata(revision="newest")))

    refs = (await server.cluster.list_release(SHOP)).refs

    assert [ref.revision for ref in refs] == [2, 10]
    assert server.requests[0].url.path.endswith("/api/v1/namespaces/prod/secrets")
    assert server.parameters() == [{"labelSelector": "owner=helm,name=shop"}]
    assert "as=PartialObjectMetadataList" in server.requests[0].headers["Accept"]


async def test_pages_are_joined() -> None:
    first = page(metadata("zoo"), metadata("shop", 10), version=7, more="t1")
    server = Server(first, page(metadata("shop", 9), version=7, more="t2"), page(version=7))

    refs, version = await server.cluster.list_all()

    assert [(ref.release_name, ref.revision) for ref in refs] == [("shop", 9), ("shop", 10), ("zoo", 1)]
    assert version == 7
    assert [sent.get("continue") for sent in server.parameters()] == [None, "t1", "t2"]
    assert all(sent["limit"] == "500" for sent in server.parameters())


async def test_a_list_that_expires_between_pages_is_read_anew_in_one() -> None:
    server = Server(
        page(metadata("old"), version=7, more="t1"), httpx2.Response(410), page(metadata("shop"), version=9)
    )

    refs, version = await server.cluster.list_all()

    assert ([ref.release_name for ref in refs], version) == (["shop"], 9)
    assert server.parameters()[2] == {"labelSelector": "owner=helm"}


async def test_a_list_that_can_not_be_had_at_all_is_an_unreachable_cluster() -> None:
    server = Server(httpx2.Response(410), httpx2.Response(410))

    with pytest.raises(ClusterUnreachable):
        await server.cluster.list_all()


async def test_a_compacted_version_is_not_there() -> None:
    server = Server(httpx2.Response(410))
    ref = ref_from_metadata(metadata())
    assert ref is not None

    assert await server.cluster.read_version(ref, 8) is None
    assert server.parameters() == [
        {"fieldSelector": f"metadata.name={ref.secret_name}", "resourceVersion": "8", "resourceVersionMatch": "Exact"}
    ]


async def test_a_delete_carries_uid_and_version() -> None:
    server = Server(httpx2.Response(200, json={"kind": "Status"}))
    ref = ref_from_metadata(metadata())
    assert ref is not None

    await server.cluster.delete_record(ref)

    sent = json.loads(server.requests[0].content)
    assert sent["preconditions"] == {"uid": "uid-shop-1", "resourceVersion": "10"}


def groups(*kinds: tuple[str, str, str], etag: str) -> httpx2.Response:
    items = [
        {
            "metadata": {"name": group} if group else {},
            "versions": [
                {
                    "version": version,
                    "resources": [
                        {
                            "resource": kind.lower() + "s",
                            "responseKind": {"kind": kind},
                            "subresources": [{"subresource": "scale", "responseKind": {"kind": "Scale"}}],
                        }
                    ],
                }
            ],
        }
        for group, version, kind in kinds
    ]
    return httpx2.Response(200, json={"kind": "APIGroupDiscoveryList", "items": items}, headers={"ETag": etag})


async def test_unchanged_discovery_is_asked_by_etag_and_not_read_again() -> None:
    answers = {"/api": [groups(("", "v1", "Secret"), etag='"a"'), httpx2.Response(304)]}
    answers["/apis"] = [groups(("apps", "v1", "Deployment"), etag='"b"'), groups(("x.y", "v2", "Crate"), etag='"c"')]
    etags: list[tuple[str, str | None]] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        path = request.url.path.removeprefix("/k8s/clusters/c-1")
        etags.append((path, request.headers.get("If-None-Match")))
        return answers[path].pop(0)

    cluster = KubernetesCluster(connection(answer))
    first = await cluster.served_kinds()
    second = await cluster.served_kinds()

    assert first.kinds == {ServedKind("v1", "Secret"), ServedKind("apps/v1", "Deployment")}
    assert first.state != second.state
    assert second.kinds == {ServedKind("v1", "Secret"), ServedKind("x.y/v2", "Crate")}
    assert sorted(etags[2:]) == [("/api", '"a"'), ("/apis", '"b"')]


@pytest.mark.parametrize("answer", [httpx2.Response(406), httpx2.Response(200, json={"kind": "APIVersions"})])
async def test_a_server_without_aggregated_discovery_is_told(answer: httpx2.Response) -> None:
    cluster = KubernetesCluster(connection(lambda _: answer))

    with pytest.raises(ClusterUnreachable, match=r"1\.27"):
        await cluster.served_kinds()


async def test_a_cluster_without_kube_system_is_not_ready() -> None:
    with pytest.raises(ClusterUnreachable, match="kube-system"):
        await KubernetesCluster(connection(answering(404))).uid()

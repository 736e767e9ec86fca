"""What a watch of a real API server tells while a real Helm works."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from local_cluster import LocalCluster
from support.charts import write_chart
from support.helm import Helm

from helm_rollback.application.ports import WatchEvent, WatchExpired, WatchKind
from helm_rollback.cluster import watcher
from helm_rollback.cluster.reader import KubernetesCluster, connect
from helm_rollback.domain.errors import ClusterUnreachable
from helm_rollback.domain.status import Status


@pytest_asyncio.fixture
async def cluster(local_cluster: LocalCluster) -> AsyncIterator[KubernetesCluster]:
    cluster = connect("default", kubeconfig=str(local_cluster.kubeconfig))
    yield cluster
    await cluster.close()


class Seen:
    """The record events of one namespace, as they come."""

    def __init__(self, cluster: KubernetesCluster, namespace: str, resource_version: int) -> None:
        self._events = cluster.watch(resource_version)
        self._namespace = namespace
        self.newest = resource_version

    async def next(self, count: int) -> list[WatchEvent]:
        found: list[WatchEvent] = []
        async with asyncio.timeout(20):
            while len(found) < count:
                event = await anext(self._events)
                self.newest = event.resource_version
                if event.stored is not None and event.stored.ref.namespace == self._namespace:
                    found.append(event)
        return found


def story(events: list[WatchEvent]) -> list[tuple[WatchKind, int, Status]]:
    refs = [(event.kind, event.stored.ref) for event in events if event.stored is not None]
    return [(kind, ref.revision, ref.status) for kind, ref in refs]


async def test_an_install_upgrade_rollback_and_uninstall_arrive_in_helms_order(
    cluster: KubernetesCluster, helm: Helm, namespace: str, tmp_path: Path
) -> None:
    _, start = await cluster.list_all()
    seen = Seen(cluster, namespace, start)

    def work() -> None:
        helm.install("shop", write_chart(tmp_path))
        helm.upgrade("shop", write_chart(tmp_path, version="2.0.0"))
        helm.rollback("shop", 1)
        helm.uninstall("shop")

    working = asyncio.create_task(asyncio.to_thread(work))
    events = await seen.next(12)
    await working

    assert story(events) == [
        (WatchKind.ADDED, 1, Status.PENDING_INSTALL),
        (WatchKind.MODIFIED, 1, Status.DEPLOYED),
        (WatchKind.ADDED, 2, Status.PENDING_UPGRADE),
        (WatchKind.MODIFIED, 1, Status.SUPERSEDED),
        (WatchKind.MODIFIED, 2, Status.DEPLOYED),
        (WatchKind.ADDED, 3, Status.PENDING_ROLLBACK),
        (WatchKind.MODIFIED, 2, Status.SUPERSEDED),
        (WatchKind.MODIFIED, 3, Status.DEPLOYED),
        (WatchKind.MODIFIED, 3, Status.UNINSTALLING),
        (WatchKind.DELETED, 1, Status.SUPERSEDED),
        (WatchKind.DELETED, 2, Status.SUPERSEDED),
        (WatchKind.DELETED, 3, Status.UNINSTALLING),
    ]
    versions = [event.resource_version for event in events]
    assert versions == sorted(set(versions))
    assert all(event.stored and event.stored.record for event in events)


async def test_a_watch_goes_on_where_another_ended(
    cluster: KubernetesCluster, helm: Helm, namespace: str, tmp_path: Path
) -> None:
    _, start = await cluster.list_all()
    helm.install("shop", write_chart(tmp_path))
    first = await Seen(cluster, namespace, start).next(1)

    rest = await Seen(cluster, namespace, first[0].resource_version).next(1)

    assert story(first + rest) == [
        (WatchKind.ADDED, 1, Status.PENDING_INSTALL),
        (WatchKind.MODIFIED, 1, Status.DEPLOYED),
    ]


async def test_a_secret_that_is_no_record_is_skipped(
    cluster: KubernetesCluster, helm: Helm, namespace: str, tmp_path: Path, local_cluster: LocalCluster
) -> None:
    _, start = await cluster.list_all()
    labels = {"owner": "helm", "name": "shop", "version": "newest"}
    body = {"metadata": {"name": "odd", "labels": labels}}
    local_cluster.client.create(f"/api/v1/namespaces/{namespace}/secrets", body)
    helm.install("shop", write_chart(tmp_path))

    events = await Seen(cluster, namespace, start).next(1)

    assert story(events) == [(WatchKind.ADDED, 1, Status.PENDING_INSTALL)]


async def test_the_server_ends_a_watch_in_time_and_tells_how_far_it_came(
    cluster: KubernetesCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "WATCH_SECONDS", 1)
    _, start = await cluster.list_all()

    async with asyncio.timeout(10):
        events = [event async for event in cluster.watch(start)]

    assert {event.kind for event in events} <= {WatchKind.BOOKMARK}
    assert all(event.resource_version >= start for event in events)


async def test_a_killed_api_server_ends_the_watch_and_a_list_gets_past_what_it_forgot(
    cluster: KubernetesCluster, helm: Helm, namespace: str, tmp_path: Path, local_cluster: LocalCluster
) -> None:
    _, start = await cluster.list_all()
    seen = Seen(cluster, namespace, start)
    helm.install("shop", write_chart(tmp_path))
    await seen.next(2)
    local_cluster.stop_apiserver(kill=True)
    try:
        with pytest.raises(ClusterUnreachable):
            await seen.next(1)
        with pytest.raises(ClusterUnreachable):
            await anext(cluster.watch(seen.newest))
    finally:
        await asyncio.to_thread(local_cluster.start_apiserver)

    with pytest.raises(WatchExpired):  # what it remembered of changes went with it
        await anext(cluster.watch(1))
    refs, start = await cluster.list_all()
    assert [ref.revision for ref in refs if ref.namespace == namespace] == [1]
    again = Seen(cluster, namespace, start)
    helm.upgrade("shop", write_chart(tmp_path, version="2.0.0"))
    assert story(await again.next(1)) == [(WatchKind.ADDED, 2, Status.PENDING_UPGRADE)]

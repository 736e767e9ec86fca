"""The records of real releases, read and written through a real API server."""

import asyncio
import base64
import os
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from local_cluster import LocalCluster, Rule
from support.charts import write_chart
from support.helm import Helm

from helm_rollback.application.ports import RecordConflict, RecordRefused, ServedKind
from helm_rollback.cluster.connection import Connection
from helm_rollback.cluster.kubeconfig import load_kubeconfig
from helm_rollback.cluster.reader import KubernetesCluster, connect
from helm_rollback.domain.errors import ClusterPermissionDenied, ClusterUnreachable
from helm_rollback.domain.record import RecordRef
from helm_rollback.domain.release import ReleaseId
from helm_rollback.domain.status import Status
from helm_rollback.helm.record import encode


@pytest_asyncio.fixture
async def cluster(local_cluster: LocalCluster) -> AsyncIterator[KubernetesCluster]:
    cluster = connect("default", kubeconfig=str(local_cluster.kubeconfig))
    yield cluster
    await cluster.close()


@pytest.fixture
def shop(namespace: str) -> ReleaseId:
    return ReleaseId("default", namespace, "shop")


def install_and_upgrade(helm: Helm, folder: Path) -> None:
    helm.install("shop", write_chart(folder, version="1.0.0"), "--labels", "team=blue")
    helm.upgrade("shop", write_chart(folder, version="2.0.0"))


async def test_lists_a_release_as_helm_tells_it(
    cluster: KubernetesCluster, shop: ReleaseId, helm: Helm, tmp_path: Path
) -> None:
    install_and_upgrade(helm, tmp_path)

    refs = (await cluster.list_release(shop)).refs

    assert [(ref.revision, ref.status) for ref in refs] == [(1, Status.SUPERSEDED), (2, Status.DEPLOYED)]
    assert {(ref.namespace, ref.release_name) for ref in refs} == {(shop.namespace, "shop")}
    assert all(ref.uid and ref.resource_version > 0 for ref in refs)


async def test_unknown_release_and_namespace_have_no_records(cluster: KubernetesCluster, shop: ReleaseId) -> None:
    assert (await cluster.list_release(shop)).refs == []
    assert (await cluster.list_release(replace(shop, namespace="nowhere"))).refs == []


async def test_list_of_all_is_what_a_watch_goes_on_from(
    cluster: KubernetesCluster, shop: ReleaseId, helm: Helm, tmp_path: Path
) -> None:
    install_and_upgrade(helm, tmp_path)

    refs, resource_version = await cluster.list_all()

    assert [ref for ref in refs if ref.namespace == shop.namespace] == (await cluster.list_release(shop)).refs
    assert resource_version >= max(ref.resource_version for ref in refs)


async def test_reads_a_record_whole(cluster: KubernetesCluster, shop: ReleaseId, helm: Helm, tmp_path: Path) -> None:
    install_and_upgrade(helm, tmp_path)
    first, second = (await cluster.list_release(shop)).refs

    stored = await cluster.read_record(second)

    assert stored is not None
    assert stored.ref == second
    assert stored.record is not None
    assert (stored.record.chart_version, stored.record.status) == ("2.0.0", Status.DEPLOYED)
    assert stored.labels["team"] == "blue"
    assert await cluster.read_record(replace(first, secret_name="sh.helm.release.v1.shop.v9")) is None


async def test_a_version_that_was_overwritten_since_can_be_read(
    cluster: KubernetesCluster, shop: ReleaseId, helm: Helm, tmp_path: Path
) -> None:
    helm.install("shop", write_chart(tmp_path))
    before = (await cluster.list_release(shop)).refs[0]
    helm.upgrade("shop", write_chart(tmp_path, version="2.0.0"))

    stored = await cluster.read_version(before, before.resource_version)

    assert stored is not None
    assert stored.ref == before
    assert stored.record is not None
    assert stored.record.status is Status.DEPLOYED
    assert (await cluster.list_release(shop)).refs[0].status is Status.SUPERSEDED


async def test_a_version_before_the_record_is_not_there(
    cluster: KubernetesCluster, shop: ReleaseId, helm: Helm, tmp_path: Path
) -> None:
    helm.install("shop", write_chart(tmp_path))
    ref = (await cluster.list_release(shop)).refs[0]

    assert await cluster.read_version(ref, 1) is None
    assert await cluster.read_version(ref, 0) is None


async def test_sets_a_record_failed_in_label_and_payload(
    cluster: KubernetesCluster, shop: ReleaseId, helm: Helm, tmp_path: Path
) -> None:
    install_and_upgrade(helm, tmp_path)
    stored = await cluster.read_record((await cluster.list_release(shop)).refs[1])
    assert stored is not None

    failed = await cluster.set_failed(stored, description="left behind")

    entry = helm.history_json("shop")[1]
    assert (entry["status"], entry["description"]) == ("failed", "left behind")
    assert failed == await cluster.read_record(stored.ref)
    assert failed.ref.status is Status.FAILED
    assert failed.ref.resource_version > stored.ref.resource_version
    assert failed.labels == {**stored.labels, "status": "failed"}
    with pytest.raises(RecordConflict):
        await cluster.set_failed(stored, description="stale")
    assert await cluster.read_record(stored.ref) == failed


async def test_set_failed_keeps_what_others_put_into_the_secret(
    cluster: KubernetesCluster, shop: ReleaseId, helm: Helm, tmp_path: Path, local_cluster: LocalCluster
) -> None:
    helm.install("shop", write_chart(tmp_path))
    path = f"/api/v1/namespaces/{shop.namespace}/secrets/sh.helm.release.v1.shop.v1"
    secret = local_cluster.client.get(path)
    secret["metadata"]["annotations"] = {"backup": "yes"}
    local_cluster.client.request("PUT", path, secret)
    stored = await cluster.read_record((await cluster.list_release(shop)).refs[0])
    assert stored is not None

    await cluster.set_failed(stored, description="left behind")

    after = local_cluster.client.get(path)
    assert after["metadata"]["annotations"] == {"backup": "yes"}
    assert after["type"] == "helm.sh/release.v1"


async def test_deletes_only_the_version_that_was_read(
    cluster: KubernetesCluster, shop: ReleaseId, helm: Helm, tmp_path: Path
) -> None:
    helm.install("shop", write_chart(tmp_path))
    stale = (await cluster.list_release(shop)).refs[0]
    helm.upgrade("shop", write_chart(tmp_path, version="2.0.0"))
    current = (await cluster.list_release(shop)).refs[0]

    with pytest.raises(RecordConflict):
        await cluster.delete_record(stale)
    with pytest.raises(RecordConflict):
        await cluster.delete_record(replace(current, uid="00000000-0000-0000-0000-000000000000"))
    await cluster.delete_record(current)

    assert [ref.revision for ref in (await cluster.list_release(shop)).refs] == [2]
    with pytest.raises(RecordConflict):
        await cluster.delete_record(current)


async def test_a_record_put_back_can_be_rolled_back_to(
    cluster: KubernetesCluster, shop: ReleaseId, helm: Helm, tmp_path: Path
) -> None:
    install_and_upgrade(helm, tmp_path)
    stored = await cluster.read_record((await cluster.list_release(shop)).refs[0])
    assert stored is not None
    await cluster.delete_record(stored.ref)

    async def create() -> RecordRef:
        return await cluster.create_record(
            shop,
            1,
            stored.payload,
            status=stored.ref.status,
            description="Install complete",
            labels={**stored.labels, "status": "deployed", "owner": "me"},
        )

    ref = await create()

    again = await cluster.read_record(ref)
    assert again is not None
    assert (again.record, again.labels) == (stored.record, stored.labels)
    assert ref.uid != stored.ref.uid
    with pytest.raises(RecordConflict):
        await create()
    helm.rollback("shop", 1, "--history-max", "0")
    assert helm.statuses("shop") == {1: "superseded", 2: "superseded", 3: "deployed"}


@pytest.mark.parametrize(("namespace", "size"), [("nowhere", 0), ("", 1_200_000)], ids=["no namespace", "too large"])
async def test_a_record_that_the_api_server_does_not_take_is_refused(
    cluster: KubernetesCluster, shop: ReleaseId, namespace: str, size: int
) -> None:
    release_id = replace(shop, namespace=namespace or shop.namespace)
    payload = encode({"info": {}, "manifest": os.urandom(size).hex()})

    with pytest.raises(RecordRefused):
        await cluster.create_record(release_id, 1, payload, status=Status.FAILED, description="", labels={})


async def test_a_corrupt_record_is_read_with_its_problem(
    cluster: KubernetesCluster, shop: ReleaseId, local_cluster: LocalCluster
) -> None:
    labels = {"owner": "helm", "name": "shop", "version": "1", "status": "deployed"}
    data = {"release": base64.b64encode(b"nonsense").decode()}
    for name in ("odd", "sh.helm.release.v1.shop.v1"):
        local_cluster.client.create(
            f"/api/v1/namespaces/{shop.namespace}/secrets",
            {"metadata": {"name": name, "labels": labels}, "data": data},
        )

    (ref,) = (await cluster.list_release(shop)).refs  # the copy is no revision
    stored = await cluster.read_record(ref)

    assert stored is not None
    assert stored.record is None
    assert stored.problem


async def test_served_kinds_follow_a_crd(cluster: KubernetesCluster, local_cluster: LocalCluster) -> None:
    before = (await cluster.served_kinds()).kinds
    assert before >= {ServedKind("v1", "Secret"), ServedKind("apps/v1", "Deployment")}
    assert ServedKind("autoscaling/v1", "Scale") not in before
    assert (await cluster.served_kinds()).kinds == before
    crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    schema = {"openAPIV3Schema": {"type": "object"}}
    local_cluster.client.create(
        crds,
        {
            "metadata": {"name": "crates.example.org"},
            "spec": {
                "group": "example.org",
                "names": {"kind": "Crate", "plural": "crates"},
                "scope": "Namespaced",
                "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
            },
        },
    )
    try:
        while ServedKind("example.org/v1", "Crate") not in (await cluster.served_kinds()).kinds:
            pass
    finally:
        local_cluster.client.delete(f"{crds}/crates.example.org")


async def test_uid_is_that_of_kube_system(cluster: KubernetesCluster, local_cluster: LocalCluster) -> None:
    expected = local_cluster.client.get("/api/v1/namespaces/kube-system")["metadata"]["uid"]

    assert await cluster.uid() == expected


async def test_a_user_without_rights_is_told_which_one_is_missing(local_cluster: LocalCluster, namespace: str) -> None:
    user = local_cluster.create_user("blind", [Rule(["get"], ["configmaps"])], namespace=namespace)
    cluster = connect("default", kubeconfig=str(user.kubeconfig))
    try:
        with pytest.raises(ClusterPermissionDenied, match=f"list secrets in namespace {namespace}"):
            await cluster.list_release(ReleaseId("default", namespace, "shop"))
        with pytest.raises(ClusterPermissionDenied, match="list secrets in all namespaces"):
            await cluster.list_all()
        with pytest.raises(ClusterPermissionDenied, match="watch secrets in all namespaces"):
            await anext(cluster.watch(1))
    finally:
        await cluster.close()


async def test_a_wrong_token_is_a_permission_problem(local_cluster: LocalCluster, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(local_cluster.kubeconfig.read_text().replace(local_cluster.token, "wrong-token"))
    cluster = connect("default", kubeconfig=str(kubeconfig))
    try:
        with pytest.raises(ClusterPermissionDenied, match="credentials") as denied:
            await cluster.uid()
        assert "wrong-token" not in str(denied.value)
    finally:
        await cluster.close()


async def test_a_stopped_api_server_is_unreachable_and_then_recovers(
    cluster: KubernetesCluster, local_cluster: LocalCluster, shop: ReleaseId, helm: Helm, tmp_path: Path
) -> None:
    helm.install("shop", write_chart(tmp_path))
    refs = (await cluster.list_release(shop)).refs
    local_cluster.stop_apiserver()
    try:
        with pytest.raises(ClusterUnreachable) as unreachable:
            await cluster.list_release(shop)
        assert unreachable.value.release_id == shop
    finally:
        local_cluster.start_apiserver()

    assert (await cluster.list_release(shop)).refs == refs


async def test_an_api_server_that_hangs_is_unreachable_within_the_deadline(
    local_cluster: LocalCluster, shop: ReleaseId
) -> None:
    connection = Connection("default", load_kubeconfig(str(local_cluster.kubeconfig)), deadline=0.5)
    cluster = KubernetesCluster(connection)
    try:
        assert (await cluster.list_release(shop)).refs == []
        local_cluster.pause_apiserver()
        try:
            async with asyncio.timeout(2):
                with pytest.raises(ClusterUnreachable, match="no answer in time"):
                    await cluster.list_release(shop)
                with pytest.raises(ClusterUnreachable, match="no answer in time"):
                    await anext(cluster.watch(1))
        finally:
            local_cluster.resume_apiserver()
        assert (await cluster.list_release(shop)).refs == []
    finally:
        await cluster.close()


async def test_the_fence_gets_what_it_needs_to_speak_for_itself(
    cluster: KubernetesCluster, local_cluster: LocalCluster
) -> None:
    server = cluster.api_server

    assert f"https://{server.host}:{server.port}{server.base_path}" == local_cluster.server
    assert await server.authorization() == f"Bearer {local_cluster.token}"
    assert isinstance(server.ssl_context, ssl.SSLContext)

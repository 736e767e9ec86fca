"""How an accepted rollback can fail: each reason is brought about by the real Helm and the real API server.

Whatever the reason, the release is never left pending: an upgrade by hand works.
"""

import base64
import gzip
import json
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration
from local_cluster import ApiError, LocalCluster
from support.by_hand import ByHand
from support.calls import failure_reason, state
from support.charts import config_map
from support.held_writes import CREATE, HeldWrites
from support.helm import Helm
from support.process import HELD_SERVICE, RunService, ServiceProcess
from support.waiting import eventually

from helm_rollback.v1.helm_options_pb2 import HelmOptions
from helm_rollback.v1.release_pb2 import Failure, Operation
from helm_rollback.v1.release_service_pb2 import ListRevisionsRequest
from helm_rollback.v1.rollback_service_pb2 import RollbackRequest

pytest_plugins = ["support.services"]

CANARY = "c4n4ry-0f-a-s3cr3t"


@pytest.fixture
def shop(namespace: str) -> str:
    return f"default.{namespace}.shop"


@pytest.fixture
def by_hand(helm: Helm, tmp_path: Path) -> ByHand:
    return ByHand(helm, tmp_path)


def test_helm_failed_for_what_has_no_name_of_its_own(
    service: ServiceProcess, shop: str, by_hand: ByHand, local_cluster: LocalCluster, namespace: str
) -> None:
    """The target has an object in a namespace that is gone."""
    other = f"{namespace}-gone"
    local_cluster.create_namespace(other)
    guest = config_map(a="1").replace("metadata:\n", f"metadata:\n  namespace: {other}\n")
    by_hand.install("1.0.0", guest=guest)
    by_hand.upgrade("1.1.0")
    local_cluster.delete_namespace(other)
    local_cluster.client.request(
        "PUT",
        f"/api/v1/namespaces/{other}/finalize",
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": other}, "spec": {"finalizers": []}},
    )
    eventually(lambda: not local_cluster.client.exists(f"/api/v1/namespaces/{other}"), "the namespace is gone")

    operation = service.roll_back(shop, 1)

    assert failure_reason(operation) == "HELM_FAILED"
    assert f'namespaces "{other}" not found' in operation.failure.message
    assert operation.failure.message in operation.failure.helm_output
    assert operation.outcome_evidence == Operation.OBSERVED
    by_hand.assert_free()


def test_object_rejected_by_the_api_server(service: ServiceProcess, shop: str, by_hand: ByHand) -> None:
    by_hand.install("1.0.0", c=config_map("fixed", immutable=True, a="1"))
    by_hand.upgrade("1.1.0")
    by_hand.upgrade("1.2.0", c=config_map("fixed", immutable=True, a="2"))

    operation = service.roll_back(shop, 1)

    assert failure_reason(operation) == "OBJECT_REJECTED"
    assert operation.failure.applied == Failure.PARTLY
    assert "immutable" in operation.failure.message
    assert operation.result_revision == 4
    by_hand.assert_free()


def test_apply_conflict_with_another_manager(
    service: ServiceProcess, shop: str, by_hand: ByHand, local_cluster: LocalCluster, namespace: str
) -> None:
    by_hand.install("1.0.0")
    by_hand.upgrade("1.1.0")
    local_cluster.client.request(
        "PATCH",
        f"/api/v1/namespaces/{namespace}/configmaps/shop?fieldManager=somebody&force=true",
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "shop"}, "data": {"version": "mine"}},
        content_type="application/apply-patch+yaml",
    )

    operation = service.roll_back(shop, 1)
    forced = service.roll_back(
        shop, 1, HelmOptions(force_conflicts=True, server_side_apply=HelmOptions.ServerSideApply.ENABLED)
    )

    assert failure_reason(operation) == "APPLY_CONFLICT"
    assert operation.failure.applied == Failure.NOT_APPLIED
    assert "somebody" in operation.failure.message
    assert state(forced) == "SUCCEEDED"


def test_kind_not_served_is_found_before_helm_strands_the_release(
    service: ServiceProcess, shop: str, by_hand: ByHand, local_cluster: LocalCluster, namespace: str
) -> None:
    group = f"{namespace}.example.com"
    crd = _custom_resource(group)
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    local_cluster.client.create(definitions, crd)
    widgets = f"/apis/{group}/v1/namespaces/{namespace}/widgets"
    eventually(lambda: _is_served(local_cluster, widgets), "widgets are served")
    by_hand.install("1.0.0", w=f"apiVersion: {group}/v1\nkind: Widget\nmetadata: {{name: w}}\n")
    by_hand.upgrade("1.1.0")
    local_cluster.client.delete(f"{definitions}/widgets.{group}")
    eventually(lambda: not local_cluster.client.exists(f"/apis/{group}/v1"), "discovery tells it")

    operation = service.roll_back(shop, 1)

    assert failure_reason(operation) == "KIND_NOT_SERVED"
    assert f"{group}/v1 Widget" in operation.failure.message
    _assert_nothing_was_run(operation)
    assert by_hand.statuses == {1: "superseded", 2: "deployed"}


def test_record_mismatch_where_somebody_edited_the_targets_record(
    service: ServiceProcess, shop: str, by_hand: ByHand, local_cluster: LocalCluster, namespace: str
) -> None:
    by_hand.install("1.0.0")
    by_hand.upgrade("1.1.0")
    service.follow(shop, deployed=2).close()
    path = f"/api/v1/namespaces/{namespace}/secrets/sh.helm.release.v1.shop.v1"
    secret = local_cluster.client.get(path)
    record = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(secret["data"]["release"]))))
    record["manifest"] += "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: smuggled}\n"
    packed = base64.b64encode(gzip.compress(json.dumps(record).encode()))
    secret["data"]["release"] = base64.b64encode(packed).decode()
    local_cluster.client.request("PUT", path, secret)

    operation = service.roll_back(shop, 1)

    assert failure_reason(operation) == "RECORD_MISMATCH"
    _assert_nothing_was_run(operation)
    assert by_hand.statuses == {1: "superseded", 2: "deployed"}


def test_external_change_and_expired_while_every_helm_was_busy(
    run_service: RunService, held_writes: HeldWrites, by_hand: ByHand, namespace: str, shop: str, tmp_path: Path
) -> None:
    """Waiting for a Helm takes no one's right to change the release, and is not for ever."""
    by_hand.install("1.0.0")
    for other in ("busy", "late"):
        by_hand.helm.install(other, by_hand.chart("1.0.0", own=config_map(f"{other}-own")).rename(tmp_path / other))
    service = run_service("--max-helm", "1", program=HELD_SERVICE, environment=held_writes.environment)
    held_writes.hold(CREATE)
    busy = service.rollbacks.Rollback(RollbackRequest(release_id=f"default.{namespace}.busy", target_revision=1))
    held_writes.until_held(CREATE)
    waiting = service.rollbacks.Rollback(RollbackRequest(release_id=shop, target_revision=1))
    late = service.rollbacks.Rollback(
        RollbackRequest(release_id=f"default.{namespace}.late", target_revision=1, expire_after=Duration(seconds=1))
    )
    with service.stream(f"default.{namespace}.late", resume_token=late.resume_token) as stream:
        expired = stream.until_settled(late.operation.operation_id)

    by_hand.upgrade("1.1.0")
    held_writes.release(CREATE)
    with (
        service.stream(f"default.{namespace}.busy", resume_token=busy.resume_token) as stream,
        service.stream(shop, resume_token=waiting.resume_token) as others,
    ):
        ran = stream.until_settled(busy.operation.operation_id)
        changed = others.until_settled(waiting.operation.operation_id)

    assert state(ran) == "SUCCEEDED"
    assert failure_reason(expired) == "EXPIRED"
    _assert_nothing_was_run(expired)
    assert failure_reason(changed) == "EXTERNAL_CHANGE"
    _assert_nothing_was_run(changed)
    assert by_hand.statuses == {1: "superseded", 2: "deployed"}


def test_what_helm_prints_of_a_secret_is_told_to_nobody(service: ServiceProcess, shop: str, by_hand: ByHand) -> None:
    """The API server quotes what it rejects, Helm prints it and puts it into its record."""
    secret = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: token}}\nstringData: {{token: {CANARY}}}\n"
    by_hand.install("1.0.0")
    by_hand.fail_to_upgrade(token=secret, quoted=config_map(f"No_{CANARY}"))
    assert CANARY in by_hand.helm.run("history", "shop").stdout

    with service.stream(shop) as stream:
        operation = service.roll_back(shop, 2)
        stream.until_settled(operation.operation_id)
    listed = service.releases.ListRevisions(ListRevisionsRequest(release_id=shop))

    assert failure_reason(operation) == "OBJECT_REJECTED"
    assert "No_********" in operation.failure.message
    assert "No_********" in operation.failure.helm_output
    assert CANARY not in str(operation)
    assert CANARY not in service.stderr
    assert CANARY not in str(stream.events)
    assert CANARY not in str(listed)


def _assert_nothing_was_run(operation: Operation) -> None:
    assert operation.failure.applied == Failure.NOT_APPLIED
    assert (operation.attempt, operation.result_revision) == (0, 0)
    assert operation.failure.helm_output == ""


def _is_served(cluster: LocalCluster, path: str) -> bool:
    try:
        return cluster.client.exists(path)
    except ApiError:
        return False  # "storage is (re)initializing", for a moment


def _custom_resource(group: str) -> dict[str, object]:
    schema = {"openAPIV3Schema": {"type": "object"}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}"},
        "spec": {
            "group": group,
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
            "scope": "Namespaced",
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }

"""PreviewRollback on real Helm: what it shows is what the rollback then does, object by object."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from local_cluster import ApiError, LocalCluster
from support.audit import AuditLog
from support.by_hand import REJECTED, ByHand
from support.calls import WAIT
from support.charts import config_map
from support.helm import Helm
from support.process import ServiceProcess
from support.waiting import eventually

from helm_rollback.v1.helm_options_pb2 import HelmOptions
from helm_rollback.v1.preview_pb2 import ObjectChange, Warning
from helm_rollback.v1.release_pb2 import Operation
from helm_rollback.v1.rollback_service_pb2 import PreviewRollbackRequest, PreviewRollbackResponse, RollbackRequest
from helm_rollback.v1.rollback_service_pb2_grpc import RollbackServiceStub

pytest_plugins = ["support.services"]

CREATE, CHANGE, DELETE, UNCHANGED = "CREATE", "CHANGE", "DELETE", "UNCHANGED"
_PATHS = {
    "ConfigMap": "/api/v1/namespaces/{}/configmaps/{}",
    "CustomResourceDefinition": "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{1}",
}


@dataclass
class Theatre:
    """A release that is previewed, and then rolled back."""

    cluster: LocalCluster
    namespace: str
    rollbacks: RollbackServiceStub
    by_hand: ByHand

    @property
    def release_id(self) -> str:
        return f"default.{self.namespace}.shop"

    def preview(self, target: int = 1, **options: Any) -> PreviewRollbackResponse:
        request = PreviewRollbackRequest(
            release_id=self.release_id, target_revision=target, helm_options=HelmOptions(**options)
        )
        return self.rollbacks.PreviewRollback(request, timeout=60)

    def roll_back_as(self, preview: PreviewRollbackResponse, **options: Any) -> Operation:
        """Do what was shown, and compare."""
        before = {(one.kind, one.name): self.live(one) for one in preview.changes}
        request = RollbackRequest(
            release_id=self.release_id,
            target_revision=preview.selection.revision,
            expected_current_revision=preview.base_revision,
            helm_options=HelmOptions(**options),
            wait_timeout=WAIT,
        )
        operation = self.rollbacks.Rollback(request, timeout=70).operation
        assert operation.HasField("end_time")
        if operation.state == Operation.SUCCEEDED:
            done = {(one.kind, one.name): _did(before[one.kind, one.name], self.live(one)) for one in preview.changes}
            assert done == actions(preview)
        return operation

    def live(self, change: ObjectChange) -> dict[str, Any] | None:
        """Without what the API server adds; None where it is not there, or about to go."""
        if change.kind == "Widget":
            return None  # not served
        path = _PATHS[change.kind].format(self.namespace, change.name)
        if not self.cluster.client.exists(path):
            return None
        item = self.cluster.client.get(path)
        if "deletionTimestamp" in item["metadata"]:
            return None  # a definition goes once its objects have gone
        return {key: value for key, value in item.items() if key not in ("metadata", "status")}


def _did(before: dict[str, Any] | None, after: dict[str, Any] | None) -> str:
    if before is None:
        return CREATE if after is not None else UNCHANGED
    if after is None:
        return DELETE
    return UNCHANGED if before == after else CHANGE


def actions(preview: PreviewRollbackResponse) -> dict[tuple[str, str], str]:
    return {(one.kind, one.name): ObjectChange.Action.Name(one.action) for one in preview.changes}


def warnings(preview: PreviewRollbackResponse) -> list[tuple[str, str]]:
    return [(Warning.Code.Name(one.code), one.name) for one in preview.warnings]


def diff_of(preview: PreviewRollbackResponse, name: str) -> list[str]:
    (one,) = [change for change in preview.changes if change.name == name]
    return [line.strip() for line in one.diff.splitlines() if line[:1] in "+-"]


@pytest.fixture
def theatre(
    service: ServiceProcess, local_cluster: LocalCluster, helm: Helm, namespace: str, tmp_path: Path
) -> Iterator[Theatre]:
    with grpc.insecure_channel(service.address) as channel:
        yield Theatre(local_cluster, namespace, RollbackServiceStub(channel), ByHand(helm, tmp_path))


def test_a_changed_value(theatre: Theatre) -> None:
    theatre.by_hand.install("1.0.0", "--set", "color=red")
    theatre.by_hand.upgrade("1.1.0", "--set", "color=blue")

    preview = theatre.preview()

    assert actions(preview) == {("ConfigMap", "shop"): CHANGE}
    assert diff_of(preview, "shop") == ["-  version: 1.1.0", "+  version: 1.0.0"]
    assert [line for line in preview.values_diff.splitlines() if line[0] in "+-"] == ["-color: blue", "+color: red"]
    assert (preview.selection.revision, preview.base_revision, warnings(preview)) == (1, 2, [])
    assert theatre.roll_back_as(preview).state == Operation.SUCCEEDED


def test_an_added_and_a_removed_object_and_one_that_is_kept(theatre: Theatre) -> None:
    kept = config_map("kept", a="1").replace("metadata:", "metadata:\n  annotations: {helm.sh/resource-policy: keep}")
    theatre.by_hand.install("1.0.0", old=config_map("old", a="1"))
    theatre.by_hand.upgrade("1.1.0", new=config_map("new", a="1"), kept=kept)

    preview = theatre.preview()

    assert actions(preview) == {
        ("ConfigMap", "shop"): CHANGE, ("ConfigMap", "old"): CREATE,
        ("ConfigMap", "new"): DELETE, ("ConfigMap", "kept"): UNCHANGED,
    }  # fmt: skip
    assert theatre.roll_back_as(preview).state == Operation.SUCCEEDED


@pytest.mark.parametrize("forced", [False, True])
def test_a_drifted_object_and_whose_field_it_is(theatre: Theatre, forced: bool) -> None:
    theatre.by_hand.install("1.0.0", other=config_map("other", a="1"))
    theatre.by_hand.upgrade("1.1.0", other=config_map("other", a="1"))
    path = f"/api/v1/namespaces/{theatre.namespace}/configmaps/other?fieldManager=somebody"
    item = theatre.cluster.client.get(path)
    theatre.cluster.client.request("PUT", path, item | {"data": {"a": "drifted"}})
    options: dict[str, Any] = {"force_conflicts": True, "server_side_apply": "ENABLED"} if forced else {}

    preview = theatre.preview(**options)
    ended = theatre.roll_back_as(preview, **options)

    (other,) = [one for one in preview.changes if one.name == "other"]
    assert (other.drifted, ObjectChange.Action.Name(other.action)) == (True, CHANGE)
    assert warnings(preview) == ([] if forced else [("FIELD_CONFLICT", "other")])
    assert ended.state == (Operation.SUCCEEDED if forced else Operation.FAILED)


def test_an_immutable_field(theatre: Theatre) -> None:
    theatre.by_hand.install("1.0.0", c=config_map("fixed", immutable=True, a="1"))
    theatre.by_hand.upgrade("1.1.0")
    theatre.by_hand.upgrade("1.2.0", c=config_map("fixed", immutable=True, a="2"))

    preview = theatre.preview()

    assert ("IMMUTABLE_FIELD", "fixed") in warnings(preview)
    ended = theatre.roll_back_as(preview)
    assert (ended.state, "immutable" in ended.failure.message) == (Operation.FAILED, True)


def definition(group: str) -> dict[str, Any]:
    names = {"plural": "widgets", "singular": "widget", "kind": "Widget"}
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}"},
        "spec": {"group": group, "names": names, "scope": "Namespaced", "versions": [version]},
    }


def test_a_kind_that_is_no_longer_served(theatre: Theatre) -> None:
    group, client = f"{theatre.namespace}.example.com", theatre.cluster.client
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    client.create(definitions, definition(group))
    eventually(lambda: _is_served(theatre, f"/apis/{group}/v1/namespaces/{theatre.namespace}/widgets"), "it is served")
    widget = json.dumps({"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": "one"}})
    theatre.by_hand.install("1.0.0", widget=widget)
    theatre.by_hand.upgrade("1.1.0")
    client.delete(f"{definitions}/widgets.{group}")
    eventually(lambda: not client.exists(f"/apis/{group}/v1"), "discovery tells it")

    preview = theatre.preview()

    assert [Warning.Code.Name(one.code) for one in preview.warnings] == ["KIND_NOT_SERVED"]
    assert set(actions(preview).values()) == {UNCHANGED}
    ended = theatre.roll_back_as(preview)
    assert (ended.state, ended.attempt) == (Operation.FAILED, 0)


def _is_served(theatre: Theatre, path: str) -> bool:
    try:
        return theatre.cluster.client.exists(path)
    except ApiError:
        return False  # for a moment its storage is not ready


def test_a_definition_that_goes_with_its_objects(theatre: Theatre) -> None:
    group = f"{theatre.namespace}.example.com"
    theatre.by_hand.install("1.0.0")
    theatre.by_hand.upgrade("1.1.0", crd=json.dumps(definition(group)))

    preview = theatre.preview()

    assert actions(preview)["CustomResourceDefinition", f"widgets.{group}"] == DELETE
    assert warnings(preview) == [("CRD_DELETED", f"widgets.{group}")]
    assert theatre.roll_back_as(preview).state == Operation.SUCCEEDED


def test_hooks(theatre: Theatre) -> None:
    def hook(name: str, event: str) -> str:
        return config_map(name, a="1").replace("metadata:", f"metadata:\n  annotations: {{helm.sh/hook: {event}}}")

    theatre.by_hand.install("1.0.0", before=hook("before", "pre-rollback"), after=hook("after", "post-rollback"))
    theatre.by_hand.upgrade("1.1.0")

    preview, without = theatre.preview(), theatre.preview(disable_hooks=True)

    assert [(one.kind, one.name, list(one.events)) for one in preview.hooks] == [
        ("ConfigMap", "before", ["pre-rollback"]), ("ConfigMap", "after", ["post-rollback"]),
    ]  # fmt: skip
    assert list(without.hooks) == []
    assert theatre.roll_back_as(preview).state == Operation.SUCCEEDED
    client = theatre.cluster.client
    assert all(client.exists(f"/api/v1/namespaces/{theatre.namespace}/configmaps/{one.name}") for one in preview.hooks)


def test_leftovers_of_two_failed_upgrades(theatre: Theatre) -> None:
    theatre.by_hand.install("1.0.0")
    theatre.by_hand.fail_to_upgrade("1.1.0", a=config_map("first", a="1"), bad=REJECTED)
    theatre.by_hand.fail_to_upgrade("1.2.0", a=config_map("second", a="1"), bad=REJECTED)

    preview = theatre.preview()
    ended = theatre.roll_back_as(preview)

    shown = sorted(name for code, name in warnings(preview) if code == "LEFTOVER")
    assert shown == sorted(one.name for one in ended.leftover_objects)
    assert shown == ["first"]
    assert actions(preview)["ConfigMap", "second"] == DELETE
    assert ended.state == Operation.SUCCEEDED


def test_a_pruned_target(theatre: Theatre) -> None:
    theatre.by_hand.install("1.0.0")
    theatre.by_hand.upgrade("1.1.0")
    theatre.preview()  # the ledger has it
    theatre.cluster.client.delete(f"/api/v1/namespaces/{theatre.namespace}/secrets/sh.helm.release.v1.shop.v1")

    preview = theatre.preview()

    assert actions(preview) == {("ConfigMap", "shop"): CHANGE}
    assert theatre.roll_back_as(preview).state == Operation.SUCCEEDED


def test_an_uninstalled_release(theatre: Theatre) -> None:
    theatre.by_hand.install("1.0.0", other=config_map("other", a="1"))
    theatre.by_hand.helm.uninstall("shop", "--keep-history")

    preview = theatre.preview()

    assert actions(preview) == {("ConfigMap", "shop"): CREATE, ("ConfigMap", "other"): CREATE}
    assert theatre.roll_back_as(preview).state == Operation.SUCCEEDED


def test_the_last_successful_one_is_shown_with_its_choice(theatre: Theatre) -> None:
    theatre.by_hand.install("1.0.0")
    theatre.by_hand.fail_to_upgrade("1.1.0")
    theatre.by_hand.fail_to_upgrade("1.2.0")
    request = PreviewRollbackRequest(release_id=theatre.release_id, last_successful=True)

    preview = theatre.rollbacks.PreviewRollback(request, timeout=60)

    assert (preview.selection.revision, [one.revision for one in preview.selection.skipped]) == (1, [3, 2])
    assert [Warning.Code.Name(one.code) for one in preview.warnings] == ["OLD_CHOICE"]
    assert theatre.roll_back_as(preview).state == Operation.SUCCEEDED


def test_nothing_is_written(theatre: Theatre, audit_log: AuditLog) -> None:
    theatre.by_hand.install("1.0.0", other=config_map("other", a="1"))
    theatre.by_hand.upgrade("1.1.0")
    before = audit_log.writes(theatre.namespace)

    theatre.preview()

    assert audit_log.writes(theatre.namespace) == before
    assert before, "the log tells of writes"

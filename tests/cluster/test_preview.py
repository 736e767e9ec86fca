"""PreviewRollback on real Helm: what it shows is what the rollback then does, object by object."""

from __future__ import annotations

import json
from typing import Any

import pytest
from local_cluster import ApiError
from support.audit import AuditLog
from support.by_hand import REJECTED
from support.calls import failure_reason
from support.charts import config_map
from support.previews import CHANGE, CREATE, DELETE, UNCHANGED, Theatre, actions, diff_of, drifted, warnings
from support.waiting import eventually

from helm_rollback.v1.preview_pb2 import Warning
from helm_rollback.v1.release_pb2 import Operation
from helm_rollback.v1.rollback_service_pb2 import PreviewRollbackRequest

pytest_plugins = ["support.services", "support.preview_fixtures"]

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


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
    ended = theatre.roll_back_as(preview, None if forced else {"other": UNCHANGED}, **options)

    assert actions(preview) == {("ConfigMap", "shop"): CHANGE, ("ConfigMap", "other"): CHANGE}
    assert drifted(preview) == {"other"}
    assert warnings(preview) == ([] if forced else [("FIELD_CONFLICT", "other")])
    assert failure_reason(ended) == ("" if forced else "APPLY_CONFLICT")


def test_a_drifted_object_of_a_release_that_the_client_applies(theatre: Theatre) -> None:
    """Whose fields they are is nothing to that; AUTO goes on as the target was applied (helm.md §4.7)."""
    theatre.by_hand.install("1.0.0", "--server-side=false", other=config_map("other", a="1"))
    theatre.by_hand.upgrade("1.1.0", other=config_map("other", a="1"))
    path = f"/api/v1/namespaces/{theatre.namespace}/configmaps/other?fieldManager=somebody"
    item = theatre.cluster.client.get(path)
    theatre.cluster.client.request("PUT", path, item | {"data": {"a": "drifted"}})

    preview = theatre.preview()

    assert actions(preview) == {("ConfigMap", "shop"): CHANGE, ("ConfigMap", "other"): CHANGE}
    assert (drifted(preview), warnings(preview)) == ({"other"}, [])
    assert theatre.roll_back_as(preview).state == Operation.SUCCEEDED


def test_an_immutable_field(theatre: Theatre) -> None:
    theatre.by_hand.install("1.0.0", c=config_map("fixed", immutable=True, a="1"))
    theatre.by_hand.upgrade("1.1.0")
    theatre.by_hand.upgrade("1.2.0", c=config_map("fixed", immutable=True, a="2"))

    preview = theatre.preview()

    assert actions(preview) == {("ConfigMap", "shop"): CHANGE, ("ConfigMap", "fixed"): CHANGE}
    assert warnings(preview) == [("IMMUTABLE_FIELD", "fixed")]
    ended = theatre.roll_back_as(preview, {"fixed": UNCHANGED})
    assert (failure_reason(ended), "immutable" in ended.failure.message) == ("OBJECT_REJECTED", True)


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
    client.create(DEFINITIONS, definition(group))
    eventually(lambda: _is_served(theatre, f"/apis/{group}/v1/namespaces/{theatre.namespace}/widgets"), "it is served")
    widget = json.dumps({"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": "one"}})
    theatre.by_hand.install("1.0.0", widget=widget)
    theatre.by_hand.upgrade("1.1.0")
    client.delete(f"{DEFINITIONS}/widgets.{group}")
    eventually(lambda: not client.exists(f"/apis/{group}/v1"), "discovery tells it")

    preview = theatre.preview()

    assert [Warning.Code.Name(one.code) for one in preview.warnings] == ["KIND_NOT_SERVED"]
    assert actions(preview) == {("ConfigMap", "shop"): UNCHANGED, ("Widget", "one"): UNCHANGED}
    ended = theatre.roll_back_as(preview)
    assert (failure_reason(ended), ended.attempt) == ("KIND_NOT_SERVED", 0)


def _is_served(theatre: Theatre, path: str) -> bool:
    try:
        return theatre.cluster.client.exists(path)
    except ApiError:
        return False  # for a moment its storage is not ready


def test_a_definition_that_goes_with_its_objects(theatre: Theatre) -> None:
    group, client = f"{theatre.namespace}.example.com", theatre.cluster.client
    theatre.by_hand.install("1.0.0")
    theatre.by_hand.upgrade("1.1.0", crd=json.dumps(definition(group)))
    widgets = f"/apis/{group}/v1/namespaces/{theatre.namespace}/widgets"
    eventually(lambda: _is_served(theatre, widgets), "it is served")
    client.create(widgets, {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": "theirs"}})

    preview = theatre.preview()

    assert actions(preview) == {
        ("ConfigMap", "shop"): CHANGE, ("CustomResourceDefinition", f"widgets.{group}"): DELETE,
    }  # fmt: skip
    assert warnings(preview) == [("CRD_DELETED", f"widgets.{group}")]
    assert theatre.roll_back_as(preview).state == Operation.SUCCEEDED
    eventually(lambda: not client.exists(f"{DEFINITIONS}/widgets.{group}"), "the definition goes")
    assert not client.exists(f"{widgets}/theirs")


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
    assert actions(preview) == actions(without) == {("ConfigMap", "shop"): CHANGE}
    assert theatre.roll_back_as(preview).state == Operation.SUCCEEDED
    done = theatre.audit_log.config_maps(theatre.namespace)[-3:]
    assert done == [("CREATE", "before"), ("PATCH", "shop"), ("CREATE", "after")]


def test_leftovers_of_two_failed_upgrades(theatre: Theatre) -> None:
    theatre.by_hand.install("1.0.0")
    theatre.by_hand.fail_to_upgrade("1.1.0", a=config_map("first", a="1"), bad=REJECTED)
    theatre.by_hand.fail_to_upgrade("1.2.0", a=config_map("second", a="1"), bad=REJECTED)

    preview = theatre.preview()
    ended = theatre.roll_back_as(preview)

    shown = sorted(name for code, name in warnings(preview) if code == "LEFTOVER")
    assert shown == sorted(one.name for one in ended.leftover_objects)
    assert shown == ["first"]
    assert actions(preview) == {("ConfigMap", "shop"): UNCHANGED, ("ConfigMap", "second"): DELETE}
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

"""A release's whole life on real Helm, by curl alone."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from local_cluster import LocalCluster
from support.by_hand import REJECTED, ByHand
from support.charts import config_map
from support.curl import Curl
from support.helm import Helm
from support.process import RunService

pytest_plugins = ["support.services"]

WAIT = "Prefer: wait=100"


@pytest.fixture
def shop(namespace: str) -> str:
    return f"default.{namespace}.shop"


@pytest.fixture
def by_hand(helm: Helm, tmp_path: Path) -> ByHand:
    return ByHand(helm, tmp_path)


@pytest.fixture
def curl(run_service: RunService, tmp_path: Path) -> Curl:
    return Curl(run_service(), tmp_path)


@pytest.fixture
def archive(by_hand: ByHand) -> Any:
    """Packs a version of the chart; with further templates, if any."""

    def packed(version: str, **templates: str) -> str:
        return b64encode(by_hand.packed(version, **templates)).decode()

    return packed


def config_maps(cluster: LocalCluster, namespace: str) -> list[str]:
    listed = cluster.client.get(f"/api/v1/namespaces/{namespace}/configmaps")
    return [item["metadata"]["name"] for item in listed["items"]]


def history(curl: Curl, shop: str) -> list[tuple[int, str, int, str, str]]:
    revisions = curl("GET", f"/releases/{shop}/history").body["revisions"]
    return [
        (one["revision"], one["operationType"], one["rollbackTarget"], one["chartVersion"], one["status"])
        for one in reversed(revisions)
    ]


def whole(curl: Curl, shop: str, revision: int) -> dict[str, Any]:
    revision_: dict[str, Any] = curl("GET", f"/releases/{shop}/revisions/{revision}?view=FULL").body["revision"]
    return {name: revision_[name] for name in ("manifest", "valuesYaml", "chartName", "chartVersion", "manifestDigest")}


def test_install_upgrade_and_rollback(curl: Curl, shop: str, archive: Any, by_hand: ByHand) -> None:
    installed = curl(
        "POST",
        "/releases",
        {"releaseId": shop, "archive": archive("1.0.0"), "valuesYaml": "color: red\n", "reason": "the first"},
        WAIT,
    )
    upgraded = curl(
        "POST", f"/releases/{shop}/upgrade", {"archive": archive("1.1.0"), "valuesYaml": "color: blue\n"}, WAIT
    )
    accepted = curl("POST", f"/releases/{shop}/rollback", {"targetRevision": 1})
    ended = curl("GET", accepted.headers["location"].removeprefix("/api/v1/helm"), None, WAIT)

    assert (installed.code, installed.body["operation"]["type"], installed.body["operation"]["state"]) == (
        200, "INSTALL", "SUCCEEDED",
    )  # fmt: skip
    assert (upgraded.code, upgraded.body["operation"]["state"]) == (200, "SUCCEEDED")
    assert accepted.code == 202
    assert ended.body["operation"]["state"] == "SUCCEEDED"
    assert history(curl, shop) == [
        (1, "INSTALL", 0, "1.0.0", "SUPERSEDED"),
        (2, "UPGRADE", 0, "1.1.0", "SUPERSEDED"),
        (3, "ROLLBACK", 1, "1.0.0", "DEPLOYED"),
    ]
    assert whole(curl, shop, 3) == whole(curl, shop, 1)
    assert whole(curl, shop, 1)["valuesYaml"] == "color: red\n"
    first = curl("GET", f"/releases/{shop}/revisions/1").body["revision"]
    operation_id = installed.body["operation"]["operationId"]
    assert (first["operationId"], first["reason"]) == (operation_id, "the first")
    assert first["description"] == f"[{operation_id}] Install: the first"
    assert by_hand.statuses == {1: "superseded", 2: "superseded", 3: "deployed"}


def test_after_a_failed_upgrade_it_goes_back_to_the_last_successful(
    curl: Curl, shop: str, archive: Any, by_hand: ByHand
) -> None:
    curl("POST", "/releases", {"releaseId": shop, "archive": archive("1.0.0")}, WAIT)
    failed = curl("POST", f"/releases/{shop}/upgrade", {"archive": archive("1.1.0", bad=REJECTED)}, WAIT)
    ended = curl("POST", f"/releases/{shop}/rollback/last-successful", None, WAIT)

    operation = failed.body["operation"]
    assert (operation["state"], operation["failure"]["errorReason"]) == ("FAILED", "OBJECT_REJECTED")
    assert operation["resultRevision"] == 2
    assert ended.body["operation"]["state"] == "SUCCEEDED"
    assert ended.body["operation"]["targetRevision"] == 1
    assert by_hand.statuses[3] == "deployed"
    assert by_hand.charts == {1: "1.0.0", 2: "1.1.0", 3: "1.0.0"}


def test_an_atomic_install_that_fails_leaves_nothing_but_its_story(
    curl: Curl, shop: str, archive: Any, local_cluster: LocalCluster, namespace: str
) -> None:
    chart = archive("1.0.0", bad=REJECTED, extra=config_map(name="extra", a="1"))
    failed = curl("POST", "/releases", {"releaseId": shop, "archive": chart, "atomic": True, "reason": "try"}, WAIT)

    operation = failed.body["operation"]
    assert (operation["state"], operation["resultRevision"]) == ("FAILED", 1)
    assert operation["failure"]["applied"] == "NOT_APPLIED"
    assert "uninstalled due to" in operation["failure"]["message"]
    assert "No_Name" in operation["failure"]["helmOutput"]
    assert config_maps(local_cluster, namespace) == []
    revision = curl("GET", f"/releases/{shop}/revisions/1").body["revision"]
    assert (revision["status"], revision["storedByHelm"], revision["reason"]) == ("UNINSTALLED", False, "try")
    again = curl("POST", "/releases", {"releaseId": shop, "archive": archive("1.0.1")}, WAIT)
    assert (again.body["operation"]["state"], again.body["operation"]["incarnation"]) == ("SUCCEEDED", 2)


def test_values_that_the_charts_schema_refuses_change_nothing(
    curl: Curl, shop: str, by_hand: ByHand, tmp_path: Path
) -> None:
    chart = by_hand.chart("1.0.0")
    (chart / "values.schema.json").write_text(json.dumps({"properties": {"replicas": {"type": "integer"}}}))
    by_hand.helm.run("package", chart, "--destination", tmp_path)
    archive = b64encode((tmp_path / "demo-1.0.0.tgz").read_bytes()).decode()
    body = {"releaseId": shop, "archive": archive, "valuesYaml": "replicas: many"}

    refused = curl("POST", "/releases", body, WAIT)

    operation = refused.body["operation"]
    assert (refused.code, operation["state"], operation["resultRevision"]) == (200, "FAILED", 0)
    assert (operation["failure"]["errorReason"], operation["failure"]["applied"]) == ("HELM_FAILED", "NOT_APPLIED")
    assert "values don't meet the specifications of the schema" in operation["failure"]["message"]
    assert by_hand.helm.run("list", "--short").stdout.strip() == ""


def test_an_atomic_upgrade_that_fails_ends_on_the_last_that_worked(
    curl: Curl, shop: str, archive: Any, by_hand: ByHand
) -> None:
    """Helm's own way would be revision 3: it never worked, but a rollback that failed has superseded it."""
    by_hand.install("1.0.0")
    by_hand.upgrade("1.1.0")
    by_hand.fail_to_upgrade("1.2.0")
    by_hand.fail_to_roll_back(3)
    by_hand.helm.rollback("shop", 2)
    failed = curl(
        "POST", f"/releases/{shop}/upgrade", {"archive": archive("2.0.0", bad=REJECTED), "atomic": True}, WAIT
    )
    upgrade = failed.body["operation"]
    operations = curl("GET", f"/operations?releaseId={shop}").body["operations"]
    undone = curl("GET", f"/operations/{operations[0]['operationId']}", None, WAIT).body["operation"]

    assert (upgrade["type"], upgrade["state"]) == ("UPGRADE", "FAILED")
    assert (undone["type"], undone["state"], undone["causedByOperationId"]) == (
        "ROLLBACK", "SUCCEEDED", upgrade["operationId"],
    )  # fmt: skip
    assert undone["targetRevision"] == 5
    assert by_hand.charts[max(by_hand.charts)] == "1.1.0"
    assert by_hand.statuses[max(by_hand.statuses)] == "deployed"


@pytest.mark.parametrize("purge", [False, True])
def test_an_uninstall_is_undone_by_a_rollback(
    curl: Curl, shop: str, archive: Any, by_hand: ByHand, local_cluster: LocalCluster, namespace: str, purge: bool
) -> None:
    curl("POST", "/releases", {"releaseId": shop, "archive": archive("1.0.0")}, WAIT)
    gone = curl("DELETE", f"/releases/{shop}?reason=enough&purge={str(purge).lower()}", None, WAIT)
    objects = config_maps(local_cluster, namespace)
    back = curl("POST", f"/releases/{shop}/rollback", {"targetRevision": 1}, WAIT)

    assert (gone.code, gone.body["operation"]["state"], gone.body["operation"]["reason"]) == (
        200,
        "SUCCEEDED",
        "enough",
    )
    assert objects == []
    assert back.body["operation"]["state"] == "SUCCEEDED"
    assert by_hand.charts[2] == "1.0.0"
    told = curl("GET", f"/releases/{shop}/history").body["revisions"]
    assert {one["incarnation"] for one in told} == {1}

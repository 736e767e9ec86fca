"""The ways out of a rollback that really failed, on real Helm, as docs/recovery.md tells them."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from local_cluster import LocalCluster
from support.by_hand import ByHand
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
    """A good revision, one that failed while it was applied."""
    by_hand = ByHand(helm, tmp_path)
    by_hand.install("1.0.0", "--set", "color=red")
    by_hand.fail_to_upgrade("1.1.0")
    return by_hand


@pytest.fixture
def curl(run_service: RunService, tmp_path: Path, by_hand: ByHand, shop: str) -> Curl:
    """After a rollback to the failed revision: it failed, too, half-way."""
    curl = Curl(run_service(), tmp_path)
    failed = outcome(curl, "POST", f"/releases/{shop}/rollback", {"targetRevision": 2})
    assert (failed["state"], failed["failure"]["errorReason"], failed["resultRevision"]) == (
        "FAILED", "OBJECT_REJECTED", 3,
    )  # fmt: skip
    assert by_hand.statuses == {1: "deployed", 2: "failed", 3: "failed"}
    return curl


def outcome(curl: Curl, verb: str, path: str, body: Any = None) -> dict[str, Any]:
    operation: dict[str, Any] = curl(verb, path, body, WAIT).body["operation"]
    return operation


def archive(by_hand: ByHand, version: str) -> str:
    return b64encode(by_hand.packed(version)).decode()


def test_the_safe_targets_are_named(curl: Curl, shop: str) -> None:
    revisions = curl("GET", f"/releases/{shop}/history?successfulOnly=true").body["revisions"]

    assert [(one["revision"], one["successEvidence"]) for one in revisions] == [(1, "LEDGER")]


def test_another_revision_is_tried(curl: Curl, shop: str, by_hand: ByHand) -> None:
    ended = outcome(curl, "POST", f"/releases/{shop}/rollback", {"targetRevision": 1, "expectedCurrentRevision": 3})

    assert ended["state"] == "SUCCEEDED"
    assert by_hand.statuses == {1: "superseded", 2: "failed", 3: "failed", 4: "deployed"}
    by_hand.assert_free()


def test_an_object_with_an_immutable_field_is_deleted_and_made_anew(
    run_service: RunService, tmp_path: Path, by_hand: ByHand, shop: str, local_cluster: LocalCluster
) -> None:
    """`force_replace` is a PUT, which the API server refuses as it refuses a patch."""
    by_hand.upgrade("1.2.0", fixed=config_map("fixed", immutable=True, a="1"))
    by_hand.upgrade("1.3.0")
    by_hand.upgrade("1.4.0", fixed=config_map("fixed", immutable=True, a="2"))
    curl = Curl(run_service(), tmp_path)
    back, fixed = {"targetRevision": 3}, f"/api/v1/namespaces/{by_hand.helm.namespace}/configmaps/fixed"
    forced = {"helmOptions": {"forceReplace": True, "serverSideApply": "DISABLED"}}

    refused = outcome(curl, "POST", f"/releases/{shop}/rollback", back)
    refused_too = outcome(curl, "POST", f"/releases/{shop}/rollback", back | forced)
    local_cluster.client.delete(fixed)
    ended = outcome(curl, "POST", f"/releases/{shop}/rollback", back)

    assert [one["failure"]["errorReason"] for one in (refused, refused_too)] == ["OBJECT_REJECTED"] * 2
    assert all("immutable" in one["failure"]["message"] for one in (refused, refused_too))
    assert ended["state"] == "SUCCEEDED"
    assert local_cluster.client.get(fixed)["data"] == {"a": "1"}
    by_hand.assert_free()


def test_a_fresh_upgrade_takes_the_values_that_are_known_to_work(curl: Curl, shop: str, by_hand: ByHand) -> None:
    good = curl("GET", f"/releases/{shop}/revisions/1?view=FULL").body["revision"]

    ended = outcome(
        curl,
        "POST",
        f"/releases/{shop}/upgrade",
        {"archive": archive(by_hand, "1.2.0"), "valuesYaml": good["valuesYaml"], "valuesMode": "RESET"},
    )

    assert ended["state"] == "SUCCEEDED"
    assert good["valuesYaml"] == "color: red\n"
    assert by_hand.statuses[4] == "deployed"
    assert by_hand.charts[4] == "1.2.0"
    assert by_hand.helm.get("values", "shop", 4) == by_hand.helm.get("values", "shop", 1)


@pytest.mark.parametrize("purge", [False, True])
def test_it_is_uninstalled_and_installed_anew_with_one_history(
    curl: Curl, shop: str, by_hand: ByHand, purge: bool
) -> None:
    gone = outcome(curl, "DELETE", f"/releases/{shop}?purge={str(purge).lower()}")
    anew = outcome(curl, "POST", "/releases", {"releaseId": shop, "archive": archive(by_hand, "1.2.0")})

    assert (gone["state"], anew["state"]) == ("SUCCEEDED", "SUCCEEDED")
    told = [
        (one["incarnation"], one["revision"], one["status"])
        for one in curl("GET", f"/releases/{shop}/history").body["revisions"]
    ]
    if purge:
        assert told[:2] == [(2, 1, "DEPLOYED"), (1, 3, "UNINSTALLED")]
    else:
        assert told[:2] == [(1, 4, "DEPLOYED"), (1, 3, "SUPERSEDED")]
    assert len(told) == 4
    last = curl("POST", f"/releases/{shop}/rollback/last-successful", {"expectedCurrentRevision": told[0][1]})
    assert last.body["error"]["details"][0]["reason"] == "NO_SUCCESSFUL_REVISION"  # never back into an earlier life


@pytest.mark.parametrize("purge", [False, True])
def test_what_was_uninstalled_is_undeleted(curl: Curl, shop: str, by_hand: ByHand, purge: bool) -> None:
    gone = outcome(curl, "DELETE", f"/releases/{shop}?purge={str(purge).lower()}")

    back = outcome(curl, "POST", f"/releases/{shop}/rollback/last-successful")

    assert (gone["state"], back["state"], back["targetRevision"]) == ("SUCCEEDED", "SUCCEEDED", 1)
    assert by_hand.statuses[4] == "deployed"
    assert by_hand.charts[4] == "1.0.0"
    told = curl("GET", f"/releases/{shop}/history").body["revisions"]
    assert {one["incarnation"] for one in told} == {1}
    by_hand.assert_free()

"""Revisions that Helm has pruned: the ledger keeps them, and a rollback puts them back."""

import base64
from dataclasses import replace
from typing import Any

from local_cluster import LocalCluster, Rule
from local_cluster.client import JsonObject
from support.calls import evidence, failure_reason, skipped, state
from support.charts import config_map, job
from support.process import RunService
from support.undone import Undone
from support.waiting import eventually

from helm_rollback.domain.record import HelmRecord
from helm_rollback.helm.record import decode
from helm_rollback.v1.helm_options_pb2 import HelmOptions
from helm_rollback.v1.history_pb2 import RevisionTransition
from helm_rollback.v1.release_pb2 import Failure, Revision

pytest_plugins = ["support.undone_fixtures"]


def upgraded_to_five(shop: Undone) -> None:
    """Five revisions, of which Helm has kept three."""
    shop.install("1.0.0", "--labels", "team=blue")
    for number in range(2, 6):
        shop.upgrade(f"{number}.0.0", "--history-max", "3")
    shop.until(5, Revision.DEPLOYED)
    assert shop.statuses == {3: "superseded", 4: "superseded", 5: "deployed"}


def test_a_pruned_revision_is_put_back_and_rolled_back_to(any_shop: Undone) -> None:
    shop = any_shop
    upgraded_to_five(shop)
    known = {revision.revision: revision for revision in shop.revisions}
    assert [number for number in known if known[number].stored_by_helm] == [5, 4, 3]
    assert all(f"version: '{number}.0.0'" in shop.revision(number).manifest for number in known)

    operation = shop.roll_back(2)

    assert state(operation) == "SUCCEEDED"
    assert (operation.base_revision, operation.target_revision, operation.result_revision) == (5, 2, 6)
    assert shop.statuses == {2: "superseded", 3: "superseded", 4: "superseded", 5: "superseded", 6: "deployed"}
    assert shop.helm.get("manifest", "shop", 6) == shop.helm.get("manifest", "shop", 2)
    assert shop.live_version == "2.0.0"
    secret = shop.secret(2)
    assert secret["type"] == "helm.sh/release.v1"
    assert secret["metadata"]["labels"]["team"] == "blue"
    put_back = {revision.revision: revision for revision in shop.revisions}
    assert len(put_back) == len(shop.revisions) == 6
    assert put_back[2].stored_by_helm
    assert put_back[2].deployed_time == known[2].deployed_time
    assert shop.release.incarnation == 1
    shop.assert_free()


def test_the_record_comes_back_as_it_was(any_shop: Undone) -> None:
    """To the letter as it was first written, with the status and the text that it had last."""
    shop = any_shop
    shop.install("1.0.0")
    shop.upgrade("2.0.0", "--set", "big=1234567890123456789,small=0.1", "--labels", "team=blue")
    shop.upgrade("3.0.0")
    shop.until(3, Revision.DEPLOYED)
    before = shop.secret(2)
    shop.upgrade("4.0.0", "--history-max", "1")
    shop.until(4, Revision.DEPLOYED)
    assert shop.statuses == {3: "superseded", 4: "deployed"}

    assert state(shop.roll_back(2)) == "SUCCEEDED"

    after = shop.secret(2)
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert after["metadata"]["labels"] == before["metadata"]["labels"]
    assert without_values(after) == without_values(before)
    assert values_in(before)["big"] == 1234567890123456800, "Helm rounds what it writes a second time"
    assert values_in(after)["big"] == 1234567890123456789


def record_in(secret: JsonObject) -> HelmRecord:
    return decode(base64.b64decode(secret["data"]["release"]))


def without_values(secret: JsonObject) -> HelmRecord:
    return replace(record_in(secret), values={})


def values_in(secret: JsonObject) -> dict[str, Any]:
    return record_in(secret).values


def test_the_stream_tells_of_a_rollback_to_a_pruned_revision_what_it_tells_of_any_other(shop: Undone) -> None:
    upgraded_to_five(shop)

    with shop.service.follow(shop.release_id, deployed=5) as stream:
        stream.until_settled(shop.roll_back(1).operation_id)

    assert stream.told == [
        "operation PENDING",
        "operation RUNNING",
        "revision 6 → PENDING_ROLLBACK",
        "revision 5 DEPLOYED → SUPERSEDED",
        "revision 6 PENDING_ROLLBACK → DEPLOYED",
        "operation SUCCEEDED",
    ]


def test_the_last_successful_revision_is_put_back_where_it_was_pruned(shop: Undone) -> None:
    shop.install("1.0.0")
    shop.upgrade("2.0.0")
    shop.upgrade("2.0.0", "--history-max", "2")
    shop.until(3, Revision.DEPLOYED)
    assert shop.statuses == {2: "superseded", 3: "deployed"}

    operation = shop.back(expected_current_revision=3)

    assert (state(operation), operation.selection.revision) == ("SUCCEEDED", 1)
    assert (evidence(operation.selection), skipped(operation.selection)) == (
        "LEDGER",
        {3: "CURRENT", 2: "SAME_CONTENT"},
    )
    assert shop.statuses == {1: "superseded", 2: "superseded", 3: "superseded", 4: "deployed"}
    assert shop.live_version == "1.0.0"


def test_a_revision_that_failed_comes_back_as_failed(shop: Undone) -> None:
    """As superseded, Helm's own `--atomic` would take it for a good one."""
    shop.install("1.0.0")
    shop.fail_to_upgrade("2.0.0")
    shop.upgrade("3.0.0", "--history-max", "2")
    shop.until(3, Revision.DEPLOYED)
    assert shop.statuses == {1: "superseded", 3: "deployed"}

    shop.roll_back(2)

    assert shop.statuses[2] == "failed"


def test_a_killed_rollback_that_helm_calls_superseded_is_not_successful_also_once_put_back(shop: Undone) -> None:
    """A rollback that fails while applying supersedes whatever it started from."""
    shop.install("1.0.0", hang=job(hooks=["pre-rollback"]))
    shop.upgrade("2.0.0", c=config_map("fixed", immutable=True, a="1"))
    shop.fail_to_upgrade("3.0.0", c=config_map("fixed", immutable=True, a="2"))
    with shop.helm.killed_after("rollback", "shop", "1"):
        shop.until(4, Revision.PENDING_ROLLBACK)
    shop.fail_to_roll_back(3)
    shop.upgrade("6.0.0")
    shop.until(6, Revision.DEPLOYED)
    assert shop.statuses[4] == "superseded"
    shop.cluster.client.delete(shop.secret_path(4))

    operation = shop.roll_back(4, helm_options=HelmOptions(disable_hooks=True))

    assert state(operation) == "SUCCEEDED"
    assert shop.revision(4).stored_by_helm
    assert [revision.revision for revision in shop.revisions if revision.HasField("deployed_time")] == [7, 6, 2, 1]


def test_another_secret_of_its_name_keeps_it_from_being_put_back(shop: Undone) -> None:
    upgraded_to_five(shop)
    path = shop.secret_path(2)
    collection, _, name = path.rpartition("/")
    shop.cluster.client.create(collection, {"metadata": {"name": name}, "stringData": {"release": "mine"}})

    operation = shop.roll_back(2)

    assert failure_reason(operation) == "RECORD_MISMATCH"
    assert "another Secret bears its name" in operation.failure.message
    assert (operation.attempt, operation.failure.applied) == (0, Failure.NOT_APPLIED)
    assert shop.live_version == "5.0.0"


def test_without_the_right_to_create_secrets_it_is_not_put_back(
    shop: Undone, run_service: RunService, local_cluster: LocalCluster
) -> None:
    upgraded_to_five(shop)
    rules = [Rule(["get", "list", "watch"], ["*"], ["*"]), Rule(["update", "delete"], ["secrets"])]
    reader = local_cluster.create_user("reader", rules)
    denied = run_service(kubeconfig=reader.kubeconfig)
    denied.until_seen(shop.release_id, 5, Revision.DEPLOYED)
    shop.cluster.client.delete(shop.secret_path(3))
    eventually(lambda: not shop.with_service(denied).revision(3).stored_by_helm, "the removal is seen")

    operation = shop.with_service(denied).roll_back(3)

    assert failure_reason(operation) == "CLUSTER_PERMISSION_DENIED"
    assert f"create secrets in namespace {shop.helm.namespace}" in operation.failure.message
    assert (operation.attempt, operation.failure.applied) == (0, Failure.NOT_APPLIED)


def test_a_deployed_record_that_was_deleted_by_hand_comes_back_superseded(shop: Undone) -> None:
    shop.install("1.0.0")
    shop.fail_to_upgrade("2.0.0")
    shop.until(2, Revision.FAILED)

    with shop.service.stream(shop.release_id, tail=0) as stream:
        shop.cluster.client.delete(shop.secret_path(1))
        stream.until_told("record 1 removed")
        operation = shop.roll_back(1)
        stream.until_settled(operation.operation_id)

    assert stream.told[1:4] == ["operation PENDING", "revision 1 DEPLOYED → SUPERSEDED", "operation RUNNING"]
    moved = stream.events[2].revision_transition
    assert (moved.cause, moved.operation_id) == (RevisionTransition.SERVICE, operation.operation_id)
    assert (state(operation), shop.statuses) == ("SUCCEEDED", {1: "superseded", 2: "failed", 3: "deployed"})

"""What newer revisions left in the cluster: what is listed, what is deleted, and that it is in nobody's way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from support.fakes import Chart, HelmRun, Point, RunEnd, config_map
from support.fakes.documents import an_object
from support.fakes.objects import of_release
from support.recovery import killed_at
from support.service import Service, eventually, rollback_request
from support.world import World

from helm_rollback.application import leftovers
from helm_rollback.application.lease import Lease
from helm_rollback.application.ports import ServedKind
from helm_rollback.domain.live_object import LiveObject
from helm_rollback.domain.release import ReleaseId
from helm_rollback.v1 import rollback_service_pb2 as pb
from helm_rollback.v1.release_pb2 import Operation

WAIT = Duration(seconds=20)
CLUSTER_ROLE = ServedKind("rbac.authorization.k8s.io/v1", "ClusterRole")
FIRST = Chart(version="1.0.0", manifest=config_map(a="1"))
EXTRA = Chart(version="2.0.0", manifest=f"{config_map(a='2')}---\n{config_map('extra')}")


def history(world: World, *charts: Chart) -> None:
    """The first chart is installed, the others follow as upgrades; their last is current."""
    world.by_hand.install(charts[0])
    for chart in charts[1:]:
        world.by_hand.upgrade(chart)


async def rolled_back(service: Service, **fields: Any) -> Operation:
    return (await service.rollbacks.Rollback(rollback_request(wait_timeout=WAIT, **fields))).operation


def names(operation: Operation) -> list[str]:
    return [left.name for left in operation.leftover_objects]


# --- what is listed ---------------------------------------------------------------------


async def test_what_only_a_newer_revision_has_and_is_live_is_listed(world: World) -> None:
    history(world, FIRST, EXTRA)
    world.cluster.objects.put("extra")
    world.cluster.objects.put("shop")

    operation = await rolled_back(await world.start())

    assert operation.state == Operation.SUCCEEDED
    assert [str(left) for left in operation.leftover_objects] == [
        'api_version: "v1"\nkind: "ConfigMap"\nnamespace: "prod"\nname: "extra"\n'
    ]
    assert world.cluster.objects.names == ["extra", "shop"]


async def test_what_helm_deleted_is_not_listed(world: World) -> None:
    history(world, FIRST, EXTRA)

    operation = await rolled_back(await world.start())

    assert names(operation) == []
    assert world.cluster.requests["get object"] == 1


async def test_revisions_older_than_the_base_left_things_too(world: World) -> None:
    history(world, FIRST, EXTRA, Chart(version="3.0.0", manifest=config_map("other")))
    world.cluster.objects.put("extra")

    assert names(await rolled_back(await world.start())) == ["extra"]


async def test_what_is_the_targets_is_never_left_over(world: World) -> None:
    both = f"{config_map(a='1')}---\n{config_map('extra')}"
    history(world, Chart(version="1.0.0", manifest=both), EXTRA)
    world.cluster.objects.put("extra")

    assert names(await rolled_back(await world.start(), remove_leftovers=True)) == []
    assert world.cluster.objects.names == ["extra"]


@pytest.mark.parametrize(
    "marks",
    [
        {"labels": {}},
        {"annotations": {}},
        {"annotations": of_release("other")[1]},
        {"annotations": of_release(namespace="other")[1]},
    ],
)
async def test_what_is_not_this_releases_is_neither_listed_nor_touched(world: World, marks: dict[str, Any]) -> None:
    history(world, FIRST, EXTRA)
    world.cluster.objects.put("extra", **marks)

    assert names(await rolled_back(await world.start(), remove_leftovers=True)) == []
    assert world.cluster.objects.names == ["extra"]


async def test_what_is_being_deleted_already_is_not_listed(world: World) -> None:
    history(world, FIRST, EXTRA)
    world.cluster.objects.begin_deleting(world.cluster.objects.put("extra"))

    assert names(await rolled_back(await world.start())) == []


async def test_another_version_of_the_group_names_the_same_object(world: World) -> None:
    """The target says apps/v1beta1, the newer one apps/v1; a third kind is served in another version only."""
    served = world.cluster.served
    served |= {ServedKind("apps/v1beta1", "Deployment"), ServedKind("policy/v1", "PodDisruptionBudget")}
    newer = f"{an_object('apps/v1', 'Deployment')}---\n{an_object('policy/v1', 'PodDisruptionBudget', 'extra')}"
    history(
        world,
        Chart(version="1.0.0", manifest=an_object("apps/v1beta1", "Deployment")),
        Chart(version="2.0.0", manifest=newer.replace("policy/v1", "policy/v1beta1")),
        Chart(version="3.0.0", manifest=config_map()),
    )
    world.cluster.objects.put("shop", kind=ServedKind("apps/v1", "Deployment"))
    world.cluster.objects.put("extra", kind=ServedKind("policy/v1", "PodDisruptionBudget"))

    operation = await rolled_back(await world.start())

    assert [(left.api_version, left.name) for left in operation.leftover_objects] == [("policy/v1", "extra")]


async def test_a_kind_that_is_not_served_has_no_objects(world: World) -> None:
    newer = Chart(version="2.0.0", manifest=f"{an_object('x.org/v1', 'Widget')}---\n{config_map('extra')}")
    history(world, FIRST, newer, Chart(version="3.0.0", manifest=config_map()))
    world.cluster.objects.put("extra")

    assert names(await rolled_back(await world.start())) == ["extra"]


async def test_objects_of_the_whole_cluster_have_no_namespace(world: World) -> None:
    """Whatever namespace a manifest writes on them: `one` is the target's."""
    one, two = (an_object(CLUSTER_ROLE.api_version, CLUSTER_ROLE.kind, name) for name in ("one", "two"))
    wanted = one.replace("metadata:\n", "metadata:\n  namespace: x\n")
    history(world, Chart(version="1.0.0", manifest=wanted), Chart(version="2.0.0", manifest=f"{one}---\n{two}"))
    for name in ("one", "two"):
        world.cluster.objects.put(name, kind=CLUSTER_ROLE)

    operation = await rolled_back(await world.start(), remove_leftovers=True)

    assert [(left.namespace, left.name) for left in operation.leftover_objects] == [("", "two")]
    assert world.cluster.objects.names == ["one"]


@pytest.mark.parametrize("end", [RunEnd.APPLY_FAILS, RunEnd.WAIT_FAILS, RunEnd.KILLED_AT_CREATE])
async def test_a_rollback_that_failed_lists_and_deletes_nothing(world: World, end: RunEnd) -> None:
    history(world, FIRST, EXTRA)
    world.cluster.objects.put("extra")
    world.helm.scripts.append(HelmRun(end=end))

    operation = await rolled_back(await world.start(), remove_leftovers=True)

    assert operation.state == Operation.FAILED
    assert names(operation) == ["extra"]
    assert world.cluster.objects.names == ["extra"]


async def test_where_helm_wrote_nothing_nothing_is_looked_for(world: World) -> None:
    history(world, FIRST, EXTRA)
    world.cluster.objects.put("extra")
    world.helm.scripts.append(HelmRun(end=RunEnd.REFUSED_AT_ONCE))

    operation = await rolled_back(await world.start())

    assert (operation.state, names(operation)) == (Operation.FAILED, [])
    assert world.cluster.requests["get object"] == 0


async def test_after_an_interruption_it_is_looked_for_too(world: World) -> None:
    history(world, FIRST, EXTRA)
    world.cluster.objects.put("extra")
    killed = await killed_at(world, Point.AFTER_END, remove_leftovers=True)

    ended = await (await world.start()).settled(killed)

    assert (ended.outcome_evidence, names(ended)) == (Operation.RECONSTRUCTED, ["extra"])
    assert world.cluster.objects.names == []


# --- what it costs ----------------------------------------------------------------------


async def test_without_anything_suspect_the_cluster_is_not_asked(world: World) -> None:
    history(world, Chart(version="1.0.0"), Chart(version="2.0.0"))

    service = await world.start()
    await rolled_back(service)

    assert world.cluster.requests["discover"] == 1, "before Helm, as ever"
    assert world.cluster.requests["get object"] == 0


async def test_each_manifest_is_read_once_however_many_revisions_have_it(world: World) -> None:
    history(world, FIRST, *[EXTRA] * 5)
    service = await world.start()
    await service.until_observed(world.cluster)

    await rolled_back(service)

    assert world.cluster.requests["get object"] == 1


# --- what is deleted --------------------------------------------------------------------


async def test_what_is_found_is_deleted_where_asked_and_listed_all_the_same(world: World) -> None:
    history(world, FIRST, EXTRA)
    world.cluster.objects.put("extra")
    service = await world.start()

    operation = await rolled_back(service, remove_leftovers=True)
    again = await rolled_back(service, remove_leftovers=True)

    assert names(operation) == ["extra"]
    assert world.cluster.objects.names == []
    assert names(again) == []


async def test_what_helm_was_told_to_keep_is_listed_and_stays(world: World) -> None:
    history(world, FIRST, EXTRA)
    annotations = of_release()[1] | {"helm.sh/resource-policy": "keep"}
    world.cluster.objects.put("extra", annotations=annotations)

    operation = await rolled_back(await world.start(), remove_leftovers=True)

    assert names(operation) == ["extra"]
    assert world.cluster.objects.names == ["extra"]
    assert world.cluster.requests["delete object"] == 0


async def test_what_changed_since_it_was_looked_at_stays(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    history(world, FIRST, EXTRA)
    world.cluster.objects.put("extra")
    with before_deletion(world, monkeypatch, lambda: world.cluster.objects.put("extra")):
        operation = await rolled_back(await world.start(), remove_leftovers=True)

    assert (operation.state, names(operation)) == (Operation.SUCCEEDED, ["extra"])
    assert world.cluster.objects.names == ["extra"]


async def test_where_somebody_has_gone_on_nothing_is_deleted(world: World) -> None:
    history(world, FIRST, EXTRA)
    world.cluster.objects.put("extra")
    hold = world.helm.hold(Point.AFTER_END)
    service = await world.start()
    accepted = (await service.rollbacks.Rollback(rollback_request(remove_leftovers=True))).operation
    await hold.reached.wait()
    world.by_hand.upgrade(Chart(version="4.0.0", manifest=config_map("new")))
    hold.release()

    ended = await service.settled(accepted.operation_id)

    assert (ended.state, names(ended)) == (Operation.SUCCEEDED, ["extra"])
    assert world.cluster.objects.names == ["extra"]


async def test_what_others_have_made_since_is_not_left_over(world: World) -> None:
    history(world, FIRST, EXTRA)
    world.cluster.objects.put("extra")
    killed = await killed_at(world, Point.AFTER_END)
    world.by_hand.upgrade(EXTRA)

    ended = await (await world.start()).settled(killed)

    assert (ended.state, names(ended)) == (Operation.SUCCEEDED, [])


async def test_a_take_over_lists_what_was_deleted_before(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service dies between the deletion of two objects."""
    manifest = f"{EXTRA.manifest}---\n{config_map('second')}"
    history(world, FIRST, Chart(version="2.0.0", manifest=manifest))
    world.cluster.objects.put("extra")
    world.cluster.objects.put("second")
    reached = asyncio.Event()

    async def stands_still(release_id: ReleaseId, live: LiveObject) -> None:
        if live.name == "second":
            reached.set()
            await asyncio.Event().wait()
        world.cluster.objects.delete(live)

    service = await world.start()
    with monkeypatch.context() as patched:
        patched.setattr(world.cluster, "delete_object", stands_still)
        accepted = (await service.rollbacks.Rollback(rollback_request(remove_leftovers=True))).operation
        await reached.wait()
        await world.kill()
    assert world.cluster.objects.names == ["second"]

    ended = await (await world.start()).settled(accepted.operation_id)

    assert (ended.state, names(ended)) == (Operation.SUCCEEDED, ["extra", "second"])
    assert world.cluster.objects.names == []


async def test_once_the_lease_is_lost_nothing_more_is_deleted(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    manifest = f"{EXTRA.manifest}---\n{config_map('second')}"
    history(world, FIRST, Chart(version="2.0.0", manifest=manifest))
    world.cluster.objects.put("extra")
    world.cluster.objects.put("second")
    service = await world.start()

    def lose() -> None:
        monkeypatch.setattr(Lease, "holds", lambda _: False)

    async def given_up() -> bool:
        return "is left to its next claim" in caplog.text

    with before_deletion(world, monkeypatch, lose):
        accepted = (await service.rollbacks.Rollback(rollback_request(remove_leftovers=True))).operation
        await eventually(given_up, "the worker leaves it to the next claim")

    assert world.cluster.objects.names == ["second"]
    now = (await service.rollbacks.GetOperation(pb.GetOperationRequest(operation_id=accepted.operation_id))).operation
    assert (now.state, names(now)) == (Operation.RUNNING, ["extra", "second"])


# --- what is in the way of it -----------------------------------------------------------


@pytest.mark.parametrize("verb", ["get object", "delete object"])
async def test_what_is_not_allowed_fails_no_rollback(world: World, verb: str, caplog: pytest.LogCaptureFixture) -> None:
    history(world, FIRST, EXTRA)
    world.cluster.objects.put("extra")
    world.cluster.denied.add(verb)

    operation = await rolled_back(await world.start(), remove_leftovers=True)

    assert operation.state == Operation.SUCCEEDED
    assert names(operation) == (["extra"] if verb == "delete object" else [])
    assert world.cluster.objects.names == ["extra"]
    assert operation.operation_id in caplog.text
    assert f"may not {verb}" in caplog.text


async def test_a_manifest_that_can_not_be_read_fails_no_rollback(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    history(world, Chart(version="1.0.0", manifest=f"{FIRST.manifest}---\na: ["), EXTRA)
    world.cluster.objects.put("extra")

    operation = await rolled_back(await world.start(), remove_leftovers=True)

    assert (operation.state, names(operation)) == (Operation.SUCCEEDED, [])
    assert world.cluster.objects.names == ["extra"], "the target may have it"
    assert "leftovers may remain" in caplog.text


async def test_a_cluster_that_does_not_answer_delays_the_end_only_so_long(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    history(world, FIRST, EXTRA)

    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(world.cluster, "read_object", never)
    monkeypatch.setattr(leftovers, "DEADLINE_SECONDS", 0.05)

    operation = await rolled_back(await world.start())

    assert (operation.state, names(operation)) == (Operation.SUCCEEDED, [])
    assert "no answer in time" in caplog.text


# --- the request ------------------------------------------------------------------------


async def test_the_last_successful_revision_can_be_freed_of_leftovers_too(world: World) -> None:
    history(world, FIRST)
    world.by_hand.upgrade(EXTRA, fails=True)
    world.cluster.objects.put("extra")
    service = await world.start()
    request = pb.RollbackLastSuccessfulRequest(release_id="default.prod.shop", wait_timeout=WAIT, remove_leftovers=True)

    operation = (await service.rollbacks.RollbackLastSuccessful(request)).operation

    assert (operation.state, names(operation)) == (Operation.SUCCEEDED, ["extra"])
    assert world.cluster.objects.names == []


@contextmanager
def before_deletion(world: World, monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> Iterator[None]:
    """Something happens between the look and the deletion."""
    delete = world.cluster.delete_object

    async def late(release_id: ReleaseId, live: LiveObject) -> None:
        happens()
        await delete(release_id, live)

    with monkeypatch.context() as patched:
        patched.setattr(world.cluster, "delete_object", late)
        yield

"""What is captured of a failure, is kept with the revision, and tells no secret."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from support.chart_operations import SHOP, WAIT, install, upgrade
from support.fakes import Chart, HelmRun, RunEnd, secret
from support.recovery import reason
from support.service import Service, rollback_request
from support.world import World

from helm_rollback.application.failure_capture import TEXT_MAX
from helm_rollback.domain.errors import ClusterPermissionDenied
from helm_rollback.v1 import release_service_pb2 as pb
from helm_rollback.v1.rollback_service_pb2 import ListOperationsRequest

DEPLOYMENT = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: shop\n"
BROKEN = Chart(version="2.0.0", manifest=DEPLOYMENT)


def put_deployment(world: World, *, ready: int = 0) -> None:
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "shop"}}}
    status = {"readyReplicas": ready, "updatedReplicas": 1}
    world.cluster.contents.put(
        {"kind": "Deployment", "metadata": {"name": "shop", "namespace": "prod"}, "spec": spec, "status": status}
    )


def put_pod(world: World, name: str = "shop-1", *, uses: str = "", says: str = "", **labels: str) -> None:
    """A Pod whose container ended with an error; `says`: its last words, as the kubelet may take them from its log."""
    state = {"terminated": {"exitCode": 1, "reason": "Error"} | ({"message": says} if says else {})}
    containers = [{"name": "app"} | ({"envFrom": [{"secretRef": {"name": uses}}]} if uses else {})]
    world.cluster.contents.put(
        {
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "prod", "uid": name, "labels": labels or {"app": "shop"}},
            "spec": {"containers": containers},
            "status": {"phase": "Failed", "containerStatuses": [{"name": "app", "ready": False, "state": state}]},
        }
    )


def put_event(
    world: World, name: str, message: str, *, of: tuple[str, str] = ("Pod", "shop-1"), **further: Any
) -> None:
    kind, concerned = of
    world.cluster.contents.put(
        {
            "kind": "Event",
            "metadata": {"name": name},
            "type": "Warning",
            "reason": "BackOff",
            "message": message,
            "involvedObject": {"kind": kind, "name": concerned},
            "lastTimestamp": "2026-11-01T10:00:00Z",
            **further,
        }
    )


async def captured(service: Service, revision: int) -> str:
    request = pb.GetRevisionRequest(release_id=SHOP, revision=revision, view=pb.GetRevisionRequest.FULL)
    return (await service.releases.GetRevision(request)).revision.captured_failure


@pytest.fixture
def ill(world: World) -> World:
    """A cluster in which the shop's Pod fails, among others that are nobody's concern."""
    put_deployment(world)
    put_pod(world)
    put_pod(world, "other-1", app="other")
    world.cluster.logs["shop-1", "app", False] = "starting\nno database\n"
    put_event(world, "a", "restarting failed container")
    put_event(world, "b", "somebody else's", of=("Pod", "other-1"))
    put_event(world, "c", "all is well", type="Normal")
    return world


async def test_of_a_failed_upgrade_pods_events_and_last_lines_are_kept(ill: World, service: Service) -> None:
    ill.release(revisions=1)
    ill.helm.scripts.append(HelmRun(end=RunEnd.WAIT_FAILS))

    ended = await upgrade(service, BROKEN, wait_timeout=WAIT)

    assert (reason(ended), ended.result_revision) == ("WAIT_TIMED_OUT", 2)
    assert await captured(service, 2) == (
        "Deployment shop\n"
        "  0 of 1 replicas are ready\n"
        "Pod shop-1\n"
        "  is Failed\n"
        "  container app ended with exit code 1: Error\n"
        "Events\n"
        "  2026-11-01T10:00:00Z Pod shop-1: BackOff: restarting failed container\n"
        "Printed last by container app of Pod shop-1\n"
        "  starting\n"
        "  no database\n"
    )
    assert await captured(service, 1) == ""


async def test_of_a_failed_rollback_too(ill: World, service: Service) -> None:
    ill.by_hand.install(BROKEN)
    ill.by_hand.upgrade(Chart(version="3.0.0"))
    ill.helm.scripts.append(HelmRun(end=RunEnd.WAIT_FAILS))

    await service.rollbacks.Rollback(rollback_request(1, wait_timeout=WAIT))

    assert "Pod shop-1" in await captured(service, 3)


async def test_an_atomic_install_is_captured_before_helm_undoes_it(ill: World, service: Service) -> None:
    ill.helm.scripts.append(HelmRun(end=RunEnd.WAIT_FAILS))

    ended = await install(service, BROKEN, atomic=True, wait_timeout=WAIT)

    assert ended.result_revision == 1
    assert ill.by_hand.stored == {}
    assert "no database" in await captured(service, 1)


async def test_an_atomic_upgrade_is_captured_before_it_is_rolled_back(ill: World, service: Service) -> None:
    ill.release(revisions=1)
    ill.helm.scripts.append(HelmRun(end=RunEnd.WAIT_FAILS))

    failed = await upgrade(service, BROKEN, atomic=True, wait_timeout=WAIT)
    text = await captured(service, 2)
    (undone, _) = (await service.rollbacks.ListOperations(ListOperationsRequest(release_id=SHOP))).operations
    await service.settled(undone.operation_id)

    assert undone.caused_by_operation_id == failed.operation_id
    assert "no database" in text
    assert await captured(service, 3) == ""


async def test_what_works_is_not_captured(ill: World, service: Service) -> None:
    ill.release(revisions=1)

    await upgrade(service, BROKEN, wait_timeout=WAIT)

    assert await captured(service, 2) == ""
    assert ill.cluster.requests["list objects"] == 0


async def test_what_secrets_hold_is_taken_out(ill: World, service: Service) -> None:
    """Those of the manifest, and those that the Pod gets from elsewhere."""
    ill.release(revisions=1)
    put_pod(ill, uses="elsewhere")
    ill.cluster.contents.put(yaml.safe_load(secret("elsewhere", token="s3cret-token")))
    ill.cluster.logs["shop-1", "app", False] = "password hunter22 refused\ntoken s3cret-token refused\n"
    put_event(ill, "a", "probe with s3cret-token failed")
    ill.helm.scripts.append(HelmRun(end=RunEnd.WAIT_FAILS))

    await upgrade(service, Chart(manifest=f"{DEPLOYMENT}---\n{secret(password='hunter22')}"), wait_timeout=WAIT)

    text = await captured(service, 2)
    assert "password ******** refused\n  token ******** refused" in text
    assert "probe with ******** failed" in text
    assert "hunter22" not in text
    assert "s3cret" not in text


async def test_of_more_pods_than_are_heard_the_secrets_are_known_all_the_same(ill: World, service: Service) -> None:
    ill.release(revisions=1)
    names = [f"bare-{number:02}" for number in range(15)]
    for name in names:
        put_pod(ill, name, uses=f"of-{name}", says=f"refused with s3cret-{name}", app=name)
        ill.cluster.contents.put(yaml.safe_load(secret(f"of-{name}", token=f"s3cret-{name}")))
    ill.helm.scripts.append(HelmRun(end=RunEnd.WAIT_FAILS))
    manifest = "".join(f"---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\n" for name in names)

    await upgrade(service, Chart(version="2.0.0", manifest=manifest), wait_timeout=WAIT)

    text = await captured(service, 2)
    assert text.count("refused with ********") == 15
    assert "s3cret" not in text
    assert [line for line in text.splitlines() if line.startswith("Pod ")] == [f"Pod {name}" for name in names]


async def test_a_manifest_that_can_not_be_read_is_said(ill: World, service: Service) -> None:
    ill.release(revisions=1)
    ill.helm.scripts.append(HelmRun(end=RunEnd.WAIT_FAILS))

    await upgrade(service, Chart(version="2.0.0", manifest=f"{DEPLOYMENT}---\na: [\n"), wait_timeout=WAIT)

    assert await captured(service, 2) == "Not read\n  the rest: an internal error, which the log tells\n"


async def test_of_a_long_log_the_end_is_kept_in_whole_lines(ill: World, service: Service) -> None:
    ill.release(revisions=1)
    lines = [f"{number} {'x' * 148}" for number in range(30)]
    ill.cluster.logs["shop-1", "app", False] = "\n".join([*lines, "fatal, and no end of the line"])
    ill.helm.scripts.append(HelmRun(end=RunEnd.WAIT_FAILS))

    await upgrade(service, BROKEN, wait_timeout=WAIT)

    told = (await captured(service, 2)).partition("Printed last by container app of Pod shop-1\n")[2].splitlines()
    assert told[-1] == "  fatal, and no end of the line"
    assert told[:-1] == [f"  {line}" for line in lines[-(len(told) - 1) :]]
    assert 10 <= len(told) <= 20


async def test_a_line_that_was_cut_may_end_in_half_a_secret_and_is_left_out(ill: World, service: Service) -> None:
    ill.release(revisions=1)
    ill.cluster.logs["shop-1", "app", False] = "first\n" + "y" * 70_000
    ill.helm.scripts.append(HelmRun(end=RunEnd.WAIT_FAILS))

    await upgrade(service, BROKEN, wait_timeout=WAIT)

    text = await captured(service, 2)
    assert "  first\n" in text
    assert "yyy" not in text


async def test_control_characters_are_left_out(ill: World, service: Service) -> None:
    ill.release(revisions=1)
    ill.cluster.logs["shop-1", "app", False] = "\x1b[31mred\x00\ttext\r\n"
    ill.helm.scripts.append(HelmRun(end=RunEnd.WAIT_FAILS))

    await upgrade(service, BROKEN, wait_timeout=WAIT)

    assert "  [31mred\ttext\n" in await captured(service, 2)


@pytest.mark.parametrize("also", [(), ("get Job",)], ids=["alone", "after the same was said of another object"])
async def test_where_a_secret_can_not_be_read_nothing_is_told_that_may_hold_it(
    ill: World, service: Service, also: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    ill.release(revisions=1)
    put_pod(ill, uses="elsewhere", says="no database")
    if also:  # what is refused twice is said once
        monkeypatch.setattr(ClusterPermissionDenied, "__str__", lambda _: "may not do that")
    ill.cluster.denied |= {"get Secret", *also}
    ill.helm.scripts.append(HelmRun(end=RunEnd.WAIT_FAILS))

    job = "---\napiVersion: batch/v1\nkind: Job\nmetadata:\n  name: shop\n"
    await upgrade(service, Chart(version="2.0.0", manifest=DEPLOYMENT + job), wait_timeout=WAIT)

    text = await captured(service, 2)
    assert "no database" not in text
    assert "restarting failed container" not in text
    assert "Pod shop-1\n  is Failed\n  container app ended with exit code 1: Error\n" in text
    assert text.startswith("Not read\n")


@pytest.mark.parametrize("verb", ["list objects", "get log", "get Deployment"])
async def test_what_may_not_be_read_is_said_and_changes_nothing_else(ill: World, service: Service, verb: str) -> None:
    ill.release(revisions=1)
    ill.helm.scripts.append(HelmRun(end=RunEnd.WAIT_FAILS))
    ill.cluster.denied.add(verb)

    ended = await upgrade(service, BROKEN, wait_timeout=WAIT)

    assert reason(ended) == "WAIT_TIMED_OUT"
    assert f"may not {verb}" in (await captured(service, 2)).partition("Not read\n")[2]


async def test_much_is_cut_on_a_lines_end(ill: World, service: Service) -> None:
    ill.release(revisions=1)
    for number in range(30):
        put_event(ill, f"e{number}", "x" * 5000)
    put_pod(ill, "shop-2")
    for name in ("shop-1", "shop-2"):
        ill.cluster.logs[name, "app", False] = "".join(f"{'y' * 90}\n" for _ in range(100))
    ill.helm.scripts.append(HelmRun(end=RunEnd.WAIT_FAILS))

    await upgrade(service, BROKEN, wait_timeout=WAIT)

    text = await captured(service, 2)
    assert len(text.encode()) <= TEXT_MAX
    assert max(len(line) for line in text.splitlines()) <= 501
    assert text.count("y" * 90) <= 2 * 20


async def test_that_a_list_has_no_room_for_all_is_said(ill: World, service: Service) -> None:
    ill.release(revisions=1)
    for number in range(120):
        put_pod(ill, f"shop-{number}")
    ill.helm.scripts.append(HelmRun(end=RunEnd.WAIT_FAILS))

    await upgrade(service, BROKEN, wait_timeout=WAIT)

    assert (await captured(service, 2)).startswith("Not read\n  more than 100 pods in namespace prod\n")

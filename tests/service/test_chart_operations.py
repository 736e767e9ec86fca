"""Install, upgrade and uninstall: what is accepted, what is refused, and how they end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from support.calls import refused
from support.chart_operations import SHOP, WAIT, install, install_request, uninstall, upgrade, upgrade_request
from support.fakes import Chart, HelmRun, Point, RunEnd, packed
from support.recovery import history, reason
from support.service import Service, rollback_request
from support.world import Choices, World

from helm_rollback.application import chart_operations
from helm_rollback.application.chart_operations import InstallCommand
from helm_rollback.domain.chart import ChartChange, ChartSources, OciChart
from helm_rollback.domain.errors import InvalidField
from helm_rollback.domain.principal import ANONYMOUS
from helm_rollback.domain.release import ReleaseId
from helm_rollback.v1 import release_service_pb2 as pb
from helm_rollback.v1 import rollback_service_pb2
from helm_rollback.v1.release_pb2 import Failure, Operation

# --- install --------------------------------------------------------------------------


async def test_an_install_is_told_from_its_first_event_on(world: World, service: Service) -> None:
    ended = await install(service, Chart(version="1.0.0"), wait_timeout=WAIT, reason="the first")

    assert (ended.type, ended.state, ended.base_revision, ended.result_revision) == (
        Operation.INSTALL, Operation.SUCCEEDED, 0, 1,
    )  # fmt: skip
    assert await history(service) == [
        "operation PENDING",
        "operation RUNNING",
        "revision 1 → PENDING_INSTALL",
        "revision 1 PENDING_INSTALL → DEPLOYED",
        "operation SUCCEEDED",
    ]
    revision = (await service.releases.GetRevision(pb.GetRevisionRequest(release_id=SHOP, revision=1))).revision
    assert (revision.operation_id, revision.reason, revision.operation_type) == (
        ended.operation_id, "the first", Operation.INSTALL,
    )  # fmt: skip
    assert revision.description == f"[{ended.operation_id}] Install: the first"


async def test_what_is_there_is_not_installed_again(world: World, service: Service) -> None:
    world.release()

    end = await refused(service.releases.Install(install_request()))

    assert (end.reason, end.metadata["currentRevision"], end.metadata["status"]) == ("RELEASE_EXISTS", "2", "DEPLOYED")
    assert world.helm.started == []


async def test_over_an_uninstalled_release_numbering_goes_on(world: World, service: Service) -> None:
    world.release()
    world.by_hand.uninstall(keep_history=True)

    ended = await install(service, wait_timeout=WAIT)

    assert (ended.state, ended.base_revision, ended.result_revision, ended.incarnation) == (
        Operation.SUCCEEDED,
        2,
        3,
        1,
    )
    assert world.by_hand.statuses[2] == "superseded"


async def test_after_a_purge_a_new_life_begins(world: World, service: Service) -> None:
    world.release()
    await service.until_observed(world.cluster)
    world.by_hand.uninstall()

    ended = await install(service, wait_timeout=WAIT)

    assert (ended.state, ended.base_revision, ended.result_revision, ended.incarnation) == (
        Operation.SUCCEEDED,
        0,
        1,
        2,
    )


async def test_an_atomic_install_that_fails_is_told_with_what_helm_undid(world: World, service: Service) -> None:
    world.helm.scripts.append(HelmRun(end=RunEnd.WAIT_FAILS))

    ended = await install(service, atomic=True, wait_timeout=WAIT)

    assert (reason(ended), ended.failure.applied, ended.result_revision) == ("WAIT_TIMED_OUT", Failure.NOT_APPLIED, 1)
    assert "has been uninstalled" in ended.failure.message
    assert world.by_hand.stored == {}


async def test_an_install_that_fails_stays_as_helm_leaves_it(world: World, service: Service) -> None:
    world.helm.scripts.append(HelmRun(end=RunEnd.APPLY_FAILS, applied=True))

    ended = await install(service, wait_timeout=WAIT)

    assert (reason(ended), ended.failure.applied, ended.result_revision) == ("OBJECT_REJECTED", Failure.PARTLY, 1)
    assert world.by_hand.statuses == {1: "failed"}


# --- upgrade --------------------------------------------------------------------------


async def test_an_upgrade_keeps_or_resets_values_as_wished(world: World, service: Service) -> None:
    await install(service, values_yaml="color: red\nsize: 1\n", wait_timeout=WAIT)
    await upgrade(service, values_yaml='{"size": 2}', values_mode="REUSE", wait_timeout=WAIT)
    await upgrade(service, values_yaml="size: 3", values_mode="RESET", wait_timeout=WAIT)

    assert [document["config"] for document in world.by_hand.stored.values()] == [
        {"color": "red", "size": 1}, {"color": "red", "size": 2}, {"size": 3},
    ]  # fmt: skip


async def test_what_is_not_there_is_installed_only_where_that_is_wished(service: Service) -> None:
    end = await refused(service.releases.Upgrade(upgrade_request()))
    ended = await upgrade(service, install_if_missing=True, wait_timeout=WAIT)

    assert end.reason == "RELEASE_NOT_FOUND"
    assert (ended.type, ended.state, ended.result_revision) == (Operation.INSTALL, Operation.SUCCEEDED, 1)


async def test_what_the_caller_did_not_see_is_not_installed_either(world: World, service: Service) -> None:
    """Somebody may have removed the release since: that is another state than the one that was seen."""
    asked: dict[str, Any] = {"install_if_missing": True, "expected_current_revision": 2}
    nothing = await refused(service.releases.Upgrade(upgrade_request(**asked)))
    world.release()
    world.by_hand.uninstall(keep_history=True)
    gone = await refused(service.releases.Upgrade(upgrade_request(**asked | {"expected_current_revision": 1})))
    ended = await upgrade(service, **asked, wait_timeout=WAIT)

    assert (nothing.reason, nothing.metadata["actual"]) == ("CURRENT_REVISION_CHANGED", "0")
    assert (gone.reason, gone.metadata["actual"]) == ("CURRENT_REVISION_CHANGED", "2")
    assert (ended.type, ended.state, ended.result_revision) == (Operation.INSTALL, Operation.SUCCEEDED, 3)


async def test_a_request_that_is_known_is_answered_though_the_settings_have_changed(world: World) -> None:
    service = await world.start(Choices(works=False))
    sources = ChartSources(registries=("oci://registry.example.com/charts",))
    command = InstallCommand(
        release_id=ReleaseId("default", "prod", "shop"),
        request_id=str(uuid4()),
        change=ChartChange(chart=OciChart("oci://registry.example.com/charts/shop"), version="1.0.0"),
    )

    first = await chart_operations.install(replace(service.ports, chart_sources=sources), command, ANONYMOUS)
    again = await chart_operations.install(service.ports, command, ANONYMOUS)

    assert again == first
    with pytest.raises(InvalidField, match="of no registry"):
        await chart_operations.install(service.ports, replace(command, request_id=str(uuid4())), ANONYMOUS)


async def test_a_dead_upgrade_is_taken_over(world: World, service: Service) -> None:
    world.release()
    world.by_hand.begin_upgrade(Chart(version="3.0.0"))

    end = await refused(service.releases.Upgrade(upgrade_request()))
    ended = await upgrade(service, take_over_pending=True, expected_current_revision=3, wait_timeout=WAIT)

    assert end.reason == "RELEASE_PENDING"
    assert (ended.state, ended.result_revision) == (Operation.SUCCEEDED, 4)
    assert world.by_hand.statuses == {1: "superseded", 2: "superseded", 3: "failed", 4: "deployed"}


async def test_an_atomic_upgrade_that_fails_is_followed_by_a_rollback(world: World, service: Service) -> None:
    world.release()
    world.helm.scripts.append(HelmRun(end=RunEnd.WAIT_FAILS))

    failed = await upgrade(service, atomic=True, wait_timeout=WAIT)
    listed = await service.rollbacks.ListOperations(rollback_service_pb2.ListOperationsRequest(release_id=SHOP))
    undone = await service.settled(listed.operations[0].operation_id)

    assert (reason(failed), failed.result_revision) == ("WAIT_TIMED_OUT", 3)
    assert (undone.type, undone.state, undone.caused_by_operation_id) == (
        Operation.ROLLBACK, Operation.SUCCEEDED, failed.operation_id,
    )  # fmt: skip
    assert (undone.target_revision, undone.selection.revision) == (2, 2)
    told = await history(service)
    assert told[told.index("operation FAILED") + 1] == "operation PENDING"
    stored = await service.ledger.read(lambda view: view.operation(undone.operation_id))
    assert stored is not None
    assert stored.start_sequence == told.index("operation FAILED") + 1  # right before its first event
    assert "not rolled back" not in failed.failure.message


async def test_an_atomic_upgrade_that_can_not_be_undone_says_why(world: World, service: Service) -> None:
    world.by_hand.install(fails=True)
    world.helm.scripts.append(HelmRun(end=RunEnd.WAIT_FAILS))

    failed = await upgrade(service, atomic=True, wait_timeout=WAIT)
    listed = await service.rollbacks.ListOperations(rollback_service_pb2.ListOperationsRequest(release_id=SHOP))

    assert (reason(failed), failed.result_revision, len(listed.operations)) == ("WAIT_TIMED_OUT", 2, 1)
    assert "; not rolled back: NO_SUCCESSFUL_REVISION: release default.prod.shop has no" in failed.failure.message


async def test_an_atomic_upgrade_that_wrote_nothing_has_nothing_to_undo(world: World, service: Service) -> None:
    world.release()
    world.helm.scripts.append(HelmRun(end=RunEnd.REFUSED_AT_ONCE))

    failed = await upgrade(service, atomic=True, wait_timeout=WAIT)
    listed = await service.rollbacks.ListOperations(rollback_service_pb2.ListOperationsRequest(release_id=SHOP))

    assert (reason(failed), failed.failure.applied, failed.result_revision) == ("HELM_FAILED", Failure.NOT_APPLIED, 0)
    assert len(listed.operations) == 1


# --- uninstall ------------------------------------------------------------------------


@pytest.mark.parametrize("purge", [False, True])
async def test_an_uninstall_and_what_it_leaves(world: World, service: Service, purge: bool) -> None:
    world.release()

    ended = await uninstall(service, purge=purge, wait_timeout=WAIT)
    again = await uninstall(service, purge=purge, wait_timeout=WAIT)

    assert (ended.type, ended.state, ended.base_revision, ended.result_revision, ended.attempt) == (
        Operation.UNINSTALL, Operation.SUCCEEDED, 2, 0, 1,
    )  # fmt: skip
    assert (again.state, again.attempt) == (Operation.SUCCEEDED, 0)
    assert world.by_hand.statuses == ({} if purge else {1: "superseded", 2: "uninstalled"})
    revision = (await service.releases.GetRelease(pb.GetReleaseRequest(release_id=SHOP))).release
    assert (revision.current_revision, revision.incarnation) == (2, 1)


async def test_an_uninstall_that_fails_leaves_it_uninstalling(world: World, service: Service) -> None:
    world.release()
    world.helm.scripts.append(HelmRun(end=RunEnd.APPLY_FAILS))

    failed = await uninstall(service, wait_timeout=WAIT)
    end = await refused(service.rollbacks.Rollback(rollback_request()))
    again = await uninstall(service, take_over_pending=True, expected_current_revision=2, wait_timeout=WAIT)

    assert (reason(failed), failed.failure.message) == ("HELM_FAILED", "failed to delete release: shop")
    assert end.reason == "RELEASE_PENDING"
    assert again.state == Operation.SUCCEEDED


# --- one request id -------------------------------------------------------------------


async def test_one_request_id_names_one_operation_and_one_method(world: World, service: Service) -> None:
    name = str(uuid4())

    first = await install(service, request_id=name, wait_timeout=WAIT)
    again = await install(service, request_id=name)
    otherwise = await refused(service.releases.Install(install_request(Chart(version="9.0.0"), request_id=name)))
    elsewhere = await refused(
        service.releases.Upgrade(upgrade_request(Chart(), request_id=name, install_if_missing=True))
    )

    assert again == first
    assert (otherwise.reason, elsewhere.reason) == ("REQUEST_ID_REUSED", "REQUEST_ID_REUSED")
    assert len(world.helm.started) == 1


# --- cancel ---------------------------------------------------------------------------


@pytest.mark.parametrize("atomic", [False, True])
async def test_a_running_upgrade_is_interrupted_on_request(world: World, service: Service, atomic: bool) -> None:
    world.release()
    hold = world.helm.hold(Point.AFTER_CREATE)
    accepted = await upgrade(service, atomic=atomic)
    await hold.reached.wait()

    request = rollback_service_pb2.CancelOperationRequest(operation_id=accepted.operation_id)
    asked = (await service.rollbacks.CancelOperation(request)).operation
    await world.helm.until_interrupted()
    hold.release()
    ended = await service.settled(accepted.operation_id)

    assert (asked.state, asked.cancel_requested) == (Operation.RUNNING, True)
    assert (reason(ended), ended.cancel_requested, ended.result_revision) == ("INTERRUPTED", True, 3)
    assert ended.failure.message.startswith("cancelled on request: ")
    listed = await service.rollbacks.ListOperations(rollback_service_pb2.ListOperationsRequest(release_id=SHOP))
    assert len(listed.operations) == (2 if atomic else 1)


async def test_a_running_uninstall_can_not_be_cancelled(world: World, service: Service) -> None:
    world.release()
    hold = world.helm.hold(Point.BEFORE_CREATE)
    accepted = await uninstall(service)
    await hold.reached.wait()

    request = rollback_service_pb2.CancelOperationRequest(operation_id=accepted.operation_id)
    end = await refused(service.rollbacks.CancelOperation(request))
    hold.release()

    assert end.reason == "NOT_CANCELLABLE"
    assert (await service.settled(accepted.operation_id)).state == Operation.SUCCEEDED


# --- bad input ------------------------------------------------------------------------


def bomb() -> bytes:
    """A chart that unpacks to more than a chart may be."""
    return packed(Chart(manifest="a" * (101 * 1024 * 1024)))


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"archive": b""}, "archive"),
        ({"archive": b"no archive"}, "archive"),
        ({"archive": packed(Chart())[:200]}, "archive"),
        ({"archive": bomb()}, "archive"),
        ({"archive": packed(Chart(name="../evil"))}, "archive"),
        ({"archive": packed(Chart(name="/etc"))}, "archive"),
        ({"archive": packed(Chart(name="two/deep"))}, "archive"),
        ({"archive": packed(Chart()), "values_yaml": "- a list"}, "values_yaml"),
        ({"archive": packed(Chart()), "values_yaml": "a: [1"}, "values_yaml"),
        ({"archive": packed(Chart()), "values_yaml": "just text"}, "values_yaml"),
        ({"archive": packed(Chart()), "version": "1.0.0"}, "version"),
        ({"archive": packed(Chart()), "labels": {"owner": "me"}}, "labels"),
        ({"archive": packed(Chart()), "labels": {"a,b": "c"}}, "labels"),
        ({"archive": packed(Chart()), "labels": {"a": "c,d=e"}}, "labels"),
        ({}, "chart"),
        ({"oci": "oci://registry.example.com/charts/shop"}, "oci"),
        ({"oci": "--plain-http"}, "oci"),
        ({"oci": "/etc/passwd"}, "oci"),
        ({"repository": pb.RepositoryChart(repository="stable", name="shop")}, "repository.repository"),
        ({"repository": pb.RepositoryChart(repository="stable", name="--debug")}, "repository.name"),
        ({"archive": packed(Chart()), "release_id": "default.prod.--help"}, "release_id"),
        ({"archive": packed(Chart()), "reason": "two\nlines"}, "reason"),
        ({"archive": packed(Chart()), "request_id": "no uuid"}, "request_id"),
    ],
)
async def test_bad_input_is_refused_by_the_name_of_its_field(
    world: World, service: Service, fields: dict[str, object], field: str
) -> None:
    request = pb.InstallRequest(**{"release_id": SHOP, **fields})  # type: ignore[arg-type]

    end = await refused(service.releases.Install(request))

    assert (end.reason, end.metadata["field"]) == ("INVALID_FIELD", field)
    assert world.helm.started == []

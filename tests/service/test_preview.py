"""PreviewRollback: what is refused, what is masked, and what is cut."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from support.calls import refused
from support.fakes import Chart, Point, config_map, secret
from support.service import Service, rollback_request
from support.world import World

from helm_rollback.v1.helm_options_pb2 import HelmOptions
from helm_rollback.v1.preview_pb2 import ObjectChange, Warning
from helm_rollback.v1.rollback_service_pb2 import PreviewRollbackRequest, PreviewRollbackResponse

SHOP = "default.prod.shop"


async def preview(service: Service, **fields: Any) -> PreviewRollbackResponse:
    asked: dict[str, Any] = {"release_id": SHOP, "target_revision": 1} | fields
    return await service.rollbacks.PreviewRollback(PreviewRollbackRequest(**asked))


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"release_id": SHOP}, "target"),
        ({"release_id": SHOP, "target_revision": 0}, "target_revision"),
        ({"release_id": SHOP, "last_successful": False}, "last_successful"),
        ({"release_id": "shop", "target_revision": 1}, "release_id"),
    ],
)
async def test_bad_input_is_refused_by_the_name_of_its_field(
    service: Service, fields: dict[str, Any], field: str
) -> None:
    end = await refused(service.rollbacks.PreviewRollback(PreviewRollbackRequest(**fields)))

    assert (end.reason, end.metadata["field"]) == ("INVALID_FIELD", field)


async def test_what_is_not_there_is_not_found(world: World, service: Service) -> None:
    unknown = await refused(preview(service))
    world.release()
    newer = await refused(preview(service, target_revision=9))

    assert (unknown.reason, newer.reason) == ("RELEASE_NOT_FOUND", "REVISION_NOT_FOUND")


async def test_it_is_shown_while_an_operation_is_under_way(world: World, service: Service) -> None:
    world.release()
    hold = world.helm.hold(Point.BEFORE_CREATE)
    await service.rollbacks.Rollback(rollback_request())
    await hold.reached.wait()

    shown = await preview(service)
    hold.release()

    assert (shown.base_revision, shown.selection.revision) == (2, 1)
    assert len(world.helm.started) == 1


async def test_the_choice_is_refused_as_that_of_the_rollback(world: World, service: Service) -> None:
    world.release()

    end = await refused(
        service.rollbacks.PreviewRollback(PreviewRollbackRequest(release_id=SHOP, last_successful=True))
    )

    assert end.reason == "CURRENT_IS_SUCCESSFUL"


async def test_a_secret_is_shown_nowhere(world: World, service: Service) -> None:
    old, new = secret(password="hunter-old"), secret(password="hunter-new")
    world.by_hand.install(Chart(version="1.0.0", manifest=old, values={"password": "hunter-old", "size": 1}))
    world.by_hand.upgrade(Chart(version="2.0.0", manifest=new, values={"password": "hunter-new", "size": 2}))
    drifted = secret(password="by hand", pin="1")
    world.cluster.contents["Secret", "prod", "shop"] = yaml.safe_load(drifted)

    shown = await preview(service)

    (change,) = shown.changes
    assert change.action == ObjectChange.CHANGE
    assert "size" in shown.values_diff
    assert "********" in change.diff
    for text in ("hunter", "aHVudGVy", "YnkgaGFuZA", "by hand", "MQ=="):
        assert text not in change.diff
        assert text not in shown.values_diff


async def test_a_long_diff_is_cut(world: World, service: Service) -> None:
    long = {f"key-{number}": "x" * 50 for number in range(2000)}
    world.by_hand.install(Chart(version="1.0.0", manifest=config_map(**long)))
    world.by_hand.upgrade(Chart(version="2.0.0"))

    shown = await preview(service)

    assert shown.truncated
    (change,) = shown.changes
    assert 64 * 1024 - 100 < len(change.diff.encode()) <= 64 * 1024
    assert change.diff.endswith(f"{'x' * 50}\n")


async def test_a_diff_is_cut_by_bytes_at_the_end_of_a_line(world: World, service: Service) -> None:
    values = {f"key-{number:04}": "é" * 40 for number in range(1000)}
    world.by_hand.install(Chart(version="1.0.0", values=values))
    world.by_hand.upgrade(Chart(version="2.0.0"))

    shown = await preview(service)

    assert shown.truncated
    assert 64 * 1024 - 100 < len(shown.values_diff.encode()) <= 64 * 1024
    assert shown.values_diff.endswith(f"{'é' * 40}\n")


async def test_all_diffs_together_are_cut(world: World, service: Service) -> None:
    values = {f"key-{number:04}": "v" * 50 for number in range(2000)}
    long = {f"key-{number}": "x" * 9000 for number in range(7)}  # some 62 KiB each
    many = "".join(config_map(f"shop-{number}", **long) for number in range(50))
    world.by_hand.install(Chart(version="1.0.0", manifest=many, values=values))
    world.by_hand.upgrade(Chart(version="2.0.0"))

    shown = await preview(service)

    total = len(shown.values_diff.encode()) + sum(len(change.diff.encode()) for change in shown.changes)
    assert shown.truncated
    assert 3 * 1024 * 1024 - 9100 < total <= 3 * 1024 * 1024


async def test_a_field_of_somebody_else_stops_only_what_is_applied_on_the_server(
    world: World, service: Service
) -> None:
    world.release()
    drifted = yaml.safe_load(config_map(version="drifted"))
    owner = {"manager": "somebody", "fieldsV1": {"f:data": {"f:version": {}}}}
    drifted["metadata"] |= {"managedFields": [owner]}
    world.cluster.contents["ConfigMap", "prod", "shop"] = drifted

    methods = (HelmOptions.AUTO, HelmOptions.ENABLED, HelmOptions.DISABLED)
    shown = [await preview(service, helm_options=HelmOptions(server_side_apply=method)) for method in methods]

    told = [[one.code for one in preview.warnings] for preview in shown]
    assert told == [[Warning.FIELD_CONFLICT], [Warning.FIELD_CONFLICT], []]


async def test_a_target_that_never_worked_is_told(world: World, service: Service) -> None:
    world.by_hand.install()
    world.by_hand.upgrade(Chart(version="2.0.0"), fails=True)

    shown = await preview(service, target_revision=2)

    assert Warning.NEVER_SUCCESSFUL in [one.code for one in shown.warnings]

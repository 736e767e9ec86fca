"""Installs, upgrades and uninstalls of the shop, as requests and as what becomes of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from google.protobuf.duration_pb2 import Duration
from support.fakes import Chart, Point, packed
from support.service import Service
from support.world import World

from helm_rollback.v1 import release_service_pb2 as pb
from helm_rollback.v1.release_pb2 import Operation
from helm_rollback.v1.rollback_service_pb2 import CancelOperationRequest

SHOP = "default.prod.shop"
WAIT = Duration(seconds=30)


def install_request(chart: Chart | None = None, **fields: Any) -> pb.InstallRequest:
    return pb.InstallRequest(**{"release_id": SHOP, "archive": packed(chart or Chart())} | fields)


def upgrade_request(chart: Chart | None = None, **fields: Any) -> pb.UpgradeRequest:
    return pb.UpgradeRequest(**{"release_id": SHOP, "archive": packed(chart or Chart(version="2.0.0"))} | fields)


def uninstall_request(**fields: Any) -> pb.UninstallRequest:
    return pb.UninstallRequest(**{"release_id": SHOP} | fields)


Ask = Callable[[Service], Awaitable[Operation]]


async def install(service: Service, chart: Chart | None = None, **fields: Any) -> Operation:
    return (await service.releases.Install(install_request(chart, **fields))).operation


async def upgrade(service: Service, chart: Chart | None = None, **fields: Any) -> Operation:
    return (await service.releases.Upgrade(upgrade_request(chart, **fields))).operation


async def uninstall(service: Service, **fields: Any) -> Operation:
    return (await service.releases.Uninstall(uninstall_request(**fields))).operation


async def cancel(service: Service, operation_id: str) -> Operation:
    request = CancelOperationRequest(operation_id=operation_id)
    return (await service.rollbacks.CancelOperation(request)).operation


async def killed_at(world: World, point: Point, ask: Ask, *, cancelled: bool = False) -> str:
    """Let a service accept it, and kill it where Helm has come to `point`; the operation's id.

    `cancelled`: somebody asks for that right before.
    """
    service = await world.start()
    await service.until_observed(world.cluster)
    hold = world.helm.hold(point)
    accepted = await ask(service)
    await hold.reached.wait()
    if cancelled:
        await cancel(service, accepted.operation_id)
    await world.kill()
    hold.release()
    return accepted.operation_id

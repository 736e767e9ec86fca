"""Wishes as calls of the service."""

from __future__ import annotations

from typing import Any

import grpc
from fault.charts import archive_of_round_chart
from fault.wish import Does, Wish
from google.protobuf.duration_pb2 import Duration

from helm_rollback.v1.helm_options_pb2 import HelmOptions
from helm_rollback.v1.release_pb2 import Operation
from helm_rollback.v1.release_service_pb2 import InstallRequest, UninstallRequest, UpgradeRequest
from helm_rollback.v1.release_service_pb2_grpc import ReleaseServiceStub
from helm_rollback.v1.rollback_service_pb2 import RollbackLastSuccessfulRequest, RollbackRequest
from helm_rollback.v1.rollback_service_pb2_grpc import RollbackServiceStub

_CALL_SECONDS = 8.0
_OPTIONS = HelmOptions(timeout=Duration(seconds=4))
"""Where other people's Helm deletes what ours has just made, ours waits for it as long as this."""


def call(wish: Wish, release_id: str, address: str) -> Operation:
    """Ask once. Raises grpc.RpcError."""
    common: dict[str, Any] = {
        "release_id": release_id,
        "request_id": wish.request_id,
        "wait_timeout": Duration(seconds=5) if wish.waits else Duration(),
        "helm_options": _OPTIONS,
    }
    with grpc.insecure_channel(address) as channel:
        releases = ReleaseServiceStub(channel)
        match wish.does:
            case Does.ROLLBACK:
                return _roll_back(RollbackServiceStub(channel), wish, common)
            case Does.INSTALL:
                install = InstallRequest(archive=_archive(wish), atomic=wish.atomic, **common)
                return releases.Install(install, timeout=_CALL_SECONDS).operation
            case Does.UPGRADE:
                upgrade = UpgradeRequest(
                    archive=_archive(wish), atomic=wish.atomic, install_if_missing=not wish.purge, **common
                )
                return releases.Upgrade(upgrade, timeout=_CALL_SECONDS).operation
            case Does.UNINSTALL:
                uninstall = UninstallRequest(purge=wish.purge, **common)
                return releases.Uninstall(uninstall, timeout=_CALL_SECONDS).operation


def _roll_back(rollbacks: RollbackServiceStub, wish: Wish, common: dict[str, Any]) -> Operation:
    common = common | {"remove_leftovers": wish.remove_leftovers}
    if wish.target:
        named = RollbackRequest(target_revision=wish.target, **common)
        return rollbacks.Rollback(named, timeout=_CALL_SECONDS).operation
    last = RollbackLastSuccessfulRequest(**common)
    return rollbacks.RollbackLastSuccessful(last, timeout=_CALL_SECONDS).operation


def _archive(wish: Wish) -> bytes:
    return archive_of_round_chart(wish.release, broken=wish.broken)

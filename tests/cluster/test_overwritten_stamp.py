"""A failing Helm writes its cause over our stamp. Unseen in its time, the stamp is read from what etcd still has.

The service runs in the test's process, and watches nothing: else it would see every version.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from local_cluster import LocalCluster
from support.by_hand import ByHand
from support.calls import failure_reason
from support.charts import config_map
from support.helm import Helm
from support.service import eventually, rollback_request
from support.world import Adapters, Choices, World

from helm_rollback.bootstrap import upstream_of
from helm_rollback.cluster.reader import connect
from helm_rollback.fence.gate import FenceGate
from helm_rollback.helm.process import HelmCommand
from helm_rollback.helm.version import find_helm
from helm_rollback.v1.release_pb2 import Operation

pytest_plugins = ["support.services"]

UNWATCHED = Choices(observes=False)


@pytest.fixture
async def world(local_cluster: LocalCluster, make_helm: Callable[[str], Path], tmp_path: Path) -> AsyncIterator[World]:
    """The real cluster and the real Helm, which goes on running after it failed."""
    linger = f'[ "$1" = rollback ] && touch {tmp_path / "failed"} && while :; do sleep 0.1; done'
    helm = HelmCommand(await find_helm(str(make_helm(f'$HELM "$@" || {{ {linger}; }}'))))
    cluster = connect("default", kubeconfig=str(local_cluster.kubeconfig))
    adapters = Adapters(clusters={"default": cluster}, helm=helm, fence=FenceGate({"default": upstream_of(cluster)}))
    (tmp_path / "ledger").mkdir()
    async with World(folder=tmp_path / "ledger", adapters=adapters) as world:
        yield world
    await cluster.close()


async def test_what_failed_is_told_though_its_stamp_is_overwritten(
    world: World, helm: Helm, namespace: str, tmp_path: Path
) -> None:
    by_hand = ByHand(helm, tmp_path)
    await asyncio.to_thread(by_hand.install, "1.0.0", c=config_map("fixed", immutable=True, a="1"))
    await asyncio.to_thread(by_hand.upgrade, "1.1.0")
    await asyncio.to_thread(by_hand.upgrade, "1.2.0", c=config_map("fixed", immutable=True, a="2"))
    service = await world.start(UNWATCHED)
    request = rollback_request(release=f"default.{namespace}.shop")
    accepted = (await service.rollbacks.Rollback(request)).operation
    await eventually(lambda: asyncio.to_thread((tmp_path / "failed").exists), "Helm has failed")

    await world.kill()
    successor = await world.start(UNWATCHED)
    operation = await successor.settled(accepted.operation_id)

    assert (failure_reason(operation), operation.attempt, operation.result_revision) == ("OBJECT_REJECTED", 1, 4)
    assert operation.outcome_evidence == Operation.RECONSTRUCTED
    assert operation.failure.message.startswith('Rollback "shop" failed: ')
    await asyncio.to_thread(by_hand.assert_free)

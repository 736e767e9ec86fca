"""A change that could not be written down is met again."""

from __future__ import annotations

import pytest
from support.fakes import Chart
from support.recovery import history
from support.service import eventually
from support.world import World

from helm_rollback.application import observation
from helm_rollback.application.ports import LedgerTransaction
from helm_rollback.domain.record import StoredRecord
from helm_rollback.domain.release import ReleaseId


async def test_what_could_not_be_written_down_is_listed_before_the_next_watch(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply = observation.apply_watched

    def apply_but_3(tx: LedgerTransaction, release_id: ReleaseId, stored: StoredRecord) -> None:
        if stored.ref.revision == 3:
            raise RuntimeError("a bug")
        apply(tx, release_id, stored)

    monkeypatch.setattr(observation, "apply_watched", apply_but_3)
    by_hand = world.release()
    service = await world.start()
    await service.until_observed(world.cluster)
    by_hand.upgrade(Chart(version="3.0.0"))
    by_hand.upgrade(Chart(version="4.0.0"))
    await service.until_observed(world.cluster)
    assert "revision 3 → SUPERSEDED" not in await history(service)

    asked = world.cluster.requests.total()
    with world.cluster.away():

        async def ended() -> bool:
            return world.cluster.requests.total() > asked

        await eventually(ended, "the watch has ended, and the cluster is asked again")

    async def told() -> bool:
        return "revision 3 → SUPERSEDED" in await history(service)

    await eventually(told, "revision 3 is told")

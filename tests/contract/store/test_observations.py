"""Who observes a cluster, and how far it was seen."""

from __future__ import annotations

from datetime import timedelta

import pytest
from support.samples import Clock

from helm_rollback.application.ports import Ledger

TERM = timedelta(seconds=30)


async def claimed(ledger: Ledger, owner: str = "one", cluster: str = "default") -> int | None:
    return await ledger.write(lambda tx: tx.claim_observation(cluster, owner=owner, lease=TERM))


async def seen(ledger: Ledger, cluster: str = "default") -> int | None:
    return await ledger.read(lambda view: view.observed_version(cluster))


@pytest.fixture
async def token(ledger: Ledger) -> int:
    """Of the claim of one who observes the cluster default."""
    claim = await claimed(ledger)
    assert claim is not None
    return claim


async def test_how_far_a_cluster_was_seen_is_kept_for_each(ledger: Ledger, token: int) -> None:
    east = await claimed(ledger, cluster="east")
    assert east is not None
    assert await seen(ledger) is None

    assert await ledger.write(lambda tx: tx.save_observed_version("default", 2**62, token=token))
    assert await ledger.write(lambda tx: tx.save_observed_version("east", 7, token=east))

    assert (await seen(ledger), await seen(ledger, "east")) == (2**62, 7)


async def test_one_observes_a_cluster_at_a_time(ledger: Ledger, token: int) -> None:
    assert await claimed(ledger, "two") is None
    assert await claimed(ledger, "one") is None


async def test_a_lease_that_ran_out_is_another_s(ledger: Ledger, token: int, clock: Clock) -> None:
    clock.move(TERM)

    later = await claimed(ledger, "two")

    assert later is not None
    assert later > token
    assert not await ledger.write(lambda tx: tx.renew_observation("default", token=token, lease=TERM))


async def test_a_renewed_lease_stays(ledger: Ledger, token: int, clock: Clock) -> None:
    clock.move(TERM / 2)
    assert await ledger.write(lambda tx: tx.renew_observation("default", token=token, lease=TERM))
    clock.move(TERM / 2)

    assert await claimed(ledger, "two") is None


async def test_who_lost_the_cluster_does_not_move_the_position(ledger: Ledger, token: int, clock: Clock) -> None:
    clock.move(TERM)
    later = await claimed(ledger, "two")
    assert later is not None
    assert await ledger.write(lambda tx: tx.save_observed_version("default", 50, token=later))

    assert not await ledger.write(lambda tx: tx.save_observed_version("default", 40, token=token))

    assert await seen(ledger) == 50


async def test_a_turn_that_was_given_up_is_another_s_at_once(ledger: Ledger, token: int) -> None:
    await ledger.write(lambda tx: tx.end_observation("default", token=token))

    assert await claimed(ledger, "two") is not None


async def test_who_lost_the_cluster_gives_up_nothing(ledger: Ledger, token: int, clock: Clock) -> None:
    clock.move(TERM)
    assert await claimed(ledger, "two") is not None

    await ledger.write(lambda tx: tx.end_observation("default", token=token))

    assert await claimed(ledger, "three") is None


async def test_trying_to_write_changes_nothing(ledger: Ledger, token: int) -> None:
    await ledger.write(lambda tx: tx.save_observed_version("default", 41, token=token))

    await ledger.write(lambda tx: tx.try_writing())

    assert await seen(ledger) == 41
    assert await ledger.write(lambda tx: tx.renew_observation("default", token=token, lease=TERM))

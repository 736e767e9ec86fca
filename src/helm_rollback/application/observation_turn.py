"""Whose turn it is to observe a cluster: one replica's at a time, by a lease in the ledger.

Two that observe at once would do no harm, since what they write is guarded record by
record, only twice the work. So the lease needs no clock of its own here: the position
in the ledger moves under its token alone.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from datetime import timedelta

from helm_rollback.application.crash_points import Reached, go_on
from helm_rollback.application.drain import first_of
from helm_rollback.application.observer import Observer
from helm_rollback.application.ports import Cluster, Ledger
from helm_rollback.domain.errors import StoreUnavailable

_TICK = 1.0
"""Seconds, at most, between two looks whether it is this replica's turn."""
_RENEWALS = 3
"""How often a lease is renewed in its time."""

_log = logging.getLogger(__name__)


async def observe_in_turn(
    ledger: Ledger, cluster: Cluster, *, owner: str, lease: timedelta, reached: Reached = go_on
) -> None:
    """Observe whenever no other replica does, until cancelled; then it is another's turn at once."""
    while True:
        token = await _claimed(ledger, cluster.name, owner=owner, lease=lease)
        if token is None:
            await asyncio.sleep(min(_TICK, lease.total_seconds() / _RENEWALS))
            continue
        _log.info("observing cluster %s", cluster.name)
        try:
            observer = Observer(ledger, cluster, token, reached)
            await first_of(observer.run(), _keep(ledger, cluster.name, token, lease))
        finally:
            await _leave(ledger, cluster.name, token)


async def _claimed(ledger: Ledger, cluster: str, *, owner: str, lease: timedelta) -> int | None:
    try:
        return await ledger.write(lambda tx: tx.claim_observation(cluster, owner=owner, lease=lease))
    except StoreUnavailable:
        return None


async def _keep(ledger: Ledger, cluster: str, token: int, lease: timedelta) -> None:
    """Renew until another has taken the cluster."""
    held = True
    while held:
        await asyncio.sleep(lease.total_seconds() / _RENEWALS)
        with suppress(StoreUnavailable):
            held = await ledger.write(lambda tx: tx.renew_observation(cluster, token=token, lease=lease))


async def _leave(ledger: Ledger, cluster: str, token: int) -> None:
    with suppress(StoreUnavailable):
        await ledger.write(lambda tx: tx.end_observation(cluster, token=token))

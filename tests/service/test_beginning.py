"""What of the lease must be left when Helm is started, and when the worker itself writes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest
from support.ledgers import make_ledger, opened, sqlite_url
from support.samples import a_release, a_revision, an_operation, operation_id

from helm_rollback.application.crash_points import go_on
from helm_rollback.application.journal import GaveUp, Journal
from helm_rollback.application.lease import Lease
from helm_rollback.application.ports import Cluster, Ledger, LedgerTransaction, T
from helm_rollback.application.put_back import LostRecord, put_back
from helm_rollback.domain.record import HelmRecord

TERM = timedelta(seconds=30)


class SlowLedger:
    """Each write takes so many seconds, by the worker's clock."""

    def __init__(self, ledger: Ledger, *takes: float) -> None:
        self._ledger = ledger
        self._takes = list(takes)
        self.now = 0.0
        self.writes = 0

    async def write(self, body: Callable[[LedgerTransaction], T]) -> T:
        self.writes += 1
        written = await self._ledger.write(body)
        self.now += self._takes.pop(0)
        return written


async def begun(folder: Path, *takes: float) -> tuple[bool, SlowLedger, Lease]:
    """Begin an operation under a fresh lease."""
    make_ledger(folder)
    with opened(sqlite_url(folder)) as ledger:
        await ledger.write(lambda tx: tx.add_release(a_release()))
        await ledger.write(lambda tx: tx.add_operation(an_operation()))
        await ledger.write(lambda tx: tx.claim(owner="worker", lease=TERM, grace=TERM, limit=1))
        slow = SlowLedger(ledger, *takes)
        lease = Lease(operation_id(1), owner="worker", token=1, term=TERM, since=0, clock=lambda: slow.now)
        journal = Journal(cast(Ledger, slow), lease, an_operation(), go_on)
        return await journal.begin(), slow, lease


async def test_a_ledger_that_took_its_time_to_count_the_attempt_has_the_lease_renewed(tmp_path: Path) -> None:
    began, ledger, lease = await begun(tmp_path, 20, 1)

    assert began
    assert ledger.writes == 2
    assert lease.suffices_to_start()


async def test_where_the_lease_is_over_by_then_helm_is_not_started(tmp_path: Path) -> None:
    with pytest.raises(GaveUp):
        await begun(tmp_path, 20, 31)


async def test_a_record_that_is_not_put_back_while_the_lease_holds_is_not_put_back() -> None:
    """It bears no version that would guard it, so it may not leave later."""

    class Hanging:
        async def create_record(self, *_: object, **__: object) -> None:
            await asyncio.Event().wait()

    term = timedelta(seconds=0.05)
    lease = Lease(operation_id(1), owner="worker", token=1, term=term, since=time.monotonic(), clock=time.monotonic)
    lost = LostRecord(revision=a_revision(), payload=b"", record=cast(HelmRecord, None))

    with pytest.raises(GaveUp):
        async with asyncio.timeout(10):
            await put_back(cast(Cluster, Hanging()), lease, [lost], purged=False, reached=go_on)

"""Finds operations to carry out, and sees to it that only so many Helms run at once."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from uuid import uuid4

from helm_rollback.application.crash_points import CrashPoint
from helm_rollback.application.drain import first_of
from helm_rollback.application.execution import Execution
from helm_rollback.application.helm_slot import HelmSlot
from helm_rollback.application.journal import GaveUp, expire
from helm_rollback.application.lease import GRACE, Lease
from helm_rollback.application.ports import Claim, LedgerView, Ports
from helm_rollback.domain.errors import ClusterNotConfigured, StoreUnavailable
from helm_rollback.domain.operation import Operation, OperationState

_TICK = 0.5
"""Seconds after which the ledger is looked at though nobody woke the worker: another's lease may have run out."""
_EXPIRING_TICK = 1.0
"""Seconds between two looks for what waited too long."""
_PAGE = 500
_CARRIED_AT_MOST = 200
"""Operations of one cluster at once, those included that wait for it and hold no Helm's place."""

_log = logging.getLogger(__name__)


class Worker:
    """Claims operations, oldest first, and carries each out in a task of its own."""

    def __init__(
        self, ports: Ports, *, owner: str, lease: timedelta, max_helm: int, monotonic: Callable[[], float]
    ) -> None:
        self._ports = ports
        self._owner = owner
        self._term = lease
        self._slots = asyncio.Semaphore(max_helm)
        self._monotonic = monotonic
        self._carrying: dict[tuple[str, str], asyncio.Task[None]] = {}
        """What it carries out now, by cluster and operation id."""

    async def run(self) -> None:
        """Work until the drain begins, then until the last Helm has ended."""
        expiring = asyncio.create_task(self._keep_expiring())
        try:
            with self._ports.ledger.watch_operations() as wakeup:
                while not self._ports.drain.started:
                    if not await self._claim_one():
                        await first_of(wakeup.wait(_TICK), self._ports.drain.wait())
            await asyncio.gather(expiring, *self._carrying.values())
        finally:
            expiring.cancel()

    async def _claim_one(self) -> bool:
        """Take the oldest operation that nobody holds, once a Helm may be started; False where there is none."""
        await self._slots.acquire()
        if self._ports.drain.started:  # while every Helm was busy
            self._slots.release()
            return False
        asked = self._monotonic()
        besides = [operation_id for _, operation_id in self._carrying]
        of_cluster = Counter(cluster for cluster, _ in self._carrying)
        full = [cluster for cluster, count in of_cluster.items() if count >= _CARRIED_AT_MOST]
        claims: list[Claim] = []
        with suppress(StoreUnavailable):
            claims = await self._ports.ledger.write(
                lambda tx: tx.claim(
                    owner=self._owner,
                    lease=self._term,
                    grace=GRACE,
                    limit=1,
                    besides=besides,
                    besides_clusters=full,
                )
            )
        if not claims:
            self._slots.release()
            return False
        self._ports.reached(CrashPoint.CLAIMED)
        operation_id, cluster = claims[0].operation.operation_id, claims[0].operation.release_id.cluster
        _log.info("operation claimed", extra={"operation_id": operation_id, "fence_token": claims[0].token})
        task = asyncio.create_task(self._carry_out(claims[0], asked))
        self._carrying[cluster, operation_id] = task
        task.add_done_callback(lambda _: self._carrying.pop((cluster, operation_id)))
        return True

    async def _carry_out(self, claim: Claim, since: float) -> None:
        lease = Lease(
            claim.operation.operation_id,
            owner=self._owner,
            token=claim.token,
            term=self._term,
            since=since,
            clock=self._monotonic,
        )
        slot = HelmSlot(self._slots)
        keeping = asyncio.create_task(lease.keep(self._ports.ledger))
        try:
            await self._execute(Execution(self._ports, claim, lease, slot), claim, lease)
        except ClusterNotConfigured as problem:
            _log.error("operation %s is left alone: %s", claim.operation.operation_id, problem)
        finally:
            keeping.cancel()
            slot.leave()

    async def _execute(self, execution: Execution, claim: Claim, lease: Lease) -> None:
        try:
            await self._end_orphan(claim)
            await execution.carry_out()
        except GaveUp:
            _log.info("operation %s is left to its next claim", claim.operation.operation_id)
            if lease.holds() and not execution.begun:
                await self._give_back(lease)
        except Exception:
            error_id = uuid4().hex
            _log.exception("operation %s, error %s", claim.operation.operation_id, error_id)
            with suppress(GaveUp):
                await execution.fail_internally(error_id)

    async def _give_back(self, lease: Lease) -> None:
        """Let another replica go on at once: no Helm of ours can have a write under way."""
        with suppress(StoreUnavailable):
            await self._ports.ledger.write(
                lambda tx: tx.give_back(lease.operation_id, owner=lease.owner, token=lease.token)
            )

    async def _end_orphan(self, claim: Claim) -> None:
        """End a Helm that an earlier process left running. The fence has shut it out already, so it may be missed."""
        if not claim.operation.attempt:
            return
        process = None
        with suppress(StoreUnavailable):
            process = await self._ports.ledger.read(lambda view: view.helm_process(claim.operation.operation_id))
        if process is not None:
            await self._ports.helm.end_orphan(process)

    async def _keep_expiring(self) -> None:
        """Beside the claiming, which waits for as long as every Helm is busy."""
        while not await self._ports.drain.interrupts(_EXPIRING_TICK):
            await self._expire()

    async def _expire(self) -> None:
        """End what waited too long for its turn."""
        page: list[Operation] = []
        with suppress(StoreUnavailable):
            while True:
                page, now = await self._ports.ledger.read(
                    partial(_waiting, before=page[-1].operation_id if page else "")
                )
                for operation in page:
                    if now >= operation.expire_time:
                        await self._ports.ledger.write(partial(expire, operation_id=operation.operation_id))
                if len(page) < _PAGE:
                    return


def _waiting(view: LedgerView, *, before: str) -> tuple[list[Operation], datetime]:
    """Operations that wait, newest first, those older than `before`; and the time."""
    return view.operations(state=OperationState.PENDING, before=before, limit=_PAGE), view.now()

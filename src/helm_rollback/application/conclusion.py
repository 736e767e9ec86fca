"""How an operation ends: what Helm stored is read, tidied and told."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial

from helm_rollback.application import observation, outcome
from helm_rollback.application.authorship import attribute
from helm_rollback.application.crash_points import CrashPoint
from helm_rollback.application.failure_capture import capture_failure
from helm_rollback.application.journal import GaveUp, Journal, nothing_more
from helm_rollback.application.lease import Lease
from helm_rollback.application.leftovers import Leftovers
from helm_rollback.application.ports import Cluster, LedgerTransaction, Ports, RecordConflict
from helm_rollback.application.situation import Situation
from helm_rollback.application.undoing import undo_upgrade
from helm_rollback.domain.errors import ClusterPermissionDenied, LedgerCorrupt
from helm_rollback.domain.operation import Applied, Failure, FailureReason, OperationType
from helm_rollback.domain.recovery import UninstallEvidence
from helm_rollback.domain.revision import Revision
from helm_rollback.domain.status import Status

_OBSERVER_SECONDS = 5.0
"""How long the observer is waited for, who sees what no list shows any more."""


class Conclusion:
    """Ends one operation. Every method may raise GaveUp."""

    def __init__(self, ports: Ports, cluster: Cluster, lease: Lease, journal: Journal) -> None:
        self._cluster = cluster
        self._lease = lease
        self._journal = journal
        self._ports = ports
        self._leftovers = Leftovers(ports, cluster, lease, journal)

    async def of_run(self, run: outcome.Run, situation: Situation) -> None:
        """End the operation as the records show that its Helm run ended."""
        if self._journal.operation.type is OperationType.UNINSTALL:
            await self._of_uninstall(run, situation)
            return
        own = situation.own
        undone = self._journal.operation.is_undone_by_helm and run.created_record
        if undone and own is None:
            own = await self._seen_meanwhile()
        if own is not None and own.status.is_pending and not own.stored_by_helm and not undone:
            own = None  # a dead attempt's, that was removed before this run
        is_rollback = self._journal.operation.type is OperationType.ROLLBACK
        if is_rollback and own is None and run.created_record and _may_be_of_run(situation):
            own = await self.attribute(situation)
        if own is None:
            lost = run.created_record
            await self.fail(outcome.failure_with_lost_record(run) if lost else outcome.failure_without_record(run))
        elif own.successful:
            await self.succeed(own)
        else:
            await self._fail_with_record(own, run, situation)

    async def _of_uninstall(self, run: outcome.Run, situation: Situation) -> None:
        """Helm's records tell whether it is gone; errors of hooks and of waiting come after that (`uninstall.go`)."""
        assert isinstance(situation.evidence, UninstallEvidence)
        if situation.evidence.gone:
            await self._journal.succeed(None)
        else:
            await self.fail(outcome.failure_of_uninstall(run))

    async def succeed_without_record(self) -> None:
        """An uninstall found Helm's records as it was to leave them."""
        await self._journal.succeed(None)

    async def succeed(self, own: Revision) -> None:
        """The operation did what it was to do, and wrote `own`."""
        if self._journal.operation.type is not OperationType.ROLLBACK:
            await self._journal.succeed(own)
            return
        remove = self._journal.operation.remove_leftovers
        leftovers = await self._leftovers.removed(own) if remove else await self._leftovers.listed()
        await self._journal.succeed(own, leftovers=leftovers)

    async def fail(self, failure: Failure, *, result: Revision | None = None, by_records: bool = False) -> None:
        """It ended otherwise. `result` is the revision that it wrote all the same.

        `by_records`: the records show that no attempt wrote anything; else only the last run is known.
        """
        if self._journal.resumed and failure.applied is Applied.NOT_APPLIED and not by_records:
            message = f"{failure.message} (an earlier attempt was interrupted, and may have applied something)"
            failure = replace(failure, applied=Applied.UNKNOWN, message=message)
        operation = self._journal.operation
        helm_wrote = result is not None or failure.applied is not Applied.NOT_APPLIED
        is_rollback = operation.type is OperationType.ROLLBACK
        leftovers = await self._leftovers.listed() if helm_wrote and is_rollback else ()
        if result is not None and result.stored_by_helm:
            await self._journal.note_captured_failure(await self._captured(result))
        is_undone = operation.type is OperationType.UPGRADE and operation.atomic
        then = partial(undo_upgrade, ports=self._ports) if is_undone else nothing_more
        await self._journal.fail(failure, result=result, leftovers=leftovers, then=then)

    async def _captured(self, result: Revision) -> str:
        """What is wrong with what the failed operation applied; nothing where its record can not be read."""
        try:
            payload = await self._journal.read(lambda view: view.payload(result.payload_digest))
        except LedgerCorrupt:
            payload = None
        if payload is None:
            return ""
        record = await asyncio.to_thread(self._ports.decode, payload)
        return await capture_failure(self._cluster, result.release_id, record)

    async def fail_for(self, reason: FailureReason, message: str) -> None:
        """It ended without a record that tells more."""
        nothing_written = not self._journal.operation.attempt or reason is FailureReason.EXTERNAL_CHANGE
        applied = Applied.NOT_APPLIED if nothing_written else Applied.UNKNOWN
        by_records = reason is FailureReason.EXTERNAL_CHANGE
        await self.fail(Failure(reason=reason, message=message, applied=applied), by_records=by_records)

    async def interrupt(self, why: str, *, result: Revision | None = None) -> None:
        """Helm was interrupted, and is not to be started again."""
        message = f"Helm was interrupted; {why}"
        await self.fail(
            Failure(reason=FailureReason.INTERRUPTED, message=message, applied=Applied.UNKNOWN), result=result
        )

    async def set_failed(self, own: Revision, situation: Situation) -> str:
        """Take our record out of pending, so that the next upgrade is not refused; why not, where it may not be.

        Raises ClusterUnreachable: then it is not known, and to be tried again.
        """
        ref = situation.ref_of(own)
        stored = await self._cluster.read_record(ref) if ref is not None else None
        if stored is None or stored.record is None:
            return ""
        if not stored.ref.status.is_pending and stored.ref.status is not Status.UNINSTALLING:
            return ""
        if not self._lease.holds():
            raise GaveUp
        try:
            written = await self._cluster.set_failed(stored, description=stored.record.description)
            self._journal.reached(CrashPoint.SET_FAILED)
        except (RecordConflict, ClusterPermissionDenied) as problem:
            return f" (its record stays {stored.ref.status.helm_word}: {problem})"
        await self._journal.durably(lambda tx: observation.apply_watched(tx, own.release_id, written))
        return ""

    async def attribute(self, situation: Situation) -> Revision | None:
        """Note that the revision after the base is ours, though it bears no stamp; None where it is another by now."""
        operation, after = self._journal.operation, situation.after

        def body(tx: LedgerTransaction) -> Revision | None:
            if after is None:
                return None
            written = tx.revision(after.release_id, after.revision, incarnation=after.incarnation)
            if written is None or written.uid != after.uid:
                return None
            return attribute(tx, operation, written, earlier=situation.overwritten)

        return await self._journal.durably(body)

    async def _fail_with_record(self, own: Revision, run: outcome.Run, situation: Situation) -> None:
        if self._journal.operation.is_by_chart:
            await self._fail_with_chart(own, run, situation)
            return
        base, before = situation.base, self._journal.operation.base_status
        superseded = base is not None and base.status is Status.SUPERSEDED and before is not Status.SUPERSEDED
        failure = outcome.failure_with_record(own, run, base_superseded=superseded)
        problem = await self.set_failed(own, situation) if own.status.is_pending else ""
        await self.fail(replace(failure, message=f"{failure.message}{problem}"), result=own)

    async def _seen_meanwhile(self) -> Revision | None:
        """The revision of a record that came and went: no list shows it, but the observer is about to tell it."""
        operation = self._journal.operation
        deadline = asyncio.get_running_loop().time() + _OBSERVER_SECONDS
        with self._ports.ledger.watch(operation.release_id) as wakeup:
            while True:
                seen = await self._journal.read(
                    lambda view: view.revision(
                        operation.release_id, operation.base_revision + 1, incarnation=operation.incarnation
                    )
                )
                ours = seen is not None and seen.operation_id == operation.operation_id and not seen.stored_by_helm
                left = deadline - asyncio.get_running_loop().time()
                if ours or left <= 0:
                    return seen if ours else None
                await wakeup.wait(left)

    async def _fail_with_chart(self, own: Revision, run: outcome.Run, situation: Situation) -> None:
        undone = self._journal.operation.is_undone_by_helm and not own.stored_by_helm
        failure = outcome.failure_undone(run) if undone else outcome.failure_of_chart(own, run)
        problem = await self.set_failed(own, situation)
        if undone:
            await self._journal.durably(lambda tx: observation.note_undone(tx, own.release_id))
        await self._journal.read_again()
        if self._journal.operation.cancel_requested and failure.reason is FailureReason.INTERRUPTED:
            failure = replace(failure, message=f"cancelled on request: {failure.message}")
        await self.fail(replace(failure, message=f"{failure.message}{problem}"), result=own)


def _may_be_of_run(situation: Situation) -> bool:
    """Whether the revision after the base is a rollback, as far as it tells: an upgrade is somebody else's."""
    return situation.after is not None and situation.after.operation_type in (OperationType.ROLLBACK, None)

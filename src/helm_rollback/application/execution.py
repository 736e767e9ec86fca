"""Carrying out one accepted operation, under one lease.

Look at the cluster, name the situation (`domain/recovery.py`), act, and record what
Helm's records then show. An operation whose worker died is taken up in the same way:
only the look differs. Nothing here decides from Helm's exit code.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from datetime import datetime

from helm_rollback.application import observation, outcome, preflight
from helm_rollback.application.journal import PAUSE, GaveUp, Journal
from helm_rollback.application.lease import Lease
from helm_rollback.application.ports import Claim, LedgerTransaction, Ports, RecordConflict, RecordWrite, T
from helm_rollback.application.refresh import cluster_of
from helm_rollback.application.situation import Situation, look, seen_deployed
from helm_rollback.domain.errors import ClusterPermissionDenied, ClusterUnreachable, HelmUnavailable, StoreUnavailable
from helm_rollback.domain.operation import Applied, Failure, FailureReason, OperationState, OutcomeEvidence
from helm_rollback.domain.record_rules import RecordRules
from helm_rollback.domain.recovery import Step, next_step
from helm_rollback.domain.revision import Revision
from helm_rollback.domain.status import Status

MAX_ATTEMPTS = 3


class Execution:
    """One operation in one worker's hands."""

    def __init__(self, ports: Ports, claim: Claim, lease: Lease) -> None:
        self._ports = ports
        self._lease = lease
        self._journal = Journal(ports.ledger, lease, claim.operation)
        self._cluster = cluster_of(ports.clusters, claim.operation.release_id)
        self._last_held = claim.last_held
        self._interrupted = claim.operation.attempt > 0
        """Whether Helm was started for the operation, and its end was not seen."""

    async def carry_out(self) -> None:
        """Bring the operation to its end. Raises GaveUp where another worker, or a later one, is to do it."""
        while not self._journal.operation.state.is_terminal:
            found = await self._asked(self._look_and_ask())
            if found is None:
                continue
            situation, answers = found
            try:
                await self._take(next_step(situation.evidence), situation, answers)
            except StoreUnavailable as problem:  # before anything was begun: what is begun is written patiently
                await self._journal.pause(problem)

    async def fail_internally(self, error_id: str) -> None:
        """End the operation after an error of this service's own."""
        await self._fail(FailureReason.INTERNAL, f"an internal error of the service; its log has it as {error_id}")

    # --- look -------------------------------------------------------------------------

    async def _look(self) -> Situation:
        return await look(self._ports, self._cluster, self._journal.operation, interrupted=self._interrupted)

    async def _look_and_ask(self) -> tuple[Situation, preflight.Answers]:
        """Look, and ask at the same time what has to be known before Helm is started."""
        return await asyncio.gather(self._look(), preflight.ask(self._cluster, self._journal.operation))

    async def _asked(self, question: Coroutine[object, object, T]) -> T | None:
        """The answer; None where cluster or ledger were to be waited for, or the operation ended over it."""
        try:
            return await question
        except StoreUnavailable as problem:
            await self._journal.pause(problem)
        except ClusterUnreachable as problem:
            await self._wait_for_cluster(problem)
        except ClusterPermissionDenied as problem:
            if self._journal.operation.attempt:
                await self._fail(FailureReason.OUTCOME_UNKNOWN, f"Helm's records can not be read: {problem}")
            else:
                await self._fail(FailureReason.CLUSTER_PERMISSION_DENIED, str(problem))
        return None

    async def _wait_for_cluster(self, problem: ClusterUnreachable) -> None:
        """Wait a little. What has waited too long by then ends."""
        if await self._ports.drain.interrupts(PAUSE) or not self._lease.holds():
            raise GaveUp
        await self._journal.read_again()
        operation, now = self._journal.operation, await self._journal.now()
        if operation.state is OperationState.PENDING and now >= operation.expire_time:
            await self._fail(FailureReason.EXPIRED, f"it expired while {problem}; nothing was run")
        elif operation.state is OperationState.RUNNING and self._is_too_old(now):
            await self._fail(FailureReason.OUTCOME_UNKNOWN, f"Helm's records can not be read: {problem}")

    def _is_too_old(self, now: datetime) -> bool:
        """Whether an interrupted operation lay longer than it may wait to begin."""
        operation = self._journal.operation
        since = self._last_held or operation.start_time or operation.create_time
        return now - since > operation.expire_time - operation.create_time

    # --- act --------------------------------------------------------------------------

    async def _take(self, step: Step, situation: Situation, answers: preflight.Answers) -> None:
        own = situation.own
        match step:
            case Step.RUN:
                await self._run(situation, answers)
            case Step.REMOVE_AND_RUN if own is not None:
                await self._remove_dead_record(own, situation)
            case Step.SUCCEEDED if own is not None:
                await self._journal.succeed(own, self._evidence)
            case Step.FAILED if own is not None:
                await self._end(outcome.failure_reconstructed(own, self._ports.helm), result=own)
            case Step.SET_FAILED if own is not None:
                await self._set_failed(own, situation)
                await self._interrupt("a rollback hook may have run, so it was not started again", result=own)
            case Step.INTERRUPTED:
                await self._interrupt("others have changed the release since, so it was not started again", result=own)
            case Step.EXTERNAL_CHANGE:
                await self._fail(FailureReason.EXTERNAL_CHANGE, "the release changed after acceptance; nothing was run")
            case _:
                await self._fail(
                    FailureReason.OUTCOME_UNKNOWN, "Helm was interrupted, and its records do not tell what it did"
                )

    async def _run(self, situation: Situation, answers: preflight.Answers) -> None:
        """Start Helm, wait for its end, and record what its records then show."""
        if await self._is_spent():
            await self._interrupt("it was interrupted too often, or too long ago, to be started again")
            return
        checked = await preflight.check(self._ports.ledger, self._journal.operation, answers, decode=self._ports.decode)
        if checked.failure is not None:
            await self._end(checked.failure)
            return
        if not await self._journal.begin():
            return
        try:
            run = await self._helm(situation, checked)
        except HelmUnavailable as problem:
            applied = Applied.UNKNOWN if self._interrupted else Applied.NOT_APPLIED
            await self._end(Failure(reason=FailureReason.HELM_UNAVAILABLE, message=str(problem), applied=applied))
            return
        await self._conclude(run)

    async def _is_spent(self) -> bool:
        """Whether an interrupted operation is not to be started once more."""
        if not self._interrupted:
            return False
        return self._journal.operation.attempt >= MAX_ATTEMPTS or self._is_too_old(await self._journal.now())

    async def _helm(self, situation: Situation, checked: preflight.Preflight) -> outcome.Run:
        """Run Helm behind the fence, which asks about every record that Helm writes."""
        operation = self._journal.operation
        rules = RecordRules(
            operation=operation,
            deployed={ref.revision for ref in situation.refs if ref.status is Status.DEPLOYED},
            stamped=self._ports.helm.writes_stamp,
        )

        async def judge(write: RecordWrite) -> str:
            record = write.stored.record if write.stored is not None else None
            refusal = rules.refusal(method=write.method, name=write.secret_name, record=record)
            if not refusal and write.method == "POST":
                refusal = await self._changed_since(situation)
            return refusal

        async with self._ports.fence.open(self._cluster.name, may_write=self._lease.holds, judge=judge) as fence:
            ended = await self._ports.helm.rollback(
                operation.release_id,
                operation.target_revision,
                options=operation.helm_options,
                description=operation.stamp,
                kubeconfig=fence.kubeconfig,
                api_state=checked.api_state,
                started=self._journal.note_process,
            )
            return outcome.Run(
                exit=ended,
                touched=tuple(fence.touched),
                refused_records=tuple(fence.refused_records),
                secrets=checked.secrets,
            )

    async def _changed_since(self, situation: Situation) -> str:
        """Why Helm's record may not be created: someone else's Helm came in since the look.

        Asked of the cluster, which costs some 2 ms: the ledger may not have heard of it yet.
        """
        now = await self._cluster.list_release(self._journal.operation.release_id)
        if [(ref.uid, ref.status) for ref in now] == [(ref.uid, ref.status) for ref in situation.refs]:
            return ""
        return "someone else's Helm changed the release since it was looked at"

    async def _remove_dead_record(self, own: Revision, situation: Situation) -> None:
        """Remove the pending record that a dead attempt left, then look again.

        Helm would take that half-applied copy of the target as its base, and leave the
        objects of the revision before behind.
        """
        if await self._is_spent():
            await self._set_failed(own, situation)
            await self._interrupt("it was interrupted too often, or too long ago, to be started again", result=own)
            return
        ref = situation.ref_of(own)
        if ref is None or not self._lease.holds():
            raise GaveUp
        try:
            await self._cluster.delete_record(ref)
        except RecordConflict:
            return  # it changed since the look
        await self._journal.durably(
            lambda tx: observation.apply_removal(tx, own.release_id, revision=own.revision, uid=ref.uid)
        )

    # --- conclude ---------------------------------------------------------------------

    async def _conclude(self, run: outcome.Run) -> None:
        """Read what Helm stored, and end the operation accordingly."""
        self._interrupted = False
        deployed = await self._asked(seen_deployed(self._ports.ledger, self._journal.operation))
        if deployed is not None:
            await self._journal.succeed(deployed, self._evidence)
            return
        situation = None
        while situation is None:
            situation = await self._asked(self._look())
            if self._journal.operation.state.is_terminal:
                return
        own = situation.own
        if own is None and run.created_record:
            own = await self._attributed(situation)
        if own is None:
            await self._end(outcome.failure_without_record(run))
        elif own.successful:
            await self._journal.succeed(own, self._evidence)
        else:
            await self._conclude_failed(own, run, situation)

    async def _attributed(self, situation: Situation) -> Revision | None:
        """The revision after the base, noted as ours. The fence let our Helm create it; an older Helm has no stamp."""
        operation, after = self._journal.operation, situation.after

        def body(tx: LedgerTransaction) -> Revision | None:
            if after is None:
                return None
            written = tx.revision(after.release_id, after.revision, incarnation=after.incarnation)
            return observation.attribute(tx, operation, written) if written is not None else None

        return await self._journal.durably(body)

    async def _conclude_failed(self, own: Revision, run: outcome.Run, situation: Situation) -> None:
        base, before = situation.base, self._journal.operation.base_status
        superseded = base is not None and base.status is Status.SUPERSEDED and before is not Status.SUPERSEDED
        failure = outcome.failure_with_record(own, run, base_superseded=superseded)
        problem = await self._set_failed(own, situation) if own.status.is_pending else ""
        await self._end(replace(failure, message=f"{failure.message}{problem}"), result=own)

    async def _set_failed(self, own: Revision, situation: Situation) -> str:
        """Take our record out of pending, so that the next upgrade is not refused; why not, where it can not be."""
        ref = situation.ref_of(own)
        stored = await self._cluster.read_record(ref) if ref is not None else None
        if stored is None or stored.record is None or not stored.ref.status.is_pending:
            return ""
        if not self._lease.holds():
            raise GaveUp
        try:
            written = await self._cluster.set_failed(stored, description=stored.record.description)
        except (RecordConflict, ClusterPermissionDenied, ClusterUnreachable) as problem:
            return f" (its record stays {stored.ref.status.helm_word}: {problem})"
        await self._journal.durably(lambda tx: observation.apply_watched(tx, own.release_id, written))
        return ""

    async def _interrupt(self, why: str, *, result: Revision | None = None) -> None:
        failure = Failure(
            reason=FailureReason.INTERRUPTED, message=f"Helm was interrupted; {why}", applied=Applied.UNKNOWN
        )
        await self._end(failure, result=result)

    async def _fail(self, reason: FailureReason, message: str) -> None:
        nothing_written = not self._journal.operation.attempt or reason is FailureReason.EXTERNAL_CHANGE
        applied = Applied.NOT_APPLIED if nothing_written else Applied.UNKNOWN
        await self._end(Failure(reason=reason, message=message, applied=applied))

    async def _end(self, failure: Failure, *, result: Revision | None = None) -> None:
        await self._journal.fail(failure, self._evidence, result=result)

    @property
    def _evidence(self) -> OutcomeEvidence:
        return OutcomeEvidence.RECONSTRUCTED if self._interrupted else OutcomeEvidence.OBSERVED

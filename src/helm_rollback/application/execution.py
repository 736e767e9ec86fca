"""Carrying out one accepted operation, under one lease.

Look at the cluster, name the situation (`domain/recovery.py`), act, and record what
Helm's records then show. An operation whose worker died is taken up in the same way:
only the look differs. Nothing here decides from Helm's exit code.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from datetime import datetime, timedelta

from helm_rollback.application import observation, outcome, preflight
from helm_rollback.application.conclusion import Conclusion
from helm_rollback.application.crash_points import CrashPoint
from helm_rollback.application.helm_run import run_helm
from helm_rollback.application.helm_slot import HelmSlot
from helm_rollback.application.journal import PAUSE, GaveUp, Journal
from helm_rollback.application.lease import Lease
from helm_rollback.application.ports import Claim, Ports, RecordConflict, T
from helm_rollback.application.put_back import LostRecord, NotPutBack, put_back
from helm_rollback.application.refresh import cluster_of
from helm_rollback.application.situation import Situation, look, seen_deployed
from helm_rollback.domain.errors import ClusterPermissionDenied, ClusterUnreachable, HelmUnavailable, StoreUnavailable
from helm_rollback.domain.operation import (
    Applied,
    Failure,
    FailureReason,
    Operation,
    OperationState,
    OperationType,
)
from helm_rollback.domain.recovery import Step, next_step
from helm_rollback.domain.revision import Revision
from helm_rollback.domain.status import Status

_log = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
CREDENTIALS_PATIENCE = timedelta(seconds=15)
"""How long a cluster may refuse to be looked at after Helm was started: credentials, and rights, are replaced so."""


class Execution:
    """One operation in one worker's hands."""

    def __init__(self, ports: Ports, claim: Claim, lease: Lease, slot: HelmSlot) -> None:
        self._ports = ports
        self._slot = slot
        self._lease = lease
        self._journal = Journal(ports.ledger, lease, claim.operation, ports.reached)
        self._cluster = cluster_of(ports.clusters, claim.operation.release_id)
        self._helm_until = claim.helm_until
        self._away_since: datetime | None = None
        """Since when the cluster has not answered, or not let us look, for the same reason."""
        self._away_for: type[Exception] | None = None
        self._claimed_attempt = claim.operation.attempt
        self._conclusion = Conclusion(ports, self._cluster, lease, self._journal)

    @property
    def begun(self) -> bool:
        """Whether Helm was, or is just being, started under this claim."""
        return self._journal.operation.attempt > self._claimed_attempt

    async def carry_out(self) -> None:
        """Bring the operation to its end. Raises GaveUp where another worker, or a later one, is to do it."""
        while not self._journal.operation.state.is_terminal:
            found = await self._asked(self._look_and_ask())
            if found is None:
                continue
            await self._asked(self._act(*found))

    async def fail_internally(self, error_id: str) -> None:
        """End the operation after an error of this service's own; a record of ours is taken out of pending."""
        problem = await self._tidied() if self._journal.operation.attempt else ""
        message = f"an internal error of the service; its log has it as {error_id}{problem}"
        await self._conclusion.fail_for(FailureReason.INTERNAL, message)

    async def _tidied(self) -> str:
        """Set a pending record of ours failed, as far as that works; why not, where it may stay pending."""
        try:
            situation = await self._look()
            return await self._conclusion.set_failed(situation.own, situation) if situation.own is not None else ""
        except GaveUp:
            raise
        except Exception:
            _log.exception("operation %s: its record may stay pending", self._journal.operation.operation_id)
            return " (its record may stay pending)"

    # --- look -------------------------------------------------------------------------

    async def _look(self) -> Situation:
        return await look(
            self._ports,
            self._cluster,
            self._journal.operation,
            interrupted=self._journal.interrupted,
            helm_until=self._helm_until,
        )

    async def _look_and_ask(self) -> tuple[Situation, preflight.Answers]:
        """Look, and ask at the same time what has to be known before Helm is started."""
        return await asyncio.gather(self._look(), preflight.ask(self._cluster, self._journal.operation))

    async def _asked(self, question: Coroutine[object, object, T]) -> T | None:
        """The answer; None where cluster or ledger are to be waited for and asked again, or the operation ended."""
        try:
            return await question
        except StoreUnavailable as problem:
            await self._journal.pause(problem)
        except ClusterUnreachable as problem:
            await self._wait_for_cluster(problem, _patience(self._journal.operation))
        except ClusterPermissionDenied as problem:
            if self._journal.operation.attempt:
                await self._wait_for_cluster(problem, min(CREDENTIALS_PATIENCE, _patience(self._journal.operation)))
            else:
                await self._conclusion.fail_for(FailureReason.CLUSTER_PERMISSION_DENIED, str(problem))
        return None

    async def _wait_for_cluster(
        self, problem: ClusterUnreachable | ClusterPermissionDenied, patience: timedelta
    ) -> None:
        """Wait a little, in nobody's way. What has waited too long by then ends."""
        self._slot.leave()
        if await self._ports.drain.interrupts(PAUSE) or not self._lease.holds():
            raise GaveUp
        await self._journal.read_again()
        operation, now = self._journal.operation, await self._journal.now()
        if self._away_since is None or self._away_for is not type(problem):
            self._away_since, self._away_for = now, type(problem)
        if operation.state is OperationState.PENDING and now >= operation.expire_time:
            await self._conclusion.fail_for(FailureReason.EXPIRED, f"it expired while {problem}; nothing was run")
        elif operation.state is OperationState.RUNNING and now - self._away_since > patience:
            await self._conclusion.fail_for(
                FailureReason.OUTCOME_UNKNOWN, f"Helm's records can not be read, or put right: {problem}"
            )

    def _is_too_old(self, now: datetime) -> bool:
        """Whether an interrupted operation lay longer than it may wait to begin."""
        operation = self._journal.operation
        since = self._helm_until or operation.start_time or operation.create_time
        return now - since > _patience(operation)

    # --- act --------------------------------------------------------------------------

    async def _act(self, situation: Situation, answers: preflight.Answers) -> None:
        """Take the step. Only then the cluster has done all that it was asked for: a look alone may get through."""
        await self._take(next_step(situation.evidence), situation, answers)
        self._away_since = None

    async def _take(self, step: Step, situation: Situation, answers: preflight.Answers) -> None:
        own = situation.own
        match step:
            case Step.ATTRIBUTE:
                await self._conclusion.attribute(situation)
            case Step.RUN:
                await self._run(situation, answers)
            case Step.REMOVE_AND_RUN if own is not None:
                await self._remove_dead_record(own, situation)
            case Step.SUCCEEDED if own is not None:
                await self._conclusion.succeed(own)
            case Step.SUCCEEDED:
                await self._conclusion.succeed_without_record()
            case Step.UNDONE if own is not None:
                await self._give_up(own, situation, "it had failed by then, and Helm has undone it, or was about to")
            case Step.FAILED if own is not None:
                await self._conclusion.fail(outcome.failure_reconstructed(own, self._ports.helm), result=own)
            case Step.HOOK_MAY_HAVE_RUN if own is not None:
                await self._give_up(own, situation, "a hook may have run, so it was not started again")
            case Step.HOOK_MAY_HAVE_RUN:
                await self._conclusion.interrupt("a delete hook may have run, so it was not started again")
            case Step.OVERTAKEN if own is None:
                await self._conclusion.interrupt("others have changed the release since, so it was not started again")
            case Step.OVERTAKEN if own is not None:
                why = "others have changed the release since, so it was not started again"
                await self._give_up(own, situation, why)
            case Step.EXTERNAL_CHANGE:
                await self._conclusion.fail_for(
                    FailureReason.EXTERNAL_CHANGE, "the release changed after acceptance; nothing was run"
                )
            case _:
                await self._conclusion.fail_for(
                    FailureReason.OUTCOME_UNKNOWN, "Helm was interrupted, and its records do not tell what it did"
                )

    async def _run(self, situation: Situation, answers: preflight.Answers) -> None:
        """Start Helm, wait for its end, and record what its records then show."""
        if why := await self._why_not_again():
            await self._conclusion.interrupt(why)
            return
        checked = await preflight.check(
            self._ports.ledger, self._journal.operation, situation, answers, decode=self._ports.decode
        )
        if checked.failure is not None:
            await self._conclusion.fail(checked.failure)
            return
        if checked.lost:
            await self._put_back(checked.lost, purged=not situation.refs)
            return  # to look again: the fence compares with what was stored then
        if await self._took_over(situation):
            return  # to look again
        if await self._slot.take():
            return  # to look again
        if self._ports.drain.started:
            raise GaveUp
        if not await self._journal.begin():
            return
        self._ports.reached(CrashPoint.BEGUN)
        self._away_since = None
        try:
            run = await run_helm(self._ports, self._cluster, self._lease, self._journal, situation, checked)
        except HelmUnavailable as problem:
            applied = Applied.UNKNOWN if self._journal.interrupted else Applied.NOT_APPLIED
            await self._conclusion.fail(
                Failure(reason=FailureReason.HELM_UNAVAILABLE, message=str(problem), applied=applied)
            )
            return
        await self._conclude(run)

    async def _took_over(self, situation: Situation) -> bool:
        """Set what stands in an upgrade's way failed, as its caller wished: Helm upgrades nothing that is pending."""
        base = situation.base
        if self._journal.operation.type is not OperationType.UPGRADE or base is None:
            return False
        if not base.status.is_pending and base.status is not Status.UNINSTALLING:
            return False
        if problem := await self._conclusion.set_failed(base, situation):
            await self._conclusion.fail_for(FailureReason.EXTERNAL_CHANGE, f"it can not be taken over{problem}")
        return True

    async def _put_back(self, lost: Sequence[LostRecord], *, purged: bool) -> None:
        """Let Helm find again what it no longer stores."""
        try:
            await put_back(self._cluster, self._lease, lost, purged=purged, reached=self._ports.reached)
        except NotPutBack as problem:
            await self._conclusion.fail_for(problem.reason, str(problem))

    async def _why_not_again(self) -> str:
        """Why what was begun is not to be started once more; nothing where it is."""
        if self._journal.operation.cancel_requested:
            return "it was cancelled on request, so it was not started again"
        if not self._journal.interrupted:
            return ""
        spent = self._journal.operation.attempt >= MAX_ATTEMPTS or self._is_too_old(await self._journal.now())
        return "it was interrupted too often, or too long ago, to be started again" if spent else ""

    async def _remove_dead_record(self, own: Revision, situation: Situation) -> None:
        """Remove the pending record that a dead attempt left, then look again.

        Helm would take that half-applied copy of the target as its base, and leave the
        objects of the revision before behind.
        """
        if why := await self._why_not_again():
            await self._give_up(own, situation, why)
            return
        ref = situation.ref_of(own)
        if ref is None or not self._lease.holds():
            raise GaveUp
        try:
            await self._cluster.delete_record(ref)
            self._ports.reached(CrashPoint.DEAD_RECORD_REMOVED)
        except RecordConflict:
            return  # it changed since the look
        except ClusterPermissionDenied as problem:
            why = f"it was not started again, since its record can not be removed before: {problem}"
            await self._give_up(own, situation, why)
            return
        await self._journal.durably(
            lambda tx: observation.apply_removal(tx, own.release_id, revision=own.revision, uid=ref.uid)
        )

    async def _give_up(self, own: Revision, situation: Situation, why: str) -> None:
        """End an interrupted operation; its record, where one is stored that is pending, is taken out of that."""
        problem = await self._conclusion.set_failed(own, situation)
        await self._conclusion.interrupt(f"{why}{problem}", result=own)

    async def _conclude(self, run: outcome.Run) -> None:
        """Read what Helm stored, and end the operation accordingly."""
        self._journal.interrupted = False
        deployed = await self._asked(seen_deployed(self._ports.ledger, self._journal.operation))
        if deployed is not None:
            await self._conclusion.succeed(deployed)
            return
        while not self._journal.operation.state.is_terminal:
            await self._asked(self._conclude_from_records(run))

    async def _conclude_from_records(self, run: outcome.Run) -> None:
        if not self._lease.holds():
            raise GaveUp  # what Helm wrote last may have been refused for that, and is to be tried again
        await self._conclusion.of_run(run, await self._look())


def _patience(operation: Operation) -> timedelta:
    """How long an operation may wait to begin, or, interrupted, to go on: its `expire_after`."""
    return operation.expire_time - operation.create_time

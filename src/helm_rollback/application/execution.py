"""Carrying out one accepted operation, under one lease.

Look at the cluster, name the situation (`domain/recovery.py`), act, and record what
Helm's records then show. An operation whose worker died is taken up in the same way:
only the look differs. Nothing here decides from Helm's exit code.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from helm_rollback.application import observation, outcome, preflight
from helm_rollback.application.lease import Lease
from helm_rollback.application.ports import (
    Claim,
    HelmProcess,
    LedgerTransaction,
    LedgerView,
    Ports,
    RecordConflict,
    RecordWrite,
    T,
)
from helm_rollback.application.refresh import catch_up, cluster_of
from helm_rollback.domain.errors import (
    ClusterPermissionDenied,
    ClusterUnreachable,
    HelmUnavailable,
    StoreUnavailable,
)
from helm_rollback.domain.evidence import rollback_hooks
from helm_rollback.domain.history import OperationTransition
from helm_rollback.domain.operation import (
    Applied,
    Failure,
    FailureReason,
    Operation,
    OperationState,
    OutcomeEvidence,
)
from helm_rollback.domain.record import RecordRef
from helm_rollback.domain.record_rules import RecordRules
from helm_rollback.domain.recovery import Evidence, OwnRecord, Step, next_step
from helm_rollback.domain.revision import Revision
from helm_rollback.domain.status import Status

MAX_ATTEMPTS = 3
_PAUSE = 0.25
"""Seconds between two tries to reach a cluster or a ledger that is away."""

_log = logging.getLogger(__name__)


class GaveUp(Exception):
    """This worker stops here and leaves the operation to its next claim: the lease is lost, or the server drains."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What a look at the release showed."""

    refs: list[RecordRef]
    own: Revision | None
    base: Revision | None
    evidence: Evidence


class Execution:
    """One operation in one worker's hands."""

    def __init__(self, ports: Ports, claim: Claim, lease: Lease) -> None:
        self._ports = ports
        self._operation = claim.operation
        self._last_held = claim.last_held
        self._lease = lease
        self._cluster = cluster_of(ports.clusters, claim.operation.release_id)
        self._interrupted = claim.operation.attempt > 0

    async def carry_out(self) -> None:
        """Bring the operation to its end. Raises GaveUp where another worker, or a later one, is to do it."""
        while not self._operation.state.is_terminal:
            situation = await self._look()
            if situation is not None:
                await self._take(next_step(situation.evidence), situation)

    # --- look -------------------------------------------------------------------------

    async def _look(self) -> Situation | None:
        """The situation, once the cluster answers; None where the operation ended over the wait."""
        try:
            return await self._situation()
        except ClusterUnreachable as problem:
            await self._wait_for_cluster(problem)
        except ClusterPermissionDenied as problem:
            reason = FailureReason.OUTCOME_UNKNOWN if self._interrupted else FailureReason.CLUSTER_PERMISSION_DENIED
            await self._fail(reason, str(problem))
        return None

    async def _situation(self) -> Situation:
        refs = await self._cluster.list_release(self._operation.release_id)
        await catch_up(self._ports.ledger, self._cluster, self._operation.release_id, refs)
        return await self._ports.ledger.read(lambda view: self._situation_in(view, refs))

    def _situation_in(self, view: LedgerView, refs: list[RecordRef]) -> Situation:
        operation = self._operation
        release = view.release(operation.release_id)
        base = view.revision(operation.release_id, operation.base_revision, incarnation=operation.incarnation)
        after = view.revision(operation.release_id, operation.base_revision + 1, incarnation=operation.incarnation)
        target = view.revision(operation.release_id, operation.target_revision, incarnation=operation.incarnation)
        own = after if after is not None and after.operation_id == operation.operation_id else None
        newest = max((ref.revision for ref in refs), default=0)
        own_is_newest = own is not None and newest == own.revision
        head = release.current_revision if release is not None else 0
        same_life = release is not None and release.incarnation == operation.incarnation
        payload = view.payload(target.payload_digest) if self._interrupted and target is not None else None
        has_hooks = payload is not None and bool(rollback_hooks(self._ports.decode(payload)))
        return Situation(
            refs=refs,
            own=own,
            base=base,
            evidence=Evidence(
                base_unchanged=same_life
                and head == operation.base_revision
                and base is not None
                and (self._interrupted or base.status is operation.base_status),
                own=OwnRecord(
                    status=own.status,
                    seen_deployed=own.successful,
                    stored=own.stored_by_helm,
                    newest=own_is_newest,
                )
                if own is not None
                else None,
                hooks_may_have_run=has_hooks and not operation.helm_options.disable_hooks,
                may_be_own=self._interrupted
                and after is not None
                and own is None
                and after.status is Status.FAILED
                and after.rollback_target == operation.target_revision,
            ),
        )

    async def _wait_for_cluster(self, problem: ClusterUnreachable) -> None:
        """Wait a little; what is too old by then ends."""
        if await self._ports.drain.interrupts(_PAUSE) or not self._lease.holds():
            raise GaveUp
        operation = self._operation
        now = await self._ports.ledger.read(lambda view: view.now())
        if operation.state is OperationState.PENDING:
            self._operation = await self._refreshed()
            if now >= operation.expire_time and not self._operation.state.is_terminal:
                await self._fail(FailureReason.EXPIRED, f"{problem}, until the operation expired")
        elif self._is_too_old(now):
            await self._fail(FailureReason.OUTCOME_UNKNOWN, f"{problem}, and Helm's records can not be read")

    # --- act --------------------------------------------------------------------------

    async def _take(self, step: Step, situation: Situation) -> None:
        own = situation.own
        match step:
            case Step.RUN:
                await self._run(situation)
            case Step.REMOVE_AND_RUN:
                assert own is not None
                await self._remove_dead_record(own, situation)
            case Step.EXTERNAL_CHANGE:
                await self._fail(FailureReason.EXTERNAL_CHANGE, "the release changed after acceptance; nothing was run")
            case Step.SUCCEEDED:
                assert own is not None
                await self._succeed(own)
            case Step.FAILED:
                assert own is not None
                await self._end(outcome.failure_reconstructed(own, self._ports.helm), result=own)
            case Step.SET_FAILED:
                assert own is not None
                await self._set_failed(own, situation)
                await self._interrupt(own, "a rollback hook may have run, so it was not started again")
            case Step.INTERRUPTED:
                await self._interrupt(own, "others have changed the release since, so it was not started again")
            case Step.OUTCOME_UNKNOWN:
                await self._fail(
                    FailureReason.OUTCOME_UNKNOWN, "Helm was interrupted, and its records do not tell what it did"
                )

    async def _run(self, situation: Situation) -> None:
        """Start Helm, wait for its end, and record what its records then show."""
        operation = self._operation
        if operation.attempt >= MAX_ATTEMPTS or await self._is_late():
            await self._interrupt(None, f"it was interrupted {operation.attempt} times")
            return
        checked = await preflight.check(
            self._ports.ledger, self._cluster, operation, situation.refs, decode=self._ports.decode
        )
        if checked.failure is not None:
            await self._end(checked.failure)
            return
        if not await self._begin():
            return
        try:
            run = await self._helm(situation, checked.secrets)
        except HelmUnavailable as problem:
            await self._fail(FailureReason.HELM_UNAVAILABLE, str(problem))
            return
        await self._conclude(run)

    async def _begin(self) -> bool:
        """Count the attempt, durably, before Helm is started; False where the operation ended meanwhile."""
        if not self._lease.suffices_to_start() and not await self._lease.renew(self._ports.ledger):
            raise GaveUp

        def body(tx: LedgerTransaction) -> Operation:
            known = self._held(tx)
            if known.state.is_terminal:
                return known
            now = tx.now()
            if known.state is OperationState.PENDING and now >= known.expire_time:
                return _ended(tx, known, _expired())
            begun = replace(
                known, state=OperationState.RUNNING, attempt=known.attempt + 1, start_time=known.start_time or now
            )
            tx.update_operation(begun)
            tx.append(known.release_id, OperationTransition(operation=begun))
            return begun

        self._operation = await self._durably(body)
        return not self._operation.state.is_terminal

    async def _helm(self, situation: Situation, secrets: frozenset[str]) -> outcome.Run:
        operation = self._operation
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

        async def started(process: HelmProcess) -> None:
            with suppress(StoreUnavailable):  # it only helps to find a Helm that outlives this process
                await self._ports.ledger.write(lambda tx: tx.save_helm_process(operation.operation_id, process))

        async with self._ports.fence.open(self._cluster.name, may_write=self._lease.holds, judge=judge) as fence:
            ended = await self._ports.helm.rollback(
                operation.release_id,
                operation.target_revision,
                options=operation.helm_options,
                description=operation.stamp,
                kubeconfig=fence.kubeconfig,
                started=started,
            )
            return outcome.Run(
                exit=ended,
                touched=tuple(fence.touched),
                refused_records=tuple(fence.refused_records),
                secrets=secrets,
            )

    async def _changed_since(self, situation: Situation) -> str:
        """Why Helm's record may not be created: someone else's Helm came in since the look."""
        now = await self._cluster.list_release(self._operation.release_id)
        if [(ref.uid, ref.status) for ref in now] == [(ref.uid, ref.status) for ref in situation.refs]:
            return ""
        return "someone else's Helm changed the release since it was looked at"

    # --- record -----------------------------------------------------------------------

    async def _conclude(self, run: outcome.Run) -> None:
        """Read what Helm stored, and end the operation accordingly."""
        self._interrupted = False
        situation = None
        while situation is None:
            situation = await self._look()
            if self._operation.state.is_terminal:
                return
        own = situation.own
        if own is None:
            await self._end(outcome.failure_without_record(run))
        elif own.successful:
            await self._succeed(own)
        else:
            superseded = situation.base is not None and situation.base.status is Status.SUPERSEDED
            failure = outcome.failure_with_record(own, run, base_superseded=superseded)
            if own.status.is_pending:
                problem = await self._set_failed(own, situation)
                failure = replace(failure, message=f"{failure.message}{problem}")
            await self._end(failure, result=own)

    async def _set_failed(self, own: Revision, situation: Situation) -> str:
        """Take our record out of pending, so that the next upgrade is not refused; why not, where it can not be."""
        ref = next((ref for ref in situation.refs if ref.revision == own.revision), None)
        stored = await self._cluster.read_record(ref) if ref is not None else None
        if stored is None or stored.record is None or not stored.ref.status.is_pending:
            return ""
        try:
            written = await self._cluster.set_failed(stored, description=stored.record.description)
        except (RecordConflict, ClusterPermissionDenied, ClusterUnreachable) as problem:
            return f" (its record stays {stored.ref.status.helm_word}: {problem})"
        await self._durably(lambda tx: observation.apply_watched(tx, own.release_id, written))
        return ""

    async def _remove_dead_record(self, own: Revision, situation: Situation) -> None:
        """Remove the pending record that a dead attempt left.

        Helm would take that half-applied copy of the target as its base, and leave the
        objects of the revision before behind.
        """
        if self._operation.attempt >= MAX_ATTEMPTS or await self._is_late():
            await self._set_failed(own, situation)
            await self._interrupt(own, f"it was interrupted {self._operation.attempt} times")
            return
        if not self._lease.holds():
            raise GaveUp
        ref = next(ref for ref in situation.refs if ref.revision == own.revision)
        try:
            await self._cluster.delete_record(ref)
        except RecordConflict:
            return  # it changed since the look: look again
        await self._durably(
            lambda tx: observation.apply_removal(tx, own.release_id, revision=own.revision, uid=ref.uid)
        )

    async def _succeed(self, own: Revision) -> None:
        def body(tx: LedgerTransaction) -> Operation:
            known = self._held(tx)
            done = replace(
                known,
                state=OperationState.SUCCEEDED,
                result_revision=own.revision,
                outcome_evidence=self._evidence(),
                end_time=tx.now(),
            )
            tx.update_operation(done)
            tx.append(known.release_id, OperationTransition(operation=done))
            return done

        self._operation = await self._durably(body)

    async def _interrupt(self, own: Revision | None, why: str) -> None:
        failure = Failure(
            reason=FailureReason.INTERRUPTED,
            message=f"Helm was interrupted; {why}",
            applied=Applied.UNKNOWN,
        )
        await self._end(failure, result=own)

    async def _fail(self, reason: FailureReason, message: str) -> None:
        applied = Applied.UNKNOWN if self._operation.attempt else Applied.NOT_APPLIED
        await self._end(Failure(reason=reason, message=message, applied=applied))

    async def fail_internally(self, error_id: str) -> None:
        """End the operation after an error of this service's own."""
        await self._fail(FailureReason.INTERNAL, f"an internal error of the service; its log has it as {error_id}")

    async def _end(self, failure: Failure, *, result: Revision | None = None) -> None:
        def body(tx: LedgerTransaction) -> Operation:
            known = self._held(tx)
            if known.state.is_terminal:
                return known
            with_result = replace(
                known,
                result_revision=result.revision if result is not None else 0,
                outcome_evidence=self._evidence() if known.attempt else None,
            )
            return _ended(tx, with_result, failure)

        self._operation = await self._durably(body)

    # --- the ledger -------------------------------------------------------------------

    def _evidence(self) -> OutcomeEvidence:
        return OutcomeEvidence.RECONSTRUCTED if self._interrupted else OutcomeEvidence.OBSERVED

    def _held(self, tx: LedgerTransaction) -> Operation:
        """The operation as it is now, held until the transaction ends. Raises GaveUp where the claim is lost."""
        tx.lock_release(self._operation.release_id)
        known = tx.operation(self._operation.operation_id)
        if known is None or not tx.holds(known.operation_id, token=self._lease.token):
            raise GaveUp
        return known

    async def _refreshed(self) -> Operation:
        known = await self._ports.ledger.read(lambda view: view.operation(self._operation.operation_id))
        return known or self._operation

    async def _durably(self, body: Callable[[LedgerTransaction], T]) -> T:
        """Write, however long the ledger is away, while the lease holds."""
        while True:
            try:
                return await self._ports.ledger.write(body)
            except StoreUnavailable as problem:
                _log.warning("operation %s waits for the ledger: %s", self._operation.operation_id, problem)
                if not self._lease.holds():
                    raise GaveUp from problem
                await asyncio.sleep(_PAUSE)

    async def _is_late(self) -> bool:
        """Whether an interrupted operation may no longer be started again."""
        if not self._interrupted:
            return False
        return self._is_too_old(await self._ports.ledger.read(lambda view: view.now()))

    def _is_too_old(self, now: datetime) -> bool:
        operation = self._operation
        since = self._last_held or operation.start_time or operation.create_time
        return now - since > operation.expire_time - operation.create_time


def _expired() -> Failure:
    return Failure(
        reason=FailureReason.EXPIRED,
        message="it was not begun before it expired; nothing was run",
        applied=Applied.NOT_APPLIED,
    )


def _ended(tx: LedgerTransaction, operation: Operation, failure: Failure) -> Operation:
    """The operation, FAILED, with its event."""
    failed = replace(operation, state=OperationState.FAILED, failure=failure, end_time=tx.now())
    tx.update_operation(failed)
    tx.append(operation.release_id, OperationTransition(operation=failed))
    return failed


def expire(tx: LedgerTransaction, operation_id: str) -> None:
    """End an operation that was not begun in its time."""
    operation = tx.operation(operation_id)
    if operation is not None:
        tx.lock_release(operation.release_id)
        known = tx.operation(operation_id)
        if known is not None and known.state is OperationState.PENDING and tx.now() >= known.expire_time:
            _ended(tx, known, _expired())

"""One run of Helm for an operation, behind the fence."""

from __future__ import annotations

from dataclasses import dataclass, field

from helm_rollback.application import outcome, preflight
from helm_rollback.application.crash_points import CrashPoint
from helm_rollback.application.failure_capture import capture_failure
from helm_rollback.application.journal import GaveUp, Journal
from helm_rollback.application.lease import Lease
from helm_rollback.application.masking import secrets_of
from helm_rollback.application.ports import Cluster, HelmProcess, Ports, RecordWrite
from helm_rollback.application.situation import Situation
from helm_rollback.domain.helm_call import HelmCall, HelmInstall, HelmRollback, HelmUninstall, HelmUpgrade
from helm_rollback.domain.operation import Operation, OperationType
from helm_rollback.domain.record import HelmRecord
from helm_rollback.domain.record_rules import RecordRules
from helm_rollback.domain.status import Status

_LOOK_FOR_CANCELLATION = 1.0
"""Seconds after which the ledger is looked at though nobody woke the run."""


async def run_helm(
    ports: Ports, cluster: Cluster, lease: Lease, journal: Journal, situation: Situation, checked: preflight.Preflight
) -> outcome.Run:
    """Run Helm to its end. The fence asks about every record that it writes. Raises HelmUnavailable."""
    operation = journal.operation
    judge = _Judge(
        cluster,
        journal,
        situation,
        RecordRules(
            operation=operation,
            deployed={ref.revision for ref in situation.refs if ref.status is Status.DEPLOYED},
            stamped=ports.helm.writes_stamp,
        ),
    )
    call = await helm_call(ports, operation)

    async def started(process: HelmProcess) -> None:
        await journal.note_process(process)
        ports.reached(CrashPoint.HELM_STARTED)

    async def cancelled() -> None:
        with ports.ledger.watch(operation.release_id) as wakeup:
            while not await journal.is_cancelled():
                await wakeup.wait(_LOOK_FOR_CANCELLATION)

    run = f"helm-rollback/{operation.operation_id}/{operation.attempt}"
    async with ports.fence.open(cluster.name, seconds_left=lease.seconds_left, judge=judge, sent_for=run) as fence:
        ended = await ports.helm.run(
            operation.release_id,
            call,
            options=operation.helm_options,
            description=operation.stamp,
            kubeconfig=fence.kubeconfig,
            api_state=checked.api_state,
            started=started,
            cancelled=cancelled if operation.is_by_chart else None,
        )
        ports.reached(CrashPoint.HELM_ENDED)
        return outcome.Run(
            exit=ended,
            touched=tuple(fence.touched),
            refused_records=tuple(fence.refused_records),
            secrets=checked.secrets | judge.secrets,
        )


async def helm_call(ports: Ports, operation: Operation) -> HelmCall:
    """What Helm is to be called for."""
    if operation.type is OperationType.ROLLBACK:
        return HelmRollback(operation.target_revision)
    if operation.type is OperationType.UNINSTALL:
        return HelmUninstall(keep_history=not operation.purge)
    change = await ports.ledger.read(lambda view: view.chart_change(operation.operation_id))
    assert change is not None, "what an install or upgrade was given is stored with it"
    if operation.type is OperationType.UPGRADE:
        return HelmUpgrade(change=change)
    return HelmInstall(change=change, replace=operation.base_revision > 0, atomic=operation.atomic)


@dataclass
class _Judge:
    """Answers why a record may not be written, or nothing."""

    cluster: Cluster
    journal: Journal
    situation: Situation
    rules: RecordRules
    secrets: frozenset[str] = frozenset()
    """What the record that it let pass holds, and nobody may be told."""
    _begun: bool = field(default=False, init=False)
    """Whether a record was let pass."""

    async def __call__(self, write: RecordWrite) -> str:
        record = write.stored.record if write.stored is not None else None
        refusal = self.rules.refusal(method=write.method, name=write.secret_name, record=record)
        if refusal:
            return refusal
        if not self._begun:
            refusal = await self._changed_since()
            self._begun = not refusal
        if not refusal and write.method == "POST" and record is not None and self.rules.operation.is_by_chart:
            refusal = await self._note(record)
        undoes = self.rules.operation.is_undone_by_helm
        if not refusal and undoes and record is not None and record.status is Status.UNINSTALLING:
            refusal = await self._capture(record)
        return refusal

    async def _capture(self, record: HelmRecord) -> str:
        """Keep what is wrong, before Helm deletes it."""
        try:
            captured = await capture_failure(self.cluster, self.journal.operation.release_id, record)
            await self.journal.note_captured_failure(captured)
        except GaveUp:
            return "the operation is another worker's by now"
        return ""

    async def _note(self, record: HelmRecord) -> str:
        """Note durably which record it is, before it is there: it does not bear the stamp yet."""
        self.secrets = secrets_of(record.manifest)
        if record.last_deployed is None:
            return "the record does not tell when it was made"
        try:
            await self.journal.note_record(record.last_deployed)
        except GaveUp:
            return "the operation is another worker's by now"
        return ""

    async def _changed_since(self) -> str:
        """Why Helm may not begin to write: someone else's Helm came in since the look.

        Asked of the cluster, which costs some 2 ms: the ledger may not have heard of it yet.
        """
        now = (await self.cluster.list_release(self.journal.operation.release_id)).refs
        if [(ref.uid, ref.status) for ref in now] == [(ref.uid, ref.status) for ref in self.situation.refs]:
            return ""
        return "someone else's Helm changed the release since it was looked at"

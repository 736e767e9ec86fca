"""One run of Helm for an operation, behind the fence."""

from __future__ import annotations

from helm_rollback.application import outcome, preflight
from helm_rollback.application.crash_points import CrashPoint
from helm_rollback.application.journal import Journal
from helm_rollback.application.lease import Lease
from helm_rollback.application.ports import Cluster, HelmProcess, Ports, RecordWrite
from helm_rollback.application.situation import Situation
from helm_rollback.domain.record_rules import RecordRules
from helm_rollback.domain.status import Status


async def run_helm(
    ports: Ports, cluster: Cluster, lease: Lease, journal: Journal, situation: Situation, checked: preflight.Preflight
) -> outcome.Run:
    """Run Helm to its end. The fence asks about every record that it writes. Raises HelmUnavailable."""
    operation = journal.operation
    rules = RecordRules(
        operation=operation,
        deployed={ref.revision for ref in situation.refs if ref.status is Status.DEPLOYED},
        stamped=ports.helm.writes_stamp,
    )

    async def judge(write: RecordWrite) -> str:
        record = write.stored.record if write.stored is not None else None
        refusal = rules.refusal(method=write.method, name=write.secret_name, record=record)
        if not refusal and write.method == "POST":
            refusal = await _changed_since(situation, cluster, journal)
        return refusal

    async def started(process: HelmProcess) -> None:
        await journal.note_process(process)
        ports.reached(CrashPoint.HELM_STARTED)

    run = f"helm-rollback/{operation.operation_id}/{operation.attempt}"
    async with ports.fence.open(cluster.name, may_write=lease.holds, judge=judge, sent_for=run) as fence:
        ended = await ports.helm.rollback(
            operation.release_id,
            operation.target_revision,
            options=operation.helm_options,
            description=operation.stamp,
            kubeconfig=fence.kubeconfig,
            api_state=checked.api_state,
            started=started,
        )
        ports.reached(CrashPoint.HELM_ENDED)
        return outcome.Run(
            exit=ended,
            touched=tuple(fence.touched),
            refused_records=tuple(fence.refused_records),
            secrets=checked.secrets,
        )


async def _changed_since(situation: Situation, cluster: Cluster, journal: Journal) -> str:
    """Why Helm's record may not be created: someone else's Helm came in since the look.

    Asked of the cluster, which costs some 2 ms: the ledger may not have heard of it yet.
    """
    now = (await cluster.list_release(journal.operation.release_id)).refs
    if [(ref.uid, ref.status) for ref in now] == [(ref.uid, ref.status) for ref in situation.refs]:
        return ""
    return "someone else's Helm changed the release since it was looked at"

"""Carries a round out, and brings together what it left behind."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from fault.charts import make_release, write_round_chart
from fault.checker import violations
from fault.clients import GIVE_UP_SECONDS, Answers, ask_for_all
from fault.crew import Crew
from fault.evidence import Evidence, Span
from fault.followers import Follower
from fault.ledger_reader import LedgerRows, Query, read_ledger
from fault.live import read_live
from fault.plan import HandWork, Kind, Plan
from fault.replicas import Replicas
from fault.site import Site, helm_starts, noting_helm
from support.helm import Helm

_REST_SECONDS = 30.0
"""In which a round must come to rest. It usually takes two."""
_SET_UP_SECONDS = 60.0
_ASKING_SECONDS = GIVE_UP_SECONDS + 20.0


@dataclass(frozen=True, kw_only=True)
class Result:
    """How a round went."""

    plan: Plan
    violations: list[str]
    hit: bool
    """Whether the fault fell inside an operation, or inside a call that was open."""
    operations: int
    seconds: float
    log: str
    """Of the service."""


def carry_out(plan: Plan, site: Site, folder: Path) -> Result:
    """One round, in a namespace and a ledger of its own."""
    began = time.monotonic()
    namespace = f"f-{uuid.uuid4().hex[:8]}"
    site.cluster.create_namespace(namespace)
    audit = site.audit()
    folder.mkdir(parents=True)
    replicas = Replicas(folder, site.kubeconfig, noting_helm(folder))
    helm = site.helm_by_hand(namespace)
    try:
        setting_up = Crew()
        setting_up.start(lambda: _make_releases(helm, folder, plan.releases))
        setting_up.start(replicas.start)
        setting_up.join(_SET_UP_SECONDS)
        followers = _followers(plan, namespace, replicas)
        following = Crew()
        for follower in followers:
            following.start(follower.follow)
        moment, answers = _rush(plan, replicas, helm, folder)
        disturbances = _come_to_rest(replicas, site, namespace, followers)
        following.join(_REST_SECONDS)
        disturbances += replicas.stop()
        ledger = read_ledger(replicas.query)
        evidence = Evidence(
            namespace=namespace,
            answers=answers,
            followers=followers,
            ledger=ledger,
            live=read_live(site.cluster.client, namespace),
            writes=audit.writes(namespace),
            helm_starts=helm_starts(folder),
            outages=[Span(moment, moment + timedelta(seconds=_REST_SECONDS))],
            disturbances=disturbances,
        )
        return Result(
            plan=plan,
            violations=violations(evidence),
            hit=_fell_inside(moment, ledger, answers),
            operations=len(ledger.operation),
            seconds=time.monotonic() - began,
            log=replicas.log,
        )
    finally:
        replicas.kill()
        _remove_releases(site, namespace)


def _followers(plan: Plan, namespace: str, replicas: Replicas) -> list[Follower]:
    return [
        Follower(f"default.{namespace}.{name}", breaks_off_after=after, address=replicas.address)
        for name, after in plan.followed
    ]


def _rush(plan: Plan, replicas: Replicas, helm: Helm, folder: Path) -> tuple[datetime, Answers]:
    """Clients, other people's Helm and the fault, all at once. When the fault came."""
    answers = Answers()
    crew = Crew()
    for wishes in plan.clients:
        crew.start(partial(ask_for_all, wishes, helm.namespace, replicas.address, answers))
    for work in plan.by_hand:
        crew.start(partial(_by_hand, work, helm, folder))
    answers.under_way.wait(_REST_SECONDS)
    time.sleep(plan.fault_after)
    answers.under_way.wait(1.0)
    moment = datetime.now(UTC)
    replicas.kill_one(0)
    replicas.start_one(0)
    crew.join(_ASKING_SECONDS)
    return moment, answers


def _by_hand(work: HandWork, helm: Helm, folder: Path) -> None:
    """What somebody else does; that Helm may refuse it is part of it."""
    time.sleep(work.after)
    if work.target:
        helm.rollback(work.release, work.target, check=False)
    else:
        chart = write_round_chart(folder / "by-hand", work.release, Kind.GOOD, 4)
        helm.upgrade(work.release, chart, check=False)


def _make_releases(helm: Helm, folder: Path, releases: dict[str, Kind]) -> None:
    for name, kind in releases.items():
        make_release(helm, folder / "charts", name, kind)


def _come_to_rest(replicas: Replicas, site: Site, namespace: str, followers: list[Follower]) -> list[str]:
    """Wait until nothing is under way, all is observed, and everybody has heard it; what did not come so far."""
    found = []
    if not _soon(lambda: not _live_operations(replicas.query)):
        found.append(f"operations have not ended: {_live_operations(replicas.query)}")
    if not _soon(lambda: _is_observed(replicas.query, site, namespace)):
        found.append("the observer has not seen everything")
    last = {row["release_id"]: row["last_sequence"] for row in replicas.query("SELECT * FROM release")}
    for follower in followers:
        if not follower.finish(last.get(follower.release_id, 0), _REST_SECONDS):
            found.append(f"{follower.release_id}: a client did not hear everything")
    return found


def _live_operations(query: Query) -> list[str]:
    rows = query("SELECT operation_id, state FROM operation WHERE end_time IS NULL")
    return [f"{row['operation_id']} {row['state']}" for row in rows]


def _is_observed(query: Query, site: Site, namespace: str) -> bool:
    live = {(record.uid, record.resource_version) for record in read_live(site.cluster.client, namespace).records}
    rows = query("SELECT uid, resource_version FROM revision WHERE stored_by_helm")
    return live == {(row["uid"], row["resource_version"]) for row in rows}


def _fell_inside(moment: datetime, ledger: LedgerRows, answers: Answers) -> bool:
    lives = [(row["create_time"], row["end_time"]) for row in ledger.operation if row["end_time"]]
    return any(since <= moment <= until for since, until in [*lives, *answers.calls])


def _soon(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + _REST_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _remove_releases(site: Site, namespace: str) -> None:
    """Records of finished rounds would slow whoever lists all namespaces."""
    site.cluster.client.delete(f"/api/v1/namespaces/{namespace}/secrets?labelSelector=owner%3Dhelm")

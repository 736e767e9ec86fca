"""Carries a round out, and brings together what it left behind."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from fault.charts import make_release, write_round_chart
from fault.checker import violations
from fault.clients import GIVE_UP_SECONDS, Answers, ask_for_all
from fault.crew import Crew
from fault.evidence import Evidence
from fault.faults import strike
from fault.followers import Follower
from fault.ledger_reader import LedgerRows, Row, read_ledger
from fault.plan import HandWork, Plan
from fault.rest import come_to_rest, is_observed
from fault.scenes import Kind
from fault.site import Site, helm_starts
from fault.stage import Stage, open_stage
from support.helm import Helm
from support.waiting import eventually

_SET_UP_SECONDS = 60.0
_ASKING_SECONDS = GIVE_UP_SECONDS + 20.0


@dataclass(frozen=True, kw_only=True)
class Result:
    """How a round went."""

    plan: Plan
    violations: list[str]
    hit: bool
    """Whether the fault fell inside an operation, or inside a call that was open."""
    operations: list[Row]
    seconds: float
    log: str
    """Of the service."""


def carry_out(plan: Plan, site: Site, folder: Path) -> Result:
    """One round, in a namespace and a ledger of its own."""
    began = time.monotonic()
    audit = site.audit()
    answers = Answers()
    with open_stage(plan, site, folder) as stage:
        moment, followers, disturbances = _play(plan, stage, answers)
        ledger = read_ledger(stage.query)
        evidence = Evidence(
            namespace=stage.namespace,
            answers=answers,
            followers=followers,
            ledger=ledger,
            live=stage.read_live(),
            writes=audit.writes(stage.namespace),
            helm_starts=helm_starts(folder),
            disturbances=disturbances,
        )
        return Result(
            plan=plan,
            violations=violations(evidence),
            hit=moment is not None and _fell_inside(moment, ledger, answers),
            operations=list(ledger.operation),
            seconds=time.monotonic() - began,
            log=stage.world.replicas.log,
        )


def _play(plan: Plan, stage: Stage, answers: Answers) -> tuple[datetime | None, list[Follower], list[str]]:
    """Set up, let everything happen, and let it come to rest. When the fault came, and what was not as it should be."""
    replicas = stage.world.replicas
    setting_up = Crew()
    setting_up.start(lambda: _make_releases(plan, stage))
    if not plan.crashes:  # else the process might die of what is set up
        setting_up.start(replicas.start)
    setting_up.join(_SET_UP_SECONDS)
    if plan.crashes:
        replicas.start()
    _prune(plan, stage)
    supervising, following = Crew(), Crew()
    supervising.start(replicas.supervise)
    followers = _followers(plan, stage)
    for follower in followers:
        following.start(follower.follow)
    moment = _rush(plan, stage, answers)
    disturbances = come_to_rest(stage, followers)
    following.join(_SET_UP_SECONDS)
    disturbances += replicas.stop()
    supervising.join(_SET_UP_SECONDS)
    return moment, followers, disturbances


def _rush(plan: Plan, stage: Stage, answers: Answers) -> datetime | None:
    """Clients, other people's Helm and the fault, all at once."""
    crew = Crew()
    for wishes in plan.clients:
        crew.start(partial(ask_for_all, wishes, stage.namespace, stage.world.replicas.address, answers))
    for work in plan.by_hand:
        crew.start(partial(_by_hand, work, stage.helm, stage.folder))
    moment = strike(plan, stage.world, answers)
    crew.join(_ASKING_SECONDS)
    return moment


def _followers(plan: Plan, stage: Stage) -> list[Follower]:
    return [
        Follower(f"default.{stage.namespace}.{name}", breaks_off_after=after, address=stage.world.replicas.address)
        for name, after in plan.followed
    ]


def _by_hand(work: HandWork, helm: Helm, folder: Path) -> None:
    """What somebody else does; that Helm may refuse it is part of it."""
    time.sleep(work.after)
    if work.target:
        helm.rollback(work.release, work.target, check=False)
    else:
        chart = write_round_chart(folder / "by-hand", work.release, Kind.GOOD, 4)
        helm.upgrade(work.release, chart, check=False)


def _make_releases(plan: Plan, stage: Stage) -> None:
    for name, kind in plan.releases.items():
        make_release(stage.helm, stage.folder / "charts", name, kind)


def _prune(plan: Plan, stage: Stage) -> None:
    """Take the first revision's record away, once it is in the ledger: as Helm does with --history-max."""
    for release in plan.pruned:
        eventually(lambda: is_observed(stage), "everything that was set up is in the ledger")
        secret = f"sh.helm.release.v1.{release}.v1"
        stage.site.cluster.client.delete(f"/api/v1/namespaces/{stage.namespace}/secrets/{secret}")


def _fell_inside(moment: datetime, ledger: LedgerRows, answers: Answers) -> bool:
    lives = [(row["create_time"], row["end_time"]) for row in ledger.operation if row["end_time"]]
    return any(since <= moment <= until for since, until in [*lives, *answers.calls])

"""The service dies exactly there. It is started again (SQLite), or another replica takes over (PostgreSQL): the
operation ends as the cluster shows, nothing is done twice, and a client that resumes by its token hears it all."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from fault.plan import Engine, Fault, Plan
from fault.run import carry_out
from fault.scenes import SCENES, Scene
from fault.site import Site
from fault.wish import Wish

from helm_rollback.application.crash_points import CrashPoint

_WISH = Wish(request_id="0d3b7a0e-61f6-4c1c-9a55-3b6d6f9d4c21", release="shop", target=1)


@dataclass(frozen=True)
class End:
    """How an operation ends that was interrupted."""

    outcome: str
    attempts: tuple[int, ...]
    evidence: str = "OBSERVED"


_RUN_ONCE = End("SUCCEEDED", (1,))
_RUN_AGAIN = End("SUCCEEDED", (2,))
_FOUND_DONE = End("SUCCEEDED", (1,), "RECONSTRUCTED")

ENDS = {
    CrashPoint.ACCEPT_BEFORE_COMMIT: _RUN_ONCE,
    CrashPoint.ACCEPT_AFTER_COMMIT: _RUN_ONCE,
    CrashPoint.CLAIMED: _RUN_ONCE,
    CrashPoint.PUT_BACK: _RUN_ONCE,
    CrashPoint.BEGUN: _RUN_AGAIN,
    CrashPoint.HELM_STARTED: _RUN_AGAIN,
    CrashPoint.RECORD_CREATED: _RUN_AGAIN,
    CrashPoint.HELM_ENDED: _FOUND_DONE,
    CrashPoint.SET_FAILED: End("INTERRUPTED", (1,), "RECONSTRUCTED"),
    CrashPoint.DEAD_RECORD_REMOVED: _RUN_AGAIN,
    CrashPoint.LEFTOVERS_REMOVED: _FOUND_DONE,
    CrashPoint.END_BEFORE_COMMIT: _FOUND_DONE,
    CrashPoint.END_AFTER_COMMIT: _RUN_ONCE,
    # Helm's first record was seen; how far Helm had come is a matter of milliseconds.
    CrashPoint.OBSERVED_BEFORE_COMMIT: End("SUCCEEDED", (1, 2), "*"),
    CrashPoint.OBSERVED_AFTER_COMMIT: End("SUCCEEDED", (1, 2), "*"),
}


def test_every_crash_point_is_here() -> None:
    assert set(ENDS) == set(CrashPoint)


@pytest.mark.parametrize("point", ENDS)
@pytest.mark.parametrize("engine", Engine)
def test_an_operation_ends_truthfully_though_the_service_died_at(
    engine: Engine, point: CrashPoint, site: Site, tmp_path: Path
) -> None:
    expected = ENDS[point]

    result = carry_out(_plan(engine, point), site, tmp_path / "round")

    assert result.hit, result.log
    assert result.violations == [], result.log
    [operation] = result.operations
    assert (operation["failure"] or {}).get("reason", operation["state"]) == expected.outcome
    assert operation["attempt"] in expected.attempts
    assert expected.evidence in ("*", operation["outcome_evidence"])


def _plan(engine: Engine, point: CrashPoint) -> Plan:
    """One client, one rollback, two that follow it; the first replica serves alone until it has died."""
    scene = SCENES.get(point, Scene())
    releases = {"shop": scene.kind}
    return Plan(
        seed=0,
        engine=engine,
        releases=releases,
        pruned=("shop",) if scene.pruned else (),
        clients=((scene.wish(_WISH, releases),),),
        followed=(("shop", 2), ("shop", 100)),
        fault=Fault.CRASH,
        crashes=(*scene.before, point),
        staggered=engine.replicas > 1,
    )

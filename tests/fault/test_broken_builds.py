"""The harness proves itself: builds that are broken on purpose are each caught, and by the promise that they break."""

from dataclasses import replace
from pathlib import Path

import pytest
from fault.plan import Engine, Fault, Plan
from fault.run import Result, carry_out
from fault.scenes import Kind
from fault.site import Site
from fault.wish import Wish

from helm_rollback.application.crash_points import CrashPoint

_PROGRAM = ("-P", str(Path(__file__).with_name("broken_service.py")))


def _plan(
    engine: Engine, fault: Fault, *crashes: CrashPoint, waits: bool = True, nth: int = 1, lasts: float = 0.5
) -> Plan:
    wish = Wish(request_id="6b1c9a52-5f0e-4a55-8d2c-2f9a3c1f7e10", release="shop", target=1, waits=waits)
    return Plan(
        seed=0,
        engine=engine,
        releases={"shop": Kind.GOOD},
        clients=((wish,),),
        followed=(("shop", 3),),
        fault=fault,
        victims=tuple(range(engine.replicas)),
        crashes=crashes,
        staggered=engine.replicas > 1,
        nth=nth,
        lasts=lasts,
    )


SCENARIOS = {
    "open_the_fence": (
        _plan(Engine.POSTGRESQL, Fault.HALT, CrashPoint.RECORD_CREATED, lasts=4.0),
        "interleave",
    ),
    "skip_a_sequence": (_plan(Engine.SQLITE, Fault.KILL), "sequences [1, 2, 3, 4, 6"),
    "start_twice": (_plan(Engine.SQLITE, Fault.KILL), "Helm was started 2 times for 1 attempts"),
    "answer_too_early": (
        _plan(Engine.SQLITE, Fault.CRASH, CrashPoint.ACCEPT_BEFORE_COMMIT, waits=False, nth=2),
        "was acknowledged and does not exist",
    ),
    "keep_the_dead_record": (
        _plan(Engine.SQLITE, Fault.CRASH, CrashPoint.RECORD_CREATED),
        "was started over the record",
    ),
}


@pytest.mark.parametrize("broken", SCENARIOS)
def test_a_broken_build_is_caught(broken: str, site: Site, tmp_path: Path) -> None:
    plan, complaint = SCENARIOS[broken]

    result = _carry_out(plan, site, tmp_path / "broken", broken)

    assert any(complaint in violation for violation in result.violations), "\n".join(result.violations)


@pytest.mark.parametrize("broken", SCENARIOS)
def test_the_same_round_is_well_where_nothing_is_broken(broken: str, site: Site, tmp_path: Path) -> None:
    plan, _ = SCENARIOS[broken]

    result = _carry_out(plan, site, tmp_path / "whole")

    assert result.violations == [], result.log


def _carry_out(plan: Plan, site: Site, folder: Path, broken: str = "") -> Result:
    there = replace(site, program=_PROGRAM, environment={"BROKEN": broken}) if broken else site
    return carry_out(plan, there, folder)

"""Plays many drawn rounds, and counts what they met: `make test-fault`.

    python -m fault [--engine ENGINE] [--rounds N] [--seed FIRST] [--totals FILE]

Ends at the first violation with its seed; `--seed` and `--rounds 1` play that round
again, `--seed` alone goes on from there. A round whose fault fell outside every
operation is played, checked, and not counted: another seed takes its place.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from fault.plan import Engine, draw, schedule
from fault.run import Result, carry_out
from fault.site import Site, open_site
from fault.totals import Totals, write_totals


def main() -> int:
    """Play the rounds of each engine that was asked for; 1 after a violation, or where a fault never came."""
    parser = argparse.ArgumentParser(prog="make test-fault", description="Play drawn rounds of faults.")
    parser.add_argument("--engine", choices=[*Engine, "both"], default="both", help="default: both")
    parser.add_argument("--rounds", type=int, default=200, help="that met their fault, on each engine; default: 200")
    parser.add_argument("--seed", type=int, default=0, help="the first one; default: 0")
    parser.add_argument("--totals", type=Path, help="a page in which to bring the totals up to date")
    options = parser.parse_args()
    engines = list(Engine) if options.engine == "both" else [Engine(options.engine)]
    with open_site(postgres=Engine.POSTGRESQL in engines) as site:
        for engine in engines:
            totals = _play(engine, site, first=options.seed, rounds=options.rounds)
            if totals is None or (options.rounds >= len(schedule(engine)) and _never_met(engine, totals)):
                return 1
            if options.totals:
                write_totals(options.totals, totals)
    return 0


def _play(engine: Engine, site: Site, *, first: int, rounds: int) -> Totals | None:
    """What so many rounds met; None after a violation."""
    totals, seed, began = Totals(engine=engine, first_seed=first), first, time.monotonic()
    while totals.rounds < rounds:
        with TemporaryDirectory(prefix="round-") as folder:
            result = carry_out(draw(seed, engine), site, Path(folder) / "round")
        if result.violations:
            _tell_violations(result)
            return None
        told = "" if result.hit else ", its fault fell outside: not counted"
        print(f"{engine} {seed} {result.plan.name}: ok in {result.seconds:.1f} s{told}", flush=True)
        totals.add(result)
        seed += 1
    print(f"\n{totals.text()}\nTook {(time.monotonic() - began) / 60:.0f} min.", flush=True)
    return totals


def _tell_violations(result: Result) -> None:
    plan = result.plan
    print(result.log)
    print(f"{plan.engine} {plan.seed} {plan.name}: {len(result.violations)} violations")
    for violation in result.violations:
        print(f"  {violation}")
    print(f"Play it again: make test-fault ENGINE={plan.engine} SEED={plan.seed} ROUNDS=1", flush=True)


def _never_met(engine: Engine, totals: Totals) -> bool:
    """Whether a fault never came, which is said."""
    wanted = {f"{fault} at {point}" if point else str(fault) for fault, point in schedule(engine)}
    never = sorted(wanted - totals.met.keys())
    if never:
        print(f"error: no round met {', '.join(never)}")
    return bool(never)


if __name__ == "__main__":
    sys.exit(main())

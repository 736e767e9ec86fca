"""Drawn rounds: whatever dies in the middle, what was accepted is carried out once, told once, and as it is told.

`make test-fault` does many more of them.
"""

from pathlib import Path
from typing import Any

import pytest
from fault.plan import Engine, draw, schedule
from fault.run import carry_out
from fault.site import Site

ROUNDS = 16
"""On each engine: each fault but the crashes, which `test_crash_points.py` has, and some at which it stands still."""
_DRAWS = 4


def _rounds() -> list[Any]:
    return [
        pytest.param(engine, seed, id=f"{engine}-{seed}-{draw(seed, engine).name}")
        for engine in Engine
        for seed in range(len(schedule(engine)) - ROUNDS, len(schedule(engine)))
    ]


@pytest.mark.parametrize(("engine", "seed"), _rounds())
def test_every_promise_is_kept(engine: Engine, seed: int, site: Site, tmp_path: Path) -> None:
    """A round whose fault fell outside every operation is drawn again, with another seed for the same fault."""
    for drawn in range(_DRAWS):
        plan = draw(seed + drawn * len(schedule(engine)), engine)
        result = carry_out(plan, site, tmp_path / f"round-{drawn}")
        assert result.violations == [], f"seed {plan.seed}\n{result.log}"
        if result.hit:
            return
    raise AssertionError(f"in {_DRAWS} rounds the fault fell outside every operation")

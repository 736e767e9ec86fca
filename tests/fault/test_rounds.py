"""Drawn rounds: whatever dies in the middle, what was accepted is carried out once, told once, and as it is told.

`make test-fault` does many more of them.
"""

from pathlib import Path

import pytest
from fault.plan import Engine, draw, schedule
from fault.run import carry_out
from fault.site import Site

ROUNDS = 16
"""On each engine: one of each kind of fault that is no crash, and a few crashes."""


def _seeds(engine: Engine) -> list[int]:
    return list(range(len(schedule(engine)) - ROUNDS, len(schedule(engine))))


@pytest.mark.parametrize(
    ("engine", "seed"),
    [pytest.param(e, seed, id=f"{e}-{seed}-{draw(seed, e).name}") for e in Engine for seed in _seeds(e)],
)
def test_every_promise_is_kept(engine: Engine, seed: int, site: Site, tmp_path: Path) -> None:
    result = carry_out(draw(seed, engine), site, tmp_path / "round")

    assert result.violations == [], result.log
    assert result.operations, "something was accepted"

"""Drawn rounds: whatever dies in the middle, what was accepted is carried out once, told once, and as it is told."""

from pathlib import Path

import pytest
from fault.plan import Engine, draw
from fault.run import carry_out
from fault.site import Site

SEEDS = (2, 6, 15, 20, 23)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_promise_is_kept_on_sqlite(seed: int, site: Site, tmp_path: Path) -> None:
    result = carry_out(draw(seed, Engine.SQLITE), site, tmp_path / "round")

    assert result.violations == [], result.log
    assert result.hit, "the fault fell outside every operation"

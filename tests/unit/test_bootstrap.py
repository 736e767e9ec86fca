"""The clock that leases are measured by."""

from __future__ import annotations

import time

import pytest

from helm_rollback.bootstrap import seconds_since_boot


def test_the_clock_of_leases_goes_on_while_the_machine_is_suspended(monkeypatch: pytest.MonkeyPatch) -> None:
    suspended = 3600.0
    clocks = {time.CLOCK_BOOTTIME: 100.0 + suspended, time.CLOCK_MONOTONIC: 100.0}
    monkeypatch.setattr(time, "clock_gettime", clocks.__getitem__)
    monkeypatch.setattr(time, "monotonic", lambda: clocks[time.CLOCK_MONOTONIC])

    assert seconds_since_boot() == 3700.0

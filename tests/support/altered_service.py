"""The service, with other patience than its own, or with a clock that is wrong.

A program, started by `ServiceProcess(..., program=ALTERED_SERVICE, environment=altered(...))`.
What takes a minute in earnest takes a second here; what is done then stays the service's own.
With HELD_WRITES in the environment it is `held_service` too.
"""

import json
import os
import runpy
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path

from helm_rollback import bootstrap
from helm_rollback.cli import main


def _set(path: str, value: float) -> None:
    """Set a module's constant, which is a number or a span of so many seconds."""
    module, _, name = path.rpartition(".")
    constants = vars(import_module(module))
    constants[name] = (
        timedelta(seconds=value) if isinstance(constants[name], timedelta) else type(constants[name])(value)
    )


def _shift_clock(file: Path) -> None:
    """Let the wall clock be off by the seconds that stand in the file, which may change at any time."""

    def off() -> float:
        return float(file.read_text())

    vars(bootstrap)["_utc_now"] = lambda: datetime.now(UTC) + timedelta(seconds=off())


if __name__ == "__main__":
    for constant, seconds in json.loads(os.environ.get("ALTERED", "{}")).items():
        _set(constant, seconds)
    if "CLOCK_OFF_BY" in os.environ:
        _shift_clock(Path(os.environ["CLOCK_OFF_BY"]))
    if "HELD_WRITES" in os.environ:
        runpy.run_path(str(Path(__file__).with_name("held_service.py")), run_name="__main__")
    else:
        main()

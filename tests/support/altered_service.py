"""The service, with other patience than its own, or with a clock that is wrong.

A program, started by `ServiceProcess(..., program=ALTERED_SERVICE, environment=altered(...))`.
What takes a minute in earnest takes a second here; what is done then stays the service's own.
With HELD_WRITES in the environment it is `held_service` too.
"""

import json
import os
import runpy
import sys
import time
from datetime import datetime, timedelta, tzinfo
from importlib import import_module
from pathlib import Path

import helm_rollback.bootstrap  # noqa: F401 - whose modules are altered
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

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(seconds=off())

    right, right_ns = time.time, time.time_ns
    vars(time).update(time=lambda: right() + off(), time_ns=lambda: right_ns() + int(off() * 1e9))
    for name in ("sqlite", "postgresql"):
        import_module(f"helm_rollback.store.engines.{name}")
    for name, module in list(sys.modules.items()):
        if name.startswith("helm_rollback") and vars(module).get("datetime") is datetime:
            vars(module)["datetime"] = Shifted


if __name__ == "__main__":
    for constant, seconds in json.loads(os.environ.get("ALTERED", "{}")).items():
        _set(constant, seconds)
    if "CLOCK_OFF_BY" in os.environ:
        _shift_clock(Path(os.environ["CLOCK_OFF_BY"]))
    if "HELD_WRITES" in os.environ:
        runpy.run_path(str(Path(__file__).with_name("held_service.py")), run_name="__main__")
    else:
        main()

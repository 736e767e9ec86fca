"""Waiting for what is bound to happen: never for a time, always until a deadline."""

import time
from collections.abc import Callable

PATIENCE = 30.0
"""Seconds after which a thing that usually takes a moment is taken not to happen."""


def eventually(holds: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Return as soon as `holds()`; after `seconds`, say what did not happen."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.02)

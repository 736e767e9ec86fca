"""The test's side of `altered_service.py`: which of the service's own numbers, or whose clock, are other."""

import json
from pathlib import Path

ALTERED_SERVICE = ("-P", str(Path(__file__).with_name("altered_service.py")))

HELM_DEADLINE_STEPS = "helm_rollback.helm.process.DEADLINE_STEPS"
HELM_DEADLINE_MARGIN = "helm_rollback.helm.process.DEADLINE_MARGIN"
WATCH_SECONDS = "helm_rollback.cluster.watcher.WATCH_SECONDS"
WATCH_GRACE = "helm_rollback.cluster.watcher._GRACE_SECONDS"
FENCE_ANSWER = "helm_rollback.fence.connection.ANSWER_SECONDS"
HEALTH_PAUSE = "helm_rollback.application.ledger_health.PAUSE_SECONDS"


def altered(constants: dict[str, float]) -> dict[str, str]:
    """The environment that sets these constants (spans in seconds)."""
    return {"ALTERED": json.dumps(constants)}


class WrongClock:
    """A service's wall clock, off by as much as a test says, also while the service runs."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock-off-by"
        self.off_by(0)

    @property
    def environment(self) -> dict[str, str]:
        """What tells the service where to look."""
        return {"CLOCK_OFF_BY": str(self._file)}

    def off_by(self, seconds: float) -> None:
        """From now on the clock is so much ahead, or, below 0, behind."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(str(seconds))
        fresh.replace(self._file)  # whole at any moment

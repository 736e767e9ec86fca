"""The service, with a hand on its fence: a test may hold any write of a release record.

A program, started by `ServiceProcess(..., program=HELD_SERVICE)`. Only the moment is
the test's; what is judged and written stays the service's own.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from runpy import run_path

from helm_rollback import bootstrap
from helm_rollback.application.ports import OpenFence, RecordWrite
from helm_rollback.cli import main
from helm_rollback.fence.gate import FenceGate

_FOLDER = Path(os.environ["HELD_WRITES"])


class HeldFence(FenceGate):
    """The real fence, whose judge is asked only after the test let go."""

    @asynccontextmanager
    async def open(
        self,
        cluster: str,
        *,
        seconds_left: Callable[[], float],
        judge: Callable[[RecordWrite], Awaitable[str]],
        sent_for: str = "",
    ) -> AsyncIterator[OpenFence]:
        async def held(write: RecordWrite) -> str:
            await _hold(write)
            return await judge(write)

        async with super().open(cluster, seconds_left=seconds_left, judge=held, sent_for=sent_for) as passage:
            yield passage


async def _hold(write: RecordWrite) -> None:
    status = write.stored.ref.status.helm_word if write.stored is not None else ""
    name = f"{write.method} {status}"
    (_FOLDER / f"{name} arrived").touch()
    while (_FOLDER / name).exists():  # noqa: ASYNC110 - the test is another process
        await asyncio.sleep(0.01)


if __name__ == "__main__":
    vars(bootstrap)["FenceGate"] = HeldFence
    run_path(str(Path(__file__).with_name("far_service.py")))["go_far_away"]()
    main()

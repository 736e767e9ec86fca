"""`FakeHelm`: Helm on a `FakeCluster`, through a `FakeFence`; here `helm rollback`, the rest in `chart_runs.py`.

It writes what the real one writes, in its order (`pkg/action/rollback.go`), and ends as
the test says. The error texts are those of real runs.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from support.fakes.chart_runs import OtherRun
from support.fakes.cluster import AlreadyStored
from support.fakes.documents import (
    POST_ROLLBACK,
    PRE_ROLLBACK,
    Document,
    older_rollback_document,
    rollback_document,
    rollback_hooks,
    with_info,
)
from support.fakes.ends import HelmFailed, HelmKilled, HelmRun, Hold, Point, RunEnd
from support.fakes.fence import FakeFence, FakePassage, NotPassed

from helm_rollback.application.ports import HelmExit, HelmProcess
from helm_rollback.domain.errors import HelmUnavailable
from helm_rollback.domain.helm_call import HelmCall, HelmRollback
from helm_rollback.domain.helm_options import HelmOptions
from helm_rollback.domain.operation import FailureReason
from helm_rollback.domain.release import ReleaseId
from helm_rollback.helm.failures import classify

HOST = "fake-host"


@dataclass(frozen=True, kw_only=True)
class Started:
    """A run that was asked for."""

    release_id: ReleaseId
    call: HelmCall
    options: HelmOptions
    description: str

    @property
    def target_revision(self) -> int:
        """Of a rollback."""
        assert isinstance(self.call, HelmRollback)
        return self.call.target_revision


class FakeHelm:
    """The port `Helm`. Runs take their scripts in turn; without one they succeed."""

    def __init__(self, fence: FakeFence, *, writes_stamp: bool = True) -> None:
        self._fence = fence
        self._writes_stamp = writes_stamp
        self._pids = itertools.count(1000)
        self._running: dict[int, asyncio.Task[None]] = {}
        self._holds: dict[Point, Hold] = {}
        self.unavailable = ""
        """Why there is no Helm to run."""
        self.scripts: deque[HelmRun] = deque()
        self.started: list[Started] = []
        self.ended_orphans: list[HelmProcess] = []
        self.most_at_once = 0
        self._newest: _Run | OtherRun | None = None

    @property
    def writes_stamp(self) -> bool:
        return self._writes_stamp

    def hold(self, point: Point) -> Hold:
        """Hold every run at `point`, until the hold is released."""
        self._holds[point] = Hold()
        return self._holds[point]

    async def until_interrupted(self) -> None:
        """Wait until the run that began last was interrupted."""
        assert isinstance(self._newest, OtherRun)
        await self._newest.interrupted.wait()

    def kill(self, process: HelmProcess) -> None:
        """`kill -9`."""
        self._running[process.pid].cancel()

    def check_available(self) -> None:
        if self.unavailable:
            raise HelmUnavailable(self.unavailable)

    def reason_of(self, text: str) -> FailureReason:
        return classify(text, 1)

    async def end_orphan(self, process: HelmProcess) -> None:
        self.ended_orphans.append(process)

    async def run(
        self,
        release_id: ReleaseId,
        call: HelmCall,
        *,
        options: HelmOptions,
        description: str,
        kubeconfig: str,
        api_state: str,
        started: Callable[[HelmProcess], Awaitable[None]],
        cancelled: Callable[[], Awaitable[None]] | None = None,
    ) -> HelmExit:
        self.check_available()
        asked = Started(release_id=release_id, call=call, options=options, description=description)
        self.started.append(asked)
        make = _Run if isinstance(call, HelmRollback) else OtherRun
        run = make(self._fence.passage(kubeconfig), asked, self.scripts.popleft() if self.scripts else HelmRun(),
                   self._holds, stamped=self._writes_stamp)  # fmt: skip
        self._newest = run
        pid = next(self._pids)
        task = self._running[pid] = asyncio.ensure_future(run.perform())
        self.most_at_once = max(self.most_at_once, len(self._running))
        stopping = asyncio.create_task(run.interrupt_when(cancelled)) if cancelled is not None else None
        try:
            await started(HelmProcess(host=HOST, pid=pid, start_ticks=pid))
            await asyncio.wait([task])
        finally:
            task.cancel()
            if stopping is not None:
                stopping.cancel()
            del self._running[pid]
        return _exit(task)


def _exit(task: asyncio.Task[None]) -> HelmExit:
    problem = None if task.cancelled() else task.exception()
    if task.cancelled() or isinstance(problem, HelmKilled):
        return HelmExit(returncode=-9, output="", reason=FailureReason.INTERRUPTED)
    if problem is None:
        return HelmExit(
            returncode=0, output="Rollback was a success! Happy Helming!\n", reason=FailureReason.HELM_FAILED
        )
    if not isinstance(problem, HelmFailed | NotPassed):
        raise problem
    output = f"Error: {problem}\n"
    return HelmExit(returncode=1, output=output, reason=classify(output, 1))


class _Run:
    """One `helm rollback`."""

    def __init__(
        self, passage: FakePassage, asked: Started, script: HelmRun, holds: dict[Point, Hold], *, stamped: bool
    ) -> None:
        self._passage = passage
        self._asked = asked
        self._script = script
        self._holds = holds
        self._stamped = stamped

    async def interrupt_when(self, cancelled: Callable[[], Awaitable[None]]) -> None:
        raise AssertionError("a rollback is never interrupted")

    async def perform(self) -> None:
        current, document = self._prepare()
        await self._at(Point.BEFORE_CREATE)
        try:
            await self._passage.create(document)
        except NotPassed as problem:
            raise HelmFailed(f"create: failed to create: {problem}") from problem
        except AlreadyStored as problem:
            raise HelmFailed("release: already exists") from problem
        await self._at(Point.AFTER_CREATE)
        if self._script.end is RunEnd.KILLED_AT_CREATE:
            raise HelmKilled
        await self._hooks(document, PRE_ROLLBACK, fails=self._script.end is RunEnd.PRE_HOOK_FAILS)
        await self._apply(current, document)
        if self._script.end is RunEnd.WAIT_FAILS:
            await self._fail(document, f'Release "{self._asked.release_id.name}" failed')
        await self._hooks(document, POST_ROLLBACK, fails=self._script.end is RunEnd.POST_HOOK_FAILS)
        await self._at(Point.BEFORE_SUPERSEDE)
        await self._supersede()
        await self._at(Point.AFTER_SUPERSEDE)
        if self._script.end is RunEnd.KILLED_AFTER_SUPERSEDE:
            raise HelmKilled
        await self._passage.update(with_info(document, "deployed"))
        await self._at(Point.AFTER_END)

    def _prepare(self) -> tuple[Document, Document]:
        """Current, and the record to be created."""
        cluster, target = self._passage.read(), self._asked.target_revision
        stored = cluster.documents(self._asked.release_id.namespace, self._asked.release_id.name)
        if not stored:
            raise HelmFailed("release: not found")
        if target not in stored:
            raise HelmFailed(f"release has no {target} version")
        if self._script.end is RunEnd.REFUSED_AT_ONCE:
            raise HelmFailed(self._script.cause(self._asked.release_id))
        current = stored[max(stored)]
        if self._stamped:
            return current, rollback_document(
                current, stored[target], description=self._asked.description, now=cluster.now()
            )
        return current, older_rollback_document(current, stored[target], now=cluster.now())

    async def _hooks(self, document: Document, event: str, *, fails: bool) -> None:
        hooks = [] if self._asked.options.disable_hooks else rollback_hooks(document, event)
        for hook in hooks:
            hook["last_run"] |= {"started_at": document["info"]["last_deployed"], "phase": "Running"}
            await self._passage.update(document)
            self._passage.apply(f"/apis/batch/v1/namespaces/{document['namespace']}/jobs/{hook['name']}")
            hook["last_run"]["phase"] = "Failed" if fails else "Succeeded"
        if fails and not self._asked.options.disable_hooks:
            raise HelmFailed(self._script.cause(self._asked.release_id))

    async def _apply(self, current: Document, document: Document) -> None:
        fails = self._script.end is RunEnd.APPLY_FAILS
        if self._script.applied or not fails:
            self._passage.apply(f"/api/v1/namespaces/{document['namespace']}/configmaps/shop")
        if fails:
            with suppress(NotPassed):  # Helm only logs that
                await self._passage.update(with_info(current, "superseded"))
            await self._fail(document, f'Rollback "{self._asked.release_id.name}" failed')

    async def _fail(self, document: Document, prefix: str) -> None:
        with suppress(NotPassed):
            await self._passage.update(
                with_info(document, "failed", f"{prefix}: {self._script.cause(self._asked.release_id)}")
            )
        await self._at(Point.AFTER_END)
        if self._script.end is RunEnd.WAIT_FAILS:
            raise HelmFailed(
                f"release {self._asked.release_id.name} failed: {self._script.cause(self._asked.release_id)}"
            )
        raise HelmFailed(self._script.cause(self._asked.release_id))

    async def _supersede(self) -> None:
        stored = self._passage.read().documents(self._asked.release_id.namespace, self._asked.release_id.name)
        for document in stored.values():
            if document["info"]["status"] == "deployed":
                with suppress(NotPassed):
                    await self._passage.update(with_info(document, "superseded"))

    async def _at(self, point: Point) -> None:
        if point in self._holds:
            await self._holds[point].keep()

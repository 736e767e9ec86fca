"""One Helm as a child process: started, bounded, ended, and nothing of it left behind.

A rollback or an uninstall is never asked to stop: for these an interrupt is as sudden as
a kill (`pkg/cmd/rollback.go` installs no handler for it), and leaves a record pending. An
install or upgrade ends properly when it is interrupted (`pkg/cmd/install.go`). Else Helm
ends by itself, or it is killed: at its deadline, or when the task that waits for it is
cancelled, which callers do only when they are ready to reconcile from the records.
"""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from helm_rollback.application.ports import HelmExit, HelmProcess
from helm_rollback.domain.chart import ChartArchive, ChartSources
from helm_rollback.domain.errors import HelmUnavailable
from helm_rollback.domain.helm_call import HelmCall, HelmInstall, HelmUpgrade
from helm_rollback.domain.helm_options import HelmOptions
from helm_rollback.domain.operation import FailureReason
from helm_rollback.domain.release import ReleaseId
from helm_rollback.helm.argv import Surroundings, helm_argv
from helm_rollback.helm.chart_location import locate
from helm_rollback.helm.discovery_cache import DiscoveryCache
from helm_rollback.helm.environment import PrivateFolder, private_folder, write_private
from helm_rollback.helm.failures import classify
from helm_rollback.helm.process_identity import identify, is_running, this_host
from helm_rollback.helm.version import InstalledHelm

OUTPUT_TAIL = 64 * 1024
DEADLINE_STEPS = 10
DEADLINE_MARGIN = timedelta(minutes=10)
ORPHAN_SECONDS = 5.0
INTERRUPTED_SECONDS = 60.0
"""How long a Helm that was interrupted may take to write down how it ended."""


def run_deadline(options: HelmOptions) -> timedelta:
    """When a Helm that has not ended is taken for hanging: 10 of its steps, and 10 minutes.

    Helm's timeout bounds each hook and the wait, not the whole, and how many hooks
    there are is not known here; single API requests it does not bound at all, so
    without this a hung API server would hold Helm for ever.
    """
    return options.timeout * DEADLINE_STEPS + DEADLINE_MARGIN


class HelmCommand:
    """The port `Helm`, by Helm's command line."""

    def __init__(
        self,
        helm: InstalledHelm,
        *,
        folder: Path | None = None,
        deadline: Callable[[HelmOptions], timedelta] = run_deadline,
        chart_sources: ChartSources | None = None,
    ) -> None:
        """`folder` is where the private folders are made; default: in memory, where that can be."""
        self._helm = helm
        self._chart_sources = chart_sources or ChartSources()
        self._folder = folder
        self._discovery = DiscoveryCache(folder)
        self._deadline = deadline

    @property
    def writes_stamp(self) -> bool:
        """Whether its `rollback` has --description (Helm ≥ 4.3)."""
        return self._helm.version.writes_stamp

    def close(self) -> None:
        """Remove what runs share. Call it when no Helm runs any more."""
        self._discovery.clear()

    def check_available(self) -> None:
        """Raise HelmUnavailable where the program has gone since the service started."""
        if not os.access(self._helm.program, os.X_OK):
            raise HelmUnavailable(f"{self._helm.program} is not there any more, or can not be run")

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
        """Run Helm to its end. Raises HelmUnavailable when it can not be started.

        When this task is cancelled, or `started` raises, Helm is killed and reaped
        before the exception goes on; its record may then be left pending.
        """
        with private_folder(self._folder) as folder:
            write_private(folder.kubeconfig, kubeconfig)
            self._discovery.share(folder, release_id.cluster, api_state, kubeconfig=kubeconfig)
            argv = helm_argv(
                self._helm.version,
                release_id,
                call,
                options=options,
                description=description,
                around=self._surroundings(call, folder),
            )
            process = await self._start(argv, folder)
            stopping = asyncio.create_task(_interrupt(process, cancelled)) if cancelled is not None else None
            try:
                await started(identify(process.pid))
                timed_out = await _outlived(process, self._deadline(options))
            finally:
                if stopping is not None:
                    stopping.cancel()
                await _end(process)
            output = tail(folder.output)
        returncode = process.returncode if process.returncode is not None else -signal.SIGKILL
        reason = classify(output, returncode, timed_out=timed_out)
        return HelmExit(returncode=returncode, output=output, reason=reason, timed_out=timed_out)

    def _surroundings(self, call: HelmCall, folder: PrivateFolder) -> Surroundings:
        """Write down what Helm is to read: values never stand in a command line, which others can see."""
        if not isinstance(call, HelmInstall | HelmUpgrade):
            return Surroundings(kubeconfig=folder.kubeconfig)
        change = call.change
        if isinstance(change.chart, ChartArchive):
            write_private(folder.chart, change.chart.content)
        if change.values_yaml:
            write_private(folder.values, change.values_yaml)
        return Surroundings(
            kubeconfig=folder.kubeconfig,
            chart=locate(change.chart, self._chart_sources, folder.chart),
            values=folder.values if change.values_yaml else None,
        )

    def reason_of(self, text: str) -> FailureReason:
        """What an error text of Helm's means, also where Helm left it in a record."""
        return classify(text, 1)

    async def end_orphan(self, process: HelmProcess) -> None:
        """Kill a Helm that an earlier process of this service left running on this host.

        A process of another host, or one that only bears the same pid, is left alone.
        """
        if process.host != this_host() or not is_running(process):
            return
        _kill_group(process.pid)
        with suppress(TimeoutError):  # stuck in the kernel: it stays killed, and its fence's port is closed
            async with asyncio.timeout(ORPHAN_SECONDS):
                while is_running(process):  # noqa: ASYNC110 - not our child: nothing tells when it ends
                    await asyncio.sleep(0.01)

    async def _start(self, argv: Sequence[str], folder: PrivateFolder) -> Process:
        output = os.open(folder.output, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            return await asyncio.create_subprocess_exec(
                self._helm.program,
                *argv,
                stdin=DEVNULL,
                stdout=output,
                stderr=output,
                env=folder.environment,
                cwd=folder.work,
                start_new_session=True,
            )
        except OSError as problem:
            raise HelmUnavailable(f"{self._helm.program} can not be started: {problem.strerror}") from problem
        finally:
            os.close(output)


async def _interrupt(process: Process, cancelled: Callable[[], Awaitable[None]]) -> None:
    """Interrupt Helm once it is cancelled; kill it where that does not end it."""
    await cancelled()
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), INTERRUPTED_SECONDS)
    except TimeoutError:
        _kill_group(process.pid)


def tail(path: Path, limit: int = OUTPUT_TAIL) -> str:
    """The end of a file, from the first whole line on."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - limit))
        text = file.read(limit)
    if size > limit:
        text = text.partition(b"\n")[2] or text
    return text.decode(errors="replace")


async def _outlived(process: Process, deadline: timedelta) -> bool:
    """Wait for the end; whether the deadline came first."""
    try:
        await asyncio.wait_for(process.wait(), deadline.total_seconds())
    except TimeoutError:
        return True
    return False


async def _end(process: Process) -> None:
    """Kill what still runs and reap it, also when this task is cancelled once more meanwhile."""
    if process.returncode is not None:
        return
    _kill_group(process.pid)
    reaped = asyncio.ensure_future(process.wait())
    cancelled = False
    while not reaped.done():
        try:
            await asyncio.shield(reaped)
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError


def _kill_group(pid: int) -> None:
    """Kill the session that Helm leads (`start_new_session` made its group's id its pid)."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return

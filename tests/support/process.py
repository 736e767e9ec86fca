"""The real service in a process of its own, as an administrator starts it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
from support.calls import WAIT
from support.cluster import BIN_DIR
from support.streams import Stream
from support.waiting import PATIENCE, eventually

from helm_rollback.v1.helm_options_pb2 import HelmOptions
from helm_rollback.v1.release_pb2 import Operation, Revision
from helm_rollback.v1.release_service_pb2 import GetReleaseRequest
from helm_rollback.v1.release_service_pb2_grpc import ReleaseServiceStub
from helm_rollback.v1.rollback_service_pb2 import RollbackRequest, StreamHistoryRequest
from helm_rollback.v1.rollback_service_pb2_grpc import RollbackServiceStub

SERVICE = ("-m", "helm_rollback")
HELD_SERVICE = ("-P", str(Path(__file__).with_name("held_service.py")))


class NotStarted(AssertionError):
    """The service ended, or said nothing, instead of becoming ready."""


class ServiceProcess:
    """One service, its ledger and its logs, in `folder`. It may be ended and started again."""

    def __init__(
        self,
        folder: Path,
        kubeconfig: Path | None,
        *flags: str | Path,
        helm: Path = BIN_DIR / "helm",
        program: Sequence[str] = SERVICE,
        environment: dict[str, str] | None = None,
    ) -> None:
        """Nothing is started yet. `flags` are added to those of `serve`; a later one wins."""
        self._folder = folder
        self._argv = [
            *(sys.executable, *program, "serve"),
            *("--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--helm", str(helm)),
            *("--database", f"sqlite:///{folder / 'ledger.db'}"),
            *(("--kubeconfig", str(kubeconfig)) if kubeconfig is not None else ()),
            *(str(flag) for flag in flags),
        ]
        # Nothing of the developer's own: neither settings of the service nor a kubeconfig.
        self._environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._logged_before = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def launch(self) -> subprocess.Popen[bytes]:
        """Start the process, ready or not."""
        assert self._process is None, "it runs already"
        self._logged_before = len(self.stderr)
        with (self._folder / "stdout").open("wb") as stdout, (self._folder / "stderr").open("ab") as stderr:
            self._process = subprocess.Popen(
                self._argv,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env=self._environment,
                cwd=self._folder,
                start_new_session=True,
            )
        return self._process

    def start(self) -> None:
        """Start it on the ledger that is there, and wait for its ready line."""
        self.launch()
        self.until_ready()

    def until_ready(self) -> None:
        """Wait for its ready line."""
        process = self._process
        assert process is not None
        try:
            eventually(lambda: self._ready_line or process.poll() is not None, "the service is ready")
            if not self._ready_line:
                raise NotStarted(f"exit code {process.returncode}")
        except AssertionError as error:
            self.kill()
            raise NotStarted(f"{error}\n{self.stderr}") from error

    def stop(self) -> int:
        """Ask it to end, as a supervisor does, and wait for its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self.wait()

    def ask_to_end(self) -> None:
        """Send SIGTERM, and do not wait."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float = PATIENCE) -> int:
        """The exit code, once it has ended."""
        assert self._process is not None
        code = self._process.wait(seconds)
        self._end()
        return code

    def kill(self) -> None:
        """End it as a crash would: nothing is drained, nothing is said."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE)
            self._end()

    def restart(self) -> None:
        """Crash and start again on the same ledger."""
        self.kill()
        self.start()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether it ended by itself, or was ended by somebody else."""
        return self._process is not None and self._process.poll() is not None

    @property
    def is_ready(self) -> bool:
        return bool(self._ready_line)

    @property
    def observes(self) -> bool:
        """Whether it has gone through what was in the cluster since this start, and watches it now."""
        return "watching cluster" in self.stderr[self._logged_before :]

    @property
    def ready(self) -> dict[str, Any]:
        """What it said when it was ready."""
        said: dict[str, Any] = json.loads(self._ready_line)
        return said

    @property
    def address(self) -> str:
        """Where gRPC listens; another one after each start."""
        return str(self.ready["grpc"])

    @property
    def said(self) -> str:
        """All that it printed."""
        return (self._folder / "stdout").read_text()

    @property
    def stderr(self) -> str:
        """Its log, over all its starts."""
        path = self._folder / "stderr"
        return path.read_text() if path.exists() else ""

    @cached_property
    def channel(self) -> grpc.Channel:
        """A channel to the process that runs now."""
        return grpc.insecure_channel(self.address)

    @property
    def rollbacks(self) -> RollbackServiceStub:
        return RollbackServiceStub(self.channel)

    @property
    def releases(self) -> ReleaseServiceStub:
        return ReleaseServiceStub(self.channel)

    def roll_back(self, release_id: str, target: int, options: HelmOptions | None = None) -> Operation:
        """Rollback, and wait for its outcome."""
        request = RollbackRequest(
            release_id=release_id, target_revision=target, wait_timeout=WAIT, helm_options=options
        )
        return self.rollbacks.Rollback(request).operation

    def stream(
        self, release_id: str, *, resume_token: str | None = None, tail: int | None = None, until: str = ""
    ) -> Stream:
        """Open a history stream and collect what it tells. `until`: it ends after that operation."""
        request = StreamHistoryRequest(release_id=release_id, end_after_operation_id=until)
        if resume_token is not None:
            request.resume_token = resume_token
        if tail is not None:
            request.tail = tail
        return Stream(self.rollbacks.StreamHistory(request))

    def follow(self, release_id: str, *, deployed: int) -> Stream:
        """A stream of what happens after that revision was seen DEPLOYED: what Helm just did is seen a moment later.

        Changes are told one by one only once the cluster is watched, which a first LIST comes before.
        """
        eventually(lambda: self.observes, "the cluster is watched")
        self.until_seen(release_id, deployed, Revision.DEPLOYED)
        return self.stream(release_id, tail=0)

    def until_seen(self, release_id: str, revision: int, status: Revision.Status.ValueType) -> None:
        """Wait until the ledger knows that this is current, and its status."""

        def seen() -> bool:
            release = self.releases.GetRelease(GetReleaseRequest(release_id=release_id)).release
            return (release.current_revision, release.status) == (revision, status)

        eventually(seen, f"{release_id} is seen at revision {revision}, {Revision.Status.Name(status)}")

    @property
    def _ready_line(self) -> str:
        line, newline, _ = self.said.partition("\n")
        return line if newline else ""

    def _end(self) -> None:
        self._process = None
        if "channel" in self.__dict__:
            self.channel.close()
            del self.__dict__["channel"]


RunService = Callable[..., ServiceProcess]
"""Starts a service of the test's own: see the fixture `run_service`."""

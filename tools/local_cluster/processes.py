"""Children that are ended by process id and whose last words are shown.

Each child has its own session, so that a Ctrl-C at the terminal reaches only
us and the order of ending stays ours. Its output goes to a file: a pipe that
nobody reads would stop it.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from random import SystemRandom

_LAST_LINES = 25
_POLL_SECONDS = 0.05

# Below Linux's range for ports given out by the kernel (32768 and up): neither
# an outgoing connection nor somebody's "any free port" can take ours while the
# API server is down between stop_apiserver() and start_apiserver().
_PORTS = range(20_000, 32_000)


class NotReady(RuntimeError):
    """A program ended or stayed silent before it was ready; nothing of it is left."""


class Child:
    """One running program."""

    def __init__(self, name: str, argv: Sequence[str], *, log: Path) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=_environment(log.parent),
                start_new_session=True,
            )
        self._pid_file = log.with_suffix(".pid")
        self._pid_file.write_text(f"{self._process.pid}\n")  # read by the guard

    @property
    def pid(self) -> int:
        """The process id, which is also its session and process group."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the program has not ended yet."""
        return self._process.poll() is None

    def wait_until(self, ready: Callable[[], bool], timeout: timedelta) -> None:
        """Return once `ready` holds; raise NotReady with the log's tail otherwise."""
        deadline = time.monotonic() + timeout.total_seconds()
        while not ready():
            if not self.running:
                raise NotReady(self._explain(f"ended with {self._process.returncode}"))
            if time.monotonic() > deadline:
                raise NotReady(self._explain(f"was not ready after {timeout.total_seconds():g} s"))
            time.sleep(_POLL_SECONDS)

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless the program has ended (its id may be another's by now)."""
        if self.running:
            self._process.send_signal(number)

    def end(self, timeout: timedelta, *, first: signal.Signals = signal.SIGTERM) -> None:
        """Terminate, wait, and kill what is still there."""
        self.send(first)
        try:
            self._process.wait(timeout.total_seconds())
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._pid_file.unlink(missing_ok=True)

    def _explain(self, what: str) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
        return "\n  ".join([f"{self.name} {what}; the end of {self.log}:", *lines])


def free_port() -> int:
    """A loopback port that nobody listens on now; the caller retries if it lost a race."""
    random = SystemRandom()
    for _ in range(200):
        port = random.choice(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise NotReady(f"no free loopback port between {_PORTS.start} and {_PORTS.stop}")


def _environment(home: Path) -> dict[str, str]:
    """No proxy and no kubeconfig of the caller reaches a child."""
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(home)}

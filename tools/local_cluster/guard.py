"""Ends what is left when the process that runs the cluster dies without goodbye.

A killed test run would otherwise leave an API server behind for good. The
guard is a second process that holds the reading end of a pipe: the pipe ends
with us, however we end. It then kills what the `.pid` files in the cluster's
folder name, and removes the folder.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path


class Guard:
    """The second process, from our side."""

    def __init__(self, folder: Path) -> None:
        # This file runs as a script of its own: isolated and without site
        # packages it starts in a few milliseconds.
        argv = [sys.executable, "-I", "-S", __file__, str(folder)]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, start_new_session=True)

    def dismiss(self) -> None:
        """Let it go. Call this after the programs have ended."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def _watch(folder: Path) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.stdin.buffer.read()  # returns when the other end is closed
    for file in folder.glob("*.pid"):
        with contextlib.suppress(OSError, ValueError):
            _kill(int(file.read_text()))
    shutil.rmtree(folder, ignore_errors=True)


def _kill(pid: int) -> None:
    # Ours lead their own sessions; a stranger who got the id later hardly does.
    if os.getsid(pid) == pid:
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    _watch(Path(sys.argv[1]))

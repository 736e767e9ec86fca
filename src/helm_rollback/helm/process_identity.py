"""Which process this is, so that no reused pid is ever taken for it (Linux; elsewhere none is)."""

from __future__ import annotations

import socket
from functools import cache
from pathlib import Path

from helm_rollback.application.ports import HelmProcess


@cache
def this_host() -> str:
    """This machine since it started, as far as its pids reach: hostname, boot id, pid namespace."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        pids = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        boot, pids = "", ""
    return "/".join((socket.gethostname(), boot, pids))


def identify(pid: int) -> HelmProcess:
    """A process just started. `start_ticks` is 0 where it is gone already: then nothing matches it."""
    _, ticks = _state(pid)
    return HelmProcess(host=this_host(), pid=pid, start_ticks=ticks)


def is_running(process: HelmProcess) -> bool:
    """Whether it still runs. A zombie does not: it can write no more."""
    state, ticks = _state(process.pid)
    return ticks != 0 and ticks == process.start_ticks and state not in "ZX"


def _state(pid: int) -> tuple[str, int]:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return "X", 0
    # The second field is the program's name in parentheses, which may hold any character.
    fields = stat.rpartition(")")[2].split()
    return fields[0], int(fields[19])

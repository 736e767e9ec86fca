"""How a Helm lives and ends: what it sees, how long it may run, and that nothing stays behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from support.waiting import eventually

from helm_rollback.application.ports import HelmExit, HelmProcess
from helm_rollback.domain.errors import HelmUnavailable
from helm_rollback.domain.helm_call import HelmRollback
from helm_rollback.domain.helm_options import HelmOptions
from helm_rollback.domain.operation import FailureReason
from helm_rollback.domain.release import ReleaseId
from helm_rollback.helm.process import OUTPUT_TAIL, HelmCommand, run_deadline, tail
from helm_rollback.helm.process_identity import identify, is_running
from helm_rollback.helm.version import HelmVersion, InstalledHelm

SHOP = ReleaseId("default", "prod", "shop")


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    folder = tmp_path / "folders"
    folder.mkdir()
    return folder


def helm_that(tmp_path: Path, folders: Path, script: str, *, deadline: float = 30.0) -> HelmCommand:
    path = tmp_path / "helm"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    helm = InstalledHelm(path, HelmVersion(4, 3, 1))
    return HelmCommand(helm, folder=folders, deadline=lambda _: timedelta(seconds=deadline))


def is_empty(folder: Path) -> bool:
    return not list(folder.iterdir())


def sleeping_child() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)


async def run(helm: HelmCommand, started: list[HelmProcess] | None = None) -> HelmExit:
    async def note(process: HelmProcess) -> None:
        if started is not None:
            started.append(process)

    return await helm.run(
        SHOP,
        HelmRollback(2),
        options=HelmOptions(),
        description="why",
        kubeconfig="the kubeconfig",
        api_state="",
        started=note,
    )


async def test_tells_how_helm_ended(tmp_path: Path, folders: Path) -> None:
    started: list[HelmProcess] = []

    helm = helm_that(tmp_path, folders, "sleep 0.1; echo out; echo 'Error: release: not found' >&2; exit 1")
    ended = await run(helm, started)

    assert ended.returncode == 1
    assert ended.output == "out\nError: release: not found\n"
    assert ended.reason is FailureReason.EXTERNAL_CHANGE
    assert not ended.timed_out
    assert started[0].start_ticks > 0
    assert not is_running(started[0])


async def test_helm_has_a_private_folder_and_nothing_of_ours(
    tmp_path: Path, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY", "canary")
    monkeypatch.setenv("HTTPS_PROXY", "http://canary")
    script = """
for word in "$@"; do case $word in --kubeconfig=*) file="${word#*=}";; esac; done
cat "$file"; stat -c %a "$file"
stat -c %a "$HOME/.." "$(pwd)/../output"; ls -A; cat; env | sort
"""

    ended = await run(helm_that(tmp_path, folders, script))

    lines = ended.output.splitlines()
    assert lines[0] == "the kubeconfig600"
    assert lines[1:3] == ["700", "600"]
    names = {line.partition("=")[0] for line in lines[3:]} - {"PWD", "OLDPWD", "SHLVL", "_"}
    assert all(name.startswith("HELM_") or name in ("HOME", "TMPDIR", "KUBECACHEDIR", "NO_COLOR") for name in names)
    assert "canary" not in ended.output
    assert is_empty(folders)


async def test_a_helm_that_hangs_is_killed_at_its_deadline(tmp_path: Path, folders: Path) -> None:
    started: list[HelmProcess] = []

    ended = await run(helm_that(tmp_path, folders, "trap '' TERM; sleep 60 & wait", deadline=1), started)

    assert ended.timed_out
    assert ended.returncode == -signal.SIGKILL
    assert ended.reason is FailureReason.WAIT_TIMED_OUT
    assert not is_running(started[0])
    eventually(lambda: not _session_of(started[0].pid), "all that was killed has died")


async def test_a_cancelled_run_leaves_no_helm_and_no_file(tmp_path: Path, folders: Path) -> None:
    started: list[HelmProcess] = []

    with pytest.raises(TimeoutError):  # which cancels the run
        await asyncio.wait_for(run(helm_that(tmp_path, folders, "sleep 60"), started), 0.3)

    eventually(lambda: not _session_of(started[0].pid), "all that was killed has died")
    assert is_empty(folders)


async def test_where_its_start_can_not_be_noted_helm_is_killed(tmp_path: Path, folders: Path) -> None:
    seen: list[HelmProcess] = []

    async def fails(process: HelmProcess) -> None:
        seen.append(process)
        raise RuntimeError("the ledger is away")

    helm = helm_that(tmp_path, folders, "sleep 60")
    with pytest.raises(RuntimeError, match="ledger"):
        await helm.run(
            SHOP, HelmRollback(2), options=HelmOptions(), description="", kubeconfig="", api_state="", started=fails
        )

    eventually(lambda: not _session_of(seen[0].pid), "all that was killed has died")
    assert is_empty(folders)


async def test_a_helm_that_went_away_can_not_be_run(tmp_path: Path, folders: Path) -> None:
    helm = helm_that(tmp_path, folders, "true")
    (tmp_path / "helm").unlink()

    with pytest.raises(HelmUnavailable, match="can not be started"):
        await run(helm)
    assert is_empty(folders)


async def test_an_orphan_is_ended_and_only_it(tmp_path: Path, folders: Path) -> None:
    helm = helm_that(tmp_path, folders, "true")
    child = sleeping_child()
    try:
        orphan = identify(child.pid)

        await helm.end_orphan(replace(orphan, start_ticks=orphan.start_ticks + 1))
        await helm.end_orphan(replace(orphan, host="another"))
        assert child.poll() is None

        await helm.end_orphan(orphan)
        assert child.wait(10) == -signal.SIGKILL
        await helm.end_orphan(orphan)
    finally:
        child.kill()
        child.wait()


def test_only_the_end_of_the_output_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "output"
    path.write_text("first\n" + "x" * OUTPUT_TAIL + "\nlast ü\n")

    assert tail(path) == "last ü\n"


def test_the_deadline_is_far_above_helm_s_own() -> None:
    assert run_deadline(HelmOptions(timeout=timedelta(minutes=5))) == timedelta(minutes=60)


def _session_of(leader: int) -> list[int]:
    """What still runs in the session that `leader` led."""
    members = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.getsid(int(entry.name)) == leader and (entry / "stat").read_text().rpartition(")")[2][1] != "Z":
                    members.append(int(entry.name))
            except OSError:
                continue
    return members

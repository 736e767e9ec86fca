"""`make demo` tells its story for a release of any name, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
AT_MOST_SECONDS = 30


@pytest.fixture(scope="module")
def release() -> str:
    return f"r-{uuid.uuid4().hex[:10]}.x"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the demo puts its temporary files."""
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def story(release: str, folder: Path) -> str:
    """What the demo printed."""
    started = time.monotonic()
    told = subprocess.run(
        [sys.executable, ROOT / "tools" / "demo.py", "--release", release],
        env=os.environ | {"TMPDIR": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert told.returncode == 0, told.stdout
    assert time.monotonic() - started <= AT_MOST_SECONDS, told.stdout
    return told.stdout


def part(story: str, command: str) -> str:
    """What a command printed, the last time that it was run."""
    return story.split(f"\n$ {command}")[-1].split("\n== ")[0].partition("\n")[2]


def test_helm_has_five_revisions_and_the_third_failed(story: str, release: str) -> None:
    lines = part(story, f"helm history {release}").splitlines()[1:]

    statuses = [re.split(r"\s*\t\s*", line)[2] for line in lines if line[:1].isdigit()]
    assert statuses == ["superseded", "superseded", "failed", "superseded", "deployed"]
    assert "Rollback to 2: 1.2.0 is broken" in lines[3]
    assert "Rollback to 1: as it was at first" in lines[4]


def test_the_service_tells_the_same_and_what_each_was(story: str, release: str) -> None:
    table = part(story, f"helm-rollback history default.demo.{release}")

    for told in ("Install", "Upgrade", "Rollback to 2", "Rollback to 1", "FAILED", "1.2.0", "as it was at first"):
        assert told in table


def test_the_stream_tells_the_rollback_beside(story: str) -> None:
    stream = [line for line in story.splitlines() if line.startswith("  | ")]

    told = "\n".join(stream)
    for status in ("FAILED", "PENDING_ROLLBACK", "SUPERSEDED", "DEPLOYED", "SUCCEEDED"):
        assert status in told


def test_the_same_request_is_the_same_operation(story: str) -> None:
    repeated = part(story, "helm-rollback rollback ")
    first = story.split("\n$ helm-rollback rollback ")[1]

    ids = {re.findall(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]{21}", text)[0] for text in (first, repeated)}
    assert len(ids) == 1


def test_the_blind_retry_is_refused_with_the_reason(story: str, release: str) -> None:
    assert "ALREADY_ROLLED_BACK" in story.split(f"helm-rollback last-successful default.demo.{release}\n")[-1]


def test_nothing_is_left(story: str, folder: Path) -> None:
    assert story
    assert list(folder.iterdir()) == []
    assert not [argv for argv in command_lines() if str(folder) in argv]


def command_lines() -> Iterator[str]:
    """Of every process of this machine."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it ended meanwhile
            yield path.read_text(errors="replace")

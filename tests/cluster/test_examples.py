"""The clients in examples/, built and run by the commands of their README, over a restart of the service."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from local_cluster.processes import free_port
from support.by_hand import ByHand
from support.helm import Helm
from support.process import RunService

pytest_plugins = ["support.services"]

ROOT = Path(__file__).resolve().parents[2]
BUILD_SECONDS = 400
SECONDS = 100


def commands(language: str) -> list[str]:
    """What the README says below a language's heading; a line that goes on is one."""
    text = (ROOT / "examples" / "README.md").read_text()
    section = re.split(rf"^## {language}$", text, flags=re.MULTILINE)[1].split("\n## ")[0]
    block: str = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)[0]
    return block.replace("\\\n", " ").strip().splitlines()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """What a newcomer has, in a folder where building leaves nothing behind; `protoc` is that of grpc_tools."""
    for name in ("examples", "protos"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("node_modules", "bin", "gen"))
    (tmp_path / ".venv").symlink_to(Path(sys.executable).parents[1])
    protoc = tmp_path / "tools" / "protoc"
    protoc.parent.mkdir()
    protoc.write_text(f'#!/bin/sh\nexec {sys.executable} -m grpc_tools.protoc "$@"\n')
    protoc.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("language", ["Python", "Go", "TypeScript"])
def test_a_client_puts_a_release_back_over_a_restart(
    language: str, copy: Path, run_service: RunService, helm: Helm, namespace: str, tmp_path: Path
) -> None:
    by_hand = ByHand(helm, tmp_path)
    by_hand.install("1.0.0")
    by_hand.upgrade("1.1.0")
    address = f"127.0.0.1:{free_port()}"
    service = run_service("--grpc", address)
    *making, start = commands(language)
    start = start.replace("127.0.0.1:50051", address).replace("default.prod.shop", f"default.{namespace}.shop")
    path = f'export PATH="{Path(sys.executable).parent}:{copy / "tools"}:$PATH"'
    _run("\n".join(["set -e", path, *making]), copy)

    where = "\n".join(line for line in making if line.startswith("cd "))
    client = subprocess.Popen(
        ["bash", "-c", f"{path}\n{where}\n{start}"],
        cwd=copy,
        bufsize=0,  # or what readline() has read ahead would be lost to communicate()
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert client.stdout is not None
    first = client.stdout.readline()
    service.kill()
    service.start()
    rest, err = client.communicate(timeout=SECONDS)

    assert client.returncode == 0, err.decode()
    *events, end = (first + rest).decode().strip().splitlines()
    numbers = [int(line.split()[0]) for line in events]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert re.fullmatch(r"operation [0-9a-f-]{36} SUCCEEDED", end)
    assert by_hand.charts[max(by_hand.charts)] == "1.0.0"


def _run(script: str, folder: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr

"""README does not lie: its commands are run, and its tables are compared with the code.

A block of ```console right after the comment `<!-- tested -->` holds commands, each after
`$ `, and below each what it prints. They run in order, against a service that is started
here, for a release `shop` in the namespace `prod` whose third revision failed. Where
README says 127.0.0.1:50051, the address of that service is meant. Ids, times, tokens and
digests are new each time, so one stands for any other of its kind; everything else has
to be the same, to the letter.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import demo
import pytest
from local_cluster import ApiError, LocalCluster
from support.cluster import BIN_DIR
from support.helm import Helm

from helm_rollback.settings import Settings
from helm_rollback.v1 import release_service_pb2, rollback_service_pb2

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
SECONDS = 60
SERVICES = (
    rollback_service_pb2.DESCRIPTOR.services_by_name["RollbackService"],
    release_service_pb2.DESCRIPTOR.services_by_name["ReleaseService"],
)

VOLATILE = (
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<id>"),
    (r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:]{8}(\.[0-9]+)?(Z|[+-][0-9:]{5})?", "<time>"),
    (r"[0-9a-f]{64}", "<digest>"),
    (r'("resume_token": )"[^"]+"', r'\1"<token>"'),
)


# --- commands -------------------------------------------------------------------------


@dataclass(frozen=True)
class Example:
    """One command of README and what it says that it prints."""

    command: str
    output: str


def examples() -> list[Example]:
    found: list[Example] = []
    for block in re.findall(r"<!-- tested -->\n```console\n(.*?)```", README, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            lines = part.splitlines()
            ends = next(i for i, line in enumerate(lines) if not line.endswith("\\"))
            command = " ".join(line.rstrip("\\").strip() for line in lines[: ends + 1])
            found.append(Example(command, "\n".join(lines[ends + 1 :])))
    return found


def comparable(output: str) -> str:
    """Without what is new each time, and without spaces that nobody sees."""
    for pattern, placeholder in VOLATILE:
        output = re.sub(pattern, placeholder, output)
    return "\n".join(line.rstrip() for line in output.strip().splitlines())


@dataclass(frozen=True)
class World:
    """A running service, and how README's commands reach it."""

    address: str
    folder: Path

    def run(self, command: str) -> str:
        done = subprocess.run(
            shlex.split(command.replace("127.0.0.1:50051", self.address)),
            cwd=self.folder,
            env={
                "PATH": os.pathsep.join([str(BIN_DIR), str(demo.SERVICE.parent), os.defpath]),
                "HOME": str(self.folder),
                "HELM_ROLLBACK_SERVER": self.address,
                "COLUMNS": "120",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        return done.stdout


@pytest.fixture
def world(local_cluster: LocalCluster, helm: Helm, tmp_path: Path) -> Iterator[World]:
    """The service, and the release that README tells of: installed, upgraded, and broken by an upgrade."""
    with suppress(ApiError):  # an earlier test made it
        local_cluster.create_namespace("prod")
    prod = helm.in_namespace("prod")
    with demo.running_service(tmp_path, local_cluster.kubeconfig) as ready:
        for version, greeting, port in (("1.0.0", "hello", 80), ("1.1.0", "welcome", 80), ("1.2.0", "oops", 70000)):
            chart = tmp_path / f"shop-{version}"
            demo.write_chart(chart, version, greeting=greeting, port=port)
            prod.upgrade("shop", chart, "--install", check=version != "1.2.0")
        yield World(json.loads(ready)["grpc"], tmp_path)
    prod.uninstall("shop")


def test_every_command_prints_what_readme_says(world: World) -> None:
    told = examples()
    assert len(told) >= 3

    for example in told:
        assert comparable(world.run(example.command)) == comparable(example.output), example.command


def test_every_method_is_described_and_called_by_reflection(world: World) -> None:
    for service in SERVICES:
        for method in service.methods:
            described = world.run(f"grpcurl -plaintext 127.0.0.1:50051 describe {method.full_name}")
            called = world.run(f"grpcurl -plaintext -d '{{}}' 127.0.0.1:50051 {service.full_name}/{method.name}")

            assert described.startswith(f"{method.full_name} is a method:")
            # Most need an id; that they say so is an answer of the method's own.
            assert called.startswith("{") or '"reason": "INVALID_FIELD"' in called, called


# --- tables ---------------------------------------------------------------------------


def first_column(heading: str) -> list[str]:
    """The names in the first column of the table below a heading of README."""
    section = re.split(rf"^## {re.escape(heading)}$", README, flags=re.MULTILINE)[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    return [re.findall(r"`([^`]+)`", row.split("|")[1])[0] for row in rows]


def test_lists_the_methods_that_exist() -> None:
    assert first_column("The API") == [method.name for service in SERVICES for method in service.methods]


def test_lists_every_setting() -> None:
    flags = [name.removeprefix("--").replace("-", "_") for name in first_column("Settings")]

    assert [flag for flag in flags if flag != "config"] == list(Settings.model_fields)


def test_links_lead_somewhere() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    for page in pages:
        for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in link:
                assert (page.parent / link).exists(), f"{page.name}: {link}"

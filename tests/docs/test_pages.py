"""The pages do not lie: their commands are run, and README's tables are compared with the code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from docs.examples import World, broken_shop, comparable, examples
from local_cluster import LocalCluster
from support.helm import Helm

from helm_rollback.settings import Settings
from helm_rollback.v1 import release_service_pb2, rollback_service_pb2

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
SERVICES = (
    rollback_service_pb2.DESCRIPTOR.services_by_name["RollbackService"],
    release_service_pb2.DESCRIPTOR.services_by_name["ReleaseService"],
)
PAGES = ("README.md", "docs/recovery.md", "docs/rest.md")


@pytest.fixture
def world(local_cluster: LocalCluster, helm: Helm, tmp_path: Path) -> Iterator[World]:
    with broken_shop(local_cluster, helm, tmp_path) as world:
        yield world


@pytest.mark.parametrize("page", PAGES)
def test_every_command_prints_what_the_page_says(world: World, page: str) -> None:
    told = examples((ROOT / page).read_text())
    assert len(told) >= 3

    for example in told:
        assert comparable(world.run(example.command)) == comparable(example.output), example.command


def test_every_method_is_described_and_called_by_reflection(world: World) -> None:
    for service in SERVICES:
        for method in service.methods:
            described = world.run(f"grpcurl -plaintext 127.0.0.1:50051 describe {method.full_name}")
            limit = "-max-time 3" if method.server_streaming else ""  # some streams never end
            called = world.run(
                f"grpcurl -plaintext {limit} -d '{{}}' 127.0.0.1:50051 {service.full_name}/{method.name}"
            )

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

"""docs/architecture.md speaks of what is there: the letters, the steps, the names."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

from helm_rollback.domain import operation
from helm_rollback.domain.operation import OperationState
from helm_rollback.domain.recovery import Step

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
ARROW = re.compile(r"^ *(\S+) --> (\S+) : (\w)$", re.MULTILINE)


def section(heading: str) -> str:
    return PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def rows(heading: str) -> list[list[str]]:
    lines = [line for line in section(heading).splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[1:]]


def test_draws_the_states_as_the_code_does() -> None:
    drawn = ARROW.findall(section("States of an operation"))

    assert drawn == ARROW.findall(operation.__doc__ or "")
    assert {state for arrow in drawn for state in arrow[:2]} == {"[*]", *OperationState}


def test_explains_every_arrow() -> None:
    letters = [letter for *_, letter in ARROW.findall(operation.__doc__ or "")]

    assert [row[0] for row in rows("States of an operation")] == [f"**{letter}**" for letter in letters]


def test_explains_every_step_of_recovery() -> None:
    named = {step for row in rows("After an interruption") for step in re.findall(r"`([A-Z_]+)`", row[2])}

    assert named == set(Step)


def test_every_name_of_code_exists() -> None:
    for row in rows("States of an operation"):
        for name in re.findall(r"`([a-z_]+\.[A-Za-z_.]+)`", row[-1]):
            package, module, *path = name.split(".")
            found: object = importlib.import_module(f"helm_rollback.{package}.{module}")
            for part in path:
                found = getattr(found, part)


def test_every_path_exists() -> None:
    package = ROOT / "src" / "helm_rollback"
    for path in re.findall(r"`([a-z_0-9]+/(?:[a-z_0-9/]+\.py|[a-z_0-9/]*/)?)`", PAGE):
        assert (package / path).exists() or (ROOT / path).exists(), path

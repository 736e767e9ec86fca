"""The server's log: JSON, one document a line."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

from helm_rollback.cli.log_lines import JsonLines


def line(**changes: Any) -> Any:
    record = logging.makeLogRecord({"name": "helm_rollback.call", "levelname": "INFO", "msg": "call", **changes})
    text = JsonLines().format(record)
    assert "\n" not in text
    return json.loads(text)


def test_facts_stand_beside_the_message() -> None:
    told = line(code="OK", duration_ms=1.5)

    assert (told["message"], told["logger"], told["code"], told["duration_ms"]) == (
        "call", "helm_rollback.call", "OK", 1.5,
    )  # fmt: skip


def test_what_a_caller_wrote_can_not_begin_a_line_of_its_own() -> None:
    assert line(release_id='a\n{"level": "ERROR"}')["release_id"].startswith("a\n")


def test_a_stack_stays_in_its_line() -> None:
    try:
        raise ValueError("why")
    except ValueError:
        told = line(exc_info=sys.exc_info())

    assert "ValueError: why" in told["exception"]

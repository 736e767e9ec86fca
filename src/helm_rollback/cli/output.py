"""What a command prints on stdout: tables for people, one JSON document a line for scripts."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from enum import StrEnum

from google.protobuf import json_format
from google.protobuf.message import Message

from helm_rollback.cli import text
from helm_rollback.v1.release_pb2 import Operation, Release, Revision


class Output(StrEnum):
    TABLE = "table"
    JSON = "json"


def print_json(message: Message) -> None:
    """One document on one line: the proto's own JSON, defaults written out."""
    document = json_format.MessageToJson(message, indent=None, always_print_fields_with_no_presence=True)
    print_line(document)


def print_line(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def print_revisions(revisions: Iterable[Revision]) -> None:
    _print_table(
        ("Revision", "Status", "Operation", "Chart Version", "Who and why"),
        [
            (
                str(revision.revision),
                text.status(revision.status),
                text.made_by(revision),
                revision.chart_version,
                text.who_and_why(revision),
            )
            for revision in revisions
        ],
    )


def print_releases(releases: Iterable[Release]) -> None:
    _print_table(
        ("Release", "Revision", "Status", "Last successful", "Chart", "Updated", "Operation under way"),
        [
            (
                release.release_id,
                str(release.current_revision),
                text.status(release.status),
                str(release.last_successful_revision or ""),
                f"{release.chart_name} {release.chart_version}".strip(),
                text.moment(release.update_time),
                release.active_operation_id,
            )
            for release in releases
        ],
    )


def print_operation(operation: Operation) -> None:
    """The facts of one operation, a line each."""
    facts = (
        ("Operation", operation.operation_id),
        ("Release", operation.release_id),
        ("What", text.operation_line(operation)),
        ("From revision", str(operation.base_revision or "")),
        ("To revision", str(operation.target_revision or "")),
        ("New revision", str(operation.result_revision or "")),
        ("Who", operation.actor),
        ("Why", operation.reason),
        ("Accepted", text.moment(operation.create_time)),
        ("Ended", text.moment(operation.end_time)),
        ("Skipped", _skipped(operation)),
        ("Leftovers", ", ".join(f"{left.kind}/{left.name}" for left in operation.leftover_objects)),
    )
    width = max(len(name) for name, _ in facts)
    for name, fact in facts:
        if fact:
            print_line(f"{name:<{width}}  {text.clean(fact)}")


def _skipped(operation: Operation) -> str:
    return "; ".join(f"{skipped.revision}: {skipped.explanation}" for skipped in operation.selection.skipped)


def _print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """As wide as the terminal; unwrapped where the output is a file or a pipe."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        table.add_column(heading, justify="right" if heading == "Revision" else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(text.clean(cell)) for cell in row))
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(console.measure(table).maximum, 80))
    console.print(table)

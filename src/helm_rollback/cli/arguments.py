"""Arguments and options that several commands share."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final

import typer

from helm_rollback.cli.output import Output

REVISION_MAX: Final = 2**31 - 1


def span(text: str) -> timedelta:
    """A duration, as the server's settings have it."""
    from helm_rollback.settings import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


ReleaseArgument = Annotated[
    str, typer.Argument(metavar="RELEASE", help="<cluster>.<namespace>.<name>, such as default.prod.shop.")
]
RevisionArgument = Annotated[int, typer.Argument(metavar="REVISION", min=1, max=REVISION_MAX)]
ServerOption = Annotated[
    str, typer.Option("--server", envvar="HELM_ROLLBACK_SERVER", metavar="HOST:PORT", help="Where the service is.")
]
OutputOption = Annotated[Output, typer.Option("--output", "-o", help="Tables for people, or JSON for scripts.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; one line, kept with the operation.")]
RequestIdOption = Annotated[
    str, typer.Option("--request-id", metavar="UUID", help="Repeating a call with its id changes nothing twice.")
]
ExpectedOption = Annotated[
    int | None,
    typer.Option("--expected-current-revision", min=1, max=REVISION_MAX, help="Only if this one is current."),
]
TimeoutOption = Annotated[
    timedelta | None,
    typer.Option("--timeout", parser=span, metavar="DURATION", help="Helm's, for each of its steps (5m)."),
]
ExpireOption = Annotated[
    timedelta | None,
    typer.Option("--expire-after", parser=span, metavar="DURATION", help="Give up if not begun by then (1h)."),
]
WaitOption = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the outcome.")]
WaitForJobsOption = Annotated[bool, typer.Option("--wait-for-jobs", help="Helm's: wait for Jobs too.")]
NoHooksOption = Annotated[bool, typer.Option("--no-hooks", help="Helm's: run no hooks.")]
CleanupOption = Annotated[bool, typer.Option("--cleanup-on-fail", help="Helm's: delete what a failed run created.")]
TakeOverOption = Annotated[
    bool,
    typer.Option("--take-over-pending", help="Go on though another Helm seems to be at work; you know it is dead."),
]
LeftoversOption = Annotated[
    bool, typer.Option("--remove-leftovers", help="Delete what Helm left behind of newer revisions, once it worked.")
]
ActorOption = Annotated[
    str, typer.Option("--actor", envvar="HELM_ROLLBACK_ACTOR", help="Who asks; the service can not check it.")
]

DEFAULT_SERVER: Final = "127.0.0.1:50051"

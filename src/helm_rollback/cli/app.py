"""The commands, gathered."""

from __future__ import annotations

import typer

from helm_rollback.cli import look, put_back, serve

app = typer.Typer(
    name="helm-rollback",
    help="Puts Helm releases back, and remembers what happened.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(serve.serve)
app.command()(serve.migrate)
app.command()(serve.version)
app.command()(put_back.rollback)
app.command()(put_back.last_successful)
app.command()(look.history)
app.command()(look.releases)
app.command()(look.operation)

"""`serve`, `migrate`, `version`: the commands on the server's side."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

ConfigOption = Annotated[
    Path | None, typer.Option("--config", envvar="HELM_ROLLBACK_CONFIG", help="A TOML file with these settings.")
]
DatabaseOption = Annotated[
    str | None,
    typer.Option("--database", metavar="URL", help="sqlite:////path/ledger.db or postgresql://USER@HOST/NAME"),
]


def serve(
    *,
    config: ConfigOption = None,
    grpc: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Where gRPC listens.")] = None,
    http: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Where REST listens; port 0: a free one.")
    ] = None,
    database: DatabaseOption = None,
    migrate: Annotated[
        bool | None, typer.Option("--migrate", help="Migrate a PostgreSQL ledger before serving.")
    ] = None,
    kubeconfig: Annotated[str | None, typer.Option(metavar="FILE", help="Of the cluster `default`.")] = None,
    context: Annotated[str | None, typer.Option(metavar="NAME", help="Of that kubeconfig.")] = None,
    helm: Annotated[str | None, typer.Option(metavar="PATH", help="The Helm to run.")] = None,
    lease: Annotated[str | None, typer.Option(metavar="DURATION", help="How long an operation is held (30s).")] = None,
    max_helm: Annotated[int | None, typer.Option(metavar="N", help="Helm processes at once.")] = None,
    max_streams: Annotated[int | None, typer.Option(metavar="N", help="Open streams at once.")] = None,
    heartbeat: Annotated[str | None, typer.Option(metavar="DURATION", help="Of silent streams (15s).")] = None,
    insecure: Annotated[
        bool | None, typer.Option("--insecure", help="Let others reach it, without TLS and authentication.")
    ] = None,
) -> None:
    """Serve until SIGTERM. Each option is also HELM_ROLLBACK_<NAME>, and a key of the file."""
    flags = {name: value for name, value in locals().items() if name != "config"}
    settings = _settings(flags, config)

    import asyncio

    from helm_rollback.bootstrap import StartRefused
    from helm_rollback.bootstrap import serve as serve_with
    from helm_rollback.cli.log_lines import log_as_json

    log_as_json()
    try:
        code = asyncio.run(serve_with(settings))
    except StartRefused as refused:
        _fail(str(refused), code=1)
    raise typer.Exit(code)


def migrate(*, config: ConfigOption = None, database: DatabaseOption = None) -> None:
    """Bring the ledger's tables up to this version, and end. On SQLite `serve` does it too."""
    settings = _settings({"database": database}, config)

    from helm_rollback.store.errors import LedgerUnusable
    from helm_rollback.store.migrate import migrate as migrate_ledger

    try:
        version_now = migrate_ledger(settings.database)
    except LedgerUnusable as error:
        _fail(str(error), code=1)
    sys.stdout.write(f"the ledger has version {version_now}\n")


def version() -> None:
    """Print the version, and end."""
    from helm_rollback import __version__

    sys.stdout.write(f"helm-rollback {__version__}\n")


def _settings(flags: dict[str, Any], config: Path | None) -> Any:
    from helm_rollback.settings import SettingsError, load

    try:
        return load(flags, config=config)
    except SettingsError as error:
        _fail(str(error), code=2)


def _fail(message: str, *, code: int) -> NoReturn:
    sys.stderr.write(f"{message}\n")
    raise typer.Exit(code)

"""The command line: the server, and a client for people and scripts.

Nothing heavy is imported before the command is known: `version` answers at once, a
client command never loads the server.
"""

from __future__ import annotations


def main() -> None:
    """Run the command that `sys.argv` names; ends the process with its exit code."""
    from helm_rollback.cli.app import app

    app()

"""What a command imports: a person waits for it."""

from __future__ import annotations

import subprocess
import sys

import pytest


def modules_after(code: str) -> set[str]:
    """What a fresh interpreter has imported after `code`."""
    program = f"import sys\n{code}\nsys.stderr.write(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_the_commands_are_known_without_the_server() -> None:
    loaded = modules_after("from helm_rollback.cli.app import app")

    assert not loaded & {"sqlalchemy", "sqlmodel", "pydantic", "lightkube", "helm_rollback.bootstrap", "rich.console"}


@pytest.mark.parametrize("module", ["helm_rollback.servicer.server", "helm_rollback.bootstrap"])
def test_grpc_never_sees_its_fork_handlers_turned_on(module: str) -> None:
    code = f"""
import os, builtins
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "1"
load = builtins.__import__
def watched(name, *rest, **more):
    if name.split(".")[0] == "grpc" and "grpc" not in sys.modules:
        assert os.environ["GRPC_ENABLE_FORK_SUPPORT"] == "0", "grpc is imported too early"
    return load(name, *rest, **more)
builtins.__import__ = watched
import {module}
"""
    assert "grpc" in modules_after(code)

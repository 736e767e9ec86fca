"""The real helm program, as a person beside the service would run it."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

CURRENT = "helm"
"""The Helm of tests, as a rule: it stamps the records of its rollbacks."""
OLDER = ("helm4.2", "helm3")
"""Those that do not, and that the service works with all the same."""


@dataclass(frozen=True)
class Helm:
    """Runs helm in one namespace, with nothing of the caller's environment."""

    program: Path
    kubeconfig: Path
    namespace: str
    home: Path
    """A private folder for Helm's caches and settings."""
    environment: dict[str, str] = field(default_factory=dict)
    """What Helm finds in its environment besides HOME."""

    def run(self, *arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `helm ARGUMENTS`; with `check`, a failure shows Helm's own words."""
        completed = subprocess.run(
            [self.program, "--kubeconfig", self.kubeconfig, "--namespace", self.namespace, *arguments],
            env={"HOME": str(self.home), "KUBECACHEDIR": str(self.home / "kube"), **self.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        if check and completed.returncode:
            command = " ".join(str(argument) for argument in arguments)
            raise AssertionError(f"helm {command}: exit code {completed.returncode}\n{completed.stderr}")
        return completed

    @contextmanager
    def killed_after(self, *arguments: str | Path) -> Iterator[None]:
        """`helm ARGUMENTS`, which must still run at the end of the block: there it is killed."""
        process = subprocess.Popen(
            [self.program, "--kubeconfig", self.kubeconfig, "--namespace", self.namespace, *arguments],
            env={"HOME": str(self.home), "KUBECACHEDIR": str(self.home / "kube"), **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield
            assert process.poll() is None, f"helm {arguments[0]} has ended by itself"
        finally:
            process.kill()
            process.wait()

    def install(self, release: str, chart: Path, *flags: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """`helm install`."""
        return self.run("install", release, chart, *flags, check=check)

    def upgrade(self, release: str, chart: Path, *flags: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """`helm upgrade`."""
        return self.run("upgrade", release, chart, *flags, check=check)

    def rollback(
        self, release: str, revision: int, *flags: str, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """`helm rollback`."""
        return self.run("rollback", release, str(revision), *flags, check=check)

    def uninstall(self, release: str, *flags: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """`helm uninstall`."""
        return self.run("uninstall", release, *flags, check=check)

    def history_json(self, release: str) -> list[dict[str, Any]]:
        """`helm history`, oldest first: revision, updated, status, chart, app_version, description."""
        history: list[dict[str, Any]] = json.loads(self.run("history", release, "--output", "json").stdout)
        return history

    def statuses(self, release: str) -> dict[int, str]:
        """Status of each revision."""
        return {entry["revision"]: entry["status"] for entry in self.history_json(release)}

    def get(self, what: str, release: str, revision: int | None = None) -> str:
        """`helm get WHAT`: values, manifest, hooks, notes, metadata or all."""
        flags = [] if revision is None else ["--revision", str(revision)]
        return self.run("get", what, release, *flags).stdout

    def of(self, program: Path) -> "Helm":
        """The same with another program."""
        return replace(self, program=program)

    def in_namespace(self, namespace: str) -> "Helm":
        """The same Helm in another namespace."""
        return replace(self, namespace=namespace)

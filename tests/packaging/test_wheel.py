"""The wheel, as somebody installs it who has no checkout: into an empty environment, elsewhere."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import pytest

ROOT = Path(__file__).resolve().parents[2]
HELM = ROOT / ".tools" / "bin" / "helm"
READY_SECONDS = 30

KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: away
clusters: [{name: away, cluster: {server: "http://127.0.0.1:9"}}]
users: [{name: away, user: {token: none}}]
contexts: [{name: away, context: {cluster: away, user: away}}]
"""
"""Of a cluster that does not answer: the service starts all the same, and serves its ledger."""


@dataclass(frozen=True)
class Installed:
    """An environment with nothing but the wheel and what it needs."""

    folder: Path
    wheel: Path

    @property
    def python(self) -> Path:
        return self.folder / "venv" / "bin" / "python"

    @property
    def program(self) -> Path:
        return self.folder / "venv" / "bin" / "helm-rollback"

    def environment(self, extra: Mapping[str, str]) -> dict[str, str]:
        """Nothing of ours: no PYTHONPATH, no KUBECONFIG, an empty HOME."""
        return {"HOME": str(self.folder), "PATH": os.defpath, **extra}

    def run(self, *argv: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            argv,
            cwd=self.folder,
            env=self.environment(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=READY_SECONDS,
            check=False,
        )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    build_environment = os.environ | {"PIP_CONSTRAINT": str(ROOT / "constraints.txt")}
    subprocess.run(
        [*pip, "wheel", "--no-deps", "--wheel-dir", folder, ROOT],
        env=build_environment,
        check=True,
    )
    (wheel,) = folder.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    subprocess.run(
        [*pip, "--python", folder / "venv", "install", "-c", ROOT / "constraints.txt", wheel],
        check=True,
    )
    yield Installed(folder, wheel)
    shutil.rmtree(folder)


def test_holds_all_that_is_needed_at_run_time(installed: Installed) -> None:
    with zipfile.ZipFile(installed.wheel) as archive:
        names = set(archive.namelist())

    migrations = {path.name for path in (ROOT / "src/helm_rollback/store/migrations/versions").glob("*.py")}
    assert migrations
    assert {f"helm_rollback/store/migrations/versions/{name}" for name in migrations} <= names
    generated = {path.name for path in (ROOT / "src/helm_rollback/v1").iterdir() if path.is_file()}
    assert {f"helm_rollback/v1/{name}" for name in generated} <= names
    assert "helm_rollback/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_holds_nothing_else(installed: Installed) -> None:
    with zipfile.ZipFile(installed.wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}

    assert tops == {"helm_rollback", "helm_rollback-0.1.0.dist-info"}


def test_says_its_version(installed: Installed) -> None:
    shown = installed.run(installed.program, "version")

    assert (shown.returncode, shown.stderr) == (0, "")
    assert "0.1.0" in shown.stdout


def test_is_not_the_checkout(installed: Installed) -> None:
    shown = installed.run(installed.python, "-c", "import helm_rollback; print(helm_rollback.__file__)")

    assert Path(shown.stdout.strip()).is_relative_to(installed.folder)


def test_needs_nothing_that_is_for_development(installed: Installed) -> None:
    script = "from importlib.metadata import distributions; print(*(d.name for d in distributions()))"

    names = set(installed.run(installed.python, "-c", script).stdout.lower().split())

    assert "grpcio" in names
    assert not names & {"pytest", "mypy", "ruff", "grpcio-tools", "buf-bin", "cryptography"}


def test_makes_a_ledger(installed: Installed) -> None:
    made = installed.run(installed.program, "migrate", "--database", f"sqlite:///{installed.folder / 'made.db'}")

    assert made.returncode == 0, made.stderr
    assert (installed.folder / "made.db").stat().st_size > 0


def test_serves_its_ledger_though_the_cluster_is_away(installed: Installed) -> None:
    database = installed.folder / "served.db"
    kubeconfig = installed.folder / "kubeconfig"
    kubeconfig.write_text(KUBECONFIG)
    service = subprocess.Popen(
        [
            *(installed.program, "serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"),
            *("--database", f"sqlite:///{database}", "--kubeconfig", kubeconfig, "--helm", HELM),
        ],
        cwd=installed.folder,
        env=installed.environment({}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert service.stdout is not None
        ready = json.loads(service.stdout.readline())
        assert ready["ready"] is True
        with urlopen(f"http://{ready['http']}/api/v1/helm/releases") as listed:
            assert json.load(listed)["releases"] == []
        probe = installed.run(installed.python, ROOT / "tools" / "health.py", ready["grpc"])
        assert probe.stdout == f"{ready['grpc']}: SERVING\n"
        service.send_signal(signal.SIGTERM)
        assert service.wait(READY_SECONDS) == 0
        assert database.stat().st_size > 0
    finally:
        service.kill()
        service.wait()
        if service.stdout is not None:
            service.stdout.close()


def test_says_what_to_do_where_there_is_no_helm(installed: Installed) -> None:
    kubeconfig = installed.folder / "kubeconfig"
    kubeconfig.write_text(KUBECONFIG)

    refused = installed.run(
        *(installed.program, "serve", "--grpc", "127.0.0.1:0", "--kubeconfig", kubeconfig),
        *("--helm", "/nowhere/helm", "--database", f"sqlite:///{installed.folder / 'refused.db'}"),
    )

    assert refused.returncode != 0
    assert "--helm" in refused.stderr
    assert "Traceback" not in refused.stderr

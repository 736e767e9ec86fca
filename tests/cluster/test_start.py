"""A service that can not start says in one paragraph what to do, and never shows a stack.

Where it can come right by itself it starts all the same: see `test_outages.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from local_cluster import LocalCluster
from support.cluster import BIN_DIR
from support.process import ServiceProcess

pytest_plugins = ["support.services"]


@dataclass(frozen=True)
class Refused:
    """How a start ended."""

    code: int
    message: str


Start = Callable[..., Refused]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Starts `serve` with these flags, which must end it, and reads what it says."""

    def run(kubeconfig: Path | None, *flags: str | Path, helm: Path = BIN_DIR / "helm", **environment: str) -> Refused:
        service = ServiceProcess(tmp_path, kubeconfig, *flags, helm=helm, environment=environment)
        service.launch()
        refused = Refused(service.wait(), service.stderr)
        assert service.said == "", "it said that it was ready"
        return refused

    return run


def _assert_told(refused: Refused, *words: str) -> None:
    assert refused.code != 0
    assert "Traceback" not in refused.message
    # Besides the log, which gRPC's own core writes in, too.
    paragraphs = [line for line in refused.message.splitlines() if not line.startswith(("{", "E1", "E0"))]
    assert len(paragraphs) == 1, refused.message
    for word in words:
        assert word in paragraphs[0]


def test_no_kubeconfig(start: Start) -> None:
    _assert_told(start(None), "kubeconfig", "--kubeconfig FILE", "HELM_ROLLBACK_KUBECONFIG")


def test_a_kubeconfig_that_does_not_exist(start: Start, tmp_path: Path) -> None:
    _assert_told(start(tmp_path / "no-such-file"), "no-such-file", "does not exist", "--kubeconfig FILE")


def test_a_context_that_does_not_exist(start: Start, local_cluster: LocalCluster) -> None:
    _assert_told(start(local_cluster.kubeconfig, "--context", "nowhere"), "nowhere", "context")


def test_no_helm(start: Start, local_cluster: LocalCluster, tmp_path: Path) -> None:
    refused = start(local_cluster.kubeconfig, helm=tmp_path / "no-helm")

    _assert_told(refused, "no-helm", "install Helm 4.3 or later", "--helm")


def test_a_helm_that_is_too_old(start: Start, local_cluster: LocalCluster, make_helm: Callable[[str], Path]) -> None:
    refused = start(local_cluster.kubeconfig, helm=make_helm("echo v3.10.0"))

    _assert_told(refused, "v3.10.0", "install Helm 4.3 or later", "--helm")


def test_a_helm_that_is_none(start: Start, local_cluster: LocalCluster, make_helm: Callable[[str], Path]) -> None:
    refused = start(local_cluster.kubeconfig, helm=make_helm("echo 'hello, world'"))

    _assert_told(refused, "does not answer as Helm does", "--helm")


def test_a_folder_that_can_not_be_written(start: Start, local_cluster: LocalCluster) -> None:
    """/proc is one for every user, root included."""
    refused = start(local_cluster.kubeconfig, "--database", "sqlite:////proc/helm-rollback/ledger.db")

    _assert_told(refused, "/proc/helm-rollback", "--database")


def test_a_ledger_that_is_no_database(start: Start, local_cluster: LocalCluster, tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_text("no database, but a shopping list\n" * 100)

    _assert_told(start(local_cluster.kubeconfig), "ledger.db")
    assert (tmp_path / "ledger.db").read_text().startswith("no database"), "it is still what it was"


def test_two_names_for_one_api_server(start: Start, local_cluster: LocalCluster, tmp_path: Path) -> None:
    """Each would observe, and roll back, behind the other's back."""
    config = tmp_path / "config.toml"
    config.write_text(f'[clusters.twin]\nkubeconfig = "{local_cluster.kubeconfig}"\n')

    refused = start(local_cluster.kubeconfig, "--config", config)

    _assert_told(refused, "default", "twin", "keep one of the two names")


@pytest.mark.parametrize("flag", ["--grpc", "--http"])
def test_an_address_that_others_can_reach(start: Start, local_cluster: LocalCluster, flag: str) -> None:
    refused = start(local_cluster.kubeconfig, flag, "0.0.0.0:0")

    _assert_told(refused, "0.0.0.0:0", "127.0.0.1", "--insecure")


def test_insecure_is_taken_at_its_word(local_cluster: LocalCluster, tmp_path: Path) -> None:
    flags = ("--grpc", "0.0.0.0:0", "--http", "0.0.0.0:0", "--insecure")

    with ServiceProcess(tmp_path, local_cluster.kubeconfig, *flags) as service:
        assert service.ready["grpc"].startswith("0.0.0.0:")
        assert service.ready["http"].startswith("0.0.0.0:")


def test_a_port_that_is_taken(start: Start, local_cluster: LocalCluster) -> None:
    taken = local_cluster.server.removeprefix("https://")

    _assert_told(start(local_cluster.kubeconfig, "--grpc", taken), taken, "port")


def test_a_setting_that_makes_no_sense(start: Start, local_cluster: LocalCluster) -> None:
    _assert_told(start(local_cluster.kubeconfig, "--lease", "soon"), "lease", "30s")

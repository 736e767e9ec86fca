"""Fixtures: the real service beside the real cluster. A test module takes them as a plugin.

pytest_plugins = ["support.services"]
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from local_cluster import LocalCluster
from support.cluster import BIN_DIR
from support.held_writes import HeldWrites
from support.process import HELD_SERVICE, RunService, ServiceProcess


@pytest.fixture(scope="session")
def shared_service(local_cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """One service for the run, in whose way nobody gets: releases have namespaces of their own."""
    with ServiceProcess(tmp_path_factory.mktemp("service"), local_cluster.kubeconfig) as service:
        yield service


@pytest.fixture(scope="session")
def shared_workload_service(
    workload_cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServiceProcess]:
    """The same for the cluster in which Pods become ready."""
    with ServiceProcess(tmp_path_factory.mktemp("workload-service"), workload_cluster.kubeconfig) as service:
        yield service


@pytest.fixture
def service(shared_service: ServiceProcess) -> Iterator[ServiceProcess]:
    """The run's service; what it logged during a test is shown when the test fails."""
    yield from _with_log(shared_service)


@pytest.fixture
def workload_service(shared_workload_service: ServiceProcess) -> Iterator[ServiceProcess]:
    yield from _with_log(shared_workload_service)


@pytest.fixture
def run_service(local_cluster: LocalCluster, tmp_path: Path) -> Iterator[RunService]:
    """Starts a service of the test's own, which it may end and start again."""
    with ExitStack() as running:

        def run(*flags: str | Path, kubeconfig: Path = local_cluster.kubeconfig, **choices: Any) -> ServiceProcess:
            folder = tmp_path / "service"
            folder.mkdir()
            service = ServiceProcess(folder, kubeconfig, *flags, **choices)
            running.callback(lambda: sys.stderr.write(service.stderr))
            return running.enter_context(service)

        yield run


@pytest.fixture
def held_writes(tmp_path: Path) -> HeldWrites:
    """Which of Helm's record writes `held_service` holds."""
    return HeldWrites(tmp_path / "held")


@pytest.fixture
def held_service(run_service: RunService, held_writes: HeldWrites) -> ServiceProcess:
    """A service of the test's own, with a hand on its fence."""
    return run_service(program=HELD_SERVICE, environment=held_writes.environment)


@pytest.fixture
def make_helm(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a shell script that stands in for helm; `$HELM` in it is the real one."""

    def make(script: str) -> Path:
        path = tmp_path / "helm-wrapper"
        path.write_text(f"#!/bin/sh\nHELM={BIN_DIR / 'helm'}\n{script}\n")
        path.chmod(0o700)
        return path

    return make


def _with_log(service: ServiceProcess) -> Iterator[ServiceProcess]:
    told = len(service.stderr)
    yield service
    sys.stderr.write(service.stderr[told:])

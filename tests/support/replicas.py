"""Fixture: several real services on one PostgreSQL and one API server. A test module takes it as a plugin.

pytest_plugins = ["support.replicas"]
"""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from local_cluster import LocalCluster
from support.replica_process import ReplicaProcess, StartReplicas


@pytest.fixture
def start_replicas(local_cluster: LocalCluster, postgres_url: str, tmp_path: Path) -> Iterator[StartReplicas]:
    """Starts replicas of the test's own; each has a hand on its fence, and a short lease."""
    with ExitStack() as running:

        def start(*names: str, **choices: Any) -> list[ReplicaProcess]:
            replicas = [_launched(running, tmp_path / name, choices) for name in names]
            for replica in replicas:
                replica.until_ready()
            return replicas

        def _launched(running: ExitStack, folder: Path, choices: dict[str, Any]) -> ReplicaProcess:
            folder.mkdir()
            replica = ReplicaProcess(folder, local_cluster.kubeconfig, postgres_url, **choices)
            running.callback(lambda: sys.stderr.write(f"--- {folder.name}\n{replica.stderr}"))
            running.callback(replica.kill)
            replica.launch()
            return replica

        yield start


@pytest.fixture
def replicas(start_replicas: StartReplicas) -> list[ReplicaProcess]:
    """Three."""
    return start_replicas("one", "two", "three")

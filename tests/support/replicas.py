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
from support.replica_process import ReplicaProcess, StartReplica


@pytest.fixture
def start_replica(local_cluster: LocalCluster, postgres_url: str, tmp_path: Path) -> Iterator[StartReplica]:
    """Starts replicas of the test's own; each has a hand on its fence, and a short lease."""
    with ExitStack() as running:

        def start(name: str, *flags: str | Path, **choices: Any) -> ReplicaProcess:
            folder = tmp_path / name
            folder.mkdir()
            replica = ReplicaProcess(folder, local_cluster.kubeconfig, postgres_url, *flags, **choices)
            running.callback(lambda: sys.stderr.write(f"--- {name}\n{replica.stderr}"))
            return running.enter_context(replica)

        yield start

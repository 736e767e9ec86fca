"""A service on PostgreSQL starts on tables that are up to date, or brings them there when it is told to."""

from __future__ import annotations

from pathlib import Path

import pytest
from local_cluster import LocalCluster
from support.postgres import PostgresServer
from support.process import ServiceProcess

from helm_rollback.store.migrate import VERSIONS, schema_version


@pytest.fixture
def empty(postgres: PostgresServer) -> str:
    return postgres.create_database(migrated=False)


def test_behind_the_program_it_says_what_to_run(local_cluster: LocalCluster, tmp_path: Path, empty: str) -> None:
    service = ServiceProcess(tmp_path, local_cluster.kubeconfig, "--database", empty)
    service.launch()

    assert service.wait() == 1
    assert service.said == ""
    assert "run helm-rollback migrate" in service.stderr
    assert "--migrate" in service.stderr
    assert "Traceback" not in service.stderr
    assert schema_version(empty) == ""


def test_told_to_migrate_it_does_and_serves(local_cluster: LocalCluster, tmp_path: Path, empty: str) -> None:
    with ServiceProcess(tmp_path, local_cluster.kubeconfig, "--database", empty, "--migrate") as service:
        assert schema_version(empty) == VERSIONS[-1]
        assert service.stop() == 0

    with ServiceProcess(tmp_path, local_cluster.kubeconfig, "--database", empty):
        pass

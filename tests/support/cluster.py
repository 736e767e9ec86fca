"""Fixtures: a real API server for the whole run, a namespace and a Helm for each test.

A layer that needs them imports them in its conftest.py. However many layers
do, each cluster is started once in a run, when the first test asks for it.
"""

import uuid
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from local_cluster import LocalCluster
from support.audit import POLICY, AuditLog
from support.helm import Helm

BIN_DIR = Path(__file__).parents[2] / ".tools" / "bin"

__all__ = [
    "BIN_DIR",
    "audit_log",
    "helm",
    "local_cluster",
    "namespace",
    "workload_cluster",
    "workload_helm",
    "workload_namespace",
]

_PLAIN: pytest.StashKey[LocalCluster] = pytest.StashKey()
_WITH_WORKLOADS: pytest.StashKey[LocalCluster] = pytest.StashKey()
_AUDIT_LOG: pytest.StashKey[AuditLog] = pytest.StashKey()


@pytest.fixture(scope="session")
def local_cluster(pytestconfig: pytest.Config) -> LocalCluster:
    """etcd and kube-apiserver: enough for every chart without Pods.

    A test that stops this API server must start it again.
    """
    return _shared(pytestconfig, _PLAIN, workloads=False)


@pytest.fixture(scope="session")
def audit_log(local_cluster: LocalCluster, pytestconfig: pytest.Config) -> AuditLog:
    """That of `local_cluster`."""
    return pytestconfig.stash[_AUDIT_LOG]


@pytest.fixture(scope="session")
def workload_cluster(pytestconfig: pytest.Config) -> LocalCluster:
    """A cluster in which Deployments become ready and Jobs run."""
    return _shared(pytestconfig, _WITH_WORKLOADS, workloads=True)


@pytest.fixture
def namespace(local_cluster: LocalCluster) -> Iterator[str]:
    """A fresh namespace of `local_cluster`."""
    yield from _namespace(local_cluster)


@pytest.fixture
def workload_namespace(workload_cluster: LocalCluster) -> Iterator[str]:
    """A fresh namespace of `workload_cluster`."""
    yield from _namespace(workload_cluster)


@pytest.fixture
def helm(local_cluster: LocalCluster, namespace: str, tmp_path: Path) -> Helm:
    """Helm in this test's namespace of `local_cluster`."""
    return Helm(BIN_DIR / "helm", local_cluster.kubeconfig, namespace, _home(tmp_path))


@pytest.fixture
def workload_helm(workload_cluster: LocalCluster, workload_namespace: str, tmp_path: Path) -> Helm:
    """Helm in this test's namespace of `workload_cluster`."""
    return Helm(BIN_DIR / "helm", workload_cluster.kubeconfig, workload_namespace, _home(tmp_path))


def _shared(config: pytest.Config, key: pytest.StashKey[LocalCluster], *, workloads: bool) -> LocalCluster:
    # Kept in the run's own stash, not by the fixture: pytest sees a fixture
    # that two conftests import as two, and would start a cluster for each.
    if key not in config.stash:
        folder = TemporaryDirectory(prefix="audit-")
        config.add_cleanup(folder.cleanup)
        log = Path(folder.name) / "audit.log"
        cluster = LocalCluster(BIN_DIR, workloads=workloads, audit_log=log, audit_policy=POLICY).__enter__()
        config.add_cleanup(lambda: cluster.__exit__(None, None, None))
        config.stash[key] = cluster
        if not workloads:
            config.stash[_AUDIT_LOG] = AuditLog(log)
    return config.stash[key]


def _namespace(cluster: LocalCluster) -> Iterator[str]:
    name = f"t-{uuid.uuid4().hex[:8]}"
    cluster.create_namespace(name)
    yield name
    # Releases of finished tests would slow whoever lists all namespaces. The
    # namespace itself stays: nobody removes it without controllers.
    cluster.client.delete(f"/api/v1/namespaces/{name}/secrets?labelSelector=owner%3Dhelm")


def _home(tmp_path: Path) -> Path:
    home = tmp_path / "helm-home"
    home.mkdir()
    return home

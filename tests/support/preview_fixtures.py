"""Fixtures: a release to preview (`previews.py`).

pytest_plugins = ["support.preview_fixtures"]
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from local_cluster import LocalCluster
from support.audit import AuditLog
from support.by_hand import ByHand
from support.helm import Helm
from support.previews import Theatre
from support.process import ServiceProcess

from helm_rollback.v1.rollback_service_pb2_grpc import RollbackServiceStub


@pytest.fixture
def theatre(
    service: ServiceProcess,
    local_cluster: LocalCluster,
    helm: Helm,
    namespace: str,
    tmp_path: Path,
    audit_log: AuditLog,
) -> Iterator[Theatre]:
    with grpc.insecure_channel(service.address) as channel:
        yield Theatre(local_cluster, namespace, RollbackServiceStub(channel), ByHand(helm, tmp_path), audit_log)

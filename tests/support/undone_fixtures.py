"""Fixtures: the release `shop` that is undone, with the Helm of today or with each of them.

pytest_plugins = ["support.undone_fixtures"]
"""

from pathlib import Path

import pytest
from local_cluster import LocalCluster
from support.cluster import BIN_DIR
from support.helm import CURRENT, OLDER, Helm
from support.process import RunService, ServiceProcess
from support.undone import Undone

pytest_plugins = ["support.services"]


@pytest.fixture
def shop(service: ServiceProcess, helm: Helm, local_cluster: LocalCluster, tmp_path: Path) -> Undone:
    """It is not installed yet."""
    return Undone(helm, tmp_path, service, local_cluster)


@pytest.fixture(params=[CURRENT, *OLDER])
def any_shop(
    request: pytest.FixtureRequest, run_service: RunService, helm: Helm, local_cluster: LocalCluster, tmp_path: Path
) -> Undone:
    """The same with each Helm that the service works with."""
    program = BIN_DIR / str(request.param)
    return Undone(helm.of(program), tmp_path, run_service(helm=program), local_cluster)

"""Helm gets nothing that a cluster would accept: not in its environment, not in its arguments, not in its files."""

import re
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from local_cluster import LocalCluster
from support.by_hand import ByHand
from support.calls import WAIT, state
from support.helm import Helm
from support.process import RunService

from helm_rollback.v1.rollback_service_pb2 import RollbackRequest

pytest_plugins = ["support.services"]

# Every variable, argument and file that the Helm process could read as its own:
# whatever lies in the folders that its environment, its arguments or its working
# directory name, and what it has open.
RECORD = """
if [ "$1" = rollback ]; then
  {
    echo "== environment"; env
    echo "== arguments"; printf '%s\\n' "$@"
    echo "== files"; pwd
    private=$(dirname "$HOME")
    find -L "$private" "$KUBECACHEDIR" -type f | while read -r file; do echo "== $file"; cat "$file"; done
    echo "== descriptors"; ls -l /proc/$$/fd
  } > SEEN 2>&1
fi
exec $HELM "$@"
"""


@pytest.fixture
def seen(run_service: RunService, make_helm: Callable[[str], Path], helm: Helm, tmp_path: Path) -> str:
    """What Helm saw while it carried a rollback out, with the service's environment full of temptations."""
    by_hand = ByHand(helm, tmp_path)
    by_hand.install("1.0.0")
    by_hand.upgrade("1.1.0")
    record = tmp_path / "seen"
    wrapper = make_helm(RECORD.replace("SEEN", str(record)))
    environment = {"KUBECONFIG": "/canary/kubeconfig", "HELM_KUBETOKEN": "canary", "AWS_SECRET_ACCESS_KEY": "canary"}
    service = run_service(helm=wrapper, environment=environment)
    request = RollbackRequest(release_id=f"default.{helm.namespace}.shop", target_revision=1, wait_timeout=WAIT)
    assert state(service.rollbacks.Rollback(request).operation) == "SUCCEEDED"
    return record.read_text()


def test_helm_sees_no_credential_of_the_cluster(seen: str, local_cluster: LocalCluster) -> None:
    kubeconfig = yaml.safe_load(local_cluster.kubeconfig.read_text())
    given = str(kubeconfig)

    assert local_cluster.token in given, "the canary is what the service itself uses"
    assert local_cluster.token not in seen
    assert str(local_cluster.kubeconfig) not in seen
    assert local_cluster.server not in seen, "not even where the cluster is"
    assert "canary" not in seen


def test_what_helm_is_given_instead_is_of_no_use_afterwards(seen: str) -> None:
    """A loopback address that was the fence's, and that nobody listens on any more."""
    found = re.search(r"http://fence:[^@]{32,}@127\.0\.0\.1:(\d+)", seen)

    assert found is not None, seen
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", int(found[1])), timeout=5):
        pass

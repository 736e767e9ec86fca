"""Controllers, a scheduler and a fake kubelet: Deployments become ready, Jobs complete.

No container runs. kwok moves Pods through their phases by the stages in
`stages.yaml`, which also obey three wishes of a Pod, see there. Whoever asks for the
log of a container is told PRINTED.
"""

import json
import time
from pathlib import Path

from local_cluster.client import Client, JsonObject
from local_cluster.keys import Keys
from local_cluster.processes import Child, NotReady, free_port
from local_cluster.settings import ClusterSettings

NODE = "local-node"
PRINTED = ("starting", "no database at db:5432")
"""What every container is said to have printed."""

_STAGES = Path(__file__).with_name("stages.yaml")
# Only what charts in tests need; the node lifecycle controller is left out
# because it would evict Pods from a node that sends no heartbeats.
_CONTROLLERS = (
    "cronjob-controller",
    "daemonset-controller",
    "deployment-controller",
    "disruption-controller",
    "endpoints-controller",
    "endpointslice-controller",
    "garbage-collector-controller",
    "job-controller",
    "namespace-controller",
    "replicaset-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "statefulset-controller",
    "ttl-after-finished-controller",
)


class Workloads:
    """The three programs that kube-apiserver does not need but Pods do."""

    def __init__(self, settings: ClusterSettings, folder: Path, kubeconfig: Path, keys: Keys) -> None:
        self._settings = settings
        self._keys = keys
        self._folder = folder
        self._kubeconfig = kubeconfig
        self._children: list[Child] = []

    def start(self, client: Client, ca_file: Path) -> None:
        """Start all and wait until the node is Ready and service accounts appear."""
        kubeconfig = f"--kubeconfig={self._kubeconfig}"
        client.create("/api/v1/nodes", _node())
        self._run(
            "kube-controller-manager",
            kubeconfig,
            "--secure-port=0",
            "--leader-elect=false",
            f"--controllers={','.join(_CONTROLLERS)}",
            f"--root-ca-file={ca_file}",
            "--concurrent-gc-syncs=4",
        )
        self._run("kube-scheduler", kubeconfig, "--secure-port=0", "--leader-elect=false")
        port = free_port()
        self._run(
            "kwok",
            kubeconfig,
            f"--config={_STAGES}",
            f"--config={_write_logs(self._folder)}",
            "--manage-all-nodes=true",
            "--node-ip=127.0.0.1",
            f"--node-port={port}",
            f"--server-address=127.0.0.1:{port}",
            f"--tls-cert-file={self._keys.server_certificate}",
            f"--tls-private-key-file={self._keys.server_key}",
        )
        for child in self._children:
            child.wait_until(lambda: _is_up(client), self._settings.start_timeout)

    def stop(self) -> None:
        """End all of them, the last one first."""
        while self._children:
            self._children.pop().end(self._settings.stop_timeout)

    def _run(self, name: str, *flags: str) -> None:
        argv = [str(self._settings.program(name)), *flags]
        self._children.append(Child(name, argv, log=self._folder / f"{name}.log"))


def wait_for_service_account(client: Client, namespace: str) -> None:
    """Return once Pods are admitted in a new namespace: they need its default account."""
    deadline = time.monotonic() + 15
    while not client.exists(f"/api/v1/namespaces/{namespace}/serviceaccounts/default"):
        if time.monotonic() > deadline:
            raise NotReady(f"no default service account in {namespace}: see the controllers' log")
        time.sleep(0.02)


def _node() -> JsonObject:
    return {
        "kind": "Node",
        "metadata": {
            "name": NODE,
            "labels": {"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux"},
        },
    }


def _write_logs(folder: Path) -> Path:
    """Write what containers printed, as a kubelet keeps it, and the file that tells kwok of it."""
    log = folder / "containers.log"
    log.write_text("".join(f"2026-01-01T00:00:00.000000000Z stdout F {line}\n" for line in PRINTED))
    told = {"logsFile": str(log), "previousLogsFile": str(log)}
    config = folder / "logs.yaml"
    kind = {"apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": "ClusterLogs", "metadata": {"name": "all"}}
    config.write_text(json.dumps(kind | {"spec": {"logs": [told]}}))
    return config


def _is_up(client: Client) -> bool:
    conditions = client.get(f"/api/v1/nodes/{NODE}").get("status", {}).get("conditions", [])
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return ready and client.exists("/api/v1/namespaces/default/serviceaccounts/default")

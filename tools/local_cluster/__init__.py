"""A real Kubernetes API on one machine, for tests and the demo.

Starts etcd and kube-apiserver on free loopback ports, on request also the
controller manager, the scheduler and kwok (a fake kubelet), and ends all of
them. Nothing is simulated that Helm can see: only containers never run.
"""

from local_cluster.apiserver import METADATA_AUDIT_POLICY
from local_cluster.client import ApiError, Client
from local_cluster.cluster import LocalCluster
from local_cluster.processes import NotReady
from local_cluster.settings import ClusterSettings
from local_cluster.users import Rule, User

__all__ = [
    "METADATA_AUDIT_POLICY",
    "ApiError",
    "Client",
    "ClusterSettings",
    "LocalCluster",
    "NotReady",
    "Rule",
    "User",
]

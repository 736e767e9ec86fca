"""The cluster layer runs against a real API server and the real Helm."""

from support.cluster import (
    helm,
    local_cluster,
    namespace,
    workload_cluster,
    workload_helm,
    workload_namespace,
)

__all__ = ["helm", "local_cluster", "namespace", "workload_cluster", "workload_helm", "workload_namespace"]

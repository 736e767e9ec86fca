"""The cluster layer runs against a real API server and the real Helm."""

from support.cluster import (
    audit_log,
    helm,
    local_cluster,
    namespace,
    workload_cluster,
    workload_helm,
    workload_namespace,
)
from support.databases import postgres, postgres_url, run_postgres

__all__ = [
    "audit_log",
    "helm",
    "local_cluster",
    "namespace",
    "postgres",
    "postgres_url",
    "run_postgres",
    "workload_cluster",
    "workload_helm",
    "workload_namespace",
]

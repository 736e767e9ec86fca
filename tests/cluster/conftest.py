"""The cluster layer runs against a real API server, the real Helm, and a real PostgreSQL."""

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

"""What README and the demo show is held against a real API server and the real Helm."""

from support.cluster import helm, local_cluster, namespace

__all__ = ["helm", "local_cluster", "namespace"]

"""Admission policies of the API server, which refuse what Helm or the service writes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from local_cluster import ApiError, LocalCluster
from support.waiting import eventually

_GROUP = "/apis/admissionregistration.k8s.io/v1"


@contextmanager
def refusing_record_updates(cluster: LocalCluster, namespace: str, *, where: str = "true") -> Iterator[None]:
    """While the block lasts, updates of this namespace's release records are refused where the CEL says so."""
    name = f"records-of-{namespace}"
    policy: dict[str, Any] = {
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "resourceRules": [
                    {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["secrets"]}
                ],
            },
            "matchConditions": [{"name": "records", "expression": "object.type == 'helm.sh/release.v1'"}],
            "validations": [{"expression": f"!({where})", "message": "release records are frozen"}],
        },
    }
    binding = {
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }
    cluster.client.create(f"{_GROUP}/validatingadmissionpolicies", policy)
    cluster.client.create(f"{_GROUP}/validatingadmissionpolicybindings", binding)
    probe = f"/api/v1/namespaces/{namespace}/secrets"
    cluster.client.create(probe, _probe("refused"))
    try:
        eventually(lambda: _is_refused(cluster, f"{probe}/probe"), "the policy is obeyed")
        yield
    finally:
        cluster.client.delete(f"{_GROUP}/validatingadmissionpolicybindings/{name}")
        cluster.client.delete(f"{_GROUP}/validatingadmissionpolicies/{name}")
        eventually(lambda: not _is_refused(cluster, f"{probe}/probe"), "the policy is forgotten")
        cluster.client.delete(f"{probe}/probe")


def _probe(status: str) -> dict[str, Any]:
    """A Secret of Helm's type, and no record: it lacks Helm's own labels."""
    return {
        "metadata": {"name": "probe", "labels": {"status": "deployed", "probe": status}},
        "type": "helm.sh/release.v1",
    }


def _is_refused(cluster: LocalCluster, path: str) -> bool:
    try:
        cluster.client.request("PUT", path, _probe("again"))
    except ApiError:
        return True
    return False

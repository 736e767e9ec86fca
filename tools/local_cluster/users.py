"""Further users with few rights, so that a test can be refused by the real API server."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from local_cluster.client import Client, JsonObject
from local_cluster.processes import NotReady

_ACCOUNTS = "/api/v1/namespaces/{namespace}/serviceaccounts"
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_EFFECTIVE_WITHIN_SECONDS = 10.0


@dataclass(frozen=True)
class Rule:
    """One RBAC rule; "" is the core API group."""

    verbs: Sequence[str]
    resources: Sequence[str]
    api_groups: Sequence[str] = ("",)

    def to_json(self) -> JsonObject:
        """As the API wants it."""
        return {
            "apiGroups": list(self.api_groups),
            "resources": list(self.resources),
            "verbs": list(self.verbs),
        }


@dataclass(frozen=True)
class User:
    """Credentials of a user that `LocalCluster.create_user` made."""

    name: str
    token: str
    kubeconfig: Path


def create_account(client: Client, name: str, rules: Sequence[Rule], *, namespace: str | None) -> str:
    """Make a service account with these rights and return a token of it.

    The rights hold in `namespace`, or everywhere when it is None. Service
    accounts, because a token file is read only when kube-apiserver starts.
    """
    home = namespace or "default"
    accounts = _ACCOUNTS.format(namespace=home)
    client.create(accounts, {"metadata": {"name": name}})
    if rules:
        _grant(client, name, rules, home=home, namespace=namespace)
    request: JsonObject = {"spec": {"expirationSeconds": 24 * 3600}}
    token = client.create(f"{accounts}/{name}/token", request)["status"]["token"]
    return str(token)


def wait_until_effective(client: Client, rules: Sequence[Rule], namespace: str | None) -> None:
    """Return once the last rule is obeyed: kube-apiserver learns of new rules by a watch."""
    if not rules:
        return
    rule = rules[-1]
    resource, _, subresource = rule.resources[0].partition("/")
    review: JsonObject = {
        "spec": {
            "resourceAttributes": {
                "verb": rule.verbs[0],
                "group": rule.api_groups[0],
                "resource": resource,
                "subresource": subresource,
                "namespace": namespace or "",
            }
        }
    }
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    deadline = time.monotonic() + _EFFECTIVE_WITHIN_SECONDS
    while not client.create(path, review)["status"]["allowed"]:
        if time.monotonic() > deadline:
            raise NotReady(f"kube-apiserver does not obey {rule} yet")
        time.sleep(0.02)


def _grant(client: Client, name: str, rules: Sequence[Rule], *, home: str, namespace: str | None) -> None:
    kind = "Role" if namespace else "ClusterRole"
    prefix = f"{_RBAC}/namespaces/{namespace}/roles" if namespace else f"{_RBAC}/clusterroles"
    client.create(prefix, {"metadata": {"name": name}, "rules": [r.to_json() for r in rules]})
    binding: JsonObject = {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": home}],
    }
    client.create(prefix.removesuffix("s") + "bindings", binding)

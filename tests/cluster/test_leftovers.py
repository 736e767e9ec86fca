"""What Helm forgets of newer revisions, made on the real one: told, and deleted where that is asked for."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from local_cluster import LocalCluster, Rule
from support.calls import WAIT, state
from support.charts import config_map, write_chart
from support.helm import Helm
from support.process import ServiceProcess

from helm_rollback.v1.helm_options_pb2 import HelmOptions
from helm_rollback.v1.release_pb2 import Operation
from helm_rollback.v1.rollback_service_pb2 import RollbackRequest

pytest_plugins = ["support.services"]

NO_PODS = HelmOptions(wait_strategy=HelmOptions.HOOKS_ONLY)
"""Nobody makes Deployments ready here."""
READS = Rule(["get", "list"], ["*"], ["*"])
CLIENT_SIDE, SERVER_SIDE = "--server-side=false", "--server-side=true"


def app(*containers: str, **env: str) -> str:
    """A Deployment with these containers, each with this environment."""
    labels = {"app": "shop"}
    listed = [
        {"name": name, "image": "app:1", "env": [{"name": key, "value": value} for key, value in env.items()]}
        for name in containers
    ]
    template = {"metadata": {"labels": labels}, "spec": {"containers": listed}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    return yaml.safe_dump({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop"}, "spec": spec})


FIRST = {"app.yaml": app("web"), "config.yaml": config_map(a="1")}
SECOND = {
    "app.yaml": app("web", "sidecar", DEBUG="1"),
    "config.yaml": config_map(a="2", b="2"),
    "extra.yaml": config_map("extra", a="2"),
}
"""Adds a sidecar, an environment variable, a key and a ConfigMap."""


@dataclass(frozen=True)
class Shop:
    """A release of that name, and the objects that Helm made for it."""

    helm: Helm
    cluster: LocalCluster
    folder: Path
    flag: str = SERVER_SIDE

    @property
    def release_id(self) -> str:
        return f"default.{self.helm.namespace}.shop"

    def install(self, templates: dict[str, str]) -> None:
        self.helm.install("shop", write_chart(self.folder, templates=templates), self.flag)

    def upgrade(self, templates: dict[str, str], *, fails: bool = False) -> None:
        """`fails`: it waits for its Deployment, in vain."""
        flags = [self.flag, *(("--wait", "--timeout", "1s") if fails else ())]
        chart = write_chart(self.folder, version="2.0.0", templates=templates)
        assert (self.helm.upgrade("shop", chart, *flags, check=False).returncode == 1) is fails

    def roll_back_in_vain(self, *verbs: str) -> None:
        """A rollback to 1 by somebody who may do only that to Secrets, and nothing to other objects."""
        rules = [READS, Rule(verbs, ["secrets"])]
        user = self.cluster.create_user("clumsy", rules, namespace=self.helm.namespace)
        assert replace(self.helm, kubeconfig=user.kubeconfig).rollback("shop", 1, check=False).returncode == 1

    @property
    def objects(self) -> dict[tuple[str, str], dict[str, Any]]:
        """All ConfigMaps and Deployments of the namespace, by kind and name."""
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for kind, path in (("ConfigMap", "/api/v1/{}/configmaps"), ("Deployment", "/apis/apps/v1/{}/deployments")):
            listed = self.cluster.client.get(path.format(f"namespaces/{self.helm.namespace}"))["items"]
            found |= {(kind, item["metadata"]["name"]): item for item in listed}
        return found

    @property
    def containers(self) -> list[str]:
        return [one["name"] for one in self.objects["Deployment", "shop"]["spec"]["template"]["spec"]["containers"]]

    def assert_as_first(self) -> None:
        """Everything is as FIRST says, and there is nothing else."""
        assert self.objects.keys() == {("Deployment", "shop"), ("ConfigMap", "shop")}
        assert self.objects["ConfigMap", "shop"]["data"] == {"a": "1"}
        (web,) = self.objects["Deployment", "shop"]["spec"]["template"]["spec"]["containers"]
        assert (web["name"], web.get("env")) == ("web", None)


@pytest.fixture
def shop(helm: Helm, local_cluster: LocalCluster, tmp_path: Path) -> Shop:
    return Shop(helm, local_cluster, tmp_path)


def roll_back(service: ServiceProcess, shop: Shop, **fields: Any) -> Operation:
    """To revision 1, whatever is current, pending or not."""
    request = RollbackRequest(
        release_id=shop.release_id,
        target_revision=1,
        expected_current_revision=max(shop.helm.statuses("shop")),
        take_over_pending=True,
        helm_options=NO_PODS,
        wait_timeout=WAIT,
        **fields,
    )
    operation = service.rollbacks.Rollback(request).operation
    assert state(operation) == "SUCCEEDED", operation
    return operation


def left_over(operation: Operation) -> list[tuple[str, str, str, str]]:
    """What the operation lists."""
    return [(left.api_version, left.kind, left.namespace, left.name) for left in operation.leftover_objects]


def extra(shop: Shop, name: str = "extra") -> tuple[str, str, str, str]:
    return ("v1", "ConfigMap", shop.helm.namespace, name)


def after_a_dead_attempt(shop: Shop) -> None:
    """Somebody's `helm rollback` died right after it wrote its record: the half-applied copy is Helm's next base."""
    shop.install(FIRST)
    shop.upgrade(SECOND)
    shop.roll_back_in_vain("create")
    assert shop.helm.statuses("shop")[3] == "pending-rollback"


def after_a_failed_attempt(shop: Shop) -> None:
    """Somebody's `helm rollback` failed while applying."""
    shop.install(FIRST)
    shop.upgrade(SECOND)
    shop.roll_back_in_vain("create", "update")
    assert shop.helm.statuses("shop")[3] == "failed"


def after_two_failed_upgrades(shop: Shop) -> None:
    """The second one's base was the first revision, so Helm forgot what the first one had made."""
    shop.install(FIRST)
    shop.upgrade(SECOND, fails=True)
    shop.upgrade(FIRST | {"config.yaml": config_map(a="3")}, fails=True)


MADE_BY = [after_a_dead_attempt, after_a_failed_attempt, after_two_failed_upgrades]


@pytest.mark.parametrize("made_by", MADE_BY)
def test_what_helm_forgot_is_listed_and_stays(service: ServiceProcess, shop: Shop, made_by: Any) -> None:
    made_by(shop)

    operation = roll_back(service, shop)

    assert left_over(operation) == [extra(shop)]
    assert shop.objects["ConfigMap", "extra"]["data"] == {"a": "2"}


@pytest.mark.parametrize("made_by", MADE_BY)
def test_what_helm_forgot_is_deleted_where_asked(service: ServiceProcess, shop: Shop, made_by: Any) -> None:
    made_by(shop)

    operation = roll_back(service, shop, remove_leftovers=True)

    assert left_over(operation) == [extra(shop)], "what was found, though it is gone"
    shop.assert_as_first()
    assert left_over(roll_back(service, shop)) == []

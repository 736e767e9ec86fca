"""What Helm forgets of newer revisions, made on the real one: told, and deleted where that is asked for."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from local_cluster import LocalCluster, Rule
from support.calls import WAIT, state
from support.charts import config_map, write_chart
from support.cluster import BIN_DIR
from support.helm import OLDER, Helm
from support.process import RunService, ServiceProcess

from helm_rollback.application.crash_points import CRASH_AT, CrashPoint
from helm_rollback.v1.helm_options_pb2 import HelmOptions
from helm_rollback.v1.release_pb2 import Operation
from helm_rollback.v1.rollback_service_pb2 import RollbackRequest, WaitOperationRequest

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
    """Empty for a Helm that knows none."""

    @property
    def flags(self) -> list[str]:
        return [self.flag] if self.flag else []

    @property
    def release_id(self) -> str:
        return f"default.{self.helm.namespace}.shop"

    def install(self, templates: dict[str, str]) -> None:
        self.helm.install("shop", write_chart(self.folder, templates=templates), *self.flags)

    def upgrade(self, templates: dict[str, str], *, fails: bool = False) -> None:
        """`fails`: it waits for its Deployment, in vain."""
        flags = [*self.flags, *(("--wait", "--timeout", "1s") if fails else ())]
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


@pytest.mark.parametrize("flag", [CLIENT_SIDE, SERVER_SIDE])
def test_a_rollback_killed_at_its_record_and_resumed_ends_exactly_on_the_target(
    shop: Shop, tmp_path: Path, flag: str
) -> None:
    """The dead attempt's record is removed first: Helm would take that copy of the target for what is live."""
    shop = replace(shop, flag=flag)
    shop.install(FIRST)
    shop.upgrade(SECOND)
    folder = tmp_path / "service"
    folder.mkdir()
    request = RollbackRequest(release_id=shop.release_id, target_revision=1, helm_options=NO_PODS)
    doomed = ServiceProcess(folder, shop.cluster.kubeconfig, environment={CRASH_AT: CrashPoint.RECORD_CREATED})
    with doomed as service:
        accepted = service.rollbacks.Rollback(request).operation
        service.wait()
    assert shop.helm.statuses("shop")[3] == "pending-rollback"
    assert shop.containers == ["web", "sidecar"]

    with ServiceProcess(folder, shop.cluster.kubeconfig) as service:
        wait = WaitOperationRequest(operation_id=accepted.operation_id, timeout=WAIT)
        operation = service.rollbacks.WaitOperation(wait).operation

    assert (state(operation), operation.attempt, left_over(operation)) == ("SUCCEEDED", 2, [])
    shop.assert_as_first()
    assert shop.helm.statuses("shop") == {1: "superseded", 2: "superseded", 3: "deployed"}


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


@pytest.mark.parametrize("older", OLDER)
@pytest.mark.parametrize("made_by", [after_a_failed_attempt, after_two_failed_upgrades])
def test_older_helms_forget_the_same(run_service: RunService, shop: Shop, made_by: Any, older: str) -> None:
    program = BIN_DIR / older
    service = run_service(helm=program)
    shop = replace(shop, helm=shop.helm.of(program), flag="")
    made_by(shop)

    operation = roll_back(service, shop, remove_leftovers=True)

    assert left_over(operation) == [extra(shop)]
    assert ("ConfigMap", "extra") not in shop.objects


@pytest.mark.parametrize(("flag", "containers"), [(CLIENT_SIDE, ["web", "sidecar"]), (SERVER_SIDE, ["web"])])
def test_of_fields_only_the_server_knows_whose_they_are(
    service: ServiceProcess, shop: Shop, flag: str, containers: list[str]
) -> None:
    """With client-side apply what the dead attempt's base hid stays in the objects; objects alone are listed."""
    shop = replace(shop, flag=flag)
    after_a_dead_attempt(shop)

    operation = roll_back(service, shop, remove_leftovers=True)

    assert left_over(operation) == [extra(shop)]
    assert shop.containers == containers


def test_what_helm_deleted_itself_is_no_leftover(service: ServiceProcess, shop: Shop) -> None:
    shop.install(FIRST)
    shop.upgrade(SECOND)

    assert left_over(roll_back(service, shop)) == []
    shop.assert_as_first()


def test_keep_policy_and_foreign_objects_are_not_touched(service: ServiceProcess, shop: Shop) -> None:
    """`kept` is listed: it is live, and no manifest of the target's. `taken` was made anew by somebody else."""
    kept = config_map("kept", a="2").replace(
        "metadata:\n", "metadata:\n  annotations: {helm.sh/resource-policy: keep}\n"
    )
    shop.install(FIRST)
    shop.upgrade(SECOND | {"kept.yaml": kept, "taken.yaml": config_map("taken", a="2")})
    shop.roll_back_in_vain("create", "update")
    config_maps = f"/api/v1/namespaces/{shop.helm.namespace}/configmaps"
    shop.cluster.client.delete(f"{config_maps}/taken")
    shop.cluster.client.create(config_maps, {"metadata": {"name": "taken"}, "data": {"a": "mine"}})

    operation = roll_back(service, shop, remove_leftovers=True)

    assert left_over(operation) == [extra(shop), extra(shop, "kept")]
    assert shop.objects.keys() >= {("ConfigMap", "kept"), ("ConfigMap", "taken")}
    assert shop.objects["ConfigMap", "taken"]["data"] == {"a": "mine"}
    assert ("ConfigMap", "extra") not in shop.objects


def test_leftovers_of_every_scope_and_version(service: ServiceProcess, shop: Shop) -> None:
    """In another namespace, of the whole cluster; and what the target has in another version stays."""
    other = f"{shop.helm.namespace}-other"
    shop.cluster.create_namespace(other)
    role = f"{shop.helm.namespace}-role"
    guest = config_map("guest", a="2").replace("metadata:\n", f"metadata:\n  namespace: {other}\n")
    shop.install(FIRST | {"scaler.yaml": scaler("v1")})
    shop.upgrade(FIRST | {"scaler.yaml": scaler("v2"), "guest.yaml": guest, "role.yaml": cluster_role(role)})
    shop.roll_back_in_vain("create", "update")

    operation = roll_back(service, shop, remove_leftovers=True)

    assert left_over(operation) == [
        ("rbac.authorization.k8s.io/v1", "ClusterRole", "", role),
        ("v1", "ConfigMap", other, "guest"),
    ]
    exists = shop.cluster.client.exists
    assert not exists(f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{role}")
    assert not exists(f"/api/v1/namespaces/{other}/configmaps/guest")
    scalers = f"/apis/autoscaling/v2/namespaces/{shop.helm.namespace}/horizontalpodautoscalers"
    assert exists(f"{scalers}/shop")


def test_what_may_not_be_deleted_stays_and_fails_no_rollback(run_service: RunService, shop: Shop) -> None:
    rules = [Rule(["*"], ["secrets"]), Rule(["get", "list", "watch", "create", "update", "patch"], ["*"], ["*"])]
    user = shop.cluster.create_user(f"{shop.helm.namespace}-careful", rules)
    service = run_service(kubeconfig=user.kubeconfig)
    after_a_failed_attempt(shop)

    operation = roll_back(service, shop, remove_leftovers=True)

    assert left_over(operation) == [extra(shop)]
    assert ("ConfigMap", "extra") in shop.objects
    assert "it must be able to delete configmaps in namespace" in service.stderr


def scaler(version: str) -> str:
    """A HorizontalPodAutoscaler; v1 and v2 are two views of one object."""
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"}
    return yaml.safe_dump(
        {
            "apiVersion": f"autoscaling/{version}",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "shop"},
            "spec": {"scaleTargetRef": target, "maxReplicas": 2},
        }
    )


def cluster_role(name: str) -> str:
    body = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": [],
    }
    return yaml.safe_dump(body)

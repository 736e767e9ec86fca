"""What a rollback would do to one object: what the API server only spells otherwise is no difference."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from support.samples import SHOP

from helm_rollback.application.ports import Cluster, Served, ServedKind
from helm_rollback.application.previewed_objects import PreviewedObject, cut, previewed_objects
from helm_rollback.domain.live_object import Resource
from helm_rollback.domain.preview import Action

DEPLOYMENT = ServedKind("apps/v1", "Deployment")


class OneObject:
    """A cluster with one object, or none."""

    def __init__(self, content: Any) -> None:
        self._content = content

    async def read_content(self, *_: object) -> Any:
        return self._content


def deployment(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}


async def previewed(base: Any, target: Any, live: Any) -> PreviewedObject:
    resource = Resource(api_version="apps/v1", kind="Deployment", plural="deployments", namespaced=True)
    cluster: Cluster = OneObject(live)  # type: ignore[assignment]
    (found,) = await previewed_objects(
        cluster,
        Served({DEPLOYMENT: resource}),
        SHOP,
        base=yaml.safe_dump(base),
        target=yaml.safe_dump(target),
    )
    return found


SAME: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "an empty map": ({"affinity": {}, "resources": {"limits": {}}}, {"resources": {}}),
    "an empty list": ({"tolerations": []}, {}),
    "a null": ({"nodeSelector": None}, {}),
    "false, nothing and zero": ({"hostNetwork": False, "subPath": "", "minReadySeconds": 0}, {}),
    "half a core": ({"resources": {"limits": {"cpu": 0.5}}}, {"resources": {"limits": {"cpu": "500m"}}}),
    "a core": ({"resources": {"requests": {"cpu": 1}}}, {"resources": {"requests": {"cpu": "1"}}}),
    "a gibibyte": ({"resources": {"limits": {"memory": "1024Mi"}}}, {"resources": {"limits": {"memory": "1Gi"}}}),
    "a volume": (
        {"volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "1024Mi"}}]},
        {"volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}, {"name": "token", "projected": {}}]},
    ),
    "defaults": ({"paused": False}, {"replicas": 1, "strategy": {"type": "RollingUpdate"}}),
}


@pytest.mark.parametrize("case", SAME)
async def test_what_is_spelled_otherwise_is_no_difference(case: str) -> None:
    written, stored = SAME[case]

    found = await previewed(deployment(**written), deployment(**written), deployment(**stored))

    assert (found.action, found.drifted) == (Action.UNCHANGED, False)
    assert found.change(frozenset()).diff == ""


OTHER: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "a quantity": (
        {"resources": {"limits": {"cpu": 1}}},
        {"resources": {"limits": {"cpu": 0.5}}},
        {"resources": {"limits": {"cpu": "1"}}},
    ),
    "a selector of all": ({}, {"podSelector": {}}, {}),
    "a token that is not mounted any more": ({}, {"automountServiceAccountToken": False}, {}),
    "no replicas": ({"replicas": 1}, {"replicas": 0}, {"replicas": 1}),
    "limits that go": ({"resources": {"limits": {"cpu": 1}}}, {}, {"resources": {"limits": {"cpu": "1"}}}),
}


@pytest.mark.parametrize("case", OTHER)
async def test_what_differs_is_a_change_and_no_drift(case: str) -> None:
    base, target, live = OTHER[case]

    found = await previewed(deployment(**base), deployment(**target), deployment(**live))

    assert (found.action, found.drifted) == (Action.CHANGE, False)
    assert found.change(frozenset()).diff


async def test_what_somebody_set_is_drift() -> None:
    same = deployment(resources={"limits": {"cpu": 0.5}})

    found = await previewed(same, same, deployment(resources={"limits": {"cpu": "600m"}}))

    assert (found.action, found.drifted) == (Action.CHANGE, True)
    assert "-      cpu: 600m\n+      cpu: 500m" in found.change(frozenset()).diff


@pytest.mark.parametrize(
    ("room", "kept"), [(100, "aé\nbb\ncc"), (9, "aé\nbb\ncc"), (8, "aé\nbb\n"), (4, "aé\n"), (3, ""), (0, ""), (-1, "")]
)
def test_whole_lines_are_kept(room: int, kept: str) -> None:
    assert cut("aé\nbb\ncc", room) == kept

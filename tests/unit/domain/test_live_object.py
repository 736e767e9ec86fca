"""Whose a live object is, and whether Helm was told to keep it."""

from __future__ import annotations

from typing import Any

import pytest
from support.samples import SHOP

from helm_rollback.domain.live_object import LiveObject, Resource, group_of

CONFIG_MAPS = Resource(api_version="v1", kind="ConfigMap", plural="configmaps", namespaced=True)
LABELS = {"app.kubernetes.io/managed-by": "Helm"}
ANNOTATIONS = {"meta.helm.sh/release-name": SHOP.name, "meta.helm.sh/release-namespace": SHOP.namespace}


def live(**changes: Any) -> LiveObject:
    content: dict[str, Any] = {"labels": LABELS, "annotations": ANNOTATIONS, **changes}
    return LiveObject(
        resource=CONFIG_MAPS,
        namespace=SHOP.namespace,
        name="extra",
        uid="uid",
        resource_version="7",
        is_going=False,
        **content,
    )


def test_what_bears_all_that_helm_writes_belongs_to_the_release() -> None:
    assert live().belongs_to(SHOP)


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": {}},
        {"labels": {"app.kubernetes.io/managed-by": "kustomize"}},
        {"annotations": {}},
        {"annotations": ANNOTATIONS | {"meta.helm.sh/release-name": "other"}},
        {"annotations": ANNOTATIONS | {"meta.helm.sh/release-namespace": "other"}},
    ],
)
def test_what_lacks_one_of_them_is_somebody_elses(changes: dict[str, Any]) -> None:
    assert not live(**changes).belongs_to(SHOP)


@pytest.mark.parametrize(("policy", "kept"), [("keep", True), (" Keep ", True), ("delete", False), ("", False)])
def test_helms_policy(policy: str, kept: bool) -> None:
    assert live(annotations=ANNOTATIONS | {"helm.sh/resource-policy": policy}).is_kept is kept


def test_the_core_group_has_no_name() -> None:
    assert (group_of("v1"), group_of("apps/v1")) == ("", "apps")

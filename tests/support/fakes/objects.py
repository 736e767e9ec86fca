"""`FakeObjects`: what a fake cluster holds besides release records: metadata only."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace

from helm_rollback.application.ports import RecordConflict, ServedKind
from helm_rollback.domain.live_object import LiveObject, Resource

CONFIG_MAP = ServedKind("v1", "ConfigMap")
_OF_THE_CLUSTER = {"Namespace", "ClusterRole"}


def resource_of(kind: ServedKind) -> Resource:
    """How a fake cluster serves a kind."""
    return Resource(
        api_version=kind.api_version,
        kind=kind.kind,
        plural=f"{kind.kind.lower()}s",
        namespaced=kind.kind not in _OF_THE_CLUSTER,
    )


def of_release(name: str = "shop", namespace: str = "prod") -> tuple[dict[str, str], dict[str, str]]:
    """The labels and annotations that Helm writes on every object of a release."""
    annotations = {"meta.helm.sh/release-name": name, "meta.helm.sh/release-namespace": namespace}
    return {"app.kubernetes.io/managed-by": "Helm"}, annotations


class FakeObjects:
    """Objects by plural, namespace and name; whatever version of a group they are read in."""

    def __init__(self) -> None:
        self._stored: dict[tuple[str, str, str], LiveObject] = {}
        self._versions = itertools.count(1)

    def put(
        self,
        name: str,
        *,
        kind: ServedKind = CONFIG_MAP,
        namespace: str = "prod",
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
    ) -> LiveObject:
        """Make an object, or a new version of one; Helm's for the release prod/shop unless told otherwise."""
        helms_labels, helms_annotations = of_release()
        resource, version = resource_of(kind), str(next(self._versions))
        live = LiveObject(
            resource=resource,
            namespace=namespace if resource.namespaced else "",
            name=name,
            uid=f"object-{version}",
            resource_version=version,
            labels=helms_labels if labels is None else labels,
            annotations=helms_annotations if annotations is None else annotations,
            is_going=False,
        )
        before = self._stored.get(_key(live))
        self._stored[_key(live)] = live if before is None else replace(live, uid=before.uid)
        return self._stored[_key(live)]

    def begin_deleting(self, live: LiveObject) -> None:
        """It stays until what holds it lets go."""
        self._stored[_key(live)] = replace(live, is_going=True)

    @property
    def names(self) -> list[str]:
        """Of all, sorted."""
        return sorted(live.name for live in self._stored.values())

    def read(self, resource: Resource, namespace: str, name: str) -> LiveObject | None:
        live = self._stored.get((resource.plural, namespace, name))
        return replace(live, resource=resource) if live is not None else None

    def delete(self, live: LiveObject) -> None:
        """Raises RecordConflict unless it is still that version."""
        stored = self._stored.get(_key(live))
        if stored is None:
            return
        if (stored.uid, stored.resource_version) != (live.uid, live.resource_version):
            raise RecordConflict(f"{live.name} changed since resourceVersion {live.resource_version}")
        del self._stored[_key(live)]


def _key(live: LiveObject) -> tuple[str, str, str]:
    return live.resource.plural, live.namespace, live.name

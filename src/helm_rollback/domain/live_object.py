"""An object in a cluster: what names it, and whose it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from helm_rollback.domain.operation import LeftoverObject
from helm_rollback.domain.release import ReleaseId

_MANAGED_BY = "app.kubernetes.io/managed-by"
_RELEASE_NAME = "meta.helm.sh/release-name"
_RELEASE_NAMESPACE = "meta.helm.sh/release-namespace"
_POLICY = "helm.sh/resource-policy"


class ObjectKey(NamedTuple):
    """What names an object, whichever version of its group it is written or served in."""

    group: str
    """Empty for the core group."""
    kind: str
    namespace: str
    """Empty for an object of the whole cluster."""
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """How an API server serves a kind."""

    api_version: str
    kind: str
    plural: str
    """Its name in paths, such as `configmaps`."""
    namespaced: bool

    @property
    def group(self) -> str:
        """Empty for the core group."""
        return group_of(self.api_version)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveObject:
    """One version of an object that is there: its metadata only."""

    resource: Resource
    namespace: str
    """Empty for an object of the whole cluster."""
    name: str
    uid: str
    resource_version: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    is_going: bool
    """Whether its deletion has begun."""

    def belongs_to(self, release_id: ReleaseId) -> bool:
        """Whether it bears all that Helm writes on the objects of a release (`pkg/action/validate.go`)."""
        return (
            self.labels.get(_MANAGED_BY) == "Helm"
            and self.annotations.get(_RELEASE_NAME) == release_id.name
            and self.annotations.get(_RELEASE_NAMESPACE) == release_id.namespace
        )

    @property
    def is_kept(self) -> bool:
        """Whether Helm was told never to delete it."""
        return self.annotations.get(_POLICY, "").strip().lower() == "keep"

    @property
    def as_leftover(self) -> LeftoverObject:
        return LeftoverObject(
            api_version=self.resource.api_version, kind=self.resource.kind, namespace=self.namespace, name=self.name
        )


def group_of(api_version: str) -> str:
    """`apps` of `apps/v1`; nothing of `v1`."""
    return api_version.rpartition("/")[0]

"""A release `shop` that people change with one of the Helms, and the service beside it that uses the same."""

from dataclasses import dataclass, replace
from typing import Any

from local_cluster import LocalCluster
from local_cluster.client import JsonObject
from support.by_hand import ByHand
from support.calls import WAIT
from support.process import ServiceProcess

from helm_rollback.domain.record import secret_name
from helm_rollback.v1.release_pb2 import Operation, Release, Revision
from helm_rollback.v1.release_service_pb2 import GetReleaseRequest, GetRevisionRequest, ListRevisionsRequest
from helm_rollback.v1.rollback_service_pb2 import RollbackLastSuccessfulRequest, RollbackRequest


@dataclass
class Undone(ByHand):
    """What Helm, the cluster and the service say of it."""

    service: ServiceProcess
    cluster: LocalCluster

    @property
    def release_id(self) -> str:
        return f"default.{self.helm.namespace}.shop"

    def with_service(self, service: ServiceProcess) -> "Undone":
        """The same beside another service."""
        return replace(self, service=service)

    def until(self, revision: int, status: Revision.Status.ValueType) -> None:
        """Wait until the ledger has seen that this is current."""
        self.service.until_seen(self.release_id, revision, status)

    def roll_back(self, target: int, **fields: Any) -> Operation:
        """Rollback, and wait for its outcome."""
        request = RollbackRequest(release_id=self.release_id, target_revision=target, wait_timeout=WAIT, **fields)
        return self.service.rollbacks.Rollback(request).operation

    def back(self, **fields: Any) -> Operation:
        """RollbackLastSuccessful, and wait for its outcome."""
        request = RollbackLastSuccessfulRequest(release_id=self.release_id, wait_timeout=WAIT, **fields)
        return self.service.rollbacks.RollbackLastSuccessful(request).operation

    @property
    def release(self) -> Release:
        return self.service.releases.GetRelease(GetReleaseRequest(release_id=self.release_id)).release

    @property
    def revisions(self) -> list[Revision]:
        """The ledger's, newest first."""
        return list(self.service.releases.ListRevisions(ListRevisionsRequest(release_id=self.release_id)).revisions)

    def revision(self, number: int, incarnation: int = 0) -> Revision:
        """One of them in full."""
        request = GetRevisionRequest(
            release_id=self.release_id, revision=number, incarnation=incarnation, view=GetRevisionRequest.FULL
        )
        return self.service.releases.GetRevision(request).revision

    def secret_path(self, revision: int) -> str:
        """Where the API server has Helm's record of it."""
        return f"/api/v1/namespaces/{self.helm.namespace}/secrets/{secret_name('shop', revision)}"

    def secret(self, revision: int) -> JsonObject:
        return self.cluster.client.get(self.secret_path(revision))

    @property
    def live_version(self) -> str:
        """The chart version that the live ConfigMap bears."""
        live = self.cluster.client.get(f"/api/v1/namespaces/{self.helm.namespace}/configmaps/shop")
        return str(live["data"]["version"])

    @property
    def is_live(self) -> bool:
        return self.cluster.client.exists(f"/api/v1/namespaces/{self.helm.namespace}/configmaps/shop")

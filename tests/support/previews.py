"""A release that is previewed and then rolled back on real Helm, and what becomes of each of its objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local_cluster import LocalCluster
from support.audit import AuditLog
from support.by_hand import ByHand
from support.calls import WAIT

from helm_rollback.v1.helm_options_pb2 import HelmOptions
from helm_rollback.v1.preview_pb2 import ObjectChange, Warning
from helm_rollback.v1.release_pb2 import Operation
from helm_rollback.v1.rollback_service_pb2 import PreviewRollbackRequest, PreviewRollbackResponse, RollbackRequest
from helm_rollback.v1.rollback_service_pb2_grpc import RollbackServiceStub

CREATE, CHANGE, DELETE, UNCHANGED = "CREATE", "CHANGE", "DELETE", "UNCHANGED"


@dataclass
class Theatre:
    """A release that is previewed, and then rolled back."""

    cluster: LocalCluster
    namespace: str
    rollbacks: RollbackServiceStub
    by_hand: ByHand
    audit_log: AuditLog

    @property
    def release_id(self) -> str:
        return f"default.{self.namespace}.shop"

    def preview(self, target: int = 1, **options: Any) -> PreviewRollbackResponse:
        request = PreviewRollbackRequest(
            release_id=self.release_id, target_revision=target, helm_options=HelmOptions(**options)
        )
        return self.rollbacks.PreviewRollback(request, timeout=60)

    def roll_back_as(
        self, preview: PreviewRollbackResponse, but: Mapping[str, str] | None = None, **options: Any
    ) -> Operation:
        """Do what was shown, and compare object by object; `but` is what becomes of some where it fails half-way."""
        before = {(one.kind, one.name): self.live(one) for one in preview.changes}
        written = len(self.audit_log.config_maps(self.namespace))
        request = RollbackRequest(
            release_id=self.release_id,
            target_revision=preview.selection.revision,
            expected_current_revision=preview.base_revision,
            helm_options=HelmOptions(**options),
            wait_timeout=WAIT,
        )
        operation = self.rollbacks.Rollback(request, timeout=70).operation
        assert operation.HasField("end_time")
        done = {(one.kind, one.name): _did(before[one.kind, one.name], self.live(one)) for one in preview.changes}
        expected = {key: (but or {}).get(key[1], action) for key, action in actions(preview).items()}
        assert done == expected
        logged = self.audit_log.config_maps(self.namespace)[written:]
        for (kind, name), action in expected.items():
            if kind == "ConfigMap":
                assert _logged(logged, name) in _LOGGED_AS[action], (name, action, logged)
        shown = {one.name for one in preview.changes} | {one.name for one in preview.hooks}
        assert {name for _, name in logged} <= shown, "it touches nothing that was not shown"
        return operation

    def live(self, change: ObjectChange) -> dict[str, Any] | None:
        """Without what the API server adds; None where it is not there, or about to go."""
        group = f"/apis/{change.api_version}" if "/" in change.api_version else f"/api/{change.api_version}"
        within = f"/namespaces/{change.namespace}" if change.namespace else ""
        path = f"{group}{within}/{change.kind.lower()}s/{change.name}".replace("policys", "policies")
        if not self.cluster.client.exists(path):
            return None
        item = self.cluster.client.get(path)
        metadata = item["metadata"]
        if "deletionTimestamp" in metadata:
            return None  # a definition goes once its objects have gone
        kept = {key: metadata.get(key) for key in ("uid", "labels", "annotations")}
        return {key: value for key, value in item.items() if key not in ("metadata", "status")} | kept


_LOGGED_AS: dict[str, set[tuple[str, ...]]] = {
    CREATE: {("CREATE",)},
    CHANGE: {("PATCH",)},
    DELETE: {("DELETE",)},
    UNCHANGED: {(), ("PATCH",)},
}
"""What the API server's audit log has of an action; a patch may say nothing new."""


def _logged(log: list[tuple[str, str]], name: str) -> tuple[str, ...]:
    """What was done to one; twice the same counts once."""
    return tuple(dict.fromkeys(what for what, of in log if of == name))


def _did(before: dict[str, Any] | None, after: dict[str, Any] | None) -> str:
    if before is None:
        return CREATE if after is not None else UNCHANGED
    if after is None:
        return DELETE
    return UNCHANGED if before == after else CHANGE


def actions(preview: PreviewRollbackResponse) -> dict[tuple[str, str], str]:
    return {(one.kind, one.name): ObjectChange.Action.Name(one.action) for one in preview.changes}


def warnings(preview: PreviewRollbackResponse) -> list[tuple[str, str]]:
    return [(Warning.Code.Name(one.code), one.name) for one in preview.warnings]


def drifted(preview: PreviewRollbackResponse) -> set[str]:
    return {one.name for one in preview.changes if one.drifted}


def diff_of(preview: PreviewRollbackResponse, name: str) -> list[str]:
    (one,) = [change for change in preview.changes if change.name == name]
    return [line.strip() for line in one.diff.splitlines() if line[:1] in "+-"]

"""A person with nothing but grpcurl: the service tells what it offers, and every method can be called."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.by_hand import ByHand
from support.cluster import BIN_DIR
from support.helm import Helm
from support.process import ServiceProcess

from helm_rollback.v1 import release_service_pb2, rollback_service_pb2

pytest_plugins = ["support.services"]

ROLLBACKS, RELEASES = "helm_rollback.v1.RollbackService", "helm_rollback.v1.ReleaseService"


class Grpcurl:
    """`grpcurl -plaintext`, by reflection only: it has no protos."""

    def __init__(self, address: str) -> None:
        self._address = address

    def __call__(self, *arguments: str, flags: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        argv = [str(BIN_DIR / "grpcurl"), "-plaintext", "-max-time", "60", *flags, self._address, *arguments]
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=90)

    def call(self, method: str, **request: object) -> dict[str, Any]:
        """Call a method with JSON, as a person writes it; the answer."""
        ended = self(method, flags=("-d", json.dumps(request)))
        assert ended.returncode == 0, ended.stderr
        answer: dict[str, Any] = json.loads(ended.stdout)
        return answer


@pytest.fixture
def grpcurl(service: ServiceProcess) -> Grpcurl:
    return Grpcurl(service.address)


@pytest.fixture
def shop(helm: Helm, namespace: str, tmp_path: Path) -> str:
    """Two revisions, and a failed third."""
    by_hand = ByHand(helm, tmp_path)
    by_hand.install("1.0.0")
    by_hand.upgrade("1.1.0")
    by_hand.fail_to_upgrade()
    return f"default.{namespace}.shop"


def test_it_lists_and_describes_what_is_served(grpcurl: Grpcurl) -> None:
    listed = grpcurl("list").stdout.split()

    assert {ROLLBACKS, RELEASES, "grpc.health.v1.Health"} <= set(listed)
    for pb2, name in ((rollback_service_pb2, ROLLBACKS), (release_service_pb2, RELEASES)):
        service = pb2.DESCRIPTOR.services_by_name[name.rpartition(".")[2]]
        described = grpcurl("describe", name).stdout
        assert all(f"rpc {method.name} (" in described for method in service.methods)
    request = grpcurl("describe", "helm_rollback.v1.RollbackRequest").stdout
    assert "int32 target_revision = 2;" in request


def test_every_method_can_be_called(grpcurl: Grpcurl, shop: str) -> None:
    """One call of each, in the order in which a person would make them."""
    found = grpcurl.call(f"{RELEASES}/GetRelease", release_id=shop)
    releases = grpcurl.call(f"{RELEASES}/ListReleases", namespace=shop.split(".")[1])
    last = grpcurl.call(f"{ROLLBACKS}/RollbackLastSuccessful", release_id=shop, wait_timeout="60s")
    named = grpcurl.call(f"{ROLLBACKS}/Rollback", release_id=shop, target_revision=1, wait_timeout="60s")
    operation_id = named["operation"]["operation_id"]
    waited = grpcurl.call(f"{ROLLBACKS}/WaitOperation", operation_id=operation_id)
    got = grpcurl.call(f"{ROLLBACKS}/GetOperation", operation_id=operation_id)
    operations = grpcurl.call(f"{ROLLBACKS}/ListOperations", release_id=shop)
    revisions = grpcurl.call(f"{RELEASES}/ListRevisions", release_id=shop)
    full = grpcurl.call(f"{RELEASES}/GetRevision", release_id=shop, revision=5, view="FULL")

    assert found["release"]["status"] == "FAILED"
    assert [release["release_id"] for release in releases["releases"]] == [shop]
    assert last["operation"]["selection"]["revision"] == 2
    assert waited["operation"] == got["operation"] == named["operation"]
    assert named["operation"]["state"] == "SUCCEEDED"
    assert [op["target_revision"] for op in operations["operations"]] == [1, 2]
    assert [revision["revision"] for revision in revisions["revisions"]] == [5, 4, 3, 2, 1]
    assert "version: '1.0.0'" in full["revision"]["manifest"]


def test_a_stream_and_a_refusal_read_well(grpcurl: Grpcurl, shop: str) -> None:
    named = grpcurl.call(f"{ROLLBACKS}/Rollback", release_id=shop, target_revision=1, wait_timeout="60s")
    operation_id = named["operation"]["operation_id"]
    request = {"release_id": shop, "resume_token": named["resume_token"], "end_after_operation_id": operation_id}

    told = grpcurl(f"{ROLLBACKS}/StreamHistory", flags=("-d", json.dumps(request)))
    refused = grpcurl(f"{ROLLBACKS}/CancelOperation", flags=("-d", json.dumps({"operation_id": operation_id})))

    assert told.stdout.count('"event"') == 6
    assert refused.returncode != 0
    assert "Code: FailedPrecondition" in refused.stderr
    assert '"reason": "NOT_CANCELLABLE"' in refused.stderr

"""What an API server that works may answer: 410, 429, and 403 for one namespace only."""

import socket
import ssl
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import pytest
from local_cluster import ApiError, Client, LocalCluster, Rule, User
from support.by_hand import ByHand
from support.calls import WAIT, failure_reason, refusal_of, state
from support.cluster import BIN_DIR
from support.held_writes import FINISH, HeldWrites
from support.helm import Helm
from support.process import HELD_SERVICE, RunService
from support.streams import sequences
from support.tcp_proxy import TcpProxy, kubeconfig_through, upstream_port_of
from support.waiting import eventually

from helm_rollback.v1.history_pb2 import RevisionTransition
from helm_rollback.v1.release_pb2 import Failure
from helm_rollback.v1.release_service_pb2 import GetReleaseRequest, ListRevisionsRequest
from helm_rollback.v1.rollback_service_pb2 import RollbackRequest

pytest_plugins = ["support.services"]

EVERYTHING = Rule(["*"], ["*"], ["*"])
_FLOW_CONTROL = "/apis/flowcontrol.apiserver.k8s.io/v1"
_RBAC = "/apis/rbac.authorization.k8s.io/v1"


@pytest.fixture
def shop(namespace: str) -> str:
    return f"default.{namespace}.shop"


@pytest.fixture
def by_hand(helm: Helm, tmp_path: Path) -> ByHand:
    """Two revisions."""
    by_hand = ByHand(helm, tmp_path)
    by_hand.install("1.0.0")
    by_hand.upgrade("1.1.0")
    return by_hand


# --- 410 Gone ---------------------------------------------------------------------------


def test_changes_that_the_api_server_forgot_are_told_by_what_they_left(run_service: RunService, tmp_path: Path) -> None:
    """Cut off while much happened, and meanwhile the API server lost its memory of it."""
    with LocalCluster(BIN_DIR) as cluster, TcpProxy(upstream_port_of(cluster.kubeconfig)) as proxy:
        cluster.create_namespace("prod")
        by_hand = ByHand(Helm(BIN_DIR / "helm", cluster.kubeconfig, "prod", tmp_path), tmp_path)
        by_hand.install("1.0.0")
        by_hand.upgrade("1.1.0")
        service = run_service(kubeconfig=kubeconfig_through(proxy, cluster.kubeconfig))
        stream = service.follow("default.prod.shop", deployed=2)
        position = cluster.client.get("/api/v1/secrets?limit=1")["metadata"]["resourceVersion"]

        with proxy.refusing():
            by_hand.upgrade("1.2.0")
            by_hand.upgrade("1.3.0")
            by_hand.helm.run("uninstall", "shop", "--keep-history")
            by_hand.helm.run("rollback", "shop", "3")
            cluster.stop_apiserver(kill=True)
            cluster.start_apiserver()
            eventually(lambda: _is_gone(cluster, position), "the API server no longer knows that position")
        stream.until(lambda: any(line.endswith("revision 5 → DEPLOYED") for line in stream.told), "revision 5 is there")
        by_hand.upgrade("1.4.0")
        stream.until_told("revision 6 PENDING_UPGRADE → DEPLOYED")
        stream.close()
        listed = service.releases.ListRevisions(ListRevisionsRequest(release_id="default.prod.shop")).revisions

    numbers = sequences(stream.events)
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert len(set(stream.told)) == len(stream.told), "nothing is told twice"
    assert {event.revision_transition.cause for event in stream.events} == {RevisionTransition.EXTERNAL}
    assert [revision.revision for revision in listed] == [6, 5, 4, 3, 2, 1]
    assert {f"revision {number}" for number in (3, 4, 5, 6)} <= {line.partition(" →")[0] for line in stream.told}


def _is_gone(cluster: LocalCluster, position: str) -> bool:
    """Whether a watch from there is told at once that it is too old."""
    watch = f"/api/v1/secrets?watch=1&resourceVersion={position}&timeoutSeconds=1"
    try:
        told = cluster.client.get(watch)
    except ValueError:  # nothing, or several changes
        return False
    return bool(told["object"].get("code") == 410)


# --- 429 Too Many Requests --------------------------------------------------------------


def test_a_throttled_service_says_so_and_goes_on_when_it_may(
    run_service: RunService, local_cluster: LocalCluster, by_hand: ByHand, shop: str
) -> None:
    user = local_cluster.create_user(f"throttled-{uuid.uuid4().hex[:8]}", [EVERYTHING])
    service = run_service(kubeconfig=user.kubeconfig)
    stream = service.follow(shop, deployed=2)

    with _throttled(local_cluster, user):
        by_hand.upgrade("1.2.0")
        refused = refusal_of(lambda: service.rollbacks.Rollback(RollbackRequest(release_id=shop, target_revision=1)))
        known = service.releases.GetRelease(GetReleaseRequest(release_id=shop)).release
    stream.until_told("revision 3 PENDING_UPGRADE → DEPLOYED")
    stream.close()
    operation = service.roll_back(shop, 1)

    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "CLUSTER_UNREACHABLE")
    assert "429" in refused.message
    assert refused.retry_after is not None
    assert known.release_id == shop, "the ledger answers all the same"
    assert state(operation) == "SUCCEEDED"


def test_a_rollback_that_is_throttled_in_its_middle_ends_when_the_cluster_lets_it(
    run_service: RunService, local_cluster: LocalCluster, held_writes: HeldWrites, by_hand: ByHand, shop: str
) -> None:
    """Helm tries its last write again and again, as long as it is told to; the service looks again until it may."""
    user = local_cluster.create_user(f"throttled-{uuid.uuid4().hex[:8]}", [EVERYTHING])
    service = run_service(kubeconfig=user.kubeconfig, program=HELD_SERVICE, environment=held_writes.environment)
    held_writes.hold(FINISH)
    answer = service.rollbacks.Rollback(RollbackRequest(release_id=shop, target_revision=1))
    held_writes.until_held(FINISH)

    with _throttled(local_cluster, user):
        held_writes.forget(FINISH)
        held_writes.release(FINISH)
        held_writes.until_held(FINISH)  # again: the first was refused
    with service.stream(shop, resume_token=answer.resume_token) as stream:
        operation = stream.until_settled(answer.operation.operation_id)

    assert state(operation) == "SUCCEEDED"
    assert operation.attempt == 1
    assert by_hand.statuses == {1: "superseded", 2: "superseded", 3: "deployed"}


@contextmanager
def _throttled(cluster: LocalCluster, user: User) -> Iterator[None]:
    """While the block lasts the API server answers this user with 429 and Retry-After.

    One request at a time it would serve nevertheless, so one is begun and not ended.
    """
    level = {
        "metadata": {"name": user.name},
        "spec": {
            "type": "Limited",
            "limited": {"nominalConcurrencyShares": 0, "borrowingLimitPercent": 0, "limitResponse": {"type": "Reject"}},
        },
    }
    subject = {"kind": "ServiceAccount", "serviceAccount": {"name": user.name, "namespace": "default"}}
    everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": True}
    schema = {
        "metadata": {"name": user.name},
        "spec": {
            "priorityLevelConfiguration": {"name": user.name},
            "matchingPrecedence": 2,  # 1 is the exempted's own
            "rules": [
                {
                    "subjects": [subject],
                    "resourceRules": [everything],
                    "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
                }
            ],
        },
    }
    cluster.client.create(f"{_FLOW_CONTROL}/prioritylevelconfigurations", level)
    cluster.client.create(f"{_FLOW_CONTROL}/flowschemas", schema)
    try:
        with _unfinished_request(cluster, user):
            eventually(lambda: _status_of_a_read(cluster, user) == 429, "the user is throttled", seconds=90)
            yield
    finally:
        cluster.client.delete(f"{_FLOW_CONTROL}/flowschemas/{user.name}")
        cluster.client.delete(f"{_FLOW_CONTROL}/prioritylevelconfigurations/{user.name}")
        eventually(lambda: _status_of_a_read(cluster, user) == 200, "the user may go on")


@contextmanager
def _unfinished_request(cluster: LocalCluster, user: User) -> Iterator[None]:
    """A request whose body does not come."""
    address = urlsplit(cluster.server)
    tls = ssl.create_default_context(cafile=str(cluster.ca_file))
    with (
        socket.create_connection((address.hostname, address.port), timeout=10) as plain,
        tls.wrap_socket(plain, server_hostname=address.hostname) as connection,
    ):
        connection.sendall(
            b"POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n"
            b"Content-Type: application/json\r\nAuthorization: Bearer " + user.token.encode() + b"\r\n\r\n"
        )
        yield


def _status_of_a_read(cluster: LocalCluster, user: User) -> int:
    try:
        Client(cluster.server, cluster.ca_file, user.token).get("/api/v1/namespaces/default")
    except ApiError as refusal:
        return refusal.status
    return 200


# --- 403 for some, and not for others ---------------------------------------------------


def test_with_rights_in_one_namespace_only_that_one_is_served(
    run_service: RunService, local_cluster: LocalCluster, by_hand: ByHand, namespace: str, shop: str, helm: Helm
) -> None:
    """Such a service can not observe, yet what it does itself it sees."""
    other = f"{namespace}-other"
    local_cluster.create_namespace(other)
    helm.in_namespace(other).install("shop", by_hand.chart("1.0.0"))
    user = local_cluster.create_user("tenant", [EVERYTHING], namespace=namespace)
    service = run_service(kubeconfig=user.kubeconfig)

    answer = service.rollbacks.Rollback(RollbackRequest(release_id=shop, target_revision=1, wait_timeout=WAIT))
    refused = refusal_of(
        lambda: service.rollbacks.Rollback(RollbackRequest(release_id=f"default.{other}.shop", target_revision=1))
    )

    assert state(answer.operation) == "SUCCEEDED"
    with service.stream(shop, resume_token=answer.resume_token) as stream:
        assert stream.told[0] == "operation PENDING"
        assert stream.told[-2:] == ["revision 3 → DEPLOYED", "operation SUCCEEDED"]
    assert by_hand.statuses == {1: "superseded", 2: "superseded", 3: "deployed"}
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "CLUSTER_PERMISSION_DENIED")
    assert f"list secrets in namespace {other}" in refused.message
    assert "list secrets in all namespaces" in service.stderr, "the log tells an operator what the observer lacks"


def test_with_the_right_to_read_all_and_to_write_in_one_namespace_only_that_one_can_be_changed(
    run_service: RunService, local_cluster: LocalCluster, by_hand: ByHand, namespace: str, shop: str, helm: Helm
) -> None:
    other = f"{namespace}-other"
    local_cluster.create_namespace(other)
    elsewhere = ByHand(helm.in_namespace(other), by_hand.folder)
    elsewhere.install("1.0.0")
    elsewhere.upgrade("1.1.0")
    name = f"reader-{uuid.uuid4().hex[:8]}"
    user = local_cluster.create_user(name, [Rule(["get", "list", "watch"], ["*"], ["*"])])
    _allow_everything(local_cluster, user, namespace)
    service = run_service(kubeconfig=user.kubeconfig)

    here = service.roll_back(shop, 1)
    there = service.roll_back(f"default.{other}.shop", 1)

    assert state(here) == "SUCCEEDED"
    assert failure_reason(there) == "CLUSTER_PERMISSION_DENIED"
    assert there.failure.applied == Failure.NOT_APPLIED
    assert there.result_revision == 0
    assert elsewhere.statuses == {1: "superseded", 2: "deployed"}


def test_rights_that_are_withdrawn_in_the_middle_of_a_rollback(
    run_service: RunService,
    local_cluster: LocalCluster,
    held_writes: HeldWrites,
    by_hand: ByHand,
    namespace: str,
    shop: str,
) -> None:
    """Everything is applied, and nothing more can be read: that is told, and nothing is guessed."""
    user = local_cluster.create_user("fallen", [EVERYTHING], namespace=namespace)
    service = run_service(kubeconfig=user.kubeconfig, program=HELD_SERVICE, environment=held_writes.environment)
    held_writes.hold(FINISH)
    accepted = service.rollbacks.Rollback(RollbackRequest(release_id=shop, target_revision=1)).operation
    held_writes.until_held(FINISH)

    local_cluster.client.delete(f"{_RBAC}/namespaces/{namespace}/rolebindings/fallen")
    reading = Client(local_cluster.server, local_cluster.ca_file, user.token)
    eventually(lambda: _is_denied(reading, namespace), "the right is gone")
    held_writes.release(FINISH)
    with service.stream(shop, until=accepted.operation_id) as stream:
        operation = stream.until_settled(accepted.operation_id)

    assert failure_reason(operation) == "OUTCOME_UNKNOWN"
    assert operation.failure.applied == Failure.UNKNOWN
    assert f"list secrets in namespace {namespace}" in operation.failure.message
    assert by_hand.statuses[3] == "pending-rollback"


def _allow_everything(cluster: LocalCluster, user: User, namespace: str) -> None:
    rbac = f"{_RBAC}/namespaces/{namespace}"
    cluster.client.create(f"{rbac}/roles", {"metadata": {"name": user.name}, "rules": [EVERYTHING.to_json()]})
    cluster.client.create(
        f"{rbac}/rolebindings",
        {
            "metadata": {"name": user.name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": user.name},
            "subjects": [{"kind": "ServiceAccount", "name": user.name, "namespace": "default"}],
        },
    )
    review = {"spec": {"resourceAttributes": {"verb": "create", "resource": "secrets", "namespace": namespace}}}
    as_user = Client(cluster.server, cluster.ca_file, user.token)
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    eventually(lambda: as_user.create(path, review)["status"]["allowed"], "the right is given")


def _is_denied(client: Client, namespace: str) -> bool:
    try:
        client.get(f"/api/v1/namespaces/{namespace}/secrets")
    except ApiError as refusal:
        return refusal.status == 403
    return False

"""The network between the service and the API server: slow, cut, silent. Helm by hand has another way there."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from local_cluster import LocalCluster
from support.altered import ALTERED_SERVICE, FENCE_ANSWER, WATCH_GRACE, WATCH_SECONDS, altered
from support.by_hand import ByHand
from support.calls import failure_reason, state
from support.charts import config_map
from support.held_writes import CREATE, FINISH, SUPERSEDE, HeldWrites
from support.helm import Helm
from support.process import HELD_SERVICE, RunService, ServiceProcess
from support.streams import sequences
from support.tcp_proxy import TcpProxy, kubeconfig_through, upstream_port_of

from helm_rollback.v1.history_pb2 import RevisionTransition
from helm_rollback.v1.release_pb2 import Failure, Operation
from helm_rollback.v1.rollback_service_pb2 import RollbackRequest

pytest_plugins = ["support.services"]


@pytest.fixture
def proxy(local_cluster: LocalCluster) -> Iterator[TcpProxy]:
    with TcpProxy(upstream_port_of(local_cluster.kubeconfig)) as proxy:
        yield proxy


@pytest.fixture
def kubeconfig(proxy: TcpProxy, local_cluster: LocalCluster) -> Path:
    """By which the API server is reached through the proxy."""
    return kubeconfig_through(proxy, local_cluster.kubeconfig)


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


@pytest.fixture
def held(run_service: RunService, kubeconfig: Path, held_writes: HeldWrites) -> ServiceProcess:
    """A service behind the proxy, whose Helm can be held."""
    return run_service(kubeconfig=kubeconfig, program=HELD_SERVICE, environment=held_writes.environment)


def test_an_api_server_that_answers_late_makes_a_rollback_late_and_nothing_else(
    run_service: RunService, kubeconfig: Path, proxy: TcpProxy, by_hand: ByHand, shop: str
) -> None:
    """Each answer takes a second, which makes Helm outlive the lease several times."""
    service = run_service("--lease", "3s", kubeconfig=kubeconfig)
    service.follow(shop, deployed=2).close()

    with proxy.delaying(1.0):
        answer = service.rollbacks.Rollback(RollbackRequest(release_id=shop, target_revision=1))
        with service.stream(shop, resume_token=answer.resume_token) as stream:
            operation = stream.until_settled(answer.operation.operation_id, seconds=90)

    assert state(operation) == "SUCCEEDED"
    assert operation.attempt == 1
    assert (operation.end_time.ToDatetime() - operation.create_time.ToDatetime()).total_seconds() > 6
    assert stream.told == [
        "operation PENDING",
        "operation RUNNING",
        "revision 3 → PENDING_ROLLBACK",
        "revision 2 DEPLOYED → SUPERSEDED",
        "revision 3 PENDING_ROLLBACK → DEPLOYED",
        "operation SUCCEEDED",
    ]


def test_a_watch_that_is_cut_in_the_middle_of_a_change_tells_it_whole_and_once(
    run_service: RunService, kubeconfig: Path, proxy: TcpProxy, by_hand: ByHand, shop: str
) -> None:
    """A record of a hundred kilobytes, of which twenty arrive."""
    service = run_service(kubeconfig=kubeconfig)
    stream = service.follow(shop, deployed=2)
    by_hand.upgrade("1.2.0")
    stream.until_told("revision 3 PENDING_UPGRADE → DEPLOYED")
    before = proxy.accepted

    assert proxy.cut(after=20_000) > 0
    by_hand.upgrade("1.3.0", large=_incompressible(100_000))
    stream.until_told("revision 4 PENDING_UPGRADE → DEPLOYED")
    by_hand.upgrade("1.4.0")
    stream.until_told("revision 5 PENDING_UPGRADE → DEPLOYED")
    stream.close()

    assert proxy.accepted > before, "it was cut, and connected anew"
    assert stream.told == [
        line
        for number in (3, 4, 5)
        for line in (
            f"revision {number} → PENDING_UPGRADE",
            f"revision {number - 1} DEPLOYED → SUPERSEDED",
            f"revision {number} PENDING_UPGRADE → DEPLOYED",
        )
    ]
    numbers = sequences(stream.events)
    assert numbers == list(range(numbers[0], numbers[0] + 9))
    assert {event.revision_transition.cause for event in stream.events} == {RevisionTransition.EXTERNAL}


def test_what_happens_while_nobody_listens_is_told_when_somebody_does(
    run_service: RunService, kubeconfig: Path, proxy: TcpProxy, by_hand: ByHand, shop: str
) -> None:
    service = run_service(kubeconfig=kubeconfig)
    stream = service.follow(shop, deployed=2)

    with proxy.refusing():
        by_hand.upgrade("1.2.0")
        by_hand.helm.rollback("shop", 1)
        assert stream.told == []
    stream.until_told("revision 4 PENDING_ROLLBACK → DEPLOYED")
    stream.close()

    assert stream.told == [
        "revision 3 → PENDING_UPGRADE",
        "revision 2 DEPLOYED → SUPERSEDED",
        "revision 3 PENDING_UPGRADE → DEPLOYED",
        "revision 4 → PENDING_ROLLBACK",
        "revision 3 DEPLOYED → SUPERSEDED",
        "revision 4 PENDING_ROLLBACK → DEPLOYED",
    ], "the watch goes on where it was, version by version"
    numbers = sequences(stream.events)
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_connections_that_fell_silent_are_given_up(
    run_service: RunService, kubeconfig: Path, proxy: TcpProxy, by_hand: ByHand, shop: str
) -> None:
    """Half-open: the other end is gone and nobody said so. The watch is believed for three seconds here, not for 75."""
    service = run_service(
        kubeconfig=kubeconfig, program=ALTERED_SERVICE, environment=altered({WATCH_SECONDS: 2, WATCH_GRACE: 1})
    )
    assert state(service.roll_back(shop, 1)) == "SUCCEEDED"
    stream = service.follow(shop, deployed=3)

    assert proxy.go_silent() > 1, "the watch, and what is kept for the next request"
    by_hand.upgrade("1.2.0")
    told = stream.until_told("revision 4 PENDING_UPGRADE → DEPLOYED")
    stream.close()
    operation = service.roll_back(shop, 1)

    assert told.revision_transition.cause == RevisionTransition.EXTERNAL
    assert state(operation) == "SUCCEEDED"


def test_connections_that_fall_silent_in_the_middle_of_a_rollback_do_not_hold_it_for_ever(
    run_service: RunService,
    kubeconfig: Path,
    proxy: TcpProxy,
    held_writes: HeldWrites,
    by_hand: ByHand,
    shop: str,
) -> None:
    """Helm has sent a write and never hears of it. The fence waits three seconds here, not 90, and then says so."""
    service = run_service(
        kubeconfig=kubeconfig,
        program=ALTERED_SERVICE,
        environment={**altered({FENCE_ANSWER: 3}), **held_writes.environment},
    )
    held_writes.hold(FINISH)
    answer = service.rollbacks.Rollback(RollbackRequest(release_id=shop, target_revision=1))
    held_writes.until_held(FINISH)

    assert proxy.go_silent() > 1
    held_writes.release(FINISH)
    with service.stream(shop, resume_token=answer.resume_token) as stream:
        operation = stream.until_settled(answer.operation.operation_id, seconds=60)

    assert (failure_reason(operation), operation.failure.applied) == ("CLUSTER_UNREACHABLE", Failure.APPLIED)
    assert by_hand.statuses == {1: "superseded", 2: "superseded", 3: "failed"}
    by_hand.assert_free()


OUTCOMES = [
    (CREATE, "CLUSTER_UNREACHABLE", Failure.NOT_APPLIED, {1: "superseded", 2: "deployed"}),
    # Helm goes on without this one: it only warns.
    (SUPERSEDE, "", Failure.APPLIED_UNSPECIFIED, {1: "superseded", 2: "deployed", 3: "deployed"}),
    (FINISH, "CLUSTER_UNREACHABLE", Failure.APPLIED, {1: "superseded", 2: "superseded", 3: "failed"}),
]


@pytest.mark.parametrize(("write", "reason", "applied", "statuses"), OUTCOMES)
def test_a_cut_in_the_middle_of_a_rollback(
    held: ServiceProcess,
    held_writes: HeldWrites,
    proxy: TcpProxy,
    by_hand: ByHand,
    shop: str,
    write: str,
    reason: str,
    applied: Failure.Applied.ValueType,
    statuses: dict[int, str],
) -> None:
    """Every connection, Helm's among them, is reset while a write of Helm's is on its way."""
    held_writes.hold(write)
    answer = held.rollbacks.Rollback(RollbackRequest(release_id=shop, target_revision=1))
    held_writes.until_held(write)

    assert proxy.cut() > 0
    held_writes.release(write)
    with held.stream(shop, resume_token=answer.resume_token) as stream:
        operation = stream.until_settled(answer.operation.operation_id)

    assert (failure_reason(operation), operation.failure.applied) == (reason, applied)
    assert (operation.attempt, operation.outcome_evidence) == (1, Operation.OBSERVED)
    assert by_hand.statuses == statuses
    by_hand.assert_free()


def _incompressible(size: int) -> str:
    return config_map("large", noise="".join(f"{number * 2654435761 % 2**32:08x}" for number in range(size // 8)))

"""PostgreSQL goes away in the middle of a rollback: crashed, restarted, failed over, or out of connections."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import grpc
import psycopg
import pytest
from support.by_hand import ByHand
from support.calls import refusal_of, state
from support.held_writes import FINISH, HeldWrites
from support.helm import Helm
from support.postgres import PostgresServer, paused
from support.process import HELD_SERVICE, RunService, ServiceProcess
from support.streams import sequences
from support.waiting import eventually

from helm_rollback.v1.rollback_service_pb2 import GetOperationRequest, RollbackRequest

pytest_plugins = ["support.services"]

CONNECTIONS = 16
LEASE = 2.0
"""Seconds, where it is to run out."""

Outage = Callable[[PostgresServer], AbstractContextManager[None]]


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with PostgresServer(max_connections=CONNECTIONS, superuser_reserved_connections=0, max_wal_senders=0) as server:
        yield server


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


@contextmanager
def crashed(server: PostgresServer) -> Iterator[None]:
    server.crash()
    yield
    server.start()


@contextmanager
def restarted(server: PostgresServer) -> Iterator[None]:
    server.stop()
    yield
    server.start()


@contextmanager
def failed_over(server: PostgresServer) -> Iterator[None]:
    """The primary is gone; who has its address and its data is a standby until it is promoted."""
    server.crash()
    server.become_standby()
    server.start()
    yield
    server.promote()


@contextmanager
def out_of_connections(server: PostgresServer) -> Iterator[None]:
    """The service's connections are cut, and others are quicker to take their places."""
    with ExitStack() as others:
        administrator = others.enter_context(psycopg.connect(server.url(), autocommit=True))
        while _connected(administrator) < CONNECTIONS:
            administrator.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'ledger%'")
            for _ in range(CONNECTIONS - _connected(administrator)):
                try:
                    others.enter_context(psycopg.connect(server.url()))
                except psycopg.OperationalError:
                    break  # the service was quicker
        yield


def _connected(administrator: psycopg.Connection) -> int:
    """How many connections are not the service's."""
    counted = administrator.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND datname NOT LIKE 'ledger%'"
    ).fetchone()
    assert counted is not None
    return int(counted[0])


@pytest.mark.parametrize("outage", [crashed, restarted, failed_over, out_of_connections, paused])
@pytest.mark.parametrize("lease", ["30s", f"{LEASE:.0f}s"], ids=["held", "lost"])
def test_a_rollback_outlasts_it(
    run_service: RunService,
    held_writes: HeldWrites,
    server: PostgresServer,
    by_hand: ByHand,
    shop: str,
    outage: Outage,
    lease: str,
) -> None:
    """Helm is about to write its last word. Where the lease runs out meanwhile, it is run anew afterwards."""
    is_lost = lease != "30s"
    service = run_service(
        *("--database", server.create_database(), "--lease", lease),
        program=HELD_SERVICE,
        environment=held_writes.environment,
    )
    held_writes.hold(FINISH)
    answer = service.rollbacks.Rollback(RollbackRequest(release_id=shop, target_revision=1))
    held_writes.until_held(FINISH)

    with outage(server):
        refused = refusal_of(lambda: service.rollbacks.Rollback(RollbackRequest(release_id=shop, target_revision=1)))
        asked = refusal_of(lambda: _operation(service, answer.operation.operation_id))
        if is_lost:
            lost = time.monotonic() + LEASE
            eventually(lambda: time.monotonic() > lost, "the lease is over")
        held_writes.release(FINISH)
        if not is_lost:
            eventually(lambda: by_hand.statuses[3] == "deployed", "Helm has ended")
    with service.stream(shop, resume_token=answer.resume_token) as stream:
        operation = stream.until_settled(answer.operation.operation_id)

    for refusal in (refused, asked):
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
        assert refusal.retry_after is not None
    assert state(operation) == "SUCCEEDED"
    assert operation.attempt > 1 if is_lost else operation.attempt == 1
    assert by_hand.statuses == {1: "superseded", 2: "superseded", 3: "deployed"}
    assert by_hand.charts[3] == "1.0.0"
    numbers = sequences(stream.events)
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    by_hand.assert_free()


def _operation(service: ServiceProcess, operation_id: str) -> object:
    return service.rollbacks.GetOperation(GetOperationRequest(operation_id=operation_id))

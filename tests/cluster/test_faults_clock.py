"""A service whose wall clock is wrong by an hour, or is put right while it works: only its times are odd."""

import time
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration
from support.altered import ALTERED_SERVICE, WrongClock
from support.by_hand import ByHand
from support.calls import failure_reason, state
from support.held_writes import CREATE, FINISH, HeldWrites
from support.helm import Helm
from support.process import RunService, ServiceProcess
from support.waiting import eventually

from helm_rollback.v1.rollback_service_pb2 import ListOperationsRequest, RollbackRequest

pytest_plugins = ["support.services"]

HOUR = 3600.0


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
def clock(tmp_path: Path) -> WrongClock:
    return WrongClock(tmp_path)


@pytest.fixture
def service(run_service: RunService, held_writes: HeldWrites, clock: WrongClock) -> ServiceProcess:
    """One whose clock and whose Helm a test has in its hands."""
    return _service(run_service, held_writes, clock, "2")


def _service(run_service: RunService, held_writes: HeldWrites, clock: WrongClock, max_helm: str) -> ServiceProcess:
    return run_service(
        *("--lease", "2s", "--max-helm", max_helm),
        program=ALTERED_SERVICE,
        environment={**clock.environment, **held_writes.environment},
    )


def test_times_never_fall_though_the_next_process_has_a_clock_an_hour_behind(
    service: ServiceProcess, clock: WrongClock, by_hand: ByHand, shop: str
) -> None:
    assert state(service.roll_back(shop, 1)) == "SUCCEEDED"
    service.stop()
    clock.off_by(-HOUR)
    service.start()

    operation = service.roll_back(shop, 2)
    by_hand.upgrade("1.2.0")
    with service.stream(shop) as stream:
        stream.until_told("revision 5 PENDING_UPGRADE → DEPLOYED")

    assert (state(operation), operation.attempt) == ("SUCCEEDED", 1)
    times = [event.time.ToNanoseconds() for event in stream.events]
    assert times == sorted(times)
    assert operation.create_time.ToNanoseconds() <= operation.start_time.ToNanoseconds()
    assert operation.start_time.ToNanoseconds() <= operation.end_time.ToNanoseconds()
    newest, older = service.rollbacks.ListOperations(ListOperationsRequest(release_id=shop)).operations
    assert newest.operation_id == operation.operation_id, "newest first, whatever the clock said"
    assert newest.create_time.ToNanoseconds() < older.create_time.ToNanoseconds(), "it was wrong"


@pytest.mark.parametrize("off", [-HOUR, HOUR], ids=["behind", "ahead"])
def test_a_rollback_goes_on_while_the_clock_is_put_right(
    service: ServiceProcess, held_writes: HeldWrites, clock: WrongClock, by_hand: ByHand, shop: str, off: float
) -> None:
    """A lease is for so many seconds, whatever time it is: nobody takes over, and nobody loses it."""
    held_writes.hold(FINISH)
    answer = service.rollbacks.Rollback(RollbackRequest(release_id=shop, target_revision=1))
    held_writes.until_held(FINISH)
    clock.off_by(off)
    outlasted = time.monotonic() + 3
    eventually(lambda: time.monotonic() > outlasted, "a lease of two seconds was renewed")

    held_writes.release(FINISH)
    with service.stream(shop, resume_token=answer.resume_token) as stream:
        operation = stream.until_settled(answer.operation.operation_id)
    again = service.roll_back(shop, 2)

    assert (state(operation), operation.attempt) == ("SUCCEEDED", 1)
    assert stream.told.count("operation RUNNING") == 1
    assert by_hand.statuses[3] == "superseded"
    assert (state(again), again.attempt) == ("SUCCEEDED", 1)
    times = [event.time.ToNanoseconds() for event in stream.events]
    assert times == sorted(times)


def test_an_interrupted_rollback_is_taken_up_by_a_process_with_a_clock_an_hour_behind(
    service: ServiceProcess, held_writes: HeldWrites, clock: WrongClock, by_hand: ByHand, shop: str
) -> None:
    """What was held until an hour from now, by that clock, is free at once: no other process can have it."""
    held_writes.hold(CREATE)
    accepted = service.rollbacks.Rollback(RollbackRequest(release_id=shop, target_revision=1)).operation
    held_writes.until_held(CREATE)
    service.kill()
    held_writes.release(CREATE)
    clock.off_by(-HOUR)
    service.start()

    with service.stream(shop, until=accepted.operation_id) as stream:
        operation = stream.until_settled(accepted.operation_id)

    assert (state(operation), operation.attempt) == ("SUCCEEDED", 2)
    times = [event.time.ToNanoseconds() for event in stream.events]
    assert times == sorted(times)
    assert by_hand.statuses == {1: "superseded", 2: "superseded", 3: "deployed"}


@pytest.mark.parametrize(("off", "outcome"), [(-HOUR, ""), (HOUR, "EXPIRED")], ids=["behind", "ahead"])
def test_what_waits_for_half_an_hour_expires_only_where_the_next_process_has_a_later_clock(
    run_service: RunService,
    held_writes: HeldWrites,
    clock: WrongClock,
    by_hand: ByHand,
    namespace: str,
    shop: str,
    off: float,
    outcome: str,
) -> None:
    """To a process that begins an hour later, an hour has passed, for all that it can know; nothing is run late."""
    service = _service(run_service, held_writes, clock, "1")
    by_hand.helm.install("other", by_hand.chart("1.0.0").rename(by_hand.folder / "other"))
    other = f"default.{namespace}.other"
    held_writes.hold(CREATE)
    service.rollbacks.Rollback(RollbackRequest(release_id=shop, target_revision=1))
    held_writes.until_held(CREATE)
    waiting = service.rollbacks.Rollback(
        RollbackRequest(release_id=other, target_revision=1, expire_after=Duration(seconds=1800))
    ).operation
    service.kill()
    held_writes.release(CREATE)
    clock.off_by(off)
    service.start()

    with service.stream(other, until=waiting.operation_id) as stream:
        operation = stream.until_settled(waiting.operation_id)

    assert state(waiting) == "PENDING"
    assert failure_reason(operation) == outcome
    assert operation.attempt == (0 if outcome else 1)
    assert len(by_hand.helm.statuses("other")) == (1 if outcome else 2)

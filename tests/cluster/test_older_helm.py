"""The older Helms that the service works with: what they can not write down is reconstructed, or left undecided."""

from collections.abc import Callable
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration
from local_cluster import LocalCluster
from support.by_hand import REJECTED, ByHand
from support.calls import WAIT, failure_reason, refusal_of, state
from support.charts import config_map, deployment, job
from support.cluster import BIN_DIR
from support.held_writes import CREATE, FINISH, SUPERSEDE, HeldWrites
from support.helm import OLDER, Helm
from support.process import HELD_SERVICE, RunService, ServiceProcess
from support.waiting import eventually

from helm_rollback.v1.helm_options_pb2 import HelmOptions
from helm_rollback.v1.release_pb2 import Failure, Operation
from helm_rollback.v1.release_service_pb2 import GetRevisionRequest
from helm_rollback.v1.rollback_service_pb2 import RollbackRequest, WaitOperationRequest

pytest_plugins = ["support.services"]

LEASE = ("--lease", "1s")
"""What a dead process held is free again after that."""


class Lingering:
    """Has done its work, and goes on running: the service can die before it hears of the end."""

    def __init__(self, program: Path, done: Path) -> None:
        self.program = program
        self._done = done

    def until_done(self) -> None:
        """Wait until Helm has done its work."""
        eventually(self._done.exists, "Helm has done its work")


@pytest.fixture(params=OLDER)
def older(request: pytest.FixtureRequest) -> Path:
    """Each of them."""
    return BIN_DIR / str(request.param)


@pytest.fixture
def shop(namespace: str) -> str:
    return f"default.{namespace}.shop"


@pytest.fixture
def by_hand(helm: Helm, older: Path, tmp_path: Path) -> ByHand:
    """Two revisions, made by the older Helm."""
    by_hand = ByHand(helm.of(older), tmp_path)
    by_hand.install("1.0.0")
    by_hand.upgrade("1.1.0")
    return by_hand


@pytest.fixture
def lingering(tmp_path: Path, older: Path, make_helm: Callable[[str], Path]) -> Lingering:
    """An older Helm that does not end after a rollback."""
    done = tmp_path / "lingering"
    linger = f'[ "$1" = rollback ] && touch {done} && while :; do sleep 0.1; done'
    return Lingering(make_helm(f'{older} "$@"\ncode=$?\n{linger}\nexit $code'), done)


# --- as a rule ------------------------------------------------------------------------


def test_a_rollback_succeeds_and_its_revision_is_the_operations(
    run_service: RunService, older: Path, by_hand: ByHand, shop: str
) -> None:
    service = run_service(helm=older)

    operation = service.roll_back(shop, 1)

    assert (state(operation), operation.result_revision) == ("SUCCEEDED", 3)
    assert operation.outcome_evidence == Operation.OBSERVED
    assert by_hand.statuses == {1: "superseded", 2: "superseded", 3: "deployed"}
    assert by_hand.charts[3] == "1.0.0"
    revision = service.releases.GetRevision(GetRevisionRequest(release_id=shop, revision=3)).revision
    assert (revision.operation_id, revision.description) == (operation.operation_id, "Rollback to 1")
    by_hand.assert_free()


def test_what_the_api_server_rejects_is_told_in_helms_words(
    run_service: RunService, older: Path, helm: Helm, shop: str, tmp_path: Path
) -> None:
    by_hand = ByHand(helm.of(older), tmp_path)
    by_hand.install("1.0.0", c=config_map("fixed", immutable=True, a="1"))
    by_hand.upgrade("1.1.0")
    by_hand.upgrade("1.2.0", c=config_map("fixed", immutable=True, a="2"))

    operation = run_service(helm=older).roll_back(shop, 1)

    assert (failure_reason(operation), operation.result_revision) == ("OBJECT_REJECTED", 4)
    assert operation.failure.applied == Failure.PARTLY
    assert "immutable" in operation.failure.message
    assert by_hand.statuses[4] == "failed"
    by_hand.assert_free()


def test_failed_waits_and_hooks_leave_nothing_pending(
    run_service: RunService,
    workload_cluster: LocalCluster,
    workload_helm: Helm,
    workload_namespace: str,
    older: Path,
    tmp_path: Path,
) -> None:
    """After a failed hook Helm itself leaves the release in pending-rollback, and refuses each upgrade."""
    by_hand = ByHand(workload_helm.of(older), tmp_path)
    by_hand.install("1.0.0", d=deployment(ready=False))
    by_hand.upgrade("1.1.0", j=job(hooks=["post-rollback"], fails=True))
    by_hand.upgrade("1.2.0")
    service = run_service(helm=older, kubeconfig=workload_cluster.kubeconfig)
    shop = f"default.{workload_namespace}.shop"

    waited = service.roll_back(shop, 1, HelmOptions(timeout=Duration(seconds=2)))
    hooked = service.roll_back(shop, 2)

    assert (failure_reason(waited), waited.failure.applied) == ("WAIT_TIMED_OUT", Failure.APPLIED)
    assert (failure_reason(hooked), hooked.failure.applied) == ("HOOK_FAILED", Failure.APPLIED)
    assert by_hand.statuses == {1: "superseded", 2: "superseded", 3: "deployed", 4: "failed", 5: "failed"}
    by_hand.assert_free()


def test_what_a_dead_helm_left_pending_is_refused_and_taken_over(
    run_service: RunService,
    workload_cluster: LocalCluster,
    workload_helm: Helm,
    workload_namespace: str,
    older: Path,
    tmp_path: Path,
) -> None:
    by_hand = ByHand(workload_helm.of(older), tmp_path)
    by_hand.install("1.0.0")
    hanging = by_hand.chart("1.1.0", hang=job(hooks=["pre-upgrade"]))
    with by_hand.helm.killed_after("upgrade", "shop", hanging):
        eventually(lambda: by_hand.statuses.get(2) == "pending-upgrade", "Helm has begun")
    service = run_service(helm=older, kubeconfig=workload_cluster.kubeconfig)
    request = RollbackRequest(
        release_id=f"default.{workload_namespace}.shop",
        target_revision=1,
        expected_current_revision=2,
        wait_timeout=WAIT,
    )

    refusal = refusal_of(lambda: service.rollbacks.Rollback(request))
    request.take_over_pending = True
    operation = service.rollbacks.Rollback(request).operation

    assert (refusal.reason, refusal.metadata["status"]) == ("RELEASE_PENDING", "PENDING_UPGRADE")
    assert (state(operation), operation.result_revision) == ("SUCCEEDED", 3)
    assert by_hand.statuses == {1: "superseded", 2: "pending-upgrade", 3: "deployed"}
    by_hand.assert_free()


def test_a_release_that_was_purged_and_installed_anew_is_its_second_incarnation(
    run_service: RunService, older: Path, by_hand: ByHand, shop: str
) -> None:
    service = run_service(helm=older)
    assert state(service.roll_back(shop, 1)) == "SUCCEEDED"
    by_hand.helm.uninstall("shop")
    by_hand.install("3.0.0")
    by_hand.upgrade("3.1.0")

    operation = service.roll_back(shop, 1)

    assert (state(operation), operation.incarnation, operation.result_revision) == ("SUCCEEDED", 2, 3)
    assert by_hand.charts == {1: "3.0.0", 2: "3.1.0", 3: "3.0.0"}
    by_hand.assert_free()


# --- after a kill ---------------------------------------------------------------------


def _killed_at(service: ServiceProcess, held_writes: HeldWrites, write: str, release: str) -> Operation:
    """A rollback to 1 whose service is killed while Helm is about to make that write, and is started again."""
    held_writes.hold(write)
    answer = service.rollbacks.Rollback(RollbackRequest(release_id=release, target_revision=1))
    held_writes.until_held(write)
    service.kill()
    held_writes.release(write)
    service.start()
    return _wait(service, answer.operation.operation_id)


@pytest.mark.parametrize("write", [CREATE, SUPERSEDE, FINISH])
def test_a_rollback_whose_service_was_killed_is_carried_out_by_the_next(
    run_service: RunService, held_writes: HeldWrites, older: Path, by_hand: ByHand, shop: str, write: str
) -> None:
    """Before Helm wrote anything, in its middle, and right before its last write."""
    service = run_service(*LEASE, helm=older, program=HELD_SERVICE, environment=held_writes.environment)

    operation = _killed_at(service, held_writes, write, shop)

    assert (state(operation), operation.attempt, operation.result_revision) == ("SUCCEEDED", 2, 3)
    assert by_hand.statuses == {1: "superseded", 2: "superseded", 3: "deployed"}
    assert by_hand.charts[3] == "1.0.0"
    by_hand.assert_free()


def test_rollback_hooks_are_not_run_twice(
    run_service: RunService, held_writes: HeldWrites, helm: Helm, older: Path, shop: str, tmp_path: Path
) -> None:
    by_hand = ByHand(helm.of(older), tmp_path)
    hook = config_map("migration", a="1").replace("\ndata:", "\n  annotations: {helm.sh/hook: pre-rollback}\ndata:")
    by_hand.install("1.0.0", hook=hook)
    by_hand.upgrade("1.1.0")
    service = run_service(*LEASE, helm=older, program=HELD_SERVICE, environment=held_writes.environment)

    operation = _killed_at(service, held_writes, FINISH, shop)

    assert (failure_reason(operation), operation.attempt, operation.result_revision) == ("INTERRUPTED", 1, 3)
    assert operation.outcome_evidence == Operation.RECONSTRUCTED
    assert by_hand.statuses[3] == "failed"
    by_hand.assert_free()


def test_what_helm_had_finished_is_reconstructed_and_not_done_again(
    run_service: RunService, lingering: Lingering, by_hand: ByHand, shop: str
) -> None:
    service = run_service(*LEASE, helm=lingering.program)
    answer = service.rollbacks.Rollback(RollbackRequest(release_id=shop, target_revision=1))
    lingering.until_done()

    service.restart()
    operation = _wait(service, answer.operation.operation_id)

    assert (state(operation), operation.attempt, operation.result_revision) == ("SUCCEEDED", 1, 3)
    assert operation.outcome_evidence == Operation.RECONSTRUCTED
    revision = service.releases.GetRevision(GetRevisionRequest(release_id=shop, revision=3)).revision
    assert revision.operation_id == operation.operation_id
    by_hand.assert_free()


def test_what_failed_is_reconstructed_from_helms_own_text(
    run_service: RunService, lingering: Lingering, helm: Helm, older: Path, shop: str, tmp_path: Path
) -> None:
    by_hand = ByHand(helm.of(older), tmp_path)
    by_hand.install("1.0.0", c=config_map("fixed", immutable=True, a="1"))
    by_hand.upgrade("1.1.0")
    by_hand.upgrade("1.2.0", c=config_map("fixed", immutable=True, a="2"))
    service = run_service(*LEASE, helm=lingering.program)
    answer = service.rollbacks.Rollback(RollbackRequest(release_id=shop, target_revision=1))
    lingering.until_done()

    service.restart()
    operation = _wait(service, answer.operation.operation_id)

    assert (failure_reason(operation), operation.attempt, operation.result_revision) == ("OBJECT_REJECTED", 1, 4)
    assert operation.outcome_evidence == Operation.RECONSTRUCTED
    assert operation.failure.message.startswith('Rollback "shop" failed: ')
    by_hand.assert_free()


def test_somebody_elses_rollback_to_another_revision_is_not_taken_for_ours(
    run_service: RunService, held_writes: HeldWrites, older: Path, by_hand: ByHand, shop: str
) -> None:
    service = run_service(*LEASE, helm=older, program=HELD_SERVICE, environment=held_writes.environment)
    held_writes.hold(CREATE)
    answer = service.rollbacks.Rollback(RollbackRequest(release_id=shop, target_revision=1))
    held_writes.until_held(CREATE)

    service.kill()
    held_writes.release(CREATE)
    by_hand.helm.rollback("shop", 2)
    service.start()
    operation = _wait(service, answer.operation.operation_id)

    assert (failure_reason(operation), operation.failure.applied) == ("EXTERNAL_CHANGE", Failure.NOT_APPLIED)
    assert by_hand.charts == {1: "1.0.0", 2: "1.1.0", 3: "1.1.0"}
    by_hand.assert_free()


# --- mixed ----------------------------------------------------------------------------


def test_a_release_of_the_current_helm_is_put_back_after_an_older_one_changed_it(
    run_service: RunService, helm: Helm, older: Path, shop: str, tmp_path: Path
) -> None:
    """The older one rewrites the record that it supersedes, and drops what it does not know."""
    by_hand = ByHand(helm, tmp_path)
    by_hand.install("1.0.0")
    service = run_service()
    assert state(service.roll_back(shop, 1)) == "SUCCEEDED"
    ByHand(helm.of(older), tmp_path).upgrade("1.1.0", more=config_map("more", a="1"))

    operation = service.roll_back(shop, 2)

    assert (state(operation), operation.result_revision) == ("SUCCEEDED", 4)
    assert by_hand.charts == {1: "1.0.0", 2: "1.0.0", 3: "1.1.0", 4: "1.0.0"}
    assert by_hand.statuses == {1: "superseded", 2: "superseded", 3: "superseded", 4: "deployed"}
    by_hand.assert_free()


def test_a_release_of_the_current_helm_is_put_back_by_an_older_one_also_after_a_kill(
    run_service: RunService, lingering: Lingering, helm: Helm, shop: str, tmp_path: Path
) -> None:
    by_hand = ByHand(helm, tmp_path)
    by_hand.install("1.0.0")
    by_hand.upgrade("1.1.0")
    by_hand.fail_to_upgrade("1.2.0", bad=REJECTED)
    service = run_service(*LEASE, helm=lingering.program)
    answer = service.rollbacks.Rollback(RollbackRequest(release_id=shop, target_revision=1))
    lingering.until_done()

    service.restart()
    operation = _wait(service, answer.operation.operation_id)

    assert (state(operation), operation.result_revision) == ("SUCCEEDED", 4)
    assert operation.outcome_evidence == Operation.RECONSTRUCTED
    assert by_hand.charts[4] == "1.0.0"
    by_hand.assert_free()


def _wait(service: ServiceProcess, operation_id: str) -> Operation:
    request = WaitOperationRequest(operation_id=operation_id, timeout=WAIT)
    return service.rollbacks.WaitOperation(request).operation

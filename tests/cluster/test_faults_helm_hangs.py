"""A Helm that never ends: it is killed at its deadline, and the operation ends with what the records show.

The service's own deadline is ten of Helm's time-outs and ten minutes; here it is seconds.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration
from support.altered import ALTERED_SERVICE, HELM_DEADLINE_MARGIN, HELM_DEADLINE_STEPS, altered
from support.by_hand import ByHand
from support.calls import WAIT, failure_reason, state
from support.charts import job
from support.helm import Helm
from support.process import RunService, ServiceProcess
from support.waiting import eventually

from helm_rollback.v1.helm_options_pb2 import HelmOptions
from helm_rollback.v1.release_pb2 import Failure, Operation
from helm_rollback.v1.rollback_service_pb2 import RollbackRequest

pytest_plugins = ["support.services"]

AN_HOUR = HelmOptions(timeout=Duration(seconds=3600))


@pytest.fixture
def impatient(run_service: RunService) -> Callable[..., ServiceProcess]:
    """Starts a service that takes a Helm for hanging after 4 s, whatever its time-out."""

    def run(**choices: object) -> ServiceProcess:
        environment = altered({HELM_DEADLINE_STEPS: 0, HELM_DEADLINE_MARGIN: 4})
        return run_service(program=ALTERED_SERVICE, environment=environment, **choices)

    return run


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


def test_one_that_hangs_before_it_wrote_anything(
    impatient: Callable[..., ServiceProcess],
    make_helm: Callable[[str], Path],
    by_hand: ByHand,
    shop: str,
    tmp_path: Path,
) -> None:
    """Neither it nor what it started, a plugin perhaps, outlives its deadline, though both heed no signal."""
    pids = tmp_path / "pids"
    hang = f"trap : TERM INT HUP; echo $$ >> {pids}; while :; do sleep 1; done"
    script = f'[ "$1" = rollback ] || exec $HELM "$@"\nsh -c \'{hang}\' &\n{hang}'
    service = impatient(helm=make_helm(script))

    operation = service.roll_back(shop, 1, AN_HOUR)

    assert failure_reason(operation) == "WAIT_TIMED_OUT"
    assert operation.failure.applied == Failure.NOT_APPLIED
    assert "did not end in time and was killed" in operation.failure.message
    assert (operation.attempt, operation.result_revision) == (1, 0)
    started = [int(pid) for pid in pids.read_text().split()]
    assert len(started) == 2
    eventually(lambda: not any(_runs(pid) for pid in started), "all of them are gone")
    assert by_hand.statuses == {1: "superseded", 2: "deployed"}
    by_hand.assert_free()


def test_one_that_hangs_after_it_has_done_its_work(
    impatient: Callable[..., ServiceProcess], make_helm: Callable[[str], Path], by_hand: ByHand, shop: str
) -> None:
    """Its record says that it worked, and so does the service."""
    linger = '[ "$1" = rollback ] || exec $HELM "$@"\n$HELM "$@"\nwhile :; do sleep 1; done'
    service = impatient(helm=make_helm(linger))

    operation = service.roll_back(shop, 1, AN_HOUR)

    assert state(operation) == "SUCCEEDED"
    assert (operation.attempt, operation.result_revision) == (1, 3)
    assert by_hand.statuses == {1: "superseded", 2: "superseded", 3: "deployed"}


def test_one_that_waits_for_a_hook_that_never_ends(
    impatient: Callable[..., ServiceProcess], workload_helm: Helm, workload_namespace: str, tmp_path: Path
) -> None:
    """With an hour to wait, Helm would wait for an hour. Its record does not stay pending."""
    by_hand = ByHand(workload_helm, tmp_path)
    by_hand.install("1.0.0", migration=job(hooks=["pre-rollback"], run_for="2h"))
    by_hand.upgrade("1.1.0")
    shop = f"default.{workload_namespace}.shop"
    service = impatient(kubeconfig=workload_helm.kubeconfig)
    answer = service.rollbacks.Rollback(
        RollbackRequest(release_id=shop, target_revision=1, helm_options=AN_HOUR, wait_timeout=WAIT)
    )
    operation = answer.operation

    assert failure_reason(operation) == "WAIT_TIMED_OUT"
    assert operation.failure.applied == Failure.UNKNOWN, "the fence saw it write, and can not tell a hook from the rest"
    assert "did not end in time and was killed" in operation.failure.message
    assert (operation.attempt, operation.result_revision) == (1, 3)
    assert operation.outcome_evidence == Operation.OBSERVED
    with service.stream(shop, resume_token=answer.resume_token) as stream:
        assert stream.told == [
            "operation PENDING",
            "operation RUNNING",
            "revision 3 → PENDING_ROLLBACK",
            "revision 3 PENDING_ROLLBACK → FAILED",
            "operation FAILED",
        ]
    assert by_hand.statuses == {1: "superseded", 2: "deployed", 3: "failed"}
    by_hand.assert_free()


def _runs(pid: int) -> bool:
    """Whether a process is there that is more than a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False

"""What is told of a Helm run that failed: why, how far it came, and nothing secret."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from support.revisions import failed_rollback

from helm_rollback.application.outcome import (
    OUTPUT_MAX,
    Run,
    failure_reconstructed,
    failure_with_record,
    failure_without_record,
)
from helm_rollback.application.ports import HelmExit, RecordWrite, TouchedObject
from helm_rollback.domain.operation import Applied, FailureReason
from helm_rollback.domain.revision import Revision
from helm_rollback.domain.status import Status
from helm_rollback.helm.failures import classify

SECRETS = "/api/v1/namespaces/prod/secrets"
RECORD = SECRETS + "/sh.helm.release.v1.shop.v3"


def touch(method: str, path: str) -> TouchedObject:
    return TouchedObject(method=method, path=path)


CREATED = touch("POST", SECRETS)
REWRITTEN = touch("PUT", RECORD)
CONFIG_MAP = touch("PATCH", "/api/v1/namespaces/prod/configmaps/web")


def run(
    output: str = "Error: it is invalid\n",
    *,
    reason: FailureReason = FailureReason.OBJECT_REJECTED,
    returncode: int = 1,
    touched: Sequence[TouchedObject] = (CREATED, REWRITTEN),
    **changes: Any,
) -> Run:
    ended = HelmExit(returncode=returncode, output=output, reason=reason, timed_out=changes.pop("timed_out", False))
    return Run(exit=ended, touched=touched, **changes)


# --- what Helm said ---------------------------------------------------------------------

MESSAGES = [
    ("Helm's error without its label", "Error: it is invalid\n", "it is invalid"),
    ("the error behind warnings", "WARN: old\nError: it is invalid\n", "it is invalid"),
    ("an error of several lines", "Error: two conflicts:\n- a\n- b\n", "two conflicts:\n- a\n- b"),
    ("all that was said, where no error is", "killed\n", "killed"),
    ("that nothing was said", " \n", "helm ended with 1 and said nothing"),
    ("the beginning of a long error", "x" * 9000 + "\nError: " + "y" * 9000, "y" * 1024),
]


@pytest.mark.parametrize(("output", "message"), [case[1:] for case in MESSAGES], ids=[case[0] for case in MESSAGES])
def test_the_message_is(output: str, message: str) -> None:
    assert run(output).message == message


def test_the_output_is_cut_to_its_last_4_kib_in_whole_characters() -> None:
    output = run("first" + "ä" * 4096 + "z").output

    assert len(output.encode()) <= OUTPUT_MAX == 4096
    assert output == "ä" * 2047 + "z"


def test_secrets_are_masked_before_anything_is_cut() -> None:
    """Half a secret would not be recognised as one."""
    secret = "correct horse " * 10
    told = run("x" * 100 + secret + "y" * 4000, secrets=frozenset({secret}))

    assert told.output == "x" * 88 + "*" * 8 + "y" * 4000
    assert "horse" not in told.message


# --- whether anything but records was written -------------------------------------------

WRITTEN = [
    ("nothing", [], False),
    ("the record", [CREATED], False),
    ("the record, and the one before it", [CREATED, REWRITTEN, touch("PUT", RECORD[:-1] + "2")], False),
    ("a ConfigMap", [CREATED, CONFIG_MAP], True),
    ("a ConfigMap, made", [touch("POST", "/api/v1/namespaces/prod/configmaps")], True),
    ("a Secret of the chart, made", [CREATED, touch("POST", SECRETS)], True),
    ("a Secret of the chart, changed", [CREATED, touch("PATCH", SECRETS + "/db")], True),
    ("a Secret of the chart, deleted", [CREATED, touch("DELETE", SECRETS + "/db")], True),
]


@pytest.mark.parametrize(("touched", "wrote"), [case[1:] for case in WRITTEN], ids=[case[0] for case in WRITTEN])
def test_whether_objects_were_written_by(touched: list[TouchedObject], wrote: bool) -> None:
    assert run(touched=touched).wrote_objects is wrote


# --- Helm left no record ----------------------------------------------------------------


def refused(method: str) -> RecordWrite:
    return RecordWrite(method=method, namespace="prod", secret_name="sh.helm.release.v1.shop.v4", stored=None)


def test_a_record_that_the_fence_refused_means_that_somebody_else_came() -> None:
    failure = failure_without_record(run(refused_records=[refused("POST")], reason=FailureReason.HELM_FAILED))

    assert failure.reason is FailureReason.EXTERNAL_CHANGE
    assert failure.applied is Applied.NOT_APPLIED
    assert "nothing was applied" in failure.message
    assert failure.helm_output == "Error: it is invalid\n"


def test_a_record_that_is_there_already_means_that_somebody_else_came() -> None:
    failure = failure_without_record(run("Error: release: already exists", reason=FailureReason.EXTERNAL_CHANGE))

    assert (failure.reason, failure.applied) == (FailureReason.EXTERNAL_CHANGE, Applied.NOT_APPLIED)
    assert failure.message.startswith("someone else's Helm")


def test_a_refused_rewriting_of_the_base_means_nothing() -> None:
    failure = failure_without_record(run(refused_records=[refused("PUT")]))

    assert failure.reason is FailureReason.OBJECT_REJECTED


def test_without_a_record_nothing_was_applied() -> None:
    failure = failure_without_record(run("Error: no such host", reason=FailureReason.CLUSTER_UNREACHABLE))

    assert failure.reason is FailureReason.CLUSTER_UNREACHABLE
    assert failure.applied is Applied.NOT_APPLIED
    assert failure.message == "no such host"


def test_a_success_without_a_record_is_not_believed() -> None:
    failure = failure_without_record(run("Rollback was a success!", returncode=0))

    assert (failure.reason, failure.applied) == (FailureReason.OUTCOME_UNKNOWN, Applied.UNKNOWN)


# --- Helm left its record ---------------------------------------------------------------

PENDING = failed_rollback(3, to=1, applied=False, status=Status.PENDING_ROLLBACK)
HOOK = FailureReason.HOOK_FAILED
OBJECTS = (CREATED, CONFIG_MAP)
APPLIED: list[tuple[str, Revision, Run, bool, Applied]] = [
    ("only waiting failed", failed_rollback(3, to=1, applied=True), run(), False, Applied.APPLIED),
    ("a hook after the apply failed", replace(PENDING, apply_completed=True), run(reason=HOOK), False, Applied.APPLIED),
    ("the first object was refused", failed_rollback(3, to=1, applied=False), run(), True, Applied.NOT_APPLIED),
    ("a later object was refused", failed_rollback(3, to=1, applied=False), run(touched=OBJECTS), True, Applied.PARTLY),
    ("a hook before the apply failed", PENDING, run(reason=HOOK, touched=OBJECTS), False, Applied.NOT_APPLIED),
    (
        "a hook failed that stands before and after the apply",
        replace(PENDING, apply_completed=None),
        run(reason=HOOK, touched=OBJECTS),
        False,
        Applied.UNKNOWN,
    ),
    ("it was killed after it superseded the base", PENDING, run(returncode=-9, touched=OBJECTS), True, Applied.APPLIED),
    ("it was killed while it applied", PENDING, run(returncode=-9, touched=OBJECTS), False, Applied.UNKNOWN),
    ("it was killed before it applied", PENDING, run(returncode=-9), False, Applied.NOT_APPLIED),
]


@pytest.mark.parametrize(
    ("own", "ended", "superseded", "applied"), [case[1:] for case in APPLIED], ids=[case[0] for case in APPLIED]
)
def test_how_far_it_came_if(own: Revision, ended: Run, superseded: bool, applied: Applied) -> None:
    assert failure_with_record(own, ended, base_superseded=superseded).applied is applied


def test_a_failure_with_a_record_tells_what_helm_told() -> None:
    failure = failure_with_record(PENDING, run(secrets=frozenset({"invalid"})), base_superseded=False)

    assert failure.reason is FailureReason.OBJECT_REJECTED
    assert failure.message == "it is ********"
    assert failure.helm_output == "Error: it is ********\n"


def test_a_helm_that_outlived_its_deadline_timed_out_whatever_it_said() -> None:
    failure = failure_with_record(PENDING, run(timed_out=True, returncode=-9), base_superseded=False)

    assert failure.reason is FailureReason.WAIT_TIMED_OUT


# --- after an interruption --------------------------------------------------------------


class HelmThatReads:
    """As much of a Helm as an outcome needs."""

    def reason_of(self, text: str) -> FailureReason:
        return classify(text, 1)


RECONSTRUCTED = [
    (failed_rollback(3, to=1, applied=True), Applied.APPLIED),
    (failed_rollback(3, to=1, applied=False), Applied.UNKNOWN),
    (replace(PENDING, status=Status.FAILED, apply_completed=None), Applied.UNKNOWN),
]


@pytest.mark.parametrize(("own", "applied"), RECONSTRUCTED, ids=["its wait", "its apply", "nobody knows what"])
def test_after_an_interruption_the_record_tells_what_failed(own: Revision, applied: Applied) -> None:
    failure = failure_reconstructed(own, HelmThatReads())  # type: ignore[arg-type]

    assert failure.applied is applied
    assert failure.message == own.description
    assert failure.helm_output == ""


def test_a_record_that_an_earlier_worker_set_failed_is_of_an_interrupted_helm() -> None:
    """Helm writes its error over the stamp: where the stamp still stands, it was not Helm that gave up."""
    operation_id = "01890a5d-ac96-774b-bcce-b302099a8057"
    own = replace(
        PENDING, status=Status.FAILED, operation_id=operation_id, description=f"[{operation_id}] Rollback to 1"
    )
    failure = failure_reconstructed(own, HelmThatReads())  # type: ignore[arg-type]

    assert failure.reason is FailureReason.INTERRUPTED
    assert failure.applied is Applied.UNKNOWN


def test_after_an_interruption_the_reason_is_read_from_helms_text() -> None:
    own = failed_rollback(3, to=1, applied=False, description='Rollback "shop" failed: field is immutable' + "!" * 2000)
    failure = failure_reconstructed(own, HelmThatReads())  # type: ignore[arg-type]

    assert failure.reason is FailureReason.OBJECT_REJECTED
    assert len(failure.message) == 1024

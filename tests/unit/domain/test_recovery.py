"""What becomes of an operation that is looked at: design.md §3, row by row."""

from __future__ import annotations

from itertools import product

import pytest

from helm_rollback.domain.recovery import Evidence, OwnRecord, Step, next_step
from helm_rollback.domain.status import Status


def own(
    status: Status, *, seen_deployed: bool = False, failure_told: bool = False, stored: bool = True, newest: bool = True
) -> OwnRecord:
    return OwnRecord(
        status=status,
        seen_deployed=seen_deployed,
        failure_told=failure_told,
        stored=stored,
        newest=stored and newest,
    )


def found(
    record: OwnRecord | None = None,
    *,
    base_unchanged: bool = True,
    hooks: bool = False,
    may_be_own: bool = False,
    proved_own: bool = False,
) -> Evidence:
    return Evidence(
        base_unchanged=base_unchanged,
        own=record,
        hooks_may_have_run=hooks,
        may_be_own=may_be_own,
        proved_own=proved_own,
    )


PENDING = Status.PENDING_ROLLBACK
ROWS = [
    ("none of ours, and the head is still the base: Helm never wrote", found(), Step.RUN),
    ("none of ours, and the base has hooks: none can have run", found(hooks=True), Step.RUN),
    ("none of ours, and the head moved: somebody else came", found(base_unchanged=False), Step.EXTERNAL_CHANGE),
    ("ours is deployed", found(own(Status.DEPLOYED)), Step.SUCCEEDED),
    (
        "ours was deployed, and was superseded since",
        found(own(Status.SUPERSEDED, seen_deployed=True, newest=False), base_unchanged=False),
        Step.SUCCEEDED,
    ),
    (
        "ours was deployed, and was uninstalled since",
        found(own(Status.UNINSTALLED, seen_deployed=True)),
        Step.SUCCEEDED,
    ),
    (
        "ours was deployed, and was purged since",
        found(own(Status.DEPLOYED, seen_deployed=True, stored=False), base_unchanged=False),
        Step.SUCCEEDED,
    ),
    ("ours is pending: a dead attempt", found(own(PENDING)), Step.REMOVE_AND_RUN),
    ("ours is pending, and a hook may have run", found(own(PENDING), hooks=True), Step.HOOK_MAY_HAVE_RUN),
    ("ours is pending, and somebody has gone on", found(own(PENDING, newest=False)), Step.OVERTAKEN),
    (
        "ours is pending, a hook may have run, and somebody has gone on",
        found(own(PENDING, newest=False), hooks=True),
        Step.OVERTAKEN,
    ),
    ("ours failed", found(own(Status.FAILED)), Step.FAILED),
    (
        "ours failed, and somebody has gone on",
        found(own(Status.FAILED, newest=False), base_unchanged=False),
        Step.FAILED,
    ),
    (
        "ours failed, and was superseded since",
        found(own(Status.SUPERSEDED, failure_told=True, newest=False), base_unchanged=False),
        Step.FAILED,
    ),
    ("ours failed, and was removed since", found(own(Status.FAILED, stored=False)), Step.FAILED),
    ("a failed one with our target may be ours", found(may_be_own=True), Step.OUTCOME_UNKNOWN),
    (
        "a failed one may be ours, and somebody went on",
        found(may_be_own=True, base_unchanged=False),
        Step.OUTCOME_UNKNOWN,
    ),
    ("one without a stamp is proved to be ours", found(may_be_own=True, proved_own=True), Step.ATTRIBUTE),
    (
        "one without a stamp is proved to be ours, and somebody went on",
        found(may_be_own=True, proved_own=True, base_unchanged=False),
        Step.ATTRIBUTE,
    ),
    ("ours was pending and was removed, nothing else happened", found(own(PENDING, stored=False)), Step.RUN),
    (
        "ours was removed; a hook may have run",
        found(own(PENDING, stored=False), hooks=True),
        Step.HOOK_MAY_HAVE_RUN,
    ),
    ("ours is gone, and the head moved", found(own(PENDING, stored=False), base_unchanged=False), Step.OUTCOME_UNKNOWN),
    ("ours is superseded, and was never seen deployed", found(own(Status.SUPERSEDED)), Step.OUTCOME_UNKNOWN),
    ("ours is uninstalled, and was never seen deployed", found(own(Status.UNINSTALLED)), Step.OUTCOME_UNKNOWN),
    ("ours can not be read", found(own(Status.UNKNOWN)), Step.OUTCOME_UNKNOWN),
]


@pytest.mark.parametrize(("evidence", "step"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_what_is_done_when(evidence: Evidence, step: Step) -> None:
    assert next_step(evidence) is step


EVERY_EVIDENCE = [
    found(record, base_unchanged=base, hooks=hooks, may_be_own=maybe, proved_own=proved)
    for base, hooks, maybe, proved in product([False, True], repeat=4)
    for record in [
        None,
        *(
            own(status, seen_deployed=seen, failure_told=told, stored=stored, newest=newest)
            for status in Status
            for seen, told, stored, newest in product([False, True], repeat=4)
        ),
    ]
]


def test_helm_is_never_started_once_a_hook_may_have_run_for_our_record() -> None:
    started = {Step.RUN, Step.REMOVE_AND_RUN}

    assert not [one for one in EVERY_EVIDENCE if one.own and one.hooks_may_have_run and next_step(one) in started]


def test_helm_is_never_started_on_a_base_that_changed() -> None:
    for evidence in EVERY_EVIDENCE:
        if next_step(evidence) is Step.RUN:
            assert evidence.base_unchanged


def test_a_record_is_removed_only_where_it_is_ours_pending_and_newest() -> None:
    for evidence in EVERY_EVIDENCE:
        if next_step(evidence) is Step.REMOVE_AND_RUN:
            record = evidence.own
            assert record is not None
            assert record.stored
            assert record.newest
            assert record.status.is_pending
            assert not record.seen_deployed


def test_what_was_seen_deployed_always_succeeded_and_nothing_else_did() -> None:
    for evidence in EVERY_EVIDENCE:
        deployed = evidence.own is not None and (evidence.own.seen_deployed or evidence.own.status is Status.DEPLOYED)
        assert (next_step(evidence) is Step.SUCCEEDED) == deployed


def test_a_record_is_attributed_once_only() -> None:
    for evidence in EVERY_EVIDENCE:
        if next_step(evidence) is Step.ATTRIBUTE:
            assert evidence.own is None
            assert evidence.proved_own

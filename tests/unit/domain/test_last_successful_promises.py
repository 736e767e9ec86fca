"""What holds of the choice in every history: it is explained, it needs meaning, and it never walks back blindly."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.revisions import deployed, failed, failed_rollback, rolled_back, superseded, unproven, worked

from helm_rollback.domain.errors import AlreadyRolledBack, CurrentIsSuccessful, NoSuccessfulRevision, SuccessUnproven
from helm_rollback.domain.last_successful import check_leaving_is_meant, choose
from helm_rollback.domain.revision import Mark, Revision
from helm_rollback.domain.selection import Selection, SkipReason
from helm_rollback.domain.status import Status

# --- leaving must be meant --------------------------------------------------------------

TO_BE_LEFT_FREELY: list[tuple[str, Revision]] = [
    ("it failed", failed(2)),
    ("it failed, and Helm turned it superseded", failed(2, status=Status.SUPERSEDED)),
    ("it worked and was uninstalled", worked(2, status=Status.UNINSTALLED)),
    ("it worked and is being uninstalled", worked(2, status=Status.UNINSTALLING)),
    ("it is a rollback that failed", failed_rollback(2, to=1, applied=True)),
    ("its records leave open if it worked", unproven(2)),
]


@pytest.mark.parametrize(
    "current", [case[1] for case in TO_BE_LEFT_FREELY], ids=[case[0] for case in TO_BE_LEFT_FREELY]
)
def test_current_may_be_left_blindly_if(current: Revision) -> None:
    check_leaving_is_meant(current)


REFUSED: list[tuple[str, Revision, type[Exception]]] = [
    ("an upgrade that is deployed", deployed(2), CurrentIsSuccessful),
    ("one that worked and was superseded", worked(2), CurrentIsSuccessful),
    ("one that failed after it had worked", worked(2, status=Status.FAILED), CurrentIsSuccessful),
    ("one marked GOOD", failed(2, mark=Mark.GOOD), CurrentIsSuccessful),
    ("a rollback", rolled_back(2, to=1), AlreadyRolledBack),
]


@pytest.mark.parametrize(("current", "refusal"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_a_successful_current_is_not_left_blindly(current: Revision, refusal: type[Exception]) -> None:
    with pytest.raises(refusal) as refused:
        check_leaving_is_meant(current)

    assert "expected_current_revision = 2" in str(refused.value)


# --- the selection explains itself ------------------------------------------------------


def test_the_newest_50_skipped_are_shown_newest_first_and_all_are_counted() -> None:
    history = [deployed(1), *(failed(number) for number in range(2, 73))]

    selection = choose(history, history[-1])

    assert [entry.revision for entry in selection.skipped] == list(range(72, 22, -1))
    assert selection.skipped_count == 71


def test_the_error_names_the_newest_20_skipped() -> None:
    history = [failed(number) for number in range(1, 31)]

    with pytest.raises(NoSuccessfulRevision) as refusal:
        choose(history, history[-1])

    entries = refusal.value.skipped.split(",")
    assert entries[:2] == ["30:CURRENT", "29:NOT_SUCCESSFUL"]
    assert [int(entry.split(":")[0]) for entry in entries] == list(range(30, 10, -1))
    assert refusal.value.current_revision == 30


def test_a_skipped_revision_tells_its_status_and_why_in_words() -> None:
    history = [worked(1), worked(2), failed(3), rolled_back(4, to=1, mark=Mark.BAD), failed(5)]

    told = {entry.revision: (entry.status, entry.explanation) for entry in choose(history, history[-1]).skipped}

    assert told == {
        5: (Status.FAILED, "the revision to leave"),
        4: (Status.DEPLOYED, "marked BAD"),
        3: (Status.FAILED, 'it never worked: Upgrade "shop" failed: no'),
        2: (Status.SUPERSEDED, "revision 4 rolled it back"),
    }


def test_an_explanation_names_the_rollback_that_left_the_revision() -> None:
    history = [worked(1), worked(2), failed_rollback(3, to=1, applied=False, description="")]

    told = {entry.revision: entry.explanation for entry in choose([*history, failed(4)], failed(4)).skipped}

    assert told[2] == "revision 3 rolled it back"
    assert told[3] == "it never worked: FAILED"


def test_an_explanation_keeps_one_line_of_a_long_error() -> None:
    history = [worked(1), failed(2, description="x" * 5000 + "\nsecond line"), failed(3)]

    explanation = choose(history, history[-1]).skipped[1].explanation

    assert len(explanation) < 300
    assert "\n" not in explanation


# --- whatever happened before -----------------------------------------------------------


def copied(target: Revision, *, as_number: int) -> Revision:
    """A rollback to `target`, with its content."""
    return replace(
        rolled_back(as_number, to=target.revision),
        chart_version=target.chart_version,
        values_digest=target.values_digest,
        manifest_digest=target.manifest_digest,
    )


@st.composite
def histories(draw: st.DrawFn) -> list[Revision]:
    """Any history of one life, in which rollbacks and old content come often."""
    made: list[Revision] = []
    for number in range(1, draw(st.integers(1, 12)) + 1):
        like = draw(st.sampled_from("ABC"))
        mark = draw(st.sampled_from([Mark.UNMARKED, Mark.UNMARKED, Mark.UNMARKED, Mark.GOOD, Mark.BAD]))
        target = draw(st.sampled_from(made)) if made else None
        kinds = [worked(number, like), failed(number, like), unproven(number, like)]
        if target is not None:
            kinds += [
                superseded(copied(target, as_number=number)),
                failed_rollback(number, to=target.revision, applied=draw(st.booleans())),
            ]
        made.append(replace(draw(st.sampled_from(kinds)), mark=mark))
    return made


def choice(history: list[Revision]) -> Selection | None:
    try:
        return choose(history, history[-1])
    except (NoSuccessfulRevision, SuccessUnproven):
        return None


@given(histories())
def test_only_an_older_revision_that_worked_and_is_not_bad_is_chosen(history: list[Revision]) -> None:
    selection = choice(history)
    if selection is None:
        return
    chosen = history[selection.revision - 1]

    assert chosen.revision < history[-1].revision
    assert chosen.successful or chosen.mark is Mark.GOOD
    assert chosen.mark is not Mark.BAD


@given(histories())
def test_what_a_rollback_left_is_never_chosen(history: list[Revision]) -> None:
    selection = choice(history)
    if selection is None:
        return

    for rollback in history:
        if rollback.rollback_target:
            base, completed = rollback.revision - 1, rollback.successful or rollback.apply_completed
            between = range(rollback.rollback_target + 1, rollback.revision)
            assert selection.revision != base or base == rollback.rollback_target
            assert not completed or selection.revision not in between


@given(histories())
def test_each_revision_newer_than_the_choice_is_explained_once(history: list[Revision]) -> None:
    selection = choice(history)
    if selection is None:
        return

    assert [entry.revision for entry in selection.skipped] == list(range(len(history), selection.revision, -1))
    assert all(entry.explanation for entry in selection.skipped)
    assert selection.skipped[0].skip_reason is SkipReason.CURRENT


@given(histories())
def test_a_blind_retry_after_a_rollback_is_refused(history: list[Revision]) -> None:
    selection = choice(history)
    if selection is None:
        return

    with pytest.raises(AlreadyRolledBack):
        check_leaving_is_meant(rolled_back(len(history) + 1, to=selection.revision))


@given(histories())
def test_one_who_insists_goes_further_back_each_time(history: list[Revision]) -> None:
    chosen: list[int] = []
    while (selection := choice(history)) is not None:
        chosen.append(selection.revision)
        history = [*history, copied(history[selection.revision - 1], as_number=len(history) + 1)]

    assert chosen == sorted(set(chosen), reverse=True)

"""Which revisions may have left objects behind, and whose objects are wanted."""

from __future__ import annotations

from typing import Any

from support.samples import NOON, a_revision, an_operation, operation_id

from helm_rollback.domain.leftovers import left_behind, wanting
from helm_rollback.domain.revision import Revision

BACK_TO_2 = an_operation(base_revision=5, target_revision=2)


def stored(number: int, **changes: Any) -> Revision:
    """A revision with a content of its own, unless it is told another."""
    return a_revision(number, **{"payload_digest": f"payload-{number}", **changes})


def like(other: Revision, number: int, **changes: Any) -> Revision:
    return stored(number, manifest_digest=other.manifest_digest, **changes)


def numbers(revisions: list[Revision]) -> list[int]:
    return [revision.revision for revision in revisions]


HISTORY = [stored(number) for number in range(1, 6)]
OWN = like(HISTORY[1], 6, operation_id=BACK_TO_2.operation_id)


def test_what_lies_between_target_and_base_may_have_left_something() -> None:
    assert numbers(left_behind([*HISTORY, OWN], BACK_TO_2)) == [5, 4, 3]
    assert numbers(wanting([*HISTORY, OWN], BACK_TO_2)) == [2]


def test_one_of_each_content_is_enough() -> None:
    history = [*HISTORY[:3], like(HISTORY[2], 4), HISTORY[4]]

    assert numbers(left_behind(history, BACK_TO_2)) == [5, 3]


def test_what_has_the_targets_content_left_nothing() -> None:
    history = [*HISTORY[:3], like(HISTORY[1], 4), HISTORY[4]]

    assert numbers(left_behind(history, BACK_TO_2)) == [5, 3]


def test_a_replaced_revision_may_have_left_something() -> None:
    replaced = stored(5, manifest_digest="other", replaced_time=NOON)

    assert numbers(left_behind([*HISTORY[:4], replaced, HISTORY[4]], BACK_TO_2)) == [5, 5, 4, 3]


def test_what_others_made_since_is_wanted() -> None:
    foreign = stored(7, operation_id=operation_id(9))
    gone = like(HISTORY[3], 6, replaced_time=NOON)

    assert numbers(wanting([*HISTORY, gone, OWN, foreign], BACK_TO_2)) == [2, 7]
    assert numbers(left_behind([*HISTORY, OWN, like(HISTORY[4], 7)], BACK_TO_2)) == [4, 3]


def test_without_the_targets_content_nothing_can_be_told() -> None:
    unreadable = stored(2, payload_digest="", manifest_digest="")

    assert left_behind([HISTORY[0], unreadable, *HISTORY[2:]], BACK_TO_2) == []


def test_what_can_not_be_read_is_left_out() -> None:
    unreadable = stored(4, payload_digest="", manifest_digest="")

    assert numbers(left_behind([*HISTORY[:3], unreadable, HISTORY[4]], BACK_TO_2)) == [5, 3]


def test_the_same_revision_again_undoes_nothing() -> None:
    again = an_operation(base_revision=5, target_revision=5)

    assert left_behind(HISTORY, again) == []

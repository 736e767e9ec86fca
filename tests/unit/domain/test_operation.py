"""Operations: their states, and the stamp by which their record is known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.samples import an_operation, operation_id

from helm_rollback.domain.operation import OperationState, stamp, stamped_operation

ID = operation_id(1)


def test_the_states_that_end_an_operation_are_terminal() -> None:
    terminal = {state for state in OperationState if state.is_terminal}

    assert terminal == {OperationState.SUCCEEDED, OperationState.FAILED, OperationState.CANCELLED}


def test_the_stamp_bears_operation_target_and_reason() -> None:
    assert an_operation(1, target_revision=3, reason="bad deploy").stamp == f"[{ID}] Rollback to 3: bad deploy"


def test_the_stamp_without_reason_ends_with_the_target() -> None:
    assert an_operation(1, target_revision=3).stamp == f"[{ID}] Rollback to 3"


def test_the_reason_is_cut_where_helm_allows_no_more() -> None:
    cut = stamp(ID, f"Rollback to {2**31 - 1}", "ä" * 300)

    assert len(cut) == 256
    assert cut.startswith(f"[{ID}] Rollback to 2147483647: ää")


def test_a_reason_that_just_fits_is_kept_whole() -> None:
    room = 256 - len(f"[{ID}] Rollback to 1: ")

    assert stamp(ID, "Rollback to 1", "x" * (room - 1) + "!").endswith("!")
    assert len(stamp(ID, "Rollback to 1", "x" * room)) == 256


def test_helm_counts_characters_not_bytes() -> None:
    room = 256 - len(f"[{ID}] Rollback to 1: ")

    assert stamp(ID, "Rollback to 1", "🙂" * room).endswith("🙂" * room)


@given(st.uuids(), st.integers(1, 2**31 - 1), st.text(max_size=200))
def test_every_stamp_tells_its_operation(uuid: object, target: int, reason: str) -> None:
    assert stamped_operation(stamp(str(uuid), f"Rollback to {target}", reason)) == str(uuid)


NO_STAMPS = [
    ("nothing", ""),
    ("Helm's own text", "Rollback to 1"),
    ("a ticket", "[SHOP-1] Rollback to 1"),
    ("a stamp that does not stand at the start", f" [{ID}] Rollback to 1"),
    ("an id without brackets", f"{ID} Rollback to 1"),
    ("an id in other brackets", f"({ID}] Rollback to 1"),
    ("an id that does not end", f"[{ID} Rollback to 1"),
    ("an id too long", f"[{ID}0] Rollback to 1"),
    ("an opening bracket alone", "["),
]


@pytest.mark.parametrize("text", [case[1] for case in NO_STAMPS], ids=[case[0] for case in NO_STAMPS])
def test_no_operation_is_read_from(text: str) -> None:
    assert stamped_operation(text) == ""

"""Violations: the good values go through, and all that is bad is told at once."""

from __future__ import annotations

import pytest

from helm_rollback.domain.errors import InvalidField, InvalidFields
from helm_rollback.domain.violations import Violations


def bad(field: str) -> int:
    raise InvalidField(field, "is bad")


def test_nothing_wrong_is_no_error() -> None:
    found = Violations()

    assert found.take(lambda: 1, 0) == 1
    assert found.finish(lambda: 2) == 2
    assert not found


def test_one_violation_is_raised_as_it_is() -> None:
    found = Violations()

    assert found.take(lambda: bad("a"), 7) == 7
    assert found
    with pytest.raises(InvalidField, match="a: is bad"):
        found.finish(lambda: 1)


def test_several_are_raised_together_also_those_of_a_part() -> None:
    def part() -> int:
        inner = Violations()
        inner.add("b", "is bad")
        inner.add("c", "is bad")
        inner.check()
        return 1

    found = Violations()
    found.take(lambda: bad("a"), 0)
    found.take(part, 0)
    with pytest.raises(InvalidFields) as refusal:
        found.finish(lambda: bad("d"))

    assert [violation.field for violation in refusal.value.violations] == ["a", "b", "c", "d"]

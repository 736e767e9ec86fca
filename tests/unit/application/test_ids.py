"""Ids of operations: valid UUIDv7s that sort in the order in which they were given."""

from datetime import UTC, datetime, timedelta
from uuid import RFC_4122, UUID

from helm_rollback.application.ids import OperationIds

NOON = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


def test_an_id_is_a_uuid_of_version_7_that_tells_its_time() -> None:
    made = UUID(OperationIds(random_bits=lambda _: 0)(NOON))

    assert (made.version, made.variant) == (7, RFC_4122)
    assert made.int >> 80 == int(NOON.timestamp()) * 1000


def test_ids_of_one_millisecond_sort_as_they_were_given() -> None:
    randomness = iter([2**74 - 1, 5, 0, 2**73])
    give = OperationIds(random_bits=lambda _: next(randomness))
    given = [give(NOON) for _ in range(4)]

    assert given == sorted(set(given))
    assert {UUID(made).version for made in given} == {7}


def test_a_clock_that_is_set_back_does_not_turn_the_order() -> None:
    give = OperationIds(random_bits=lambda _: 1)

    assert give(NOON) < give(NOON - timedelta(minutes=1))


def test_a_clock_that_was_set_back_between_two_processes_does_not_turn_the_order_either() -> None:
    before = OperationIds(random_bits=lambda _: 2**73 + 7)(NOON)
    give = OperationIds(random_bits=lambda _: 1, above=before)

    given = [before, give(NOON - timedelta(hours=1)), give(NOON - timedelta(hours=1)), give(NOON + timedelta(hours=1))]

    assert given == sorted(set(given))
    assert UUID(given[1]).int - UUID(before).int == 1

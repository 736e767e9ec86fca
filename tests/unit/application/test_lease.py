"""A lease on an operation, by a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

import pytest
from support.samples import operation_id

from helm_rollback.application.lease import Lease
from helm_rollback.application.ports import Ledger
from helm_rollback.domain.errors import StoreUnavailable

ID = operation_id(1)
OWNER = "worker"
TERM = timedelta(seconds=30)


class Seconds:
    """A monotonic clock in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Renewals:
    """A ledger that answers renewals as it is told, one after another, and takes its time."""

    def __init__(
        self,
        *answers: bool | Exception,
        clock: Seconds | None = None,
        takes: float = 0,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> None:
        self._answers = list(answers)
        self._meanwhile = meanwhile
        self._clock, self._takes = clock, takes
        self.asked: list[tuple[str, str, int, timedelta]] = []

    async def write(self, body: Callable[[Any], bool]) -> bool:
        return body(self)

    def renew(self, operation: str, *, owner: str, token: int, lease: timedelta) -> bool:
        self.asked.append((operation, owner, token, lease))
        self._meanwhile()
        if self._clock is not None:
            self._clock.now += self._takes
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def port(self) -> Ledger:
        return cast(Ledger, self)


@pytest.fixture
def clock() -> Seconds:
    return Seconds()


def lease(clock: Seconds, *, term: timedelta = TERM) -> Lease:
    return Lease(ID, owner=OWNER, token=7, term=term, since=clock.now, clock=clock)


def test_a_lease_holds_until_its_term_is_over() -> None:
    clock = Seconds()
    held = lease(clock)

    assert held.holds()
    clock.now += 29.999
    assert held.holds()
    clock.now += 0.001
    assert not held.holds()


def test_a_lease_tells_for_how_long_a_write_may_be_under_way() -> None:
    clock = Seconds()
    held = lease(clock)
    clock.now += 20

    assert held.seconds_left() == 10
    clock.now += 11
    assert held.seconds_left() == 0


def test_a_lease_counts_from_before_the_ledger_was_asked() -> None:
    """A process that is paused between the answer and its first look has not gained the pause."""
    clock = Seconds()
    asked = clock.now
    clock.now += 31

    assert not Lease(ID, owner=OWNER, token=7, term=TERM, since=asked, clock=clock).holds()


def test_helm_is_started_only_with_two_fifths_of_the_lease_left() -> None:
    clock = Seconds()
    held = lease(clock)

    assert held.suffices_to_start()
    clock.now += 18
    assert held.suffices_to_start()
    clock.now += 0.001
    assert not held.suffices_to_start()
    assert held.holds()


async def test_renewing_asks_for_this_claim_and_begins_the_term_anew() -> None:
    clock = Seconds()
    held, ledger = lease(clock), Renewals(True)
    clock.now += 20

    assert await held.renew(ledger.port)
    clock.now += 29
    assert held.holds()
    assert ledger.asked == [(ID, OWNER, 7, TERM)]


async def test_a_renewal_counts_from_before_it_was_asked() -> None:
    clock = Seconds()
    held = lease(clock)

    await held.renew(Renewals(True, clock=clock, takes=25).port)

    clock.now += 5
    assert not held.holds()


async def test_a_renewal_that_comes_too_late_holds_again_where_nobody_took_over() -> None:
    clock = Seconds()
    held = lease(clock)
    clock.now += 31

    assert await held.renew(Renewals(True).port)
    assert held.holds()


async def test_a_lease_that_was_asked_when_it_was_over_never_holds_again() -> None:
    """Who asked has refused Helm's write, which must not be told as Helm's failure after a renewal."""
    clock = Seconds()
    held, ledger = lease(clock), Renewals(True)
    clock.now += 31
    assert not held.holds()

    assert not await held.renew(ledger.port)
    assert not held.holds()
    assert not held.suffices_to_start()
    assert ledger.asked == [], "and the ledger's runs out, for the next claim"


async def test_a_lease_that_was_asked_while_a_late_renewal_was_under_way_is_over() -> None:
    clock = Seconds()
    held = lease(clock)
    clock.now += 31

    assert not await held.renew(Renewals(True, meanwhile=held.holds).port)
    assert not held.holds()


async def test_a_lease_that_somebody_else_has_taken_is_not_prolonged() -> None:
    clock = Seconds()
    held = lease(clock)
    clock.now += 20

    assert not await held.renew(Renewals(False).port)

    assert not held.holds(), "though ten seconds are left of it"
    assert not held.suffices_to_start()


async def test_a_ledger_that_is_away_neither_prolongs_nor_ends_a_lease() -> None:
    clock = Seconds()
    held = lease(clock)
    clock.now += 20

    assert await held.renew(Renewals(StoreUnavailable("locked")).port)
    assert held.holds()
    clock.now += 10
    assert not held.holds()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch, clock: Seconds) -> list[float]:
    """How long is slept; the clock goes on by it."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock.now += seconds

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return slept


async def test_a_lease_is_kept_until_somebody_else_has_taken_it(clock: Seconds, pauses: list[float]) -> None:
    ledger = Renewals(True, True, False)

    await lease(clock).keep(ledger.port)

    assert pauses == [10, 10, 10]


async def test_while_the_ledger_is_away_a_lease_is_renewed_as_soon_as_it_is_back(
    clock: Seconds, pauses: list[float]
) -> None:
    """Else an outage at the time of one renewal could take the lease though it was over long before its end."""
    away = StoreUnavailable("the server restarts")
    ledger = Renewals(True, away, away, True, False)

    await lease(clock).keep(ledger.port)

    assert pauses == [10, 10, 1, 1, 10]


async def test_a_short_lease_is_tried_for_more_often(clock: Seconds, pauses: list[float]) -> None:
    ledger = Renewals(StoreUnavailable("the server restarts"), True, False)

    await lease(clock, term=timedelta(seconds=3)).keep(ledger.port)

    assert pauses == pytest.approx([1, 0.3, 1])

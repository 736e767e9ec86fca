"""Claims: one worker an operation, for a time, with a token that tells the newest."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from support.samples import NOON, SHOP, Clock, a_release, an_operation, finished, operation_id

from helm_rollback.application.ports import Claim, Ledger, LedgerTransaction
from helm_rollback.domain.operation import OperationState
from helm_rollback.domain.release import ReleaseId

LEASE = timedelta(seconds=30)
GRACE = timedelta(seconds=2)
OVER = LEASE + GRACE
"""After that a lease which nobody renewed is another's."""
SECOND = timedelta(seconds=1)


def release_number(number: int) -> ReleaseId:
    return ReleaseId("default", "prod", f"shop-{number}")


async def accept(ledger: Ledger, *numbers: int) -> None:
    """One PENDING operation each, of releases of their own."""

    def body(tx: LedgerTransaction) -> None:
        for number in numbers:
            tx.add_release(a_release(release_number(number)))
            tx.add_operation(an_operation(number, release_number(number)))

    await ledger.write(body)


async def claim(ledger: Ledger, owner: str = "worker", limit: int = 10) -> list[Claim]:
    return await ledger.write(lambda tx: tx.claim(owner=owner, lease=LEASE, grace=GRACE, limit=limit))


def numbers(claims: list[Claim]) -> list[int]:
    return [int(claim.operation.operation_id[-2:], 16) for claim in claims]


async def holds(ledger: Ledger, number: int, token: int) -> bool:
    return await ledger.write(lambda tx: tx.holds(operation_id(number), token=token))


async def renew(ledger: Ledger, number: int, token: int) -> bool:
    return await ledger.write(lambda tx: tx.renew(operation_id(number), token=token, lease=LEASE))


async def test_what_the_caller_still_carries_out_is_not_free_when_its_lease_has_run_out(
    ledger: Ledger, clock: Clock
) -> None:
    await accept(ledger, 1, 2)
    await claim(ledger)
    clock.move(OVER)

    def others(tx: LedgerTransaction) -> list[Claim]:
        return tx.claim(owner="worker", lease=LEASE, grace=GRACE, limit=10, besides=[operation_id(1)])

    assert numbers(await ledger.write(others)) == [2]
    assert numbers(await claim(ledger)) == [1]


async def test_the_oldest_are_claimed_first_and_no_more_than_asked_for(ledger: Ledger) -> None:
    await accept(ledger, 4, 2, 3, 1)

    assert numbers(await claim(ledger, limit=3)) == [1, 2, 3]
    assert numbers(await claim(ledger, limit=3)) == [4]
    assert numbers(await claim(ledger, limit=3)) == []


async def test_a_claim_shows_the_operation_as_it_is(ledger: Ledger) -> None:
    await accept(ledger, 1)

    [taken] = await claim(ledger)

    assert taken == Claim(operation=an_operation(1, release_number(1)), token=1, last_held=None)
    assert await ledger.read(lambda view: view.operation(operation_id(1))) == taken.operation


async def test_a_claimed_operation_is_nobody_elses(ledger: Ledger) -> None:
    await accept(ledger, *range(1, 21))

    taken = await asyncio.gather(*(claim(ledger, f"worker {number}", limit=3) for number in range(10)))

    assert sorted(number for claims in taken for number in numbers(claims)) == list(range(1, 21))


async def test_a_lease_is_another_s_after_its_grace_and_not_before(ledger: Ledger, clock: Clock) -> None:
    """What its holder sent while it held is given that time to arrive."""
    await accept(ledger, 1)
    await claim(ledger)

    clock.move(OVER - timedelta(microseconds=1))
    assert await claim(ledger, "other") == []

    clock.move(timedelta(microseconds=1))
    [taken] = await claim(ledger, "other")
    assert (taken.token, taken.last_held) == (2, NOON + LEASE)


async def test_a_running_operation_is_claimed_when_its_lease_ran_out(ledger: Ledger, clock: Clock) -> None:
    await accept(ledger, 1)
    await claim(ledger)
    running = an_operation(1, release_number(1), state=OperationState.RUNNING, attempt=1)
    await ledger.write(lambda tx: tx.update_operation(running))
    clock.move(OVER)

    assert [taken.operation for taken in await claim(ledger, "other")] == [running]


async def test_a_renewed_lease_counts_from_the_renewal(ledger: Ledger, clock: Clock) -> None:
    await accept(ledger, 1)
    await claim(ledger)
    clock.move(LEASE - SECOND)
    assert await renew(ledger, 1, token=1)

    clock.move(OVER - SECOND)
    assert await claim(ledger, "other") == []

    clock.move(SECOND)
    [taken] = await claim(ledger, "other")
    assert taken.last_held == NOON + 2 * LEASE - SECOND


async def test_a_lease_that_ran_out_untaken_can_be_renewed(ledger: Ledger, clock: Clock) -> None:
    await accept(ledger, 1)
    await claim(ledger)
    clock.move(2 * LEASE)

    assert await holds(ledger, 1, token=1)
    assert await renew(ledger, 1, token=1)
    assert await claim(ledger, "other") == []


async def test_a_claim_that_was_given_back_is_another_s_at_once(ledger: Ledger) -> None:
    """Whoever gives it back has nothing under way."""
    await accept(ledger, 1)
    await claim(ledger)

    await ledger.write(lambda tx: tx.give_back(operation_id(1), token=1))

    [taken] = await claim(ledger, "other")
    assert (taken.token, taken.last_held) == (2, NOON + LEASE)


async def test_who_was_overtaken_gives_nothing_back(ledger: Ledger, clock: Clock) -> None:
    await accept(ledger, 1)
    await claim(ledger)
    clock.move(OVER)
    await claim(ledger, "other")

    await ledger.write(lambda tx: tx.give_back(operation_id(1), token=1))

    assert await holds(ledger, 1, token=2)
    assert await claim(ledger, "third") == []


async def test_who_was_overtaken_holds_nothing_and_renews_nothing(ledger: Ledger, clock: Clock) -> None:
    await accept(ledger, 1)
    await claim(ledger)
    clock.move(OVER)
    await claim(ledger, "other")

    assert [await holds(ledger, 1, token=1), await renew(ledger, 1, token=1)] == [False, False]
    assert [await holds(ledger, 1, token=2), await renew(ledger, 1, token=2)] == [True, True]


async def test_nobody_holds_what_nobody_claimed(ledger: Ledger) -> None:
    await accept(ledger, 1)

    assert not await holds(ledger, 1, token=0)
    assert not await renew(ledger, 1, token=0)
    assert not await holds(ledger, 2, token=1)


@pytest.mark.parametrize("state", [state for state in OperationState if state.is_terminal])
async def test_what_is_over_is_claimed_held_and_renewed_by_nobody(
    ledger: Ledger, clock: Clock, state: OperationState
) -> None:
    await accept(ledger, 1)
    await claim(ledger)
    await ledger.write(lambda tx: tx.update_operation(finished(an_operation(1, release_number(1)), state)))

    assert not await holds(ledger, 1, token=1)
    assert not await renew(ledger, 1, token=1)
    clock.move(2 * LEASE)
    assert await claim(ledger, "other") == []


async def test_a_change_of_the_operation_leaves_its_lease_alone(ledger: Ledger) -> None:
    await accept(ledger, 1)
    await claim(ledger)
    await ledger.write(lambda tx: tx.update_operation(an_operation(1, release_number(1), state=OperationState.RUNNING)))

    assert await holds(ledger, 1, token=1)
    assert await claim(ledger, "other") == []


async def test_an_undone_claim_was_never_made(ledger: Ledger) -> None:
    await accept(ledger, 1)

    def undone(tx: LedgerTransaction) -> None:
        assert tx.claim(owner="worker", lease=LEASE, grace=GRACE, limit=1)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await ledger.write(undone)

    assert [taken.token for taken in await claim(ledger)] == [1]


async def test_a_claim_needs_no_release_of_that_name_to_be_idle(ledger: Ledger) -> None:
    """History of the same release is no hindrance."""
    await ledger.write(lambda tx: tx.add_release(a_release(SHOP)))
    await ledger.write(lambda tx: tx.add_operation(finished(an_operation(1))))
    await ledger.write(lambda tx: tx.add_operation(an_operation(2)))

    assert numbers(await claim(ledger)) == [2]

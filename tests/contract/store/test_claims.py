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


async def holds(ledger: Ledger, number: int, token: int, owner: str = "worker") -> bool:
    return await ledger.write(lambda tx: tx.holds(operation_id(number), owner=owner, token=token))


async def renew(ledger: Ledger, number: int, token: int, owner: str = "worker") -> bool:
    return await ledger.write(lambda tx: tx.renew(operation_id(number), owner=owner, token=token, lease=LEASE))


async def give_back(ledger: Ledger, number: int, token: int, owner: str = "worker") -> None:
    await ledger.write(lambda tx: tx.give_back(operation_id(number), owner=owner, token=token))


async def start_helm(ledger: Ledger, number: int, attempt: int = 1) -> None:
    """Count an attempt, as whoever holds the claim does before Helm is started."""
    running = an_operation(number, release_number(number), state=OperationState.RUNNING, attempt=attempt)
    await ledger.write(lambda tx: tx.update_operation(running))


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


async def test_what_is_of_a_cluster_that_is_left_out_is_not_claimed(ledger: Ledger) -> None:
    await accept(ledger, 1)
    east = ReleaseId("east", "prod", "shop")
    await ledger.write(lambda tx: tx.add_release(a_release(east)))
    await ledger.write(lambda tx: tx.add_operation(an_operation(2, east)))

    def others(tx: LedgerTransaction) -> list[Claim]:
        return tx.claim(owner="worker", lease=LEASE, grace=GRACE, limit=10, besides_clusters=["default", "west"])

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

    assert taken == Claim(operation=an_operation(1, release_number(1)), token=1, helm_until=None)
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
    assert taken.token == 2


async def test_a_running_operation_is_claimed_when_its_lease_ran_out(ledger: Ledger, clock: Clock) -> None:
    await accept(ledger, 1)
    await claim(ledger)
    await start_helm(ledger, 1)
    clock.move(OVER)

    [taken] = await claim(ledger, "other")
    assert (taken.operation.state, taken.operation.attempt) == (OperationState.RUNNING, 1)


# --- until when a Helm may have written ------------------------------------------------


async def test_a_claim_tells_until_when_the_one_before_could_let_its_helm_write(ledger: Ledger, clock: Clock) -> None:
    await accept(ledger, 1)
    await claim(ledger)
    await start_helm(ledger, 1)
    clock.move(LEASE - SECOND)
    assert await renew(ledger, 1, token=1)
    clock.move(OVER)

    [taken] = await claim(ledger, "other")

    assert taken.helm_until == NOON + 2 * LEASE - SECOND


async def test_claims_under_which_no_helm_was_started_leave_that_as_it_was(ledger: Ledger, clock: Clock) -> None:
    """Their workers died, or gave up, while they only looked: in an outage of the cluster that goes on for days."""
    await accept(ledger, 1)
    await claim(ledger)
    await start_helm(ledger, 1)
    for token in (2, 3):
        clock.move(OVER)
        [taken] = await claim(ledger)
        assert (taken.token, taken.helm_until) == (token, NOON + LEASE)
    await give_back(ledger, 1, token=3)

    [taken] = await claim(ledger, "other")

    assert (taken.token, taken.helm_until) == (4, NOON + LEASE)


async def test_a_further_attempt_moves_it_again(ledger: Ledger, clock: Clock) -> None:
    await accept(ledger, 1)
    await claim(ledger)
    await start_helm(ledger, 1)
    clock.move(OVER)
    await claim(ledger)
    await start_helm(ledger, 1, attempt=2)
    clock.move(OVER)

    [taken] = await claim(ledger)

    assert taken.helm_until == NOON + OVER + LEASE


async def test_before_helm_was_ever_started_there_is_no_such_time(ledger: Ledger, clock: Clock) -> None:
    await accept(ledger, 1)
    for _ in range(3):
        [taken] = await claim(ledger)
        assert taken.helm_until is None
        clock.move(OVER)


# --- whose it is -----------------------------------------------------------------------


async def test_a_renewed_lease_counts_from_the_renewal(ledger: Ledger, clock: Clock) -> None:
    await accept(ledger, 1)
    await claim(ledger)
    clock.move(LEASE - SECOND)
    assert await renew(ledger, 1, token=1)

    clock.move(OVER - SECOND)
    assert await claim(ledger, "other") == []

    clock.move(SECOND)
    assert len(await claim(ledger, "other")) == 1


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

    await give_back(ledger, 1, token=1)

    [taken] = await claim(ledger, "other")
    assert taken.token == 2


async def test_who_was_overtaken_gives_nothing_back(ledger: Ledger, clock: Clock) -> None:
    await accept(ledger, 1)
    await claim(ledger)
    clock.move(OVER)
    await claim(ledger, "other")

    await give_back(ledger, 1, token=1)

    assert await holds(ledger, 1, token=2, owner="other")
    assert await claim(ledger, "third") == []


async def test_who_was_overtaken_holds_nothing_and_renews_nothing(ledger: Ledger, clock: Clock) -> None:
    await accept(ledger, 1)
    await claim(ledger)
    clock.move(OVER)
    await claim(ledger, "other")

    assert [await holds(ledger, 1, token=1), await renew(ledger, 1, token=1)] == [False, False]
    assert [await holds(ledger, 1, 2, "other"), await renew(ledger, 1, 2, "other")] == [True, True]


async def test_a_token_that_was_given_twice_is_only_the_owner_s_who_is_in_the_ledger(ledger: Ledger) -> None:
    """As after a fail-over to a database that had not got the newest claim."""
    await accept(ledger, 1)
    await claim(ledger, "other")

    assert [await holds(ledger, 1, 1, "worker"), await renew(ledger, 1, 1, "worker")] == [False, False]
    await give_back(ledger, 1, 1, "worker")
    assert await holds(ledger, 1, 1, "other")


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

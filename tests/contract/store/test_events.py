"""Events: gap-free, in order, never changed, whatever else happens at once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from support.samples import BLOG, NOON, SHOP, Clock, a_release, a_transition, an_operation, finished

from helm_rollback.application.ports import Ledger, LedgerTransaction
from helm_rollback.domain.helm_options import HelmOptions, ServerSideApply, WaitStrategy
from helm_rollback.domain.history import Change, HistoryEvent, MarkChange, OperationTransition, RecordRemoval
from helm_rollback.domain.operation import (
    Applied,
    Failure,
    FailureReason,
    LeftoverObject,
    OperationState,
    OutcomeEvidence,
)
from helm_rollback.domain.revision import Mark
from helm_rollback.domain.selection import Evidence, Selection, SkippedRevision, SkipReason
from helm_rollback.domain.status import Status
from helm_rollback.store import LedgerRuleBroken

FULL_OPERATION = finished(
    an_operation(
        7,
        reason="the new one is slow – “back” 🙂",
        request_id="9b0f63c2-6f0e-4b8a-8df0-3f6a2c1d0e5f",
        request_digest="ab" * 32,
        start_time=NOON + timedelta(microseconds=1),
        attempt=2,
        selection=Selection(
            revision=1,
            success_evidence=Evidence.LEDGER,
            skipped=(
                SkippedRevision(
                    revision=2,
                    status=Status.FAILED,
                    skip_reason=SkipReason.NOT_SUCCESSFUL,
                    explanation="it never worked",
                ),
            ),
            skipped_count=9,
        ),
        helm_options=HelmOptions(
            timeout=timedelta(seconds=90, milliseconds=1),
            wait_strategy=WaitStrategy.LEGACY,
            force_conflicts=True,
            server_side_apply=ServerSideApply.ENABLED,
        ),
        start_sequence=41,
        actor="alice",
        actor_verified=True,
        cancel_requested=True,
    ),
    OperationState.FAILED,
    result_revision=3,
    outcome_evidence=OutcomeEvidence.RECONSTRUCTED,
    failure=Failure(
        reason=FailureReason.HOOK_FAILED, message="a hook failed", applied=Applied.PARTLY, helm_output="Error: …\n"
    ),
    leftover_objects=(LeftoverObject(api_version="v1", kind="ConfigMap", namespace="prod", name="old"),),
)

CHANGES: list[Change] = [
    a_transition(3, Status.PENDING_ROLLBACK, from_status=Status.FAILED, operation_type=None, rollback_target=1),
    OperationTransition(operation=an_operation()),
    OperationTransition(operation=FULL_OPERATION),
    RecordRemoval(incarnation=2, revision=5),
    MarkChange(incarnation=1, revision=4, mark=Mark.BAD, actor="bob", reason="broke\tthe till"),
]


@pytest.fixture
async def shop(ledger: Ledger) -> Ledger:
    await ledger.write(lambda tx: tx.add_release(a_release()))
    return ledger


async def history(ledger: Ledger, *, after: int = 0, limit: int = 1000) -> list[HistoryEvent]:
    return await ledger.read(lambda view: view.events(SHOP, after=after, limit=limit))


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: type(change).__name__)
async def test_every_kind_of_change_is_read_as_it_was_written(shop: Ledger, change: Change) -> None:
    written = await shop.write(lambda tx: tx.append(SHOP, change))

    assert await history(shop) == [written]
    assert written == HistoryEvent(release_id=SHOP, sequence=1, time=NOON, change=change)


async def test_sequences_have_no_gap_when_many_write_at_once_and_some_fail(shop: Ledger) -> None:
    async def write(number: int) -> None:
        def body(tx: LedgerTransaction) -> None:
            tx.append(SHOP, a_transition(number))
            if number % 3 == 0:
                raise RuntimeError
            tx.append(SHOP, a_transition(number))

        await shop.write(body)

    outcomes = await asyncio.gather(*(write(number) for number in range(1, 61)), return_exceptions=True)

    assert sum(isinstance(outcome, RuntimeError) for outcome in outcomes) == 20
    assert [event.sequence for event in await history(shop)] == list(range(1, 81))


async def test_two_events_of_one_transaction_stand_together(shop: Ledger) -> None:
    async def write(number: int) -> None:
        def body(tx: LedgerTransaction) -> None:
            tx.append(SHOP, RecordRemoval(incarnation=1, revision=number))
            tx.append(SHOP, RecordRemoval(incarnation=2, revision=number))

        await shop.write(body)

    await asyncio.gather(*(write(number) for number in range(1, 30)))

    removals = [event.change for event in await history(shop)]
    for first, second in zip(removals[::2], removals[1::2], strict=True):
        assert isinstance(first, RecordRemoval)
        assert isinstance(second, RecordRemoval)
        assert (first.incarnation, second.incarnation) == (1, 2)
        assert first.revision == second.revision


async def test_each_release_counts_for_itself(shop: Ledger) -> None:
    def both(tx: LedgerTransaction) -> list[int]:
        tx.add_release(a_release(BLOG))
        return [tx.append(release, a_transition()).sequence for release in (SHOP, SHOP, BLOG)]

    assert await shop.write(both) == [1, 2, 1]
    assert await shop.read(
        lambda view: [view.releases(limit=5)[0].last_sequence, len(view.events(BLOG, after=0, limit=5))]
    ) == [1, 1]


async def test_time_never_falls_within_a_release_though_the_clock_is_set_back(shop: Ledger, clock: Clock) -> None:
    times = []
    for minutes in (0, 5, -60, 30, 40):
        clock.move(timedelta(minutes=minutes))
        times.append((await shop.write(lambda tx: tx.append(SHOP, a_transition()))).time)

    after = [NOON + timedelta(minutes=minutes) for minutes in (0, 5, 5, 5, 15)]
    assert times == after
    assert [event.time for event in await history(shop)] == after


async def test_a_page_begins_after_the_named_event_and_has_no_more_than_asked_for(shop: Ledger) -> None:
    for number in range(1, 6):
        await shop.write(lambda tx, number=number: tx.append(SHOP, a_transition(number)))  # type: ignore[misc]

    assert [event.sequence for event in await history(shop, after=2, limit=2)] == [3, 4]
    assert [event.sequence for event in await history(shop, after=4)] == [5]
    assert await history(shop, after=5) == []


async def test_the_release_tells_its_last_sequence_and_an_update_of_it_does_not_turn_that_back(shop: Ledger) -> None:
    release = await shop.read(lambda view: view.release(SHOP))
    assert release is not None

    def append_then_project(tx: LedgerTransaction) -> None:
        tx.append(SHOP, a_transition())
        tx.update_release(replace(release, current_revision=2))

    await shop.write(append_then_project)

    after = await shop.read(lambda view: view.release(SHOP))
    assert after is not None
    assert (after.last_sequence, after.current_revision) == (1, 2)


async def test_an_event_of_an_unknown_release_is_refused(shop: Ledger) -> None:
    with pytest.raises(LedgerRuleBroken, match=r"default\.prod\.blog"):
        await shop.write(lambda tx: tx.append(BLOG, a_transition()))

"""Operations: one live one a release, one a request id, and what is over stays as it is."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from support.samples import BLOG, NOON, SHOP, a_release, an_operation, finished, operation_id

from helm_rollback.application.ports import HelmProcess, Ledger, LedgerTransaction
from helm_rollback.domain.errors import OperationInProgress, RequestIdReused
from helm_rollback.domain.helm_options import HelmOptions
from helm_rollback.domain.operation import Operation, OperationState, OperationType
from helm_rollback.domain.status import Status
from helm_rollback.store import LedgerRuleBroken

from .test_events import FULL_OPERATION

HOUR = timedelta(hours=1)


@pytest.fixture
async def shop(ledger: Ledger) -> Ledger:
    def add(tx: LedgerTransaction) -> None:
        tx.add_release(a_release(SHOP))
        tx.add_release(a_release(BLOG))

    await ledger.write(add)
    return ledger


async def add(ledger: Ledger, *operations: Operation) -> None:
    def body(tx: LedgerTransaction) -> None:
        for operation in operations:
            tx.add_operation(operation)

    await ledger.write(body)


@pytest.mark.parametrize("operation", [an_operation(), FULL_OPERATION], ids=["bare", "full"])
async def test_an_operation_is_read_as_it_was_added(shop: Ledger, operation: Operation) -> None:
    await add(shop, operation)

    assert await shop.read(lambda view: view.operation(operation.operation_id)) == operation


async def test_an_operation_goes_forward_to_its_end(shop: Ledger) -> None:
    pending = replace(FULL_OPERATION, state=OperationState.PENDING, end_time=None, failure=None, leftover_objects=())
    running = replace(pending, state=OperationState.RUNNING, attempt=3)
    await add(shop, pending)
    for after in (running, replace(FULL_OPERATION, attempt=3)):
        await shop.write(lambda tx, after=after: tx.update_operation(after))  # type: ignore[misc]

        assert await shop.read(lambda view: view.operation(pending.operation_id)) == after


async def test_a_second_live_operation_of_a_release_is_refused_with_the_first_ones_id(shop: Ledger) -> None:
    await add(shop, an_operation(1))
    with pytest.raises(OperationInProgress) as refused:
        await add(shop, an_operation(2))

    assert (refused.value.release_id, refused.value.operation_id) == (SHOP, operation_id(1))
    await add(shop, an_operation(3, BLOG))


async def test_of_many_at_once_one_is_accepted(shop: Ledger) -> None:
    outcomes = await asyncio.gather(
        *(add(shop, an_operation(number)) for number in range(1, 9)), return_exceptions=True
    )

    refused = [outcome for outcome in outcomes if outcome is not None]
    live = await shop.read(lambda view: view.live_operation(SHOP))
    assert live is not None
    assert [str(error) for error in refused] == [str(OperationInProgress(SHOP, live.operation_id))] * 7


@pytest.mark.parametrize("state", [state for state in OperationState if state.is_terminal])
async def test_after_the_end_of_one_the_next_is_accepted(shop: Ledger, state: OperationState) -> None:
    await add(shop, an_operation(1))
    await shop.write(lambda tx: tx.update_operation(finished(an_operation(1), state)))
    assert await shop.read(lambda view: view.live_operation(SHOP)) is None

    await add(shop, an_operation(2))

    assert await shop.read(lambda view: view.live_operation(SHOP)) == an_operation(2)


async def test_a_running_operation_is_live_too(shop: Ledger) -> None:
    await add(shop, an_operation(1))
    await shop.write(lambda tx: tx.update_operation(an_operation(1, state=OperationState.RUNNING)))

    with pytest.raises(OperationInProgress):
        await add(shop, an_operation(2))


async def test_a_request_id_names_one_operation_for_ever(shop: Ledger) -> None:
    first = finished(an_operation(1, request_id="r-1"))
    await add(shop, first)
    with pytest.raises(RequestIdReused) as refused:
        await add(shop, an_operation(2, BLOG, request_id="r-1"))

    assert (refused.value.request_id, refused.value.operation_id, refused.value.release_id) == (
        "r-1",
        operation_id(1),
        SHOP,
    )
    assert await shop.read(lambda view: view.operation_of_request("r-1")) == first


async def test_a_known_request_id_is_told_before_an_operation_under_way(shop: Ledger) -> None:
    await add(shop, an_operation(1, request_id="r-1"))

    with pytest.raises(RequestIdReused):
        await add(shop, an_operation(2, request_id="r-1"))


async def test_operations_without_request_id_do_not_clash_and_are_not_found_by_it(shop: Ledger) -> None:
    await add(shop, finished(an_operation(1)), finished(an_operation(2)))

    assert await shop.read(lambda view: view.operation_of_request("")) is None


async def test_a_refused_operation_uses_up_no_request_id(shop: Ledger) -> None:
    await add(shop, an_operation(1))
    with pytest.raises(OperationInProgress):
        await add(shop, an_operation(2, request_id="r-2"))

    assert await shop.read(lambda view: view.operation_of_request("r-2")) is None


async def test_an_operation_id_is_given_once(shop: Ledger) -> None:
    await add(shop, finished(an_operation(1)))

    with pytest.raises(LedgerRuleBroken, match="there already"):
        await add(shop, an_operation(1, BLOG))


@pytest.mark.parametrize("state", [state for state in OperationState if state.is_terminal])
@pytest.mark.parametrize("change", [{"attempt": 9}, {"state": OperationState.RUNNING, "end_time": None}])
async def test_what_is_over_can_not_be_changed(shop: Ledger, state: OperationState, change: dict[str, object]) -> None:
    over = finished(an_operation(1), state)
    await add(shop, over)

    with pytest.raises(LedgerRuleBroken, match="operation_is_over"):
        await shop.write(lambda tx: tx.update_operation(replace(over, **change)))  # type: ignore[arg-type]

    assert await shop.read(lambda view: view.operation(over.operation_id)) == over


@pytest.mark.parametrize(
    "change",
    [
        {"release_id": BLOG},
        {"incarnation": 2},
        {"type": OperationType.UPGRADE},
        {"base_revision": 3},
        {"base_status": Status.FAILED},
        {"target_revision": 2},
        {"actor": "mallory"},
        {"actor_verified": True},
        {"reason": "another"},
        {"request_id": "r-2"},
        {"request_digest": "cd"},
        {"create_time": NOON + HOUR},
        {"expire_time": NOON + 2 * HOUR},
        {"selection": FULL_OPERATION.selection},
        {"helm_options": HelmOptions(disable_hooks=True)},
        {"start_sequence": 1},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_what_was_asked_for_can_not_be_changed(shop: Ledger, change: dict[str, object]) -> None:
    operation = an_operation(1, request_id="r-1")
    await add(shop, operation)

    with pytest.raises(LedgerRuleBroken, match="operation_keeps_its_request"):
        await shop.write(lambda tx: tx.update_operation(replace(operation, **change)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "operation",
    [an_operation(state=OperationState.SUCCEEDED), an_operation(end_time=NOON)],
    ids=["terminal without end", "live with end"],
)
async def test_an_end_time_is_set_exactly_when_the_state_is_terminal(shop: Ledger, operation: Operation) -> None:
    with pytest.raises(LedgerRuleBroken, match="end_time_when_terminal"):
        await add(shop, operation)


async def test_an_operation_points_to_the_one_that_caused_it(shop: Ledger) -> None:
    await add(shop, finished(an_operation(1)), an_operation(2, caused_by_operation_id=operation_id(1)))
    with pytest.raises(LedgerRuleBroken):
        await add(shop, an_operation(3, BLOG, caused_by_operation_id=operation_id(99)))

    second = await shop.read(lambda view: view.operation(operation_id(2)))
    assert second is not None
    assert second.caused_by_operation_id == operation_id(1)


async def test_the_list_goes_from_new_to_old_and_pages_join(shop: Ledger) -> None:
    await add(shop, *(finished(an_operation(number)) for number in (3, 1, 5, 2, 4)))

    first = await shop.read(lambda view: view.operations(limit=2))
    rest = await shop.read(lambda view: view.operations(before=first[-1].operation_id, limit=9))

    assert [operation.operation_id for operation in first + rest] == [operation_id(n) for n in (5, 4, 3, 2, 1)]


async def test_the_list_is_filtered_by_release_state_and_request_id(shop: Ledger) -> None:
    await add(
        shop,
        finished(an_operation(1, request_id="r-1")),
        finished(an_operation(2), OperationState.FAILED),
        an_operation(3),
        finished(an_operation(4, BLOG)),
        an_operation(5, BLOG, request_id="r-5"),
    )

    async def listed(**filters: object) -> list[int]:
        operations = await shop.read(lambda view: view.operations(**(filters | {"limit": 9})))  # type: ignore[arg-type]
        return [int(operation.operation_id[-1]) for operation in operations]

    assert await listed(release_id=SHOP) == [3, 2, 1]
    assert await listed(state=OperationState.SUCCEEDED) == [4, 1]
    assert await listed(state=OperationState.PENDING) == [5, 3]
    assert await listed(state=OperationState.RUNNING) == []
    assert await listed(request_id="r-5") == [5]
    assert await listed(release_id=BLOG, state=OperationState.PENDING) == [5]
    assert await listed(release_id=SHOP, request_id="r-5") == []


async def test_the_helm_that_was_last_started_is_remembered(shop: Ledger) -> None:
    await add(shop, an_operation(1))
    assert await shop.read(lambda view: view.helm_process(operation_id(1))) is None

    for process in (HelmProcess(host="a", pid=1, start_ticks=2), HelmProcess(host="b", pid=3, start_ticks=2**40)):
        await shop.write(lambda tx, process=process: tx.save_helm_process(operation_id(1), process))  # type: ignore[misc]

        assert await shop.read(lambda view: view.helm_process(operation_id(1))) == process


async def test_what_was_captured_of_a_failure_is_kept_and_the_first_stays(shop: Ledger) -> None:
    """Helm may ask twice to write the record before which it is captured."""
    await add(shop, an_operation(1))

    await shop.write(lambda tx: tx.add_captured_failure(operation_id(1), "Pod shop-1\n  is Failed\n"))
    await shop.write(lambda tx: tx.add_captured_failure(operation_id(1), "later"))

    assert await shop.read(lambda view: view.captured_failure(operation_id(1))) == "Pod shop-1\n  is Failed\n"
    assert await shop.read(lambda view: view.captured_failure(operation_id(2))) == ""

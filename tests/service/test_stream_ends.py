"""A stream that is to end after an operation, whose reader is slow."""

from __future__ import annotations

from support.fakes import Point
from support.samples import SHOP
from support.service import rollback_request
from support.world import World

from helm_rollback.application.ports import LedgerTransaction
from helm_rollback.application.stream_history import CaughtUp, StreamedEvent, StreamStart, stream_history
from helm_rollback.domain.history import MarkChange, OperationTransition
from helm_rollback.domain.principal import ANONYMOUS
from helm_rollback.domain.revision import Mark


async def test_the_end_is_told_though_many_events_came_before_it(world: World) -> None:
    """While the reader was busy with `caught_up`, more happened than one page holds, the end last."""
    world.release()
    service = await world.start()
    hold = world.helm.hold(Point.AFTER_CREATE)
    accepted = (await service.rollbacks.Rollback(rollback_request())).operation
    await hold.reached.wait()
    await service.until_observed(world.cluster)
    stream = stream_history(
        service.ports,
        SHOP,
        start=StreamStart(),
        end_when_caught_up=False,
        end_after_operation_id=accepted.operation_id,
        principal=ANONYMOUS,
    )
    async for item in stream:
        if isinstance(item, CaughtUp):
            break

    def much_happens(tx: LedgerTransaction) -> None:
        for _ in range(120):
            tx.append(SHOP, MarkChange(incarnation=1, revision=1, mark=Mark.GOOD, actor="x", reason=""))

    await service.ledger.write(much_happens)
    hold.release()
    await service.settled(accepted.operation_id)
    rest = [item async for item in stream]

    last = rest[-1]
    assert len(rest) > 120
    assert isinstance(last, StreamedEvent)
    assert isinstance(last.event.change, OperationTransition)
    assert last.event.change.operation.state.is_terminal

"""What goes wrong, done at its moment."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime

from fault.clients import Answers
from fault.plan import Fault, Plan
from fault.replicas import LEASE_SECONDS, Replicas
from support.postgres import PostgresServer
from support.tcp_proxy import TcpProxy

_FIRST_CALL_SECONDS = 30.0
_CRASH_SECONDS = 15.0
"""In which the service comes to its crash point, if it does."""
_MOMENT_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class World:
    """What can be harmed."""

    replicas: Replicas
    proxies: Sequence[TcpProxy]
    """Between each replica and the API server; none where the network is to hold."""
    database_proxies: Sequence[TcpProxy]
    """Between each replica and the database, as above."""
    database: PostgresServer | None


def strike(plan: Plan, world: World, answers: Answers) -> datetime | None:
    """Let it go wrong while something is under way. When that was; None where it did not come to it."""
    assert answers.under_way.wait(_FIRST_CALL_SECONDS), "no client has called"
    if plan.fault is Fault.CRASH:
        return _await_crashes(plan, world.replicas, answers)
    if plan.fault is Fault.HALT:
        return _await_halt(plan, world.replicas, answers)
    time.sleep(plan.after)
    answers.under_way.wait(1.0)
    moment = datetime.now(UTC)
    match plan.fault:
        case Fault.KILL:
            for number in plan.victims:
                world.replicas.signal(number, signal.SIGKILL)
        case Fault.PAUSE:
            _pause(plan, world.replicas)
        case Fault.DATABASE_CRASH | Fault.DATABASE_PAUSE:
            assert world.database is not None
            _harm_database(plan, world.database)
        case Fault.ISOLATE:
            _isolate(plan, world)
        case _:
            _harm_network(plan, [world.proxies[number] for number in plan.victims])
    return moment


def _await_crashes(plan: Plan, replicas: Replicas, answers: Answers) -> datetime | None:
    """Until it has died at each of its points; None where all was answered, and it has not."""
    wanted = list(map(str, plan.crashes))
    died = _comes_to(lambda: [death.point for death in replicas.deaths[: len(wanted)]] == wanted, answers)
    return replicas.deaths[0].moment if died else None


def _await_halt(plan: Plan, replicas: Replicas, answers: Answers) -> datetime | None:
    """Until somebody stands still; then let it go on, long after its lease."""
    if not _comes_to(replicas.halted, answers):
        return None
    moment = datetime.now(UTC)
    if plan.staggered:
        replicas.start_heirs()
    time.sleep(LEASE_SECONDS + plan.lasts)
    for number in plan.victims:
        replicas.signal(number, signal.SIGCONT)
    return moment


def _comes_to(holds: Callable[[], object], answers: Answers) -> bool:
    """Whether it comes to this, while anything is asked for or was a moment ago."""
    deadline = time.monotonic() + _CRASH_SECONDS
    while not holds():
        if not answers.open:
            deadline = min(deadline, time.monotonic() + _MOMENT_SECONDS)
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _pause(plan: Plan, replicas: Replicas) -> None:
    for number in plan.victims:
        replicas.signal(number, signal.SIGSTOP)
    time.sleep(LEASE_SECONDS + plan.lasts)
    for number in plan.victims:
        replicas.signal(number, signal.SIGCONT)


def _harm_network(plan: Plan, proxies: Sequence[TcpProxy]) -> None:
    with ExitStack() as harm:
        for proxy in proxies:
            match plan.fault:
                case Fault.CUT:
                    proxy.cut(after=plan.bytes_first)
                case Fault.REFUSE:
                    harm.enter_context(proxy.refusing())
                case Fault.DELAY:
                    harm.enter_context(proxy.delaying(min(plan.lasts, 0.4)))
                case Fault.STALL:
                    harm.enter_context(proxy.stalling(after=plan.bytes_first))
        time.sleep(plan.lasts)


def _isolate(plan: Plan, world: World) -> None:
    """What was on its way to the API server is lost with its connection; the database may get it late."""
    with ExitStack() as harm:
        for number in plan.victims:
            harm.enter_context(world.database_proxies[number].stalling())
            harm.enter_context(world.proxies[number].stalling())
        time.sleep(plan.lasts)
        for number in plan.victims:
            world.proxies[number].cut()


def _harm_database(plan: Plan, database: PostgresServer) -> None:
    if plan.fault is Fault.DATABASE_PAUSE:
        database.pause()
        time.sleep(plan.lasts)
        database.resume()
        return
    database.crash()
    time.sleep(plan.lasts)
    database.start()

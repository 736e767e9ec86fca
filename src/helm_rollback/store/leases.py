"""Who may carry an operation out, and for how long.

A claim is a lease with a token that grows with every claim. Time is the ledger's
alone. Whoever writes for an operation asks in the same transaction whether its
token is still the newest, so a worker that was paused past its lease can not
undo what its successor wrote. The owner is asked for, too: a database that failed
over to a replica that lagged behind may give the same token once more.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Select, bindparam, case, func, literal_column, null, or_, select, text, update

from helm_rollback.application.ports import Claim, HelmProcess
from helm_rollback.store.mapping import to_operation
from helm_rollback.store.tables import IS_LIVE, operation, release

NO_LEASE: Final = {"lease_owner": None, "lease_expires": None}

_helm_until: Final = case(
    (
        operation.c.attempt > operation.c.attempt_at_claim,
        func.coalesce(operation.c.lease_expires, operation.c.helm_until),
    ),
    else_=operation.c.helm_until,
)
"""At the end of a claim: only one under which Helm was started moves it."""
_free: Final = (
    select(operation.c.operation_id)
    .where(
        text(IS_LIVE),
        or_(operation.c.lease_expires.is_(None), operation.c.lease_expires <= bindparam("over")),
        operation.c.operation_id.not_in(bindparam("besides", expanding=True)),
        operation.c.release_id.not_in(
            select(release.c.release_id).where(release.c.cluster.in_(bindparam("besides_clusters", expanding=True)))
        ),
    )
    .order_by(operation.c.operation_id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
    .cte("free")  # as a subquery it may be run for each row, and lock more than it gives
)
_claim: Final = (
    update(operation)
    .where(operation.c.operation_id.in_(select(_free.c.operation_id)))
    .values(
        lease_owner=bindparam("owner"),
        lease_expires=bindparam("until"),
        helm_until=_helm_until,  # of the claim before
        attempt_at_claim=operation.c.attempt,
        fence_token=operation.c.fence_token + 1,
    )
    .returning(operation)
)
_of_claim: Final = (
    operation.c.operation_id == bindparam("of_operation"),
    operation.c.fence_token == bindparam("token"),
    operation.c.lease_owner == bindparam("owner"),
)
_renew: Final = update(operation).where(*_of_claim).values(lease_expires=bindparam("until"))
_holds: Final[Select[Any]] = select(literal_column("1")).select_from(operation).where(*_of_claim).with_for_update()
_give_back: Final = (
    update(operation).where(*_of_claim).values(lease_owner=null(), lease_expires=null(), helm_until=_helm_until)
)
_drop: Final = (
    update(operation)
    .where(text(IS_LIVE), operation.c.lease_owner.is_not(None))
    .values(lease_owner=null(), lease_expires=null(), helm_until=_helm_until)
)

_save_process: Final = (
    update(operation)
    .where(operation.c.operation_id == bindparam("of_operation"))
    .values(helm_host=bindparam("host"), helm_pid=bindparam("pid"), helm_start_ticks=bindparam("ticks"))
)
_process: Final = select(operation.c.helm_host, operation.c.helm_pid, operation.c.helm_start_ticks).where(
    operation.c.operation_id == bindparam("of_operation"), operation.c.helm_host.is_not(None)
)


def claim(
    connection: Connection,
    *,
    owner: str,
    now: datetime,
    lease: timedelta,
    grace: timedelta,
    limit: int,
    besides: Collection[str],
    besides_clusters: Collection[str],
) -> list[Claim]:
    """Take free operations, oldest first."""
    values = {
        "over": now - grace,
        "most": limit,
        "owner": owner,
        "until": now + lease,
        "besides": list(besides),
        "besides_clusters": list(besides_clusters),
    }
    taken = connection.execute(_claim, values)
    claims = [Claim(operation=to_operation(row), token=row.fence_token, helm_until=row.helm_until) for row in taken]
    return sorted(claims, key=lambda one: one.operation.operation_id)


def renew(connection: Connection, operation_id: str, *, owner: str, token: int, until: datetime) -> bool:
    values = {"of_operation": operation_id, "owner": owner, "token": token, "until": until}
    return connection.execute(_renew, values).rowcount == 1


def holds(connection: Connection, operation_id: str, *, owner: str, token: int) -> bool:
    values = {"of_operation": operation_id, "owner": owner, "token": token}
    return connection.execute(_holds, values).first() is not None


def give_back(connection: Connection, operation_id: str, *, owner: str, token: int) -> None:
    connection.execute(_give_back, {"of_operation": operation_id, "owner": owner, "token": token})


def drop_all(connection: Connection) -> int:
    """Void every lease: right where whoever held one is known to be gone. Tokens stay, so old ones hold nothing."""
    return connection.execute(_drop).rowcount


def save_process(connection: Connection, operation_id: str, process: HelmProcess) -> None:
    values = {"of_operation": operation_id, "host": process.host, "pid": process.pid, "ticks": process.start_ticks}
    connection.execute(_save_process, values)


def process(connection: Connection, operation_id: str) -> HelmProcess | None:
    row = connection.execute(_process, {"of_operation": operation_id}).first()
    return None if row is None else HelmProcess(host=row.helm_host, pid=row.helm_pid, start_ticks=row.helm_start_ticks)

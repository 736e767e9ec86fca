"""Who observes a cluster, and how far it was seen.

Any number of replicas share a ledger; the one that holds a cluster's lease watches
it. The token grows with every claim, and the position moves under it alone, so an
observer that was paused past its lease can not set it back.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, bindparam, null, or_, select, update

from helm_rollback.store.engines.database import InsertIfAbsent
from helm_rollback.store.tables import observed_cluster

_of_cluster: Final = observed_cluster.c.cluster == bindparam("of_cluster")
_of_claim: Final = (
    _of_cluster,
    observed_cluster.c.fence_token == bindparam("token"),
    observed_cluster.c.lease_owner.is_not(None),
)
_version: Final = select(observed_cluster.c.resource_version).where(_of_cluster)
_insert: Final = InsertIfAbsent(observed_cluster)
_claim: Final = (
    update(observed_cluster)
    .where(
        _of_cluster,
        or_(observed_cluster.c.lease_expires.is_(None), observed_cluster.c.lease_expires <= bindparam("now")),
    )
    .values(
        lease_owner=bindparam("owner"),
        lease_expires=bindparam("until"),
        fence_token=observed_cluster.c.fence_token + 1,
    )
    .returning(observed_cluster.c.fence_token)
)
_renew: Final = update(observed_cluster).where(*_of_claim).values(lease_expires=bindparam("until"))
_end: Final = update(observed_cluster).where(*_of_claim).values(lease_owner=null(), lease_expires=null())
_end_all: Final = update(observed_cluster).values(lease_owner=null(), lease_expires=null())
_save: Final = (
    update(observed_cluster).where(*_of_claim).values(resource_version=bindparam("seen"), update_time=bindparam("now"))
)
_touch: Final = update(observed_cluster).values(update_time=bindparam("now"))


def claim(connection: Connection, cluster: str, *, owner: str, now: datetime, lease: timedelta) -> int | None:
    """The token of the claim; None where another holds the cluster."""
    connection.execute(_insert, {"cluster": cluster, "resource_version": 0, "update_time": now, "fence_token": 0})
    values = {"of_cluster": cluster, "owner": owner, "now": now, "until": now + lease}
    token: int | None = connection.execute(_claim, values).scalar()
    return token


def renew(connection: Connection, cluster: str, *, token: int, until: datetime) -> bool:
    return connection.execute(_renew, {"of_cluster": cluster, "token": token, "until": until}).rowcount == 1


def end(connection: Connection, cluster: str, *, token: int) -> None:
    connection.execute(_end, {"of_cluster": cluster, "token": token})


def end_all(connection: Connection) -> None:
    """Void every lease: right where whoever held one is known to be gone."""
    connection.execute(_end_all)


def save_version(connection: Connection, cluster: str, seen: int, *, token: int, now: datetime) -> bool:
    values = {"of_cluster": cluster, "token": token, "seen": seen, "now": now}
    return connection.execute(_save, values).rowcount == 1


def version(connection: Connection, cluster: str) -> int | None:
    """Up to where it was seen; None where it was not listed yet."""
    return connection.execute(_version, {"of_cluster": cluster}).scalar() or None


def touch(connection: Connection, *, now: datetime) -> None:
    connection.execute(_touch, {"now": now})

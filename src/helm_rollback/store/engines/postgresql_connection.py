"""Connections to PostgreSQL on which nothing waits for ever.

The server ends what takes too long; where it is the server that hangs, or the network,
the driver's own limit closes the connection.
"""

from __future__ import annotations

import asyncio
import select
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.types.string import StrDumper
from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

_REACHING: Final = {
    "connect_timeout": 3,  # seconds, for each host
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # milliseconds
    "target_session_attrs": "primary",  # after a failover the old primary is no ledger any more
    "application_name": "helm-rollback",
}
"""Of libpq; what the URL says wins."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a session is patient, in seconds."""

    statement: float
    lock: float
    idle_in_transaction: float
    """A paused process would hold its locks for ever."""

    def options(self, **further: str) -> str:
        """As a session is told on its start."""
        settings = {
            "statement_timeout": f"{self.statement * 1000:.0f}",
            "lock_timeout": f"{self.lock * 1000:.0f}",
            "idle_in_transaction_session_timeout": f"{self.idle_in_transaction * 1000:.0f}",
            "TimeZone": "UTC",
            **further,
        }
        escaped = {name: value.replace(" ", "\\ ") for name, value in settings.items()}
        return " ".join(f"-c {name}={value}" for name, value in escaped.items())

    @property
    def answer(self) -> float:
        """How long the driver waits for any answer: a little longer, since the server's own words say more."""
        return self.statement + 2.0


def _parameters(url: URL, limits: Limits, **settings: str) -> dict[str, Any]:
    """libpq's, of a URL as SQLAlchemy reads one. Options in the URL come last, and win."""
    given = _of_url(url)
    options = f"{limits.options(**settings)} {given.get('options', '')}".strip()
    return {**_REACHING, **given, "options": options}


def _of_url(url: URL) -> dict[str, Any]:
    dialect: Any = PGDialect_psycopg
    parameters: dict[str, Any] = dialect().create_connect_args(url)[1]
    return parameters


def engine(url: URL, limits: Limits, *, connections: int, isolation: str, read_only: bool) -> Engine:
    """A pool of such connections."""
    wanted = _parameters(
        url,
        limits,
        default_transaction_isolation=isolation,
        default_transaction_read_only="on" if read_only else "off",
    )

    def connect() -> psycopg.Connection[Any]:
        connection = _BoundedConnection.connect(**wanted)
        connection.patience = limits.answer
        connection.adapters.register_dumper(str, _TextDumper)
        return connection

    made = create_engine(
        url.set(drivername="postgresql+psycopg"),
        creator=connect,
        pool_size=connections,
        max_overflow=0,
        pool_use_lifo=True,  # so that an idle service holds few
        pool_reset_on_return=None,  # every transaction is ended where it was begun
        use_native_hstore=False,  # asks the server on every connect
    )
    event.listen(made, "checkout", _check_alive)
    return made


class _BoundedConnection(psycopg.Connection[Any]):
    """Closes itself where no answer comes."""

    patience: float

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        try:
            return super().wait(gen, interval, self.patience if timeout is None else timeout)
        except psycopg.Error:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:  # nobody knows what became of it
                self.pgconn.finish()
            raise


class _BoundedAsyncConnection(psycopg.AsyncConnection[Any]):
    """The same, on the event loop."""

    patience: float

    async def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        try:
            return await super().wait(gen, interval, self.patience if timeout is None else timeout)
        except psycopg.Error:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.pgconn.finish()
            raise


async def connect_on_loop(url: URL, limits: Limits) -> psycopg.AsyncConnection[Any]:
    """A connection without transactions, for LISTEN and NOTIFY."""
    async with asyncio.timeout(limits.answer):  # looking a name up has no limit of its own
        connection = await _BoundedAsyncConnection.connect(**_parameters(url, limits), autocommit=True)
    connection.patience = limits.answer
    return connection


class _TextDumper(StrDumper):
    """PostgreSQL stores no NUL, and Helm's texts may hold any character."""

    def dump(self, obj: str) -> Any:
        return super().dump(obj.replace("\0", "\ufffd"))


def _check_alive(connection: psycopg.Connection[Any], record: ConnectionPoolEntry, _proxy: Any) -> None:
    """Of an idle connection there is nothing to read, unless the server has said goodbye: then another is made."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if "was idle" in record.info and poll.poll(0):  # one just made is not made again; its first statement tells
        raise DisconnectionError
    record.info["was idle"] = True

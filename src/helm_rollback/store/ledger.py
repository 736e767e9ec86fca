"""`SqlLedger`: the `Ledger` port on SQL.

Transactions run in threads. One thread writes, on the one connection that can;
some threads read, each transaction on a snapshot of its own. SQLite with one
writer has an eighth of the worst latency of SQLite with eight, and its order of
commits is the order of the events.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import DBAPIError

from helm_rollback.application.ports import LedgerTransaction, LedgerView, Wakeup
from helm_rollback.domain.release import ReleaseId
from helm_rollback.store import dialect, leases, migrate, observations
from helm_rollback.store.migrate import Migrations
from helm_rollback.store.tables import ledger
from helm_rollback.store.transaction import Transaction
from helm_rollback.store.view import View
from helm_rollback.store.wakeups import Wakeups

log = logging.getLogger(__name__)

T = TypeVar("T")

READERS: Final = 4
OPERATIONS: Final = "operations"
"""What `watch_operations` watches; a release is watched by its id."""


class SqlLedger:
    """An open ledger. `SqlLedger.open` makes one; `close` when all who use it have ended."""

    def __init__(
        self, database: Path, lock: dialect.ProcessLock, ledger_id: str, clock: Callable[[], datetime]
    ) -> None:
        self._lock = lock
        self._ledger_id = ledger_id
        self._clock = clock
        self._wakeups = Wakeups()
        self._writing = dialect.writing_engine(database)
        self._reading = dialect.reading_engine(database, READERS)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="ledger-write")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="ledger-read")
        self._write_connection: Connection | None = None

    @classmethod
    def open(cls, url: str, *, clock: Callable[[], datetime], migrations: Migrations = Migrations.APPLY) -> SqlLedger:
        """Open the ledger at `url`, made or migrated where that is needed. Blocks; call it before serving.

        Raises LedgerUnusable, which says what to do.
        """
        dialect.check_version()
        database = dialect.database_path(url)
        lock = dialect.ProcessLock(database)
        try:
            dialect.make_file(database)
            lock.acquire()
            return cls(database, lock, _prepared(database, migrations), clock)
        except (OSError, DBAPIError) as error:
            lock.release()
            raise dialect.unusable(database, error) from error
        except BaseException:
            lock.release()
            raise

    @property
    def ledger_id(self) -> str:
        return self._ledger_id

    def close(self) -> None:
        """Let running transactions end, then give the database free. Further calls fail."""
        self._writer.shutdown()
        self._readers.shutdown()
        self._reading.dispose()
        self._drop_write_connection()  # the last to close: it leaves one whole file behind
        self._writing.dispose()
        self._lock.release()

    async def read(self, body: Callable[[LedgerView], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, body)

    async def write(self, body: Callable[[LedgerTransaction], T]) -> T:
        """As the port says. A caller that is cancelled leaves; the transaction is done all the same."""
        loop = asyncio.get_running_loop()
        return await asyncio.shield(loop.run_in_executor(self._writer, self._write, body, loop))

    def watch(self, release_id: ReleaseId) -> AbstractContextManager[Wakeup]:
        return self._wakeups.watch(release_id)

    def watch_operations(self) -> AbstractContextManager[Wakeup]:
        return self._wakeups.watch(OPERATIONS)

    # --- in the threads ---

    def _read(self, body: Callable[[LedgerView], T]) -> T:
        try:
            with self._reading.begin() as connection:
                return body(View(connection, self._ledger_id, self._now))
        except DBAPIError as error:
            raise self._told(error) from error

    def _write(self, body: Callable[[LedgerTransaction], T], loop: asyncio.AbstractEventLoop) -> T:
        try:
            connection = self._write_connection = self._write_connection or self._writing.connect()
            with connection.begin():
                transaction = Transaction(connection, self._ledger_id, self._now)
                answer = body(transaction)
        except DBAPIError as error:
            self._drop_write_connection()
            raise self._told(error) from error
        self._wake(loop, transaction)
        return answer

    def _wake(self, loop: asyncio.AbstractEventLoop, transaction: Transaction) -> None:
        subjects: set[Hashable] = set(transaction.touched)
        if transaction.claimable:
            subjects.add(OPERATIONS)
        if subjects:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and so have all who waited
                loop.call_soon_threadsafe(self._wakeups.wake, subjects)

    def _drop_write_connection(self) -> None:
        """After an error a connection is not trusted; the next write makes another."""
        if self._write_connection is not None:
            self._write_connection.invalidate()
            self._write_connection.close()
            self._write_connection = None

    def _now(self, _connection: Connection) -> datetime:
        return self._clock()

    def _told(self, error: DBAPIError) -> Exception:
        log.error("the ledger's database failed", exc_info=error)
        return dialect.translated(error)


def _prepared(database: Path, migrations: Migrations) -> str:
    """Bring the tables up to date, void the leases of processes that are gone; the ledger's id."""
    engine: Engine = dialect.writing_engine(database)
    try:
        with engine.begin() as connection:
            migrate.prepare(connection, migrations)
            leases.drop_all(connection)
            observations.end_all(connection)
            return str(connection.execute(select(ledger.c.ledger_id)).scalar_one())
    finally:
        engine.dispose()

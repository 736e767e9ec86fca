"""`SqlLedger`: the `Ledger` port on SQL.

Transactions run in threads, each on a connection of the pool; as many write, and read,
at once as the engine likes. A reader's transaction sees one moment. Nothing waits for
ever: not for a thread, not for a lock, not for a server that hangs.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Hashable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from datetime import datetime
from typing import Final, TypeVar

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import DBAPIError

from helm_rollback.application.ports import LedgerTransaction, LedgerView, Wakeup
from helm_rollback.domain.errors import StoreUnavailable
from helm_rollback.domain.release import ReleaseId
from helm_rollback.store import leases, migrate, observations
from helm_rollback.store.engines.database import Database, Now, database_at
from helm_rollback.store.hints import Hints
from helm_rollback.store.migrate import Migrations
from helm_rollback.store.tables import ledger
from helm_rollback.store.transaction import Transaction
from helm_rollback.store.view import View
from helm_rollback.store.wakeups import OPERATIONS, RELEASES, Wakeups

log = logging.getLogger(__name__)

T = TypeVar("T")

PATIENCE: Final = 5.0
"""Seconds that a call waits for its turn."""
TRIES: Final = 5
"""How often a transaction is run that others are in the way of."""


class SqlLedger:
    """An open ledger. `SqlLedger.open` makes one; `close` when all who use it have ended."""

    def __init__(self, database: Database, ledger_id: str, now: Now) -> None:
        self._database = database
        self._ledger_id = ledger_id
        self._now = now
        self._wakeups = Wakeups()
        self._hints: Hints | None = None
        self._writing = database.writing_engine()
        self._reading = database.reading_engine()
        self._writers = ThreadPoolExecutor(database.writers, thread_name_prefix="ledger-write")
        self._readers = ThreadPoolExecutor(database.readers, thread_name_prefix="ledger-read")

    @classmethod
    def open(
        cls, url: str, *, clock: Callable[[], datetime] | None = None, migrations: Migrations | None = None
    ) -> SqlLedger:
        """Open the ledger at `url`, made or migrated where that is needed. Blocks; call it before serving.

        Without a clock its time is the engine's own. Without `migrations` a ledger of one
        process is migrated, a shared one is not. Raises LedgerUnusable, which says what to do.
        """
        database = database_at(url)
        if migrations is None:
            migrations = Migrations.CHECK if database.shared else Migrations.APPLY
        try:
            database.occupy()
            return cls(database, _prepared(database, migrations), database.now if clock is None else lambda _: clock())
        except (OSError, DBAPIError) as error:
            database.leave()
            raise database.unusable(error) from error
        except BaseException:
            database.leave()
            raise

    @property
    def ledger_id(self) -> str:
        return self._ledger_id

    def close(self) -> None:
        """Let running transactions end, then give the database free. Further calls fail."""
        self._writers.shutdown()
        self._readers.shutdown()
        self._reading.dispose()
        self._writing.dispose()  # the last to close: SQLite's leaves one whole file behind
        self._database.leave()

    @asynccontextmanager
    async def sharing(self) -> AsyncIterator[None]:
        """Meanwhile tell the other processes on this ledger of changes, and hear of theirs, where there can be any."""
        self._hints = self._database.hints(self._wakeups)
        if self._hints is None:
            yield
            return
        running = asyncio.create_task(self._hints.run())
        try:
            yield
        finally:
            running.cancel()
            await asyncio.wait([running])

    async def read(self, body: Callable[[LedgerView], T]) -> T:
        task = self._readers.submit(self._read, body)
        return await _in_time(task, asyncio.wrap_future(task))

    async def write(self, body: Callable[[LedgerTransaction], T]) -> T:
        """As the port says. A caller that is cancelled leaves; the transaction is done all the same."""
        task = self._writers.submit(self._write, body, asyncio.get_running_loop())
        return await _in_time(task, asyncio.shield(asyncio.wrap_future(task)))

    def watch(self, release_id: ReleaseId) -> AbstractContextManager[Wakeup]:
        return self._wakeups.watch(release_id)

    def watch_releases(self) -> AbstractContextManager[Wakeup]:
        return self._wakeups.watch(RELEASES)

    def watch_operations(self) -> AbstractContextManager[Wakeup]:
        return self._wakeups.watch(OPERATIONS)

    # --- in the threads ---

    def _read(self, body: Callable[[LedgerView], T]) -> T:
        with self._transaction(self._reading) as connection:
            return body(View(connection, self._ledger_id, self._now))

    def _write(self, body: Callable[[LedgerTransaction], T], loop: asyncio.AbstractEventLoop) -> T:
        for tried in range(TRIES):
            try:
                return self._write_once(body, loop)
            except _Conflict:
                time.sleep(random.uniform(0, 0.01 * 2**tried))  # noqa: S311  # not in step with the other
        raise StoreUnavailable("others change the same again and again")

    def _write_once(self, body: Callable[[LedgerTransaction], T], loop: asyncio.AbstractEventLoop) -> T:
        with self._transaction(self._writing) as connection:
            transaction = Transaction(connection, self._ledger_id, self._now, alone=self._database.writers == 1)
            answer = body(transaction)
        self._wake(loop, transaction)
        return answer

    @contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Connection]:
        """One, committed at the end. After an error a connection is not trusted; the next transaction makes another."""
        try:
            with engine.connect() as connection:
                try:
                    with connection.begin():
                        yield connection
                except DBAPIError as error:
                    if engine is self._writing and self._database.is_conflict(error):
                        raise _Conflict from error
                    connection.invalidate()
                    raise
        except DBAPIError as error:
            log.error("the ledger's database failed", exc_info=error)
            raise self._database.translated(error) from error

    def _wake(self, loop: asyncio.AbstractEventLoop, transaction: Transaction) -> None:
        subjects: set[Hashable] = set(transaction.touched)
        if transaction.claimable:
            subjects.add(OPERATIONS)
        if subjects:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and so have all who waited
                loop.call_soon_threadsafe(self._tell, subjects)

    def _tell(self, subjects: set[Hashable]) -> None:
        self._wakeups.wake(subjects)
        if self._hints is not None:
            self._hints.tell(subjects)


class _Conflict(Exception):
    """The transaction was undone for another's sake."""


async def _in_time(task: Future[T], ending: asyncio.Future[T]) -> T:
    """What the task gives. Raises StoreUnavailable, with nothing done, where its turn does not come in time."""
    giving_up = asyncio.get_running_loop().call_later(PATIENCE, task.cancel)  # does nothing to one that has begun
    try:
        return await ending
    except asyncio.CancelledError:
        current = asyncio.current_task()
        if task.cancelled() and (current is None or not current.cancelling()):
            raise StoreUnavailable("too much else is to be done") from None
        raise
    finally:
        giving_up.cancel()


def _prepared(database: Database, migrations: Migrations) -> str:
    """Bring the tables up to date, void the leases of processes that are gone; the ledger's id."""
    engine = database.migrating_engine()
    try:
        with engine.begin() as connection:
            migrate.prepare(connection, database, migrations)
            if not database.shared:
                leases.drop_all(connection)
                observations.end_all(connection)
            return str(connection.execute(select(ledger.c.ledger_id)).scalar_one())
    finally:
        engine.dispose()

"""All that differs from one database engine to another, behind one protocol."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, Insert, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.ext.compiler import compiles

from helm_rollback.domain.errors import LedgerCorrupt, StoreUnavailable
from helm_rollback.store.errors import LedgerUnusable
from helm_rollback.store.hints import Hints
from helm_rollback.store.rules import Rule
from helm_rollback.store.wakeups import Wakeups

Now = Callable[[Connection], datetime]
"""The ledger's clock."""

OpeningError = OSError | DBAPIError | StoreUnavailable | LedgerCorrupt


class Database(Protocol):
    """Where one ledger lives."""

    @property
    def shared(self) -> bool:
        """Whether several processes have it open at once.

        Where they do not, it is migrated by whoever opens it, and leases of earlier processes are void.
        """

    @property
    def writers(self) -> int:
        """How many transactions write at once."""

    @property
    def readers(self) -> int:
        """How many transactions read at once."""

    # --- opening ---

    def occupy(self) -> None:
        """Take the right to open it, where only one process may. Raises LedgerInUse, LedgerUnusable, OSError."""

    def leave(self) -> None:
        """Give that right back."""

    def exists(self) -> bool:
        """False where there surely is no ledger, and looking would make one."""

    def unusable(self, error: OpeningError) -> LedgerUnusable:
        """Why opening failed, and what to do about it."""

    # --- connections and transactions ---

    def writing_engine(self) -> Engine:
        """For `writers` connections. A lock that is held by others is waited for, for seconds."""

    def reading_engine(self) -> Engine:
        """For `readers` connections whose transactions see one moment, and can not write."""

    def migrating_engine(self) -> Engine:
        """For one connection, with time for long statements."""

    def now(self, connection: Connection) -> datetime:
        """The time that all who share the ledger agree on."""

    def translated(self, error: DBAPIError) -> Exception:
        """The domain's error for the database's; SQL and driver texts stay in the cause, for the log."""

    def is_conflict(self, error: DBAPIError) -> bool:
        """Whether others were in the way of the transaction: run again, it may succeed."""

    # --- tables and rules ---

    def begin_migrating(self, connection: Connection) -> None:
        """Check that the database will do, and let nobody else migrate until the transaction ends."""

    def spelled(self, rule: Rule) -> str:
        """The trigger that enforces a rule; empty where there is no such change to refuse."""

    def triggers(self, connection: Connection) -> dict[str, str]:
        """The triggers that are there and work, by name, spelled as above."""

    def make_triggers(self, connection: Connection, rules: Sequence[Rule]) -> None:
        """Make these, over what bears their names."""

    # --- others ---

    def hints(self, wakeups: Wakeups) -> Hints | None:
        """How to hear of others' writes; None where there are no others."""


def database_at(url: str) -> Database:
    """The database that a URL names. Raises LedgerUnusable."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise LedgerUnusable(f"{url!r} is not a database URL; write sqlite:////path/to/ledger.db") from error
    match parsed.get_backend_name():
        case "sqlite":
            from helm_rollback.store.engines.sqlite import SqliteDatabase

            return SqliteDatabase.of(parsed)
        case "postgresql":
            from helm_rollback.store.engines.postgresql import PostgresqlDatabase

            return PostgresqlDatabase(parsed)
        case other:
            raise LedgerUnusable(f"there is no ledger on {other}; use sqlite:////path/to/ledger.db or postgresql://")


class InsertIfAbsent(Insert):
    """Insert unless a unique key is taken. Both engines spell it alike."""

    inherit_cache = True


@compiles(InsertIfAbsent)
def _(element: InsertIfAbsent, compiler: Any, **options: Any) -> str:
    return f"{compiler.visit_insert(element, **options)} ON CONFLICT DO NOTHING"

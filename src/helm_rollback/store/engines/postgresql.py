"""PostgreSQL: a ledger that any number of processes share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import psycopg
from sqlalchemy import URL, Connection, Engine, func, select, text
from sqlalchemy.exc import DBAPIError

from helm_rollback.store.engines import postgresql_errors
from helm_rollback.store.engines.database import OpeningError
from helm_rollback.store.engines.postgresql_connection import Limits, connect_on_loop, engine
from helm_rollback.store.errors import LedgerUnusable
from helm_rollback.store.hints import Hints
from helm_rollback.store.rules import Rule
from helm_rollback.store.wakeups import Wakeups

OLDEST_POSTGRESQL: Final = 130_000
"""The first with pg_current_xact_id."""

LIMITS: Final = Limits(statement=5, lock=3, idle_in_transaction=2)
"""Of the transactions of a running service.

A process that was paused within one holds its locks no longer than the shortest lease and
its grace, or nobody could take over what it leased; and those who wait for them go on.
"""
_MIGRATING: Final = Limits(statement=600, lock=60, idle_in_transaction=60)

_MIGRATION_LOCK: Final = 0x68656C6D2D726F6C
"""The key of an advisory lock; it is only to differ from other programs'."""

_now: Final = select(func.clock_timestamp())
_triggers: Final = text(
    "SELECT tgname, obj_description(pg_trigger.oid, 'pg_trigger') AS spelled, tgenabled, prosrc "
    "FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid JOIN pg_proc ON pg_proc.oid = tgfoid "
    "WHERE NOT tgisinternal AND relnamespace = current_schema()::regnamespace"
)

_REFUSE: Final = (
    "BEGIN RAISE EXCEPTION USING MESSAGE = 'rule ' || TG_NAME, ERRCODE = 'integrity_constraint_violation'; END"
)
_REFUSING_FUNCTION: Final = (
    f"CREATE OR REPLACE FUNCTION ledger_rule() RETURNS trigger LANGUAGE plpgsql AS $body${_REFUSE}$body$"
)


class PostgresqlDatabase:
    """A database on a server, with a pool of connections for each of writing and reading."""

    shared = True
    writers = 8
    readers = 4

    def __init__(self, url: URL) -> None:
        self._url = url

    # --- opening ---

    def occupy(self) -> None:
        """Everybody may."""

    def leave(self) -> None:
        pass

    def exists(self) -> bool:
        return True

    def unusable(self, error: OpeningError) -> LedgerUnusable:
        where = f"{self._url.host or 'localhost'}:{self._url.port or 5432}/{self._url.database or ''}"
        return LedgerUnusable(f"the ledger on {where} can not be opened: {postgresql_errors.why_unusable(error)}")

    # --- connections and transactions ---

    def writing_engine(self) -> Engine:
        return engine(self._url, LIMITS, connections=self.writers, isolation="read committed", read_only=False)

    def reading_engine(self) -> Engine:
        return engine(self._url, LIMITS, connections=self.readers, isolation="repeatable read", read_only=True)

    def migrating_engine(self) -> Engine:
        return engine(self._url, _MIGRATING, connections=1, isolation="read committed", read_only=False)

    def now(self, connection: Connection) -> datetime:
        """The server's, of this moment: a transaction that waited for a lock is not of the time it began."""
        time: datetime = connection.execute(_now).scalar_one()
        return time

    def translated(self, error: DBAPIError) -> Exception:
        return postgresql_errors.translated(error)

    def is_conflict(self, error: DBAPIError) -> bool:
        return postgresql_errors.is_conflict(error)

    # --- tables and rules ---

    def begin_migrating(self, connection: Connection) -> None:
        server: psycopg.ConnectionInfo = connection.connection.driver_connection.info  # type: ignore[union-attr]
        if server.server_version < OLDEST_POSTGRESQL:
            raise LedgerUnusable(f"PostgreSQL {server.server_version // 10_000} is too old; use 13 or newer")
        if server.parameter_status("server_encoding") != "UTF8":
            raise LedgerUnusable("the database's encoding is not UTF8; make one with ENCODING 'UTF8'")
        connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))

    def spelled(self, rule: Rule) -> str:
        of_each = "STATEMENT" if rule.change == "TRUNCATE" else "ROW"
        when = f" WHEN ({rule.condition(differs='IS DISTINCT FROM')})" if rule.when else ""
        return (
            f"CREATE TRIGGER {rule.trigger} BEFORE {rule.change} ON {rule.table} FOR EACH {of_each}{when} "
            "EXECUTE FUNCTION ledger_rule()"
        )

    def triggers(self, connection: Connection) -> dict[str, str]:
        """As their comments spell them: the server has words of its own for a trigger, and others in each version."""
        found = connection.execute(_triggers)
        return {row.tgname: row.spelled for row in found if row.tgenabled in "OA" and row.prosrc == _REFUSE}

    def make_triggers(self, connection: Connection, rules: Sequence[Rule]) -> None:
        if rules:
            connection.exec_driver_sql(_REFUSING_FUNCTION)
        for rule in rules:
            spelled = self.spelled(rule)
            connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {rule.trigger} ON {rule.table}")
            connection.exec_driver_sql(spelled)
            comment = spelled.replace("'", "''")
            connection.exec_driver_sql(f"COMMENT ON TRIGGER {rule.trigger} ON {rule.table} IS '{comment}'")

    # --- others ---

    def hints(self, wakeups: Wakeups) -> Hints:
        return Hints(lambda: connect_on_loop(self._url, LIMITS), wakeups)

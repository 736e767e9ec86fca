"""Brings a ledger's tables up to this program's, and says how far they are.

Migrations ship in the package and are run by Alembic inside one transaction of
ours, under a lock that lets nobody else migrate: a crash leaves the old tables, whole.
Alembic takes a while to import, so it is, only where there is something to do.

Write migrations that only add, so that two versions can overlap.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import Connection, insert, inspect, text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from helm_rollback.store.engines.database import Database, database_at
from helm_rollback.store.errors import LedgerBehind, LedgerTooNew, LedgerUnusable
from helm_rollback.store.tables import ledger
from helm_rollback.store.triggers import ensure_triggers

log = logging.getLogger(__name__)

VERSIONS: Final = ("0001", "0002", "0003", "0004", "0005")
"""All versions of the tables, oldest first; a test holds this equal to the migrations."""
MIGRATIONS: Final = Path(__file__).with_name("migrations")


class Migrations(StrEnum):
    """What opening does to tables that are behind."""

    APPLY = "apply"
    CHECK = "check"
    """Refuse; someone else runs `helm-rollback migrate`."""


def migrate(url: str) -> str:
    """Make or upgrade the tables of the ledger at `url`; the version they have then. Raises LedgerUnusable."""
    database = database_at(url)
    engine = database.migrating_engine()
    try:
        database.occupy()
        with engine.begin() as connection:
            prepare(connection, database, Migrations.APPLY)
    except (OSError, DBAPIError) as error:
        raise database.unusable(error) from error
    finally:
        engine.dispose()
        database.leave()
    return VERSIONS[-1]


def schema_version(url: str) -> str:
    """The version of the tables at `url`, empty where there are none. Looks only, also while a service runs."""
    database = database_at(url)
    if not database.exists():
        return ""
    engine = database.reading_engine()
    try:
        with engine.begin() as connection:
            return _version(connection)
    except DBAPIError as error:
        raise database.unusable(error) from error
    finally:
        engine.dispose()


def prepare(connection: Connection, database: Database, migrations: Migrations) -> None:
    """Inside a transaction: bring tables and triggers to this program's version, or refuse."""
    database.begin_migrating(connection)
    version = _version(connection)
    if version and version not in VERSIONS:
        raise LedgerTooNew(
            f"the ledger has version {version}, this program knows {VERSIONS[-1]}; use a newer helm-rollback"
        )
    if version == VERSIONS[-1]:
        _restore_triggers(connection, database)
        return
    if migrations is Migrations.CHECK:
        raise LedgerBehind(
            f"the ledger has version {version or 'none'}, this program needs {VERSIONS[-1]}; "
            "run helm-rollback migrate, or serve with --migrate"
        )
    if not version and inspect(connection).get_table_names():
        raise LedgerUnusable("the database holds the tables of something else; choose another --database")
    upgrade(connection)
    ensure_triggers(connection, database)
    if not version:
        connection.execute(insert(ledger).values(only_row=1, ledger_id=uuid4(), create_time=datetime.now(UTC)))
    log.info("ledger migrated from %s to %s", version or "nothing", VERSIONS[-1])


def _restore_triggers(connection: Connection, database: Database) -> None:
    try:
        missing = ensure_triggers(connection, database)
    except ProgrammingError as error:
        raise LedgerUnusable(
            "the ledger's append-only rules are not all there, and this user may not make them; "
            "run helm-rollback migrate as the owner of the tables"
        ) from error
    if missing:
        log.warning("the ledger's append-only rules were gone, and are back: %s", ", ".join(missing))


def _version(connection: Connection) -> str:
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or ""


def upgrade(connection: Connection) -> None:
    """Run the missing migrations in the transaction that `connection` is in."""
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(MIGRATIONS))

    def steps(revision: Any, _context: Any) -> Any:
        return scripts._upgrade_revs("head", revision)

    with EnvironmentContext(Config(), scripts, fn=steps) as environment:
        environment.configure(connection=connection, transactional_ddl=True)
        environment.run_migrations()

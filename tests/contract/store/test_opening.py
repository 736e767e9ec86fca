"""Opening: made where there is nothing, kept where there is something, refused with advice where it can not be."""

from __future__ import annotations

import logging
import signal
from pathlib import Path

import pytest
from sqlalchemy import Connection, inspect
from sqlalchemy.engine.interfaces import ReflectedIndex
from support.ledger_programs import WRITE_AND_WAIT, other_process
from support.ledgers import AnyDatabase, PostgresDatabase, opened, refused
from support.samples import SHOP, Clock, a_release, a_transition

from helm_rollback.store import LedgerBehind, LedgerTooNew, SqlLedger
from helm_rollback.store.migrate import MIGRATIONS, VERSIONS, Migrations, migrate, schema_version
from helm_rollback.store.tables import metadata

# --- what is kept ---


async def test_reopening_keeps_everything(database: AnyDatabase) -> None:
    with opened(database.url) as ledger:
        first_id = ledger.ledger_id
        await ledger.write(lambda tx: tx.add_release(a_release()))
        await ledger.write(lambda tx: tx.append(SHOP, a_transition()))
        history = await ledger.read(lambda view: view.events(SHOP, after=0, limit=9))
    with opened(database.url) as ledger:
        assert ledger.ledger_id == first_id
        assert await ledger.read(lambda view: view.events(SHOP, after=0, limit=9)) == history
        assert (await ledger.write(lambda tx: tx.append(SHOP, a_transition()))).sequence == 2


async def test_what_was_written_survives_the_death_of_its_process(database: AnyDatabase) -> None:
    with other_process(WRITE_AND_WAIT, database.url) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        process.send_signal(signal.SIGKILL)
        process.wait()

    with opened(database.url) as ledger:
        assert len(await ledger.read(lambda view: view.events(SHOP, after=0, limit=9))) == 1


def test_two_ledgers_are_two(tmp_path: Path) -> None:
    with opened(f"sqlite:///{tmp_path}/a.db") as first, opened(f"sqlite:///{tmp_path}/b.db") as second:
        assert first.ledger_id != second.ledger_id


# --- tables ---


def test_the_migrations_make_what_the_tables_say(database: AnyDatabase) -> None:
    with database.raw() as connection:
        metadata.create_all(connection)
        declared = shape(connection)
        metadata.drop_all(connection)
    migrate(database.url)

    with database.raw() as connection:
        if isinstance(database, PostgresDatabase):  # has a column more, of a type that SQLAlchemy does not know
            connection.exec_driver_sql("ALTER TABLE event DROP COLUMN xid")
        assert shape(connection) == declared


def shape(connection: Connection) -> dict[str, list[str]]:
    """Columns, keys, rules and indexes of every table of the ledger."""
    looked = inspect(connection)
    return {
        table: sorted(
            repr(part)
            for parts in (
                looked.get_columns(table),
                looked.get_foreign_keys(table),
                looked.get_check_constraints(table),
                [index | {"dialect_options": _as_text(index)} for index in looked.get_indexes(table)],
                [looked.get_pk_constraint(table)],
            )
            for part in parts
        )
        for table in looked.get_table_names()
        if table != "alembic_version"
    }


def _as_text(index: ReflectedIndex) -> list[str]:
    """Conditions of an index, which have no equality of their own."""
    return [f"{name} {value}" for name, value in index.get("dialect_options", {}).items()]


def test_the_versions_are_those_of_the_migrations() -> None:
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(MIGRATIONS))

    assert [script.revision for script in scripts.walk_revisions()] == list(reversed(VERSIONS))


def test_the_schema_version_is_told_also_while_a_service_runs(database: AnyDatabase) -> None:
    assert schema_version(database.url) == ""
    assert migrate(database.url) == VERSIONS[-1]
    assert schema_version(database.url) == VERSIONS[-1]
    with opened(database.url):
        assert schema_version(database.url) == VERSIONS[-1]


def test_migrating_again_does_nothing(database: AnyDatabase) -> None:
    migrate(database.url)
    with opened(database.url) as ledger:
        ledger_id = ledger.ledger_id
    migrate(database.url)

    with opened(database.url) as ledger:
        assert ledger.ledger_id == ledger_id


def test_tables_that_are_behind_are_refused_where_asked_to(database: AnyDatabase) -> None:
    with pytest.raises(LedgerBehind, match="run helm-rollback migrate"):
        SqlLedger.open(database.url, clock=Clock(), migrations=Migrations.CHECK)

    migrate(database.url)
    SqlLedger.open(database.url, clock=Clock(), migrations=Migrations.CHECK).close()


def test_tables_of_a_newer_program_are_refused(database: AnyDatabase) -> None:
    migrate(database.url)
    with database.raw() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(LedgerTooNew, match=r"9999.*newer helm-rollback"):
        SqlLedger.open(database.url, clock=Clock())


def test_a_migration_that_fails_leaves_nothing_behind(database: AnyDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: object) -> None:
        raise RuntimeError("cut off")

    with monkeypatch.context() as patched:
        patched.setattr("helm_rollback.store.migrate.ensure_triggers", broken)
        with pytest.raises(RuntimeError, match="cut off"):
            migrate(database.url)

    assert schema_version(database.url) == ""
    assert migrate(database.url) == VERSIONS[-1]


def test_rules_that_were_taken_away_come_back_with_a_warning(
    database: AnyDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    migrate(database.url)
    database.drop_rule("event_is_not_deleted")
    database.drop_rule("operation_is_over")
    with caplog.at_level(logging.WARNING), opened(database.url):
        pass

    assert "are back: event_is_not_deleted, operation_is_over" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING), opened(database.url):
        pass
    assert "are back" not in caplog.text


# --- what can not be opened ---


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("no url", "write sqlite:////path/to/ledger.db"),
        ("mysql://db/x", "no ledger on mysql"),
        ("sqlite://", "name a file"),
        ("sqlite:///:memory:", "name a file"),
    ],
)
def test_a_url_that_names_no_ledger_is_refused(url: str, advice: str) -> None:
    assert advice in refused(url)


def test_a_database_of_another_program_is_refused_and_left_alone(database: AnyDatabase) -> None:
    with database.raw() as connection:
        connection.exec_driver_sql("CREATE TABLE recipes (name TEXT)")

    assert "something else" in refused(database.url, migrations=Migrations.APPLY)
    with database.raw() as connection:
        assert inspect(connection).get_table_names() == ["recipes"]

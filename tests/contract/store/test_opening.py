"""Opening: made where there is nothing, kept where there is something, refused with advice where it can not be."""

from __future__ import annotations

import logging
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, inspect
from sqlalchemy.engine.interfaces import ReflectedIndex
from support.ledgers import SqliteDatabase, opened
from support.samples import SHOP, Clock, a_release, a_transition

from helm_rollback.store import LedgerBehind, LedgerInUse, LedgerTooNew, LedgerUnusable, SqlLedger
from helm_rollback.store.dialect import has_wal_reset_bug
from helm_rollback.store.migrate import MIGRATIONS, VERSIONS, Migrations, migrate, schema_version
from helm_rollback.store.tables import metadata

WRITE_AND_WAIT = """
import asyncio, sys
from helm_rollback.store import SqlLedger
from support.samples import SHOP, Clock, a_release, a_transition

async def main():
    ledger = SqlLedger.open(sys.argv[1], clock=Clock())
    await ledger.write(lambda tx: tx.add_release(a_release()))
    await ledger.write(lambda tx: tx.append(SHOP, a_transition()))
    print("written", flush=True)
    sys.stdin.read()

asyncio.run(main())
"""

OPEN_ON_A_FULL_DISK = """
import resource, sys
from helm_rollback.store import LedgerUnusable, SqlLedger
from support.samples import Clock

resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
try:
    SqlLedger.open(sys.argv[1], clock=Clock())
except LedgerUnusable as refused:
    print(refused)
"""


@contextmanager
def other_process(script: str, url: str) -> Iterator[subprocess.Popen[str]]:
    path = os.pathsep.join(entry for entry in sys.path if entry)
    process = subprocess.Popen(
        [sys.executable, "-c", script, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
    )
    try:
        with process:
            yield process
            process.kill()
    finally:
        process.kill()


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Root may write everywhere; be nobody for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def refused(url: str, **options: Migrations) -> str:
    with pytest.raises(LedgerUnusable) as error:
        SqlLedger.open(url, clock=Clock(), **options)
    return str(error.value)


# --- what is kept ---


async def test_reopening_keeps_everything(database: SqliteDatabase) -> None:
    with opened(database.url) as ledger:
        first_id = ledger.ledger_id
        await ledger.write(lambda tx: tx.add_release(a_release()))
        await ledger.write(lambda tx: tx.append(SHOP, a_transition()))
        history = await ledger.read(lambda view: view.events(SHOP, after=0, limit=9))
    with opened(database.url) as ledger:
        assert ledger.ledger_id == first_id
        assert await ledger.read(lambda view: view.events(SHOP, after=0, limit=9)) == history
        assert (await ledger.write(lambda tx: tx.append(SHOP, a_transition()))).sequence == 2


async def test_what_was_written_survives_the_death_of_its_process(database: SqliteDatabase) -> None:
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


async def test_folders_are_made_and_nobody_else_may_read(tmp_path: Path) -> None:
    path = tmp_path / "with space?" / "ledger.db"
    with opened(f"sqlite:///{str(path).replace('?', '%3F')}") as ledger:
        await ledger.write(lambda tx: tx.add_release(a_release()))
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}

    assert modes == dict.fromkeys(["ledger.db", "ledger.db-shm", "ledger.db-wal", "ledger.db.lock"], 0o600)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


# --- one process ---


def test_a_second_process_is_refused_and_told_who_has_it(database: SqliteDatabase) -> None:
    with other_process(WRITE_AND_WAIT, database.url) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(LedgerInUse, match=rf"pid {process.pid}.*stop that one first"):
            SqlLedger.open(database.url, clock=Clock())
        with pytest.raises(LedgerInUse):
            migrate(database.url)


def test_a_second_opening_in_the_same_process_is_refused_until_the_first_is_closed(database: SqliteDatabase) -> None:
    with opened(database.url):
        assert f"pid {os.getpid()}" in refused(database.url)

    with opened(database.url):
        pass


def test_a_refused_opening_leaves_the_ledger_free(database: SqliteDatabase) -> None:
    refused(database.url, migrations=Migrations.CHECK)

    with opened(database.url):
        pass


# --- tables ---


def test_the_migrations_make_what_the_tables_say(database: SqliteDatabase) -> None:
    migrate(database.url)
    declared = create_engine("sqlite://")
    metadata.create_all(declared)

    with database.raw() as migrated, declared.connect() as made:
        assert shape(migrated) == shape(made)
    declared.dispose()


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


def test_every_constraint_has_a_name(database: SqliteDatabase) -> None:
    migrate(database.url)
    with database.raw() as connection:
        tables = connection.exec_driver_sql(
            "SELECT sql FROM sqlite_master WHERE type = 'table' AND name <> 'alembic_version'"
        ).scalars()
        lines = [line.strip() for sql in tables for line in sql.splitlines()]

    rules = [line for line in lines if "CHECK" in line or "PRIMARY KEY" in line or "REFERENCES" in line]
    assert len(rules) > 50
    assert [line for line in rules if not line.startswith("CONSTRAINT ")] == []


def test_the_schema_version_is_told_also_while_a_service_runs(database: SqliteDatabase) -> None:
    assert schema_version(database.url) == ""
    assert migrate(database.url) == VERSIONS[-1]
    assert schema_version(database.url) == VERSIONS[-1]
    with opened(database.url):
        assert schema_version(database.url) == VERSIONS[-1]


def test_looking_for_the_version_makes_nothing(database: SqliteDatabase) -> None:
    schema_version(database.url)

    assert list(database.path.parent.iterdir()) == []


def test_migrating_again_does_nothing(database: SqliteDatabase) -> None:
    migrate(database.url)
    with opened(database.url) as ledger:
        ledger_id = ledger.ledger_id
    migrate(database.url)

    with opened(database.url) as ledger:
        assert ledger.ledger_id == ledger_id


def test_tables_that_are_behind_are_refused_where_asked_to(database: SqliteDatabase) -> None:
    with pytest.raises(LedgerBehind, match="run helm-rollback migrate"):
        SqlLedger.open(database.url, clock=Clock(), migrations=Migrations.CHECK)

    migrate(database.url)
    SqlLedger.open(database.url, clock=Clock(), migrations=Migrations.CHECK).close()


def test_tables_of_a_newer_program_are_refused(database: SqliteDatabase) -> None:
    migrate(database.url)
    with database.raw() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(LedgerTooNew, match=r"9999.*newer helm-rollback"):
        SqlLedger.open(database.url, clock=Clock())


def test_a_migration_that_fails_leaves_nothing_behind(
    database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_connection: object) -> None:
        raise RuntimeError("cut off")

    with monkeypatch.context() as patched:
        patched.setattr("helm_rollback.store.migrate.ensure_triggers", broken)
        with pytest.raises(RuntimeError, match="cut off"):
            migrate(database.url)

    assert schema_version(database.url) == ""
    assert migrate(database.url) == VERSIONS[-1]


def test_rules_that_were_taken_away_come_back_with_a_warning(
    database: SqliteDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    migrate(database.url)
    with database.raw() as connection:
        connection.exec_driver_sql("DROP TRIGGER event_is_not_deleted")
        connection.exec_driver_sql("DROP TRIGGER operation_is_over")
        connection.exec_driver_sql(
            "CREATE TRIGGER operation_is_over BEFORE UPDATE ON operation WHEN 0 BEGIN SELECT 1; END"
        )
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


def test_a_file_that_is_no_database_is_refused_and_left_alone(database: SqliteDatabase) -> None:
    database.path.write_text("my diary " * 1000)

    assert "its file is no SQLite database" in refused(database.url)
    assert database.path.read_text() == "my diary " * 1000


def test_a_database_of_another_program_is_refused_and_left_alone(database: SqliteDatabase) -> None:
    with database.raw() as connection:
        connection.exec_driver_sql("CREATE TABLE recipes (name TEXT)")

    assert "something else" in refused(database.url)
    with database.raw() as connection:
        assert connection.exec_driver_sql("SELECT name FROM sqlite_master").scalars().all() == ["recipes"]


def test_a_path_through_a_file_and_one_to_a_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert "a part of that path is a file" in refused(f"sqlite:///{tmp_path}/file/ledger.db")
    assert "that is a folder" in refused(f"sqlite:///{tmp_path}")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can reach, unlike pytest's."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        folder.chmod(0o755)


def test_a_folder_that_may_not_be_written_to_is_refused_with_advice(open_folder: Path) -> None:
    open_folder.chmod(0o555)

    with ordinary_user():
        assert "this user may not write there; give it the folder" in refused(f"sqlite:///{open_folder}/ledger.db")
        assert "this user may not write there" in refused(f"sqlite:///{open_folder}/new/ledger.db")
    assert list(open_folder.iterdir()) == []


def test_a_database_that_may_not_be_written_to_is_refused_with_advice(open_folder: Path) -> None:
    url = f"sqlite:///{open_folder}/ledger.db"
    migrate(url)
    (open_folder / "ledger.db").chmod(0o444)

    with ordinary_user():
        assert "this user may not write there" in refused(url)


def test_a_full_disk_is_refused_with_advice(database: SqliteDatabase) -> None:
    with other_process(OPEN_ON_A_FULL_DISK, database.url) as process:
        told, _ = process.communicate(timeout=60)

    assert str(database.path) in told
    assert "disk full" in told
    assert "free space" in told
    assert "INSERT" not in told


@pytest.mark.parametrize(
    ("version", "affected"),
    [
        ((3, 6, 23), False),
        ((3, 7, 0), True),
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 45, 0), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 53, 0), False),
    ],
)
def test_sqlite_versions_with_the_wal_reset_bug_are_known(version: tuple[int, int, int], affected: bool) -> None:
    assert has_wal_reset_bug(version) is affected

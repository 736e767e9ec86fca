"""What only a ledger in a file has: folders and rights, a lock, and one process."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.ledger_programs import WRITE_AND_WAIT, other_process
from support.ledgers import SqliteDatabase, opened, refused
from support.samples import Clock, a_release

from helm_rollback.store import LedgerInUse, SqlLedger
from helm_rollback.store.engines.sqlite import has_wal_reset_bug
from helm_rollback.store.migrate import Migrations, migrate, schema_version

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


@pytest.fixture
def database(tmp_path: Path) -> SqliteDatabase:
    return SqliteDatabase(tmp_path / "ledger.db")


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


async def test_folders_are_made_and_nobody_else_may_read(tmp_path: Path) -> None:
    path = tmp_path / "with space?" / "ledger.db"
    with opened(f"sqlite:///{str(path).replace('?', '%3F')}") as ledger:
        await ledger.write(lambda tx: tx.add_release(a_release()))
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}

    assert modes == dict.fromkeys(["ledger.db", "ledger.db-shm", "ledger.db-wal", "ledger.db.lock"], 0o600)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


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


def test_looking_for_the_version_makes_nothing(database: SqliteDatabase) -> None:
    schema_version(database.url)

    assert list(database.path.parent.iterdir()) == []


def test_a_file_that_is_no_database_is_refused_and_left_alone(database: SqliteDatabase) -> None:
    database.path.write_text("my diary " * 1000)

    assert "its file is no SQLite database" in refused(database.url)
    assert database.path.read_text() == "my diary " * 1000


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

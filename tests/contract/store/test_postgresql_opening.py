"""What only a ledger on a server has: many who open it, a server that is away, and tables that wait to be migrated."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from local_cluster.processes import free_port
from support.databases import RunPostgres
from support.ledger_programs import other_process
from support.ledgers import PostgresDatabase, opened, refused, sqlite_url
from support.postgres import PostgresServer
from support.samples import SHOP, Clock, a_release, a_transition

from helm_rollback.application.ports import LedgerTransaction
from helm_rollback.store import LedgerBehind, SqlLedger
from helm_rollback.store.engines import postgresql, sqlite
from helm_rollback.store.migrate import VERSIONS, Migrations, migrate

MIGRATE = """
import sys
from helm_rollback.store.migrate import migrate
print("here", flush=True)
sys.stdin.readline()
print(migrate(sys.argv[1]), flush=True)
"""


@pytest.fixture
def database(postgres: PostgresServer) -> PostgresDatabase:
    return PostgresDatabase(postgres)


def test_tables_that_are_behind_are_migrated_only_when_that_is_asked_for(database: PostgresDatabase) -> None:
    with pytest.raises(LedgerBehind, match="run helm-rollback migrate"):
        SqlLedger.open(database.url)

    SqlLedger.open(database.url, migrations=Migrations.APPLY).close()
    SqlLedger.open(database.url).close()


def test_any_number_open_it(database: PostgresDatabase) -> None:
    migrate(database.url)
    with ExitStack() as open_ones:
        ids = set()
        for _ in range(3):
            ledger = SqlLedger.open(database.url)
            open_ones.callback(ledger.close)
            ids.add(ledger.ledger_id)

    assert len(ids) == 1


def test_processes_that_migrate_at_once_do_it_once(database: PostgresDatabase) -> None:
    with ExitStack() as running:
        processes = [running.enter_context(other_process(MIGRATE, database.url)) for _ in range(4)]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "here\n"
        with ThreadPoolExecutor() as threads:
            told = list(threads.map(lambda process: process.communicate("\n", timeout=60)[0], processes))

    assert told == [f"{VERSIONS[-1]}\n"] * 4
    with database.raw() as connection:
        assert len(connection.exec_driver_sql("SELECT ledger_id FROM ledger").all()) == 1


def test_a_server_that_is_not_there_is_told_in_words_and_at_once() -> None:
    port, began = free_port(), time.monotonic()

    told = refused(f"postgresql://someone:secret@127.0.0.1:{port}/ledger")

    assert f"the ledger on 127.0.0.1:{port}/ledger can not be opened: the database can not be reached" in told
    assert "Connection refused" in told
    assert "secret" not in told
    assert "\n" not in told
    assert time.monotonic() - began < 5


def test_a_server_that_hangs_is_told_within_seconds(run_postgres: RunPostgres) -> None:
    server = run_postgres()
    url = server.create_database()
    server.pause()
    began = time.monotonic()

    assert "can not be reached" in refused(url)

    assert time.monotonic() - began < 10


def test_a_database_that_is_not_there_is_told(postgres: PostgresServer) -> None:
    assert 'database "nowhere" does not exist' in refused(postgres.url("nowhere"))


def test_an_encoding_that_holds_not_every_text_is_refused(postgres: PostgresServer) -> None:
    postgres.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1'")

    assert "make one with ENCODING 'UTF8'" in refused(postgres.url("latin"), migrations=Migrations.APPLY)


def test_a_server_that_is_too_old_is_refused(database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql, "OLDEST_POSTGRESQL", 990_000)

    assert "is too old" in refused(database.url, migrations=Migrations.APPLY)


def test_ids_are_ordered_by_their_bytes_whatever_the_databases_order(database: PostgresDatabase) -> None:
    migrate(database.url)
    ids = ("release_id", "cluster", "namespace", "name", "operation_id")
    with database.raw() as connection:
        columns = connection.exec_driver_sql(
            "SELECT table_name, column_name, collation_name FROM information_schema.columns "
            "WHERE table_schema = 'public'"
        ).all()

    found = {(table, column): collation for table, column, collation in columns if column in ids}
    assert len(found) >= 9
    assert {place for place, collation in found.items() if collation != "C"} == set()


async def test_a_schema_of_its_own_is_named_by_the_url(database: PostgresDatabase, postgres: PostgresServer) -> None:
    postgres.execute("CREATE SCHEMA ours", url=database.url)
    url = f"{database.url}?options=-csearch_path%3Dours"
    assert migrate(url) == VERSIONS[-1]

    ledger = SqlLedger.open(url)
    await ledger.write(lambda tx: tx.add_release(a_release()))
    ledger.close()

    assert postgres.execute("SELECT name FROM ours.release", url=database.url) == [("shop",)]
    assert "run helm-rollback migrate" in refused(database.url)


async def test_events_bear_the_id_of_their_transaction(database: PostgresDatabase, postgres: PostgresServer) -> None:
    def append_two(tx: LedgerTransaction) -> None:
        for _ in range(2):
            tx.append(SHOP, a_transition())

    with opened(database.url) as ledger:
        await ledger.write(lambda tx: tx.add_release(a_release()))
        await ledger.write(append_two)
        await ledger.write(append_two)

    found = postgres.execute("SELECT xid::text::bigint FROM event ORDER BY sequence", url=database.url)
    first, second, third, fourth = (row[0] for row in found)
    assert first == second < third == fourth


class _AnHourAhead(datetime):
    @classmethod
    def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
        return datetime.now(UTC) + timedelta(hours=1)


async def test_time_is_the_servers_whatever_clock_the_process_has(
    database: PostgresDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(database.url)
    for module in (postgresql, sqlite):
        monkeypatch.setattr(module, "datetime", _AnHourAhead)

    off = {}
    for url in (database.url, sqlite_url(tmp_path)):
        ledger = SqlLedger.open(url)
        off[url] = await ledger.read(lambda view: view.now()) - datetime.now(UTC)
        ledger.close()

    assert abs(off[database.url]) < timedelta(seconds=5)
    assert off[sqlite_url(tmp_path)] > timedelta(minutes=59), "SQLite's is the process's, so the clock was off"


async def test_a_clock_that_is_given_wins(database: PostgresDatabase) -> None:
    migrate(database.url)
    clock = Clock()
    ledger = SqlLedger.open(database.url, clock=clock)

    assert await ledger.write(lambda tx: tx.now()) == clock()
    ledger.close()

"""History can only be added to, whoever types the SQL."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError
from support.ledgers import SqliteDatabase, make_ledger, opened
from support.samples import NOON, SHOP, a_release, a_revision, a_transition, an_operation, finished

from helm_rollback.application.ports import LedgerTransaction
from helm_rollback.store.tables import metadata
from helm_rollback.store.triggers import RULES


@pytest.fixture
async def filled(database: SqliteDatabase) -> SqliteDatabase:
    """One row in every table; the revision's number 2 is replaced, operation 1 is over, 2 runs."""

    def fill(tx: LedgerTransaction) -> None:
        tx.add_release(a_release())
        tx.add_revision(a_revision(1, payload_digest=tx.archive(b"a record"), deployed_time=NOON, operation_id="one"))
        tx.add_revision(a_revision(2, replaced_time=NOON))
        tx.add_operation(finished(an_operation(1)))
        tx.add_operation(an_operation(2, attempt=1))
        tx.append(SHOP, a_transition())
        tx.claim_observation("default", owner="one", lease=timedelta(seconds=30))

    make_ledger(database.path.parent)
    with opened(database.url) as ledger:
        await ledger.write(fill)
    return database


def dump(database: SqliteDatabase) -> list[object]:
    with database.raw() as connection:
        return [connection.execute(table.select()).all() for table in metadata.sorted_tables]


REFUSED = {
    "ledger_is_not_changed": "UPDATE ledger SET ledger_id = '00'",
    "ledger_is_not_deleted": "DELETE FROM ledger",
    "event_is_not_changed": "UPDATE event SET change = '{}'",
    "event_is_not_deleted": "DELETE FROM event",
    "payload_is_not_changed": "UPDATE payload SET body = x'00'",
    "payload_is_not_deleted": "DELETE FROM payload",
    "release_is_not_deleted": "DELETE FROM release",
    "revision_is_not_deleted": "DELETE FROM revision",
    "operation_is_not_deleted": "DELETE FROM operation WHERE operation_id LIKE '%2'",
    "release_keeps_its_name": "UPDATE release SET name = 'blog', release_id = 'default.prod.blog'",
    "release_goes_forward": "UPDATE release SET last_sequence = 0",
    "revision_keeps_its_number": "UPDATE revision SET number = 7 WHERE number = 1",
    "revision_is_replaced_for_ever": "UPDATE revision SET replaced_time = NULL",
    "revision_was_deployed_once": "UPDATE revision SET deployed_time = NULL WHERE number = 1",
    "revision_keeps_its_payload": "UPDATE revision SET payload_digest = NULL WHERE number = 1",
    "revision_keeps_its_maker": "UPDATE revision SET operation_id = 'two' WHERE number = 1",
    "revision_keeps_its_digests": "UPDATE revision SET values_digest = '' WHERE number = 1",
    "revision_keeps_its_content": "UPDATE revision SET chart_version = '9' WHERE number = 1",
    "revision_keeps_its_origin": "UPDATE revision SET operation_type = 'INSTALL' WHERE number = 1",
    "operation_is_over": "UPDATE operation SET attempt = 5 WHERE operation_id LIKE '%1'",
    "operation_keeps_its_request": "UPDATE operation SET target_revision = 9 WHERE operation_id LIKE '%2'",
    "operation_counts_up": "UPDATE operation SET attempt = 0 WHERE operation_id LIKE '%2'",
}


def test_every_rule_is_tried_here() -> None:
    assert set(REFUSED) == {rule.trigger for rule in RULES}


@pytest.mark.parametrize(("rule", "statement"), REFUSED.items(), ids=REFUSED)
async def test_a_rule_refuses_what_it_forbids(filled: SqliteDatabase, rule: str, statement: str) -> None:
    before = dump(filled)

    with pytest.raises(IntegrityError, match=f"rule {rule}"), filled.raw() as connection:
        connection.exec_driver_sql(statement)

    assert dump(filled) == before


@pytest.mark.parametrize("table", ["ledger", "event", "payload", "release", "revision", "operation"])
async def test_a_row_can_not_be_replaced_by_an_insert(filled: SqliteDatabase, table: str) -> None:
    """SQLite's INSERT OR REPLACE deletes, and without recursive_triggers it does so past the rules."""
    before = dump(filled)

    with pytest.raises(IntegrityError, match=f"rule {table}_is_not_deleted"), filled.raw() as connection:
        connection.exec_driver_sql(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}")  # noqa: S608

    assert dump(filled) == before


@pytest.mark.parametrize(
    ("constraint", "statement"),
    [
        ("release_release_id_made", "UPDATE release SET name = 'blog'"),
        ("release_name_length", "UPDATE release SET name = '', release_id = 'default.prod.'"),
        ("release_status_known", "UPDATE release SET status = 'GREAT'"),
        ("revision_mark_known", "UPDATE revision SET mark = 'UGLY' WHERE number = 1"),
        ("operation_result_revision_range", "UPDATE operation SET result_revision = -1 WHERE operation_id LIKE '%2'"),
        ("operation_lease_whole", "UPDATE operation SET lease_owner = 'me' WHERE operation_id LIKE '%2'"),
        ("ledger_only_row", "INSERT INTO ledger SELECT 2, ledger_id, create_time FROM ledger"),
        ("event_kind_known", "INSERT INTO event SELECT 99, release_id, 99, 'Rumour', time, change FROM event"),
    ],
)
async def test_a_constraint_refuses_what_can_not_be(filled: SqliteDatabase, constraint: str, statement: str) -> None:
    with filled.raw() as connection:
        connection.exec_driver_sql("DROP TRIGGER release_keeps_its_name")

    with pytest.raises(IntegrityError, match=constraint), filled.raw() as connection:
        connection.exec_driver_sql(statement)

"""History can only be added to, whoever types the SQL."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from support.ledgers import AnyDatabase, opened
from support.samples import NOON, SHOP, a_release, a_revision, a_transition, an_operation, finished, operation_id

from helm_rollback.application.ports import LedgerTransaction
from helm_rollback.domain.chart import ChartChange, OciChart
from helm_rollback.store.rules import RULES
from helm_rollback.store.tables import metadata


@pytest.fixture
async def filled(database: AnyDatabase) -> AnyDatabase:
    """One row in every table; the revision's number 2 is replaced, operation 1 is over, 2 runs."""

    def fill(tx: LedgerTransaction) -> None:
        tx.add_release(a_release())
        tx.add_revision(a_revision(1, payload_digest=tx.archive(b"a record"), deployed_time=NOON, operation_id="one"))
        tx.add_revision(a_revision(2, replaced_time=NOON))
        tx.add_operation(finished(an_operation(1)))
        tx.add_operation(an_operation(2, attempt=1))
        tx.add_chart_change(operation_id(2), ChartChange(chart=OciChart("oci://registry/shop"), labels={"a": "b"}))
        tx.add_captured_failure(operation_id(1), "Pod shop-1\n  is Failed\n")
        tx.append(SHOP, a_transition())
        tx.claim_observation("default", owner="one", lease=timedelta(seconds=30))

    database.migrate()
    with opened(database.url) as ledger:
        await ledger.write(fill)
    return database


def dump(database: AnyDatabase) -> list[object]:
    with database.raw() as connection:
        return [connection.execute(table.select()).all() for table in metadata.sorted_tables]


REFUSED = {
    "ledger_is_not_changed": "UPDATE ledger SET create_time = create_time",
    "ledger_is_not_deleted": "DELETE FROM ledger",
    "event_is_not_changed": "UPDATE event SET change = '{}'",
    "event_is_not_deleted": "DELETE FROM event",
    "payload_is_not_changed": "UPDATE payload SET size = 0",
    "payload_is_not_deleted": "DELETE FROM payload",
    "chart_change_is_not_changed": "UPDATE chart_change SET version = '9'",
    "chart_change_is_not_deleted": "DELETE FROM chart_change",
    "captured_failure_is_not_changed": "UPDATE captured_failure SET body = ''",
    "captured_failure_is_not_deleted": "DELETE FROM captured_failure",
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
    assert set(REFUSED) == {rule.trigger for rule in RULES if rule.change != "TRUNCATE"}


@pytest.mark.parametrize(("rule", "statement"), REFUSED.items(), ids=REFUSED)
async def test_a_rule_refuses_what_it_forbids(filled: AnyDatabase, rule: str, statement: str) -> None:
    before = dump(filled)

    with pytest.raises(IntegrityError, match=f"rule {rule}"), filled.raw() as connection:
        connection.execute(text(statement))

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
async def test_a_constraint_refuses_what_can_not_be(filled: AnyDatabase, constraint: str, statement: str) -> None:
    filled.drop_rule("release_keeps_its_name")

    with pytest.raises(IntegrityError, match=constraint), filled.raw() as connection:
        connection.execute(text(statement))

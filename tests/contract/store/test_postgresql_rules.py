"""The rules of history on PostgreSQL: also against TRUNCATE, and for a service that owns no table."""

from __future__ import annotations

import logging

import pytest
from sqlalchemy.exc import IntegrityError
from support.ledgers import PostgresDatabase, opened, refused
from support.postgres import PostgresServer
from support.samples import SHOP, Clock, a_release, a_transition

from helm_rollback.store import SqlLedger
from helm_rollback.store.migrate import migrate
from helm_rollback.store.rules import RULES, Rule


@pytest.fixture
def database(postgres: PostgresServer) -> PostgresDatabase:
    return PostgresDatabase(postgres)


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.change == "TRUNCATE"], ids=lambda rule: rule.table)
def test_no_table_is_emptied(database: PostgresDatabase, rule: Rule) -> None:
    database.migrate()

    with pytest.raises(IntegrityError, match=r"rule [a-z_]+_is_not_emptied"), database.raw() as connection:
        connection.exec_driver_sql(f"TRUNCATE {rule.table} CASCADE")


@pytest.mark.parametrize(
    "subversion",
    [
        "ALTER TABLE event DISABLE TRIGGER event_is_not_deleted",
        "DROP TRIGGER event_is_not_deleted ON event",
        "CREATE OR REPLACE FUNCTION ledger_rule() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'",
    ],
    ids=["disabled", "gone", "toothless"],
)
async def test_rules_that_lost_their_teeth_get_them_back_with_a_warning(
    database: PostgresDatabase, caplog: pytest.LogCaptureFixture, subversion: str
) -> None:
    with opened(database.url) as ledger:
        await ledger.write(lambda tx: tx.add_release(a_release()))
        await ledger.write(lambda tx: tx.append(SHOP, a_transition()))
    with database.raw() as connection:
        connection.exec_driver_sql(subversion)

    with caplog.at_level(logging.WARNING), opened(database.url):
        pass

    assert "event_is_not_deleted" in caplog.text
    with pytest.raises(IntegrityError, match="rule event_is_not_deleted"), database.raw() as connection:
        connection.exec_driver_sql("DELETE FROM event")


@pytest.fixture
def servant(database: PostgresDatabase, postgres: PostgresServer) -> str:
    """The URL of a role that may use the ledger's tables, and owns none."""
    migrate(database.url)
    role = database.url.rpartition("/")[2] + "_servant"
    for right in (
        f"CREATE ROLE {role} LOGIN",
        f"GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO {role}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}",
    ):
        postgres.execute(right, url=database.url)
    return database.url.replace("postgres@", f"{role}@")


async def test_a_service_needs_not_own_the_tables(servant: str) -> None:
    ledger = SqlLedger.open(servant, clock=Clock())
    try:
        await ledger.write(lambda tx: tx.add_release(a_release()))
        await ledger.write(lambda tx: tx.append(SHOP, a_transition()))
        assert len(await ledger.read(lambda view: view.events(SHOP, after=0, limit=9))) == 1
    finally:
        ledger.close()


def test_who_may_not_mend_a_missing_rule_is_told_who_can(database: PostgresDatabase, servant: str) -> None:
    database.drop_rule("event_is_not_deleted")

    assert "run helm-rollback migrate as the owner of the tables" in refused(servant)

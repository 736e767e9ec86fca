"""Sees to it that the rules are enforced: the triggers are there, and are what they should be.

Every upgrade ends with it, since Alembic drops a table's triggers where it has to make
the table anew; and every start begins with it.
"""

from __future__ import annotations

from sqlalchemy import Connection

from helm_rollback.store.engines.database import Database
from helm_rollback.store.rules import RULES


def ensure_triggers(connection: Connection, database: Database) -> list[str]:
    """Make the triggers that are missing or differ; their names. Does nothing when all are there."""
    present = database.triggers(connection)
    wrong = [rule for rule in RULES if present.get(rule.trigger, "") != database.spelled(rule)]
    database.make_triggers(connection, wrong)
    return [rule.trigger for rule in wrong]

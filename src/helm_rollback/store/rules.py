"""What never changes in the ledger, enforced by the database itself.

Constraints judge a row as it is; these rules judge a change: history is only
added to, so no bug and no statement typed by hand can rewrite it. They are data
here; each engine spells them as triggers of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from helm_rollback.store.tables import IS_LIVE


@dataclass(frozen=True, slots=True)
class Rule:
    """A change that is refused. `when` may speak of OLD and NEW; empty: always."""

    table: str
    name: str
    change: str
    when: str = ""

    @property
    def trigger(self) -> str:
        return f"{self.table}_{self.name}"

    def condition(self, *, differs: str) -> str:
        """`when`, with the engine's word for "is distinct from", which counts NULL as a value."""
        return self.when.format(differs=differs)


def _changes(*columns: str) -> str:
    return " OR ".join(f'OLD."{column}" {{differs}} NEW."{column}"' for column in columns)


def _changes_but_from(empty: str, *columns: str) -> str:
    return " OR ".join(
        f"(OLD.{column} {{differs}} {empty} AND OLD.{column} {{differs}} NEW.{column})" for column in columns
    )


_WRITTEN_ONCE: Final = ("ledger", "event", "payload", "chart_change", "captured_failure")
_NEVER_DELETED: Final = ("release", "revision", "operation")

_OF_A_RECORD: Final = ("create_time", "chart_name", "chart_version", "app_version", "full_size_bytes")
"""Of a revision: told by its record, so unknown while that can not be decoded."""

_REQUEST_OF_OPERATION: Final = (
    "operation_id",
    "release_id",
    "incarnation",
    "type",
    "base_revision",
    "base_status",
    "target_revision",
    "actor",
    "actor_verified",
    "reason",
    "request_id",
    "request_digest",
    "create_time",
    "expire_time",
    "caused_by_operation_id",
    "start_sequence",
    "selection",
    "helm_options",
    "remove_leftovers",
    "atomic",
    "purge",
)


def _rules() -> Iterator[Rule]:
    for table in _WRITTEN_ONCE:
        yield Rule(table, "is_not_changed", "UPDATE")
        yield Rule(table, "is_not_deleted", "DELETE")
    for table in _NEVER_DELETED:
        yield Rule(table, "is_not_deleted", "DELETE")
    for table in (*_WRITTEN_ONCE, *_NEVER_DELETED):
        yield Rule(table, "is_not_emptied", "TRUNCATE")
    yield Rule("release", "keeps_its_name", "UPDATE", _changes("release_id", "cluster", "namespace", "name"))
    yield Rule(
        "release",
        "goes_forward",
        "UPDATE",
        "NEW.last_sequence < OLD.last_sequence OR NEW.incarnation < OLD.incarnation",
    )
    yield Rule("revision", "keeps_its_number", "UPDATE", _changes("key", "release_id", "incarnation", "number"))
    yield Rule("revision", "is_replaced_for_ever", "UPDATE", "OLD.replaced_time IS NOT NULL")
    yield Rule("revision", "was_deployed_once", "UPDATE", _changes_but_from("NULL", "deployed_time"))
    yield Rule("revision", "keeps_its_payload", "UPDATE", _changes_but_from("NULL", "payload_digest"))
    yield Rule("revision", "keeps_its_maker", "UPDATE", _changes_but_from("''", "operation_id"))
    yield Rule("revision", "keeps_its_digests", "UPDATE", _changes_but_from("''", "values_digest", "manifest_digest"))
    yield Rule("revision", "keeps_its_content", "UPDATE", f"OLD.manifest_digest <> '' AND ({_changes(*_OF_A_RECORD)})")
    yield Rule(
        "revision",
        "keeps_its_origin",
        "UPDATE",
        "OLD.manifest_digest <> '' AND ("
        + _changes_but_from("NULL", "operation_type", "first_deployed", "last_deployed")
        + " OR "
        + _changes_but_from("0", "rollback_target")
        + ")",
    )
    yield Rule("operation", "is_over", "UPDATE", f"NOT (OLD.{IS_LIVE})")
    yield Rule("operation", "keeps_its_request", "UPDATE", _changes(*_REQUEST_OF_OPERATION))
    yield Rule("operation", "counts_up", "UPDATE", "NEW.fence_token < OLD.fence_token OR NEW.attempt < OLD.attempt")


RULES: Final = tuple(_rules())

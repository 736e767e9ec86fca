"""The ledger's tables.

Rows are written and read as statements on these tables and turned into the
domain's values by `mapping.py`; nobody outside `store/` sees a row. SQLModel's
constructors do not validate rows of tables, and SQLite takes any length and any
word, so every rule stands here as a named CHECK, key or index. What no constraint
can say (this never changes, that is never deleted) is in `triggers.py`.

Times are plain `datetime`: SQLModel then stores UTC and refuses naive ones.
Words of an enum are text. Empty text means "none", but in foreign keys and unique
columns, where NULL does.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Final
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    false,
    text,
)
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from helm_rollback.domain.history import MarkChange, OperationTransition, RecordRemoval, RevisionTransition
from helm_rollback.domain.operation import OperationState, OperationType, OutcomeEvidence
from helm_rollback.domain.revision import Mark
from helm_rollback.domain.selection import Evidence
from helm_rollback.domain.status import Status

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pk",
        "fk": "%(table_name)s_%(column_0_name)s_fk",
        "ck": "%(table_name)s_%(constraint_name)s",
    }
)

# Ordered by its bytes, as SQLite does, whatever order a PostgreSQL database has.
Id = String().with_variant(String(collation="C"), "postgresql")
# SQLite makes a column its rowid only where its type is INTEGER to the letter.
GrowingKey = BigInteger().with_variant(Integer, "sqlite")

IS_LIVE: Final = "state IN ('PENDING', 'RUNNING')"
"""Of operations. Always written like this, or SQLite does not see that the partial index serves."""

EVENT_KINDS: Final = (RevisionTransition, OperationTransition, RecordRemoval, MarkChange)
"""A further kind of event is a further class here, and a migration of one CHECK."""


def _one_of(column: str, words: type[StrEnum], *, optional: bool = False) -> CheckConstraint:
    listed = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(
        f"{column} IS NULL OR {column} IN ({listed})" if optional else f"{column} IN ({listed})", name=f"{column}_known"
    )


def _length(column: str, longest: int, *, shortest: int = 0) -> CheckConstraint:
    return CheckConstraint(f"length({column}) BETWEEN {shortest} AND {longest}", name=f"{column}_length")


def _at_least(column: str, least: int) -> CheckConstraint:
    return CheckConstraint(f"{column} >= {least}", name=f"{column}_range")


class _Row(SQLModel, registry=registry(metadata=metadata)):
    pass


class LedgerRow(_Row, table=True):
    """Which ledger this is: one row, made with the tables."""

    __tablename__: ClassVar[str] = "ledger"
    __table_args__: ClassVar[Any] = (CheckConstraint("only_row = 1", name="only_row"),)

    only_row: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    ledger_id: UUID
    create_time: datetime


class ReleaseRow(_Row, table=True):
    """A release: its counters, and the projection of its history. The live operation is not stored twice."""

    __tablename__: ClassVar[str] = "release"
    __table_args__: ClassVar[Any] = (
        CheckConstraint("release_id = cluster || '.' || namespace || '.' || name", name="release_id_made"),
        _length("cluster", 63, shortest=1),
        _length("namespace", 63, shortest=1),
        _length("name", 53, shortest=1),
        _at_least("incarnation", 1),
        _at_least("current_revision", 0),
        _at_least("last_successful_revision", 0),
        _at_least("last_sequence", 0),
        _one_of("status", Status),
        Index("release_by_namespace", "cluster", "namespace", "release_id"),
        Index("release_by_last_event", "last_event_time"),
    )

    release_id: str = Field(primary_key=True, sa_type=Id)
    cluster: str = Field(sa_type=Id)
    namespace: str = Field(sa_type=Id)
    name: str = Field(sa_type=Id)
    incarnation: int
    current_revision: int
    status: str
    last_successful_revision: int
    chart_name: str
    chart_version: str
    app_version: str
    last_sequence: int = Field(sa_type=BigInteger)
    last_event_time: datetime | None
    update_time: datetime


class PayloadRow(_Row, table=True):
    """An archived record. `digest` is of the bytes that were put in, `plain_digest` of `body` before encryption."""

    __tablename__: ClassVar[str] = "payload"
    __table_args__: ClassVar[Any] = (
        _length("digest", 64, shortest=64),
        _length("plain_digest", 64, shortest=64),
        CheckConstraint("encoding IN ('gzip', 'plain')", name="encoding_known"),
        _at_least("size", 0),
    )

    digest: str = Field(primary_key=True)
    encoding: str
    key_id: str | None
    plain_digest: str
    size: int = Field(sa_type=BigInteger)
    create_time: datetime
    body: bytes


class RevisionRow(_Row, table=True):
    """A revision. Its key is the ledger's own, since Helm may use a number twice."""

    __tablename__: ClassVar[str] = "revision"
    __table_args__: ClassVar[Any] = (
        ForeignKeyConstraint(["release_id"], ["release.release_id"]),
        ForeignKeyConstraint(["payload_digest"], ["payload.digest"]),
        _at_least("incarnation", 1),
        _at_least("number", 1),
        _at_least("rollback_target", 0),
        _at_least("full_size_bytes", 0),
        _length("values_digest", 64),
        _length("manifest_digest", 64),
        _one_of("status", Status),
        _one_of("operation_type", OperationType, optional=True),
        _one_of("success_evidence", Evidence, optional=True),
        _one_of("mark", Mark),
        Index(
            "revision_bears_number",
            "release_id",
            "incarnation",
            "number",
            unique=True,
            sqlite_where=text("replaced_time IS NULL"),
            postgresql_where=text("replaced_time IS NULL"),
        ),
        Index("revision_in_order", "release_id", "incarnation", "number", "key"),
        Index(
            "revision_successful",
            "release_id",
            "incarnation",
            "number",
            "key",
            sqlite_where=text("deployed_time IS NOT NULL"),
            postgresql_where=text("deployed_time IS NOT NULL"),
        ),
    )

    key: int | None = Field(default=None, primary_key=True, sa_type=GrowingKey)
    release_id: str = Field(sa_type=Id)
    incarnation: int
    number: int
    status: str
    operation_type: str | None
    rollback_target: int
    description: str
    chart_name: str
    chart_version: str
    app_version: str
    create_time: datetime
    update_time: datetime
    first_deployed: datetime | None
    last_deployed: datetime | None
    deployed_time: datetime | None
    success_evidence: str | None
    unproven: bool
    apply_completed: bool | None
    replaced_time: datetime | None
    operation_id: str = Field(sa_type=Id)
    actor: str
    reason: str
    mark: str
    values_digest: str
    manifest_digest: str
    payload_digest: str | None
    full_size_bytes: int = Field(sa_type=BigInteger)
    stored_by_helm: bool
    uid: str
    resource_version: int = Field(sa_type=BigInteger)
    labels: str = Field(sa_type=Text, sa_column_kwargs={"server_default": "{}"})


class OperationRow(_Row, table=True):
    """An operation, with what only its worker needs: the lease, its token, the Helm that was started."""

    __tablename__: ClassVar[str] = "operation"
    __table_args__: ClassVar[Any] = (
        ForeignKeyConstraint(["release_id"], ["release.release_id"]),
        ForeignKeyConstraint(["caused_by_operation_id"], ["operation.operation_id"]),
        _length("operation_id", 36, shortest=1),
        _length("request_id", 64, shortest=1),
        _length("reason", 200),
        _at_least("incarnation", 1),
        _at_least("base_revision", 0),
        _at_least("target_revision", 0),
        _at_least("result_revision", 0),
        _at_least("attempt", 0),
        _at_least("start_sequence", 0),
        _at_least("fence_token", 0),
        _one_of("type", OperationType),
        _one_of("state", OperationState),
        _one_of("base_status", Status),
        _one_of("outcome_evidence", OutcomeEvidence, optional=True),
        CheckConstraint(f"({IS_LIVE}) = (end_time IS NULL)", name="end_time_when_terminal"),
        CheckConstraint("(lease_owner IS NULL) = (lease_expires IS NULL)", name="lease_whole"),
        CheckConstraint(f"lease_owner IS NULL OR {IS_LIVE}", name="lease_while_live"),
        Index(
            "operation_one_live",
            "release_id",
            unique=True,
            sqlite_where=text(IS_LIVE),
            postgresql_where=text(IS_LIVE),
        ),
        Index(
            "operation_request_id",
            "request_id",
            unique=True,
            sqlite_where=text("request_id IS NOT NULL"),
            postgresql_where=text("request_id IS NOT NULL"),
        ),
        Index("operation_of_release", "release_id", "operation_id"),
        Index(
            "operation_to_claim",
            "operation_id",
            "lease_expires",
            sqlite_where=text(IS_LIVE),
            postgresql_where=text(IS_LIVE),
        ),
    )

    operation_id: str = Field(primary_key=True, sa_type=Id)
    release_id: str = Field(sa_type=Id)
    incarnation: int
    type: str
    state: str
    base_revision: int
    base_status: str
    target_revision: int
    result_revision: int
    actor: str
    actor_verified: bool
    reason: str
    request_id: str | None
    request_digest: str
    create_time: datetime
    expire_time: datetime
    start_time: datetime | None
    end_time: datetime | None
    attempt: int
    outcome_evidence: str | None
    caused_by_operation_id: str | None = Field(sa_type=Id)
    cancel_requested: bool
    start_sequence: int = Field(sa_type=BigInteger)
    failure: str | None = Field(sa_type=Text)
    selection: str | None = Field(sa_type=Text)
    leftover_objects: str = Field(sa_type=Text)
    helm_options: str = Field(sa_type=Text)
    lease_owner: str | None
    lease_expires: datetime | None
    last_held: datetime | None
    """Of replicas before version 0005; nobody reads it."""
    helm_until: datetime | None
    """When the last claim ran out under which Helm was started: the fence passed nothing later."""
    attempt_at_claim: int = Field(sa_column_kwargs={"server_default": "0"})
    """Where `attempt` is higher, Helm was started under the newest claim."""
    fence_token: int = Field(sa_type=BigInteger)
    helm_host: str | None
    helm_pid: int | None
    helm_start_ticks: int | None = Field(sa_type=BigInteger)
    remove_leftovers: bool = Field(sa_column_kwargs={"server_default": false()})
    atomic: bool = Field(sa_column_kwargs={"server_default": false()})
    purge: bool = Field(sa_column_kwargs={"server_default": false()})
    record_time: datetime | None


class ChartChangeRow(_Row, table=True):
    """What an install or an upgrade was given: exactly one of archive, oci and repository with chart_name."""

    __tablename__: ClassVar[str] = "chart_change"
    __table_args__: ClassVar[Any] = (ForeignKeyConstraint(["operation_id"], ["operation.operation_id"]),)

    operation_id: str = Field(primary_key=True, sa_type=Id)
    archive: bytes | None
    oci: str | None
    repository: str | None
    chart_name: str | None
    version: str
    values_yaml: str = Field(sa_type=Text)
    values_mode: str | None
    create_namespace: bool
    labels: str = Field(sa_type=Text)


class CapturedFailureRow(_Row, table=True):
    """What was captured of the failure of an operation that wrote a revision."""

    __tablename__: ClassVar[str] = "captured_failure"
    __table_args__: ClassVar[Any] = (ForeignKeyConstraint(["operation_id"], ["operation.operation_id"]),)

    operation_id: str = Field(primary_key=True, sa_type=Id)
    body: str = Field(sa_type=Text)


class EventRow(_Row, table=True):
    """An event. A stream of one release reads by (release, sequence), one of the whole ledger by `position`.

    `position` is SQLite's rowid, named so that VACUUM keeps it: with one writer it
    is the order of commits. On PostgreSQL it is not; there the table has a further
    column xid, which gives that order below a snapshot's xmin.
    """

    __tablename__: ClassVar[str] = "event"
    __table_args__: ClassVar[Any] = (
        ForeignKeyConstraint(["release_id"], ["release.release_id"]),
        _at_least("sequence", 1),
        CheckConstraint(f"kind IN ({', '.join(repr(kind.__name__) for kind in EVENT_KINDS)})", name="kind_known"),
        Index("event_in_order", "release_id", "sequence", unique=True),
    )

    position: int | None = Field(default=None, primary_key=True, sa_type=GrowingKey)
    release_id: str = Field(sa_type=Id)
    sequence: int = Field(sa_type=BigInteger)
    kind: str
    time: datetime
    change: str = Field(sa_type=Text)


class ObservedClusterRow(_Row, table=True):
    """Up to where a cluster's changes are in the ledger (0: nothing was listed yet), and who observes it."""

    __tablename__: ClassVar[str] = "observed_cluster"
    __table_args__: ClassVar[Any] = (_at_least("resource_version", 0),)

    cluster: str = Field(primary_key=True, sa_type=Id)
    resource_version: int = Field(sa_type=BigInteger)
    update_time: datetime
    lease_owner: str | None
    lease_expires: datetime | None
    fence_token: int = Field(sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})


ledger: Final = metadata.tables["ledger"]
release: Final = metadata.tables["release"]
payload: Final = metadata.tables["payload"]
revision: Final = metadata.tables["revision"]
operation: Final = metadata.tables["operation"]
chart_change: Final = metadata.tables["chart_change"]
captured_failure: Final = metadata.tables["captured_failure"]
event: Final = metadata.tables["event"]
observed_cluster: Final = metadata.tables["observed_cluster"]

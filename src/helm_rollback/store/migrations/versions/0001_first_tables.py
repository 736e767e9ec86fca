"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Ordered by its bytes, as SQLite does, whatever order a PostgreSQL database has.
ID = sa.String().with_variant(sa.String(collation="C"), "postgresql")
# SQLite makes a column its rowid only where its type is INTEGER to the letter.
GROWING_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "ledger",
        sa.Column("only_row", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("ledger_id", sa.Uuid(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("only_row", name=op.f("ledger_pk")),
        sa.CheckConstraint(
            "only_row = 1",
            name=op.f("ledger_only_row"),
        ),
    )
    op.create_table(
        "observed_cluster",
        sa.Column("cluster", ID, nullable=False),
        sa.Column("resource_version", sa.BigInteger(), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("cluster", name=op.f("observed_cluster_pk")),
        sa.CheckConstraint(
            "resource_version >= 0",
            name=op.f("observed_cluster_resource_version_range"),
        ),
    )
    op.create_table(
        "payload",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("encoding", sa.String(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=True),
        sa.Column("plain_digest", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("payload_pk")),
        sa.CheckConstraint(
            "length(digest) BETWEEN 64 AND 64",
            name=op.f("payload_digest_length"),
        ),
        sa.CheckConstraint(
            "length(plain_digest) BETWEEN 64 AND 64",
            name=op.f("payload_plain_digest_length"),
        ),
        sa.CheckConstraint(
            "encoding IN ('gzip', 'plain')",
            name=op.f("payload_encoding_known"),
        ),
        sa.CheckConstraint(
            "size >= 0",
            name=op.f("payload_size_range"),
        ),
    )
    op.create_table(
        "release",
        sa.Column("release_id", ID, nullable=False),
        sa.Column("cluster", ID, nullable=False),
        sa.Column("namespace", ID, nullable=False),
        sa.Column("name", ID, nullable=False),
        sa.Column("incarnation", sa.Integer(), nullable=False),
        sa.Column("current_revision", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("last_successful_revision", sa.Integer(), nullable=False),
        sa.Column("chart_name", sa.String(), nullable=False),
        sa.Column("chart_version", sa.String(), nullable=False),
        sa.Column("app_version", sa.String(), nullable=False),
        sa.Column("last_sequence", sa.BigInteger(), nullable=False),
        sa.Column("last_event_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("release_id", name=op.f("release_pk")),
        sa.CheckConstraint(
            "release_id = cluster || '.' || namespace || '.' || name",
            name=op.f("release_release_id_made"),
        ),
        sa.CheckConstraint(
            "length(cluster) BETWEEN 1 AND 63",
            name=op.f("release_cluster_length"),
        ),
        sa.CheckConstraint(
            "length(namespace) BETWEEN 1 AND 63",
            name=op.f("release_namespace_length"),
        ),
        sa.CheckConstraint(
            "length(name) BETWEEN 1 AND 53",
            name=op.f("release_name_length"),
        ),
        sa.CheckConstraint(
            "incarnation >= 1",
            name=op.f("release_incarnation_range"),
        ),
        sa.CheckConstraint(
            "current_revision >= 0",
            name=op.f("release_current_revision_range"),
        ),
        sa.CheckConstraint(
            "last_successful_revision >= 0",
            name=op.f("release_last_successful_revision_range"),
        ),
        sa.CheckConstraint(
            "last_sequence >= 0",
            name=op.f("release_last_sequence_range"),
        ),
        sa.CheckConstraint(
            "status IN ('UNKNOWN', 'DEPLOYED', 'UNINSTALLED', 'SUPERSEDED', 'FAILED', "
            "'UNINSTALLING', 'PENDING_INSTALL', 'PENDING_UPGRADE', 'PENDING_ROLLBACK')",
            name=op.f("release_status_known"),
        ),
    )
    op.create_index("release_by_namespace", "release", ["cluster", "namespace", "release_id"], unique=False)
    op.create_table(
        "event",
        sa.Column("position", GROWING_KEY, nullable=False),
        sa.Column("release_id", ID, nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("change", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("event_pk")),
        sa.ForeignKeyConstraint(["release_id"], ["release.release_id"], name=op.f("event_release_id_fk")),
        sa.CheckConstraint(
            "sequence >= 1",
            name=op.f("event_sequence_range"),
        ),
        sa.CheckConstraint(
            "kind IN ('RevisionTransition', 'OperationTransition', 'RecordRemoval', 'MarkChange')",
            name=op.f("event_kind_known"),
        ),
    )
    op.create_index("event_in_order", "event", ["release_id", "sequence"], unique=True)
    op.create_table(
        "operation",
        sa.Column("operation_id", ID, nullable=False),
        sa.Column("release_id", ID, nullable=False),
        sa.Column("incarnation", sa.Integer(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("base_revision", sa.Integer(), nullable=False),
        sa.Column("base_status", sa.String(), nullable=False),
        sa.Column("target_revision", sa.Integer(), nullable=False),
        sa.Column("result_revision", sa.Integer(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("actor_verified", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=True),
        sa.Column("request_digest", sa.String(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expire_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("start_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("outcome_evidence", sa.String(), nullable=True),
        sa.Column("caused_by_operation_id", ID, nullable=True),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("start_sequence", sa.BigInteger(), nullable=False),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("selection", sa.Text(), nullable=True),
        sa.Column("leftover_objects", sa.Text(), nullable=False),
        sa.Column("helm_options", sa.Text(), nullable=False),
        sa.Column("lease_owner", sa.String(), nullable=True),
        sa.Column("lease_expires", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_held", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fence_token", sa.BigInteger(), nullable=False),
        sa.Column("helm_host", sa.String(), nullable=True),
        sa.Column("helm_pid", sa.Integer(), nullable=True),
        sa.Column("helm_start_ticks", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("operation_id", name=op.f("operation_pk")),
        sa.ForeignKeyConstraint(["release_id"], ["release.release_id"], name=op.f("operation_release_id_fk")),
        sa.ForeignKeyConstraint(
            ["caused_by_operation_id"], ["operation.operation_id"], name=op.f("operation_caused_by_operation_id_fk")
        ),
        sa.CheckConstraint(
            "length(operation_id) BETWEEN 1 AND 36",
            name=op.f("operation_operation_id_length"),
        ),
        sa.CheckConstraint(
            "length(request_id) BETWEEN 1 AND 64",
            name=op.f("operation_request_id_length"),
        ),
        sa.CheckConstraint(
            "length(reason) BETWEEN 0 AND 200",
            name=op.f("operation_reason_length"),
        ),
        sa.CheckConstraint(
            "incarnation >= 1",
            name=op.f("operation_incarnation_range"),
        ),
        sa.CheckConstraint(
            "base_revision >= 0",
            name=op.f("operation_base_revision_range"),
        ),
        sa.CheckConstraint(
            "target_revision >= 0",
            name=op.f("operation_target_revision_range"),
        ),
        sa.CheckConstraint(
            "result_revision >= 0",
            name=op.f("operation_result_revision_range"),
        ),
        sa.CheckConstraint(
            "attempt >= 0",
            name=op.f("operation_attempt_range"),
        ),
        sa.CheckConstraint(
            "start_sequence >= 0",
            name=op.f("operation_start_sequence_range"),
        ),
        sa.CheckConstraint(
            "fence_token >= 0",
            name=op.f("operation_fence_token_range"),
        ),
        sa.CheckConstraint(
            "type IN ('INSTALL', 'UPGRADE', 'ROLLBACK', 'UNINSTALL')",
            name=op.f("operation_type_known"),
        ),
        sa.CheckConstraint(
            "state IN ('PENDING', 'RUNNING', 'SUCCEEDED', 'FAILED', 'CANCELLED')",
            name=op.f("operation_state_known"),
        ),
        sa.CheckConstraint(
            "base_status IN ('UNKNOWN', 'DEPLOYED', 'UNINSTALLED', 'SUPERSEDED', 'FAILED', "
            "'UNINSTALLING', 'PENDING_INSTALL', 'PENDING_UPGRADE', 'PENDING_ROLLBACK')",
            name=op.f("operation_base_status_known"),
        ),
        sa.CheckConstraint(
            "outcome_evidence IS NULL OR outcome_evidence IN ('OBSERVED', 'RECONSTRUCTED')",
            name=op.f("operation_outcome_evidence_known"),
        ),
        sa.CheckConstraint(
            "(state IN ('PENDING', 'RUNNING')) = (end_time IS NULL)",
            name=op.f("operation_end_time_when_terminal"),
        ),
        sa.CheckConstraint(
            "(lease_owner IS NULL) = (lease_expires IS NULL)",
            name=op.f("operation_lease_whole"),
        ),
        sa.CheckConstraint(
            "lease_owner IS NULL OR state IN ('PENDING', 'RUNNING')",
            name=op.f("operation_lease_while_live"),
        ),
    )
    op.create_index("operation_of_release", "operation", ["release_id", "operation_id"], unique=False)
    op.create_index(
        "operation_one_live",
        "operation",
        ["release_id"],
        unique=True,
        sqlite_where=sa.text("state IN ('PENDING', 'RUNNING')"),
        postgresql_where=sa.text("state IN ('PENDING', 'RUNNING')"),
    )
    op.create_index(
        "operation_request_id",
        "operation",
        ["request_id"],
        unique=True,
        sqlite_where=sa.text("request_id IS NOT NULL"),
        postgresql_where=sa.text("request_id IS NOT NULL"),
    )
    op.create_index(
        "operation_to_claim",
        "operation",
        ["operation_id", "lease_expires"],
        unique=False,
        sqlite_where=sa.text("state IN ('PENDING', 'RUNNING')"),
        postgresql_where=sa.text("state IN ('PENDING', 'RUNNING')"),
    )
    op.create_table(
        "revision",
        sa.Column("key", GROWING_KEY, nullable=False),
        sa.Column("release_id", ID, nullable=False),
        sa.Column("incarnation", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("operation_type", sa.String(), nullable=True),
        sa.Column("rollback_target", sa.Integer(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("chart_name", sa.String(), nullable=False),
        sa.Column("chart_version", sa.String(), nullable=False),
        sa.Column("app_version", sa.String(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("first_deployed", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_deployed", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deployed_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("success_evidence", sa.String(), nullable=True),
        sa.Column("unproven", sa.Boolean(), nullable=False),
        sa.Column("apply_completed", sa.Boolean(), nullable=True),
        sa.Column("replaced_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("operation_id", ID, nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("mark", sa.String(), nullable=False),
        sa.Column("values_digest", sa.String(), nullable=False),
        sa.Column("manifest_digest", sa.String(), nullable=False),
        sa.Column("payload_digest", sa.String(), nullable=True),
        sa.Column("full_size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("stored_by_helm", sa.Boolean(), nullable=False),
        sa.Column("uid", sa.String(), nullable=False),
        sa.Column("resource_version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("revision_pk")),
        sa.ForeignKeyConstraint(["release_id"], ["release.release_id"], name=op.f("revision_release_id_fk")),
        sa.ForeignKeyConstraint(["payload_digest"], ["payload.digest"], name=op.f("revision_payload_digest_fk")),
        sa.CheckConstraint(
            "incarnation >= 1",
            name=op.f("revision_incarnation_range"),
        ),
        sa.CheckConstraint(
            "number >= 1",
            name=op.f("revision_number_range"),
        ),
        sa.CheckConstraint(
            "rollback_target >= 0",
            name=op.f("revision_rollback_target_range"),
        ),
        sa.CheckConstraint(
            "full_size_bytes >= 0",
            name=op.f("revision_full_size_bytes_range"),
        ),
        sa.CheckConstraint(
            "length(values_digest) BETWEEN 0 AND 64",
            name=op.f("revision_values_digest_length"),
        ),
        sa.CheckConstraint(
            "length(manifest_digest) BETWEEN 0 AND 64",
            name=op.f("revision_manifest_digest_length"),
        ),
        sa.CheckConstraint(
            "status IN ('UNKNOWN', 'DEPLOYED', 'UNINSTALLED', 'SUPERSEDED', 'FAILED', "
            "'UNINSTALLING', 'PENDING_INSTALL', 'PENDING_UPGRADE', 'PENDING_ROLLBACK')",
            name=op.f("revision_status_known"),
        ),
        sa.CheckConstraint(
            "operation_type IS NULL OR operation_type IN ('INSTALL', 'UPGRADE', 'ROLLBACK', 'UNINSTALL')",
            name=op.f("revision_operation_type_known"),
        ),
        sa.CheckConstraint(
            "success_evidence IS NULL OR success_evidence IN ('LEDGER', 'HELM_RECORD', 'MARKED')",
            name=op.f("revision_success_evidence_known"),
        ),
        sa.CheckConstraint(
            "mark IN ('GOOD', 'BAD', 'UNMARKED')",
            name=op.f("revision_mark_known"),
        ),
    )
    op.create_index(
        "revision_bears_number",
        "revision",
        ["release_id", "incarnation", "number"],
        unique=True,
        sqlite_where=sa.text("replaced_time IS NULL"),
        postgresql_where=sa.text("replaced_time IS NULL"),
    )
    op.create_index("revision_in_order", "revision", ["release_id", "incarnation", "number", "key"], unique=False)
    op.create_index(
        "revision_successful",
        "revision",
        ["release_id", "incarnation", "number", "key"],
        unique=False,
        sqlite_where=sa.text("deployed_time IS NOT NULL"),
        postgresql_where=sa.text("deployed_time IS NOT NULL"),
    )

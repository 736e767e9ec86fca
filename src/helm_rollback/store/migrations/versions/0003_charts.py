"""Installs, upgrades and uninstalls: what they were given, how their record is known. And streams of many releases."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ID = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    for name in ("atomic", "purge"):
        op.add_column("operation", sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("operation", sa.Column("record_time", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "chart_change",
        sa.Column("operation_id", ID, nullable=False),
        sa.Column("archive", sa.LargeBinary(), nullable=True),
        sa.Column("oci", sa.String(), nullable=True),
        sa.Column("repository", sa.String(), nullable=True),
        sa.Column("chart_name", sa.String(), nullable=True),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("values_yaml", sa.Text(), nullable=False),
        sa.Column("values_mode", sa.String(), nullable=True),
        sa.Column("create_namespace", sa.Boolean(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["operation_id"], ["operation.operation_id"], name=op.f("chart_change_operation_id_fk")
        ),
        sa.PrimaryKeyConstraint("operation_id", name=op.f("chart_change_pk")),
    )
    op.create_index("release_by_last_event", "release", ["last_event_time"])

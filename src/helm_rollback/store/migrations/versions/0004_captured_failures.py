"""What was captured of the failures of operations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ID = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "captured_failure",
        sa.Column("operation_id", ID, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["operation_id"], ["operation.operation_id"], name=op.f("captured_failure_operation_id_fk")
        ),
        sa.PrimaryKeyConstraint("operation_id", name=op.f("captured_failure_pk")),
    )

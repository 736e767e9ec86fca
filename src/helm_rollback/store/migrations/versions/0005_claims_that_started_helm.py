"""Claims: until when a Helm may have written, whoever has only looked since."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("operation", sa.Column("helm_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("operation", sa.Column("attempt_at_claim", sa.Integer(), nullable=False, server_default="0"))
    op.execute("UPDATE operation SET helm_until = last_held WHERE state IN ('PENDING', 'RUNNING')")

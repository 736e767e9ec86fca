"""Replicas: one of them observes a cluster, by a lease. Leftovers to be removed, and labels to be put back."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("operation", sa.Column("remove_leftovers", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("revision", sa.Column("labels", sa.Text(), nullable=False, server_default="{}"))
    op.add_column("observed_cluster", sa.Column("lease_owner", sa.String(), nullable=True))
    op.add_column("observed_cluster", sa.Column("lease_expires", sa.DateTime(timezone=True), nullable=True))
    op.add_column("observed_cluster", sa.Column("fence_token", sa.BigInteger(), nullable=False, server_default="0"))
    if op.get_context().dialect.name == "postgresql":
        # Of the whole ledger: positions are given out before the commit, and so not in its order.
        op.execute("ALTER TABLE event ADD COLUMN xid xid8 NOT NULL DEFAULT pg_current_xact_id()")

"""What was done with adapters, and whom they were trained on. Going back leaves the starter in use."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "adapter_move",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("adapter", sa.Text(), nullable=True),
        sa.Column("share", sa.Double(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("after_turn", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "version", name="pk_adapter_move"),
    )
    op.create_table(
        "adapter_source",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("adapter", sa.Text(), nullable=False),
        sa.Column("customer", sa.Text(), nullable=False),
        sa.Column("conversation", sa.Text(), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "adapter", "customer", "conversation", name="pk_adapter_source"),
    )
    op.create_index("ix_adapter_source_tenant_customer", "adapter_source", ["tenant", "customer"])
    op.create_index("ix_adapter_source_tenant_conversation", "adapter_source", ["tenant", "conversation"])


def downgrade() -> None:
    op.drop_table("adapter_source")
    op.drop_table("adapter_move")

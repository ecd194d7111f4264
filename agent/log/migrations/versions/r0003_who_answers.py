"""Which process answers in a conversation just now. Going back loses what goes on at that moment and nothing else."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "turn_lease",
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversation.id"], name="fk_turn_lease_conversation_id_conversation"
        ),
        sa.PrimaryKeyConstraint("conversation_id", name="pk_turn_lease"),
    )


def downgrade() -> None:
    op.drop_table("turn_lease")

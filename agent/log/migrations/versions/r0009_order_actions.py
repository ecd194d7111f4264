"""Where conversations about orders stand, and wrong proofs of identity. Going back forgets what waits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "action_state",
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversation.id"], name="fk_action_state_conversation_id_conversation"
        ),
        sa.PrimaryKeyConstraint("conversation_id", name="pk_action_state"),
    )
    op.create_table(
        "wrong_proof",
        sa.Column("seq", _KEY, autoincrement=True, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_wrong_proof"),
    )
    op.create_index("ix_wrong_proof_tenant_subject", "wrong_proof", ["tenant", "subject"])
    op.create_index("ix_wrong_proof_tenant_at", "wrong_proof", ["tenant", "at"])


def downgrade() -> None:
    op.drop_table("wrong_proof")
    op.drop_table("action_state")

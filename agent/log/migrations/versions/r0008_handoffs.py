"""Conversations between bot and people. Going back gives all of them to the bot, without a word of what people said."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "handoff_event",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("turn_id", sa.Text(), nullable=True),
        sa.Column("after_turn", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversation.id"], name="fk_handoff_event_conversation_id_conversation"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_handoff_event"),
        sa.UniqueConstraint("conversation_id", "name", name="uq_handoff_event_conversation_id_name"),
        sa.UniqueConstraint("conversation_id", "version", name="uq_handoff_event_conversation_id_version"),
    )
    op.create_index("ix_handoff_event_tenant_at", "handoff_event", ["tenant", "at"])
    op.create_table(
        "handoff_payload",
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("data", sa.JSON(), nullable=True),
        sa.Column("sealed_contact", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["event_id"], ["handoff_event.id"], name="fk_handoff_payload_event_id_handoff_event"),
        sa.PrimaryKeyConstraint("event_id", name="pk_handoff_payload"),
    )
    op.create_index("ix_conversation_tenant_status", "conversation", ["tenant", "status"])


def downgrade() -> None:
    op.drop_index("ix_conversation_tenant_status", "conversation")
    op.drop_table("handoff_payload")
    op.drop_table("handoff_event")
    op.execute("UPDATE conversation SET status = 'bot' WHERE status <> 'bot'")

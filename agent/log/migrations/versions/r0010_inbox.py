"""Webhooks that came in, and which conversation is which. Going back forgets what was not answered yet."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "inbox_delivery",
        sa.Column("seq", _KEY, autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("name_hash", sa.Text(), nullable=False),
        sa.Column("place_hash", sa.Text(), nullable=False),
        sa.Column("by_people", sa.Boolean(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_problem", sa.Text(), nullable=True),
        sa.Column("conversation_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("seq", name="pk_inbox_delivery"),
        sa.UniqueConstraint("id", name="uq_inbox_delivery_id"),
        sa.UniqueConstraint("tenant", "name_hash", name="uq_inbox_delivery_tenant_name_hash"),
    )
    op.create_index("ix_inbox_delivery_state_next_at", "inbox_delivery", ["state", "next_at"])
    op.create_index("ix_inbox_delivery_tenant_place_hash", "inbox_delivery", ["tenant", "place_hash"])
    op.create_index("ix_inbox_delivery_conversation_id", "inbox_delivery", ["conversation_id"])
    op.create_table(
        "inbox_payload",
        sa.Column("delivery_id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("sealed_body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["inbox_delivery.id"], name="fk_inbox_payload_delivery_id_inbox_delivery"
        ),
        sa.PrimaryKeyConstraint("delivery_id", name="pk_inbox_payload"),
    )
    op.create_table(
        "door_talk",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("place_hash", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversation.id"], name="fk_door_talk_conversation_id_conversation"
        ),
        sa.PrimaryKeyConstraint("tenant", "place_hash", name="pk_door_talk"),
    )
    op.create_index("ix_door_talk_conversation_id", "door_talk", ["conversation_id"])


def downgrade() -> None:
    op.drop_table("door_talk")
    op.drop_table("inbox_payload")
    op.drop_table("inbox_delivery")

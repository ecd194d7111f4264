"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = (
    "live_index",
    "secret",
    "person",
    "person_payload",
    "conversation",
    "turn",
    "turn_payload",
    "shown",
    "event",
    "event_payload",
)
"""In the order in which they refer to each other."""


def upgrade() -> None:
    _server()
    _people()
    _conversations()
    _turns()
    _turn_parts()
    _events()


def downgrade() -> None:
    for table in reversed(_TABLES):  # their indexes go with them
        op.drop_table(table)


def _key() -> sa.BigInteger:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _moment() -> sa.DateTime:
    return sa.DateTime(timezone=True)


def _server() -> None:
    op.create_table(
        "live_index",
        sa.Column("seq", _key(), autoincrement=True, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("at", _moment(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_live_index"),
    )
    op.create_index("ix_live_index_tenant_seq", "live_index", ["tenant", "seq"])
    op.create_table(
        "secret",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "name", name="pk_secret"),
    )


def _people() -> None:
    op.create_table(
        "person",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("name_hash", sa.Text(), nullable=False),
        sa.Column("created_at", _moment(), nullable=False),
        sa.Column("consent", sa.Boolean(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_person"),
        sa.UniqueConstraint("tenant", "key_id", "name_hash", name="uq_person_tenant_key_id_name_hash"),
    )
    op.create_table(
        "person_payload",
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_person_payload_person_id_person"),
        sa.PrimaryKeyConstraint("person_id", name="pk_person_payload"),
    )


def _conversations() -> None:
    op.create_table(
        "conversation",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=True),
        sa.Column("created_at", _moment(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("erased_at", _moment(), nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_conversation_person_id_person"),
        sa.PrimaryKeyConstraint("id", name="pk_conversation"),
    )
    op.create_index("ix_conversation_tenant_key_id_person_id", "conversation", ["tenant", "key_id", "person_id"])


def _turns() -> None:
    op.create_table(
        "turn",
        sa.Column("seq", _key(), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("created_at", _moment(), nullable=False),
        sa.Column("intent", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("adapter", sa.Text(), nullable=True),
        sa.Column("degraded", sa.Boolean(), nullable=False),
        sa.Column("timings", sa.JSON(), nullable=False),
        sa.Column("prompt_tokens", sa.Integer(), nullable=False),
        sa.Column("completion_tokens", sa.Integer(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("exploration", sa.Double(), nullable=False),
        sa.Column("undone", sa.Boolean(), nullable=False),
        sa.Column("prefix_hash", sa.Text(), nullable=True),
        sa.Column("index_name", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversation.id"], name="fk_turn_conversation_id_conversation"),
        sa.PrimaryKeyConstraint("seq", name="pk_turn"),
        sa.UniqueConstraint("conversation_id", "number", name="uq_turn_conversation_id_number"),
        sa.UniqueConstraint("id", name="uq_turn_id"),
    )
    op.create_index("ix_turn_tenant_created_at", "turn", ["tenant", "created_at"])
    op.create_index("ix_turn_tenant_prefix_hash", "turn", ["tenant", "prefix_hash"])


def _turn_parts() -> None:
    op.create_table(
        "turn_payload",
        sa.Column("turn_id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("reply", sa.Text(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("trace", sa.JSON(), nullable=False),
        sa.Column("question", sa.JSON(), nullable=True),
        sa.Column("focus", sa.JSON(), nullable=False),
        sa.Column("answer", sa.JSON(), nullable=False),
        sa.Column("matched", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["turn_id"], ["turn.id"], name="fk_turn_payload_turn_id_turn"),
        sa.PrimaryKeyConstraint("turn_id", name="pk_turn_payload"),
    )
    op.create_table(
        "shown",
        sa.Column("seq", _key(), autoincrement=True, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("turn_id", sa.Text(), nullable=False),
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("list", sa.Text(), nullable=False),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("log_propensity", sa.Double(), nullable=True),
        sa.Column("features", sa.JSON(), nullable=False),
        sa.Column("contributions", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["turn_id"], ["turn.id"], name="fk_shown_turn_id_turn"),
        sa.PrimaryKeyConstraint("seq", name="pk_shown"),
        sa.UniqueConstraint("turn_id", "list", "position", name="uq_shown_turn_id_list_position"),
    )


def _events() -> None:
    op.create_table(
        "event",
        sa.Column("seq", _key(), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("at", _moment(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("turn_id", sa.Text(), nullable=True),
        sa.Column("conversation_id", sa.Text(), nullable=True),
        sa.Column("person_id", sa.Text(), nullable=True),
        sa.Column("item_id", sa.Text(), nullable=True),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("of", sa.Text(), nullable=True),
        sa.Column("once", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversation.id"], name="fk_event_conversation_id_conversation"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_event_person_id_person"),
        sa.ForeignKeyConstraint(["turn_id"], ["turn.id"], name="fk_event_turn_id_turn"),
        sa.PrimaryKeyConstraint("seq", name="pk_event"),
        sa.UniqueConstraint("id", name="uq_event_id"),
        sa.UniqueConstraint("once", name="uq_event_once"),
    )
    op.create_index("ix_event_conversation_id", "event", ["conversation_id"])
    op.create_index("ix_event_person_id", "event", ["person_id"])
    op.create_index("ix_event_tenant_kind_at", "event", ["tenant", "kind", "at"])
    op.create_index("ix_event_turn_id", "event", ["turn_id"])
    op.create_table(
        "event_payload",
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("data", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(["event_id"], ["event.id"], name="fk_event_payload_event_id_event"),
        sa.PrimaryKeyConstraint("event_id", name="pk_event_payload"),
    )

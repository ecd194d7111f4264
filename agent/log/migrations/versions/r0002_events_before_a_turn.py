"""Which events of its conversation a turn came after, so that it can be run again as it was."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("turn", sa.Column("events_before", sa.BigInteger(), server_default="0", nullable=False))
    turn = sa.table(
        "turn", sa.column("events_before"), sa.column("conversation_id"), sa.column("created_at", sa.DateTime())
    )
    event = sa.table("event", sa.column("seq"), sa.column("conversation_id"), sa.column("at", sa.DateTime()))
    # Of turns that were recorded before there was this column only the clock can tell.
    last = sa.select(sa.func.coalesce(sa.func.max(event.c.seq), 0)).where(
        event.c.conversation_id == turn.c.conversation_id, event.c.at <= turn.c.created_at
    )
    op.execute(turn.update().values(events_before=last.scalar_subquery()))


def downgrade() -> None:
    op.drop_column("turn", "events_before")

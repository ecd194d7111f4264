"""Which learned ranker is live. Going back leaves the linear one in use."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "live_ranker",
        sa.Column("seq", _KEY, autoincrement=True, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("ranker", sa.Text(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_live_ranker"),
    )
    op.create_index("ix_live_ranker_tenant_seq", "live_ranker", ["tenant", "seq"])


def downgrade() -> None:
    op.drop_table("live_ranker")

"""The tables of handoffs: what happened to a conversation between bot and people, and the words of it.

Rows of `handoff_event` are only ever added: they are the audit trail, and the state is a fold over them. Words stand in
`handoff_payload`, which an erasure empties. Knows nothing of queries.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from agent.log.models import Base


class HandoffEventRow(Base):
    """One thing that happened. `version` counts in a conversation: its key keeps two from being the next at once.

    `number` is the handoff that it belongs to, `name` (hashed) tells the same thing told twice, `by` is a role or
    "key:" and the id of a team's key, `after_turn` the number of the newest turn at that time, `turn_id` that of the
    message that caused it.
    """

    __tablename__ = "handoff_event"
    __table_args__ = (
        UniqueConstraint("conversation_id", "version"),
        UniqueConstraint("conversation_id", "name"),
        Index(None, "tenant", "at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversation.id"))
    version: Mapped[int]
    number: Mapped[int]
    kind: Mapped[str]
    reason: Mapped[str | None]
    at: Mapped[datetime]
    by: Mapped[str]
    name: Mapped[str]
    turn_id: Mapped[str | None]
    after_turn: Mapped[int]


class HandoffPayloadRow(Base):
    """Its words: `text` for the customer or the team, `data` the packet and who of the team, the contact sealed."""

    __tablename__ = "handoff_payload"

    event_id: Mapped[str] = mapped_column(ForeignKey("handoff_event.id"), primary_key=True)
    tenant: Mapped[str]
    text: Mapped[str | None]
    data: Mapped[dict[str, Any] | None]
    sealed_contact: Mapped[bytes | None] = mapped_column(LargeBinary())

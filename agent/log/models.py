"""The tables.

Skeleton rows (ids, times, item ids, numbers) are only ever added; words and the person stand in
`*_payload` rows, which an erasure deletes. The exceptions are flags (`turn.undone`, `conversation.status`,
`person.consent`, and `conversation.erased_at`, with which the prefix hashes go) and `turn_lease`, which says what
goes on just now.

Order is the order of `seq` or `number`, never of time: clocks go backwards. Knows nothing of queries.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class UtcDateTime(TypeDecorator[datetime]):
    """A moment with a time zone in Python, UTC in the database; SQLite has no zones and gets naive UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To UTC; a moment without a zone is a mistake of the caller's."""
        if value is not None and value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone; give UTC.")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To UTC, with the zone said."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


_BigKey = BigInteger().with_variant(Integer(), "sqlite")  # only INTEGER PRIMARY KEY counts up by itself in SQLite
_Json = JSON(none_as_null=True)


class Base(DeclarativeBase):
    """Named constraints, so that migrations can drop them on every database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # SQLAlchemy's own declaration
        str: Text(),
        float: Double(),
        datetime: UtcDateTime(),
        dict[str, Any]: _Json,
        list[Any]: _Json,
    }


class Person(Base):
    """A named user of one API key; the name itself only as a keyed hash."""

    __tablename__ = "person"
    __table_args__ = (UniqueConstraint("tenant", "key_id", "name_hash"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    key_id: Mapped[str]
    name_hash: Mapped[str]
    created_at: Mapped[datetime]
    consent: Mapped[bool | None]


class PersonPayload(Base):
    """The name as the client gave it, sealed (agent/log/sealing.py)."""

    __tablename__ = "person_payload"

    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"), primary_key=True)
    tenant: Mapped[str]
    sealed_name: Mapped[bytes] = mapped_column(LargeBinary())


class ConversationRow(Base):
    """One conversation; `person_id` null for a customer without a name."""

    __tablename__ = "conversation"
    __table_args__ = (Index(None, "tenant", "key_id", "person_id"), Index(None, "tenant", "status"))

    id: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    key_id: Mapped[str]
    person_id: Mapped[str | None] = mapped_column(ForeignKey("person.id"))
    created_at: Mapped[datetime]
    language: Mapped[str]
    status: Mapped[str]
    erased_at: Mapped[datetime | None]


class Turn(Base):
    """One turn's numbers. `events_before` is the `seq` of the conversation's newest event at the recording."""

    __tablename__ = "turn"
    __table_args__ = (
        UniqueConstraint("conversation_id", "number"),
        Index(None, "tenant", "prefix_hash"),
        Index(None, "tenant", "created_at"),
    )

    seq: Mapped[int] = mapped_column(_BigKey, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(unique=True)
    tenant: Mapped[str]
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversation.id"))
    number: Mapped[int]
    created_at: Mapped[datetime]
    intent: Mapped[str]
    action: Mapped[str]
    language: Mapped[str]
    model: Mapped[str]
    adapter: Mapped[str | None]
    degraded: Mapped[bool]
    timings: Mapped[dict[str, Any]]
    prompt_tokens: Mapped[int]
    completion_tokens: Mapped[int]
    seed: Mapped[int] = mapped_column(BigInteger())
    exploration: Mapped[float]
    undone: Mapped[bool]
    prefix_hash: Mapped[str | None]
    index_name: Mapped[str | None]
    events_before: Mapped[int] = mapped_column(BigInteger(), server_default="0")


class TurnPayload(Base):
    """One turn's words. `matched` has, for each row of `shown` in order, the wishes it met in words."""

    __tablename__ = "turn_payload"

    turn_id: Mapped[str] = mapped_column(ForeignKey("turn.id"), primary_key=True)
    tenant: Mapped[str]
    message: Mapped[str]
    reply: Mapped[str]
    facts: Mapped[list[Any]]
    trace: Mapped[dict[str, Any]]
    question: Mapped[dict[str, Any] | None]
    focus: Mapped[list[Any]]
    answer: Mapped[dict[str, Any]]
    matched: Mapped[list[Any]]


class Shown(Base):
    """One item at one position of one list."""

    __tablename__ = "shown"
    __table_args__ = (UniqueConstraint("turn_id", "list", "position"),)

    seq: Mapped[int] = mapped_column(_BigKey, primary_key=True, autoincrement=True)
    tenant: Mapped[str]
    turn_id: Mapped[str] = mapped_column(ForeignKey("turn.id"))
    item_id: Mapped[str]
    position: Mapped[int]
    list: Mapped[str]
    score: Mapped[float | None]
    log_propensity: Mapped[float | None]
    features: Mapped[dict[str, Any]]
    contributions: Mapped[dict[str, Any]]


class Event(Base):
    """Something that happened. `once` is unique where a thing may be stored only once, null elsewhere."""

    __tablename__ = "event"
    __table_args__ = (
        Index(None, "tenant", "kind", "at"),
        Index(None, "turn_id"),
        Index(None, "conversation_id"),
        Index(None, "person_id"),
    )

    seq: Mapped[int] = mapped_column(_BigKey, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(unique=True)
    tenant: Mapped[str]
    at: Mapped[datetime]
    kind: Mapped[str]
    turn_id: Mapped[str | None] = mapped_column(ForeignKey("turn.id"))
    conversation_id: Mapped[str | None] = mapped_column(ForeignKey("conversation.id"))
    person_id: Mapped[str | None] = mapped_column(ForeignKey("person.id"))
    item_id: Mapped[str | None]
    value: Mapped[float | None]
    of: Mapped[str | None]
    once: Mapped[str | None] = mapped_column(unique=True)


class EventPayload(Base):
    """The words of an event."""

    __tablename__ = "event_payload"

    event_id: Mapped[str] = mapped_column(ForeignKey("event.id"), primary_key=True)
    tenant: Mapped[str]
    reason: Mapped[str | None]
    text: Mapped[str | None]
    data: Mapped[dict[str, Any] | None]


class TurnLease(Base):
    """Who answers in a conversation just now, and until when unless they say so again. Gone when they are done."""

    __tablename__ = "turn_lease"

    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversation.id"), primary_key=True)
    tenant: Mapped[str]
    owner: Mapped[str]
    expires_at: Mapped[datetime]


class ActionState(Base):
    """What a conversation about orders stands at: sealed, replaced as a whole, gone with the conversation's words."""

    __tablename__ = "action_state"

    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversation.id"), primary_key=True)
    tenant: Mapped[str]
    version: Mapped[int]
    sealed: Mapped[bytes] = mapped_column(LargeBinary())
    at: Mapped[datetime]


class WrongProof(Base):
    """An order, an e-mail address or a conversation, as a keyed hash, of which a wrong proof was given; for an hour."""

    __tablename__ = "wrong_proof"
    __table_args__ = (Index(None, "tenant", "subject"), Index(None, "tenant", "at"))

    seq: Mapped[int] = mapped_column(_BigKey, primary_key=True, autoincrement=True)
    tenant: Mapped[str]
    subject: Mapped[str]
    at: Mapped[datetime]


class LiveIndex(Base):
    """Which index folder was made live when; the newest row counts."""

    __tablename__ = "live_index"
    __table_args__ = (Index(None, "tenant", "seq"),)

    seq: Mapped[int] = mapped_column(_BigKey, primary_key=True, autoincrement=True)
    tenant: Mapped[str]
    folder: Mapped[str]
    at: Mapped[datetime]


class LiveRanker(Base):
    """Which learned ranker was made live when; the newest row counts, null is the linear one."""

    __tablename__ = "live_ranker"
    __table_args__ = (Index(None, "tenant", "seq"),)

    seq: Mapped[int] = mapped_column(_BigKey, primary_key=True, autoincrement=True)
    tenant: Mapped[str]
    ranker: Mapped[str | None]
    at: Mapped[datetime]


class AdapterMoveRow(Base):
    """What was done with an adapter. `version` counts in a tenant; its key keeps two from being the next at once."""

    __tablename__ = "adapter_move"

    tenant: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str]
    adapter: Mapped[str | None]
    share: Mapped[float]
    reason: Mapped[str]
    at: Mapped[datetime]
    after_turn: Mapped[int] = mapped_column(BigInteger())


class AdapterSourceRow(Base):
    """Whom an adapter was trained on, as keyed hashes; `conversation` is empty for deeds outside of conversations."""

    __tablename__ = "adapter_source"
    __table_args__ = (Index(None, "tenant", "customer"), Index(None, "tenant", "conversation"))

    tenant: Mapped[str] = mapped_column(primary_key=True)
    adapter: Mapped[str] = mapped_column(primary_key=True)
    customer: Mapped[str] = mapped_column(primary_key=True)
    conversation: Mapped[str] = mapped_column(primary_key=True)
    erased_at: Mapped[datetime | None]


class Secret(Base):
    """Keys that every process of a tenant must share, sealed (agent/log/sealing.py)."""

    __tablename__ = "secret"

    tenant: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[bytes] = mapped_column(LargeBinary())

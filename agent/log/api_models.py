"""The tables of the API's border: keys of teams, what they used, answers kept for repeats, webhooks out and in.

Words of persons stand sealed or as they were sent in `idempotent_answer`, `webhook_payload` and `inbox_payload` alone,
which an erasure empties. Knows nothing of queries.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from agent.log.models import Base

_BigKey = BigInteger().with_variant(Integer(), "sqlite")


class ApiKeyRow(Base):
    """One key of a team: a hash of it, never the key. `owner` is whose customers it speaks for, the team's keys alike.

    Rows stay when a key is revoked or over: a server that ever had a key does not open when the last one ends.
    """

    __tablename__ = "api_key"
    __table_args__ = (Index(None, "tenant", "team"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    team: Mapped[str]
    owner: Mapped[str]
    digest: Mapped[bytes] = mapped_column(LargeBinary())
    scopes: Mapped[list[Any]]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    successor: Mapped[str | None]
    last_used_at: Mapped[datetime | None]
    requests_per_minute: Mapped[int | None]
    turns_per_day: Mapped[int | None]
    streams: Mapped[int | None]


class ApiUsageRow(Base):
    """What a key has used: `arrival` is its token bucket, see agent/log/usage.py; `turns` are those of `day` (UTC)."""

    __tablename__ = "api_usage"

    key_id: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    arrival: Mapped[float]
    day: Mapped[str]
    turns: Mapped[int]


class IdempotentAnswerRow(Base):
    """The answer to a request that named an idempotency key; `status` null while it is being answered.

    Names and bodies only as keyed hashes. `conversation_id` is what an erasure finds it by.
    """

    __tablename__ = "idempotent_answer"
    __table_args__ = (Index(None, "conversation_id"), Index(None, "created_at"))

    tenant: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(primary_key=True)
    name_hash: Mapped[str] = mapped_column(primary_key=True)
    body_hash: Mapped[str]
    created_at: Mapped[datetime]
    conversation_id: Mapped[str | None]
    status: Mapped[int | None]
    content_type: Mapped[str | None]
    answer: Mapped[bytes | None] = mapped_column(LargeBinary())


class WebhookEndpointRow(Base):
    """Where a tenant's events go. Address and secret are sealed (addresses have tokens in them), null once removed."""

    __tablename__ = "webhook_endpoint"
    __table_args__ = (Index(None, "tenant"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    host: Mapped[str]
    sealed_url: Mapped[bytes | None] = mapped_column(LargeBinary())
    sealed_secret: Mapped[bytes | None] = mapped_column(LargeBinary())
    kinds: Mapped[list[Any]]
    created_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]


class WebhookDeliveryRow(Base):
    """One event on its way to one address; `state` is pending, delivered, dead or erased."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (Index(None, "state", "next_at"), Index(None, "tenant", "state"), Index(None, "conversation_id"))

    seq: Mapped[int] = mapped_column(_BigKey, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(unique=True)
    tenant: Mapped[str]
    endpoint_id: Mapped[str] = mapped_column(ForeignKey("webhook_endpoint.id"))
    kind: Mapped[str]
    created_at: Mapped[datetime]
    state: Mapped[str]
    attempts: Mapped[int]
    next_at: Mapped[datetime]
    last_problem: Mapped[str | None]
    conversation_id: Mapped[str | None]
    person_id: Mapped[str | None]


class WebhookPayloadRow(Base):
    """The words of a delivery, sealed; gone once it is delivered, given up and old, or its customer is erased."""

    __tablename__ = "webhook_payload"

    delivery_id: Mapped[str] = mapped_column(ForeignKey("webhook_delivery.id"), primary_key=True)
    tenant: Mapped[str]
    sealed_body: Mapped[bytes] = mapped_column(LargeBinary())


class InboxDeliveryRow(Base):
    """One webhook of a help desk's that came in; `state` is pending, done, dead or erased.

    `name_hash` is the same when it is told again, `place_hash` names the conversation over there: keyed hashes.
    """

    __tablename__ = "inbox_delivery"
    __table_args__ = (
        UniqueConstraint("tenant", "name_hash"),
        Index(None, "state", "next_at"),
        Index(None, "tenant", "place_hash"),
        Index(None, "conversation_id"),
    )

    seq: Mapped[int] = mapped_column(_BigKey, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(unique=True)
    tenant: Mapped[str]
    name_hash: Mapped[str]
    place_hash: Mapped[str]
    by_people: Mapped[bool]
    received_at: Mapped[datetime]
    state: Mapped[str]
    attempts: Mapped[int]
    next_at: Mapped[datetime]
    last_problem: Mapped[str | None]
    conversation_id: Mapped[str | None]


class InboxPayloadRow(Base):
    """What such a webhook said and what is still to be done for it, sealed; gone once that is done or given up."""

    __tablename__ = "inbox_payload"

    delivery_id: Mapped[str] = mapped_column(ForeignKey("inbox_delivery.id"), primary_key=True)
    tenant: Mapped[str]
    sealed_body: Mapped[bytes] = mapped_column(LargeBinary())


class DoorTalkRow(Base):
    """Which conversation of ours a conversation elsewhere is; `opened_at`: when people were given it over there."""

    __tablename__ = "door_talk"
    __table_args__ = (Index(None, "conversation_id"),)

    tenant: Mapped[str] = mapped_column(primary_key=True)
    place_hash: Mapped[str] = mapped_column(primary_key=True)
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversation.id"))
    opened_at: Mapped[datetime | None]

"""Which columns hold sealed values, and how those are sealed and opened in a transaction.

`Database` gives every session its sealer. A table with a secret or with somebody's contact data adds a `Sealed` of its
own to `SEALED`: what is not there keeps its old key when the keys change. Knows nothing of keys (agent/secrecy.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import and_, func, select, update
from sqlalchemy.orm import Session

from agent.log.api_models import InboxPayloadRow, WebhookEndpointRow, WebhookPayloadRow
from agent.log.handoff_models import HandoffPayloadRow
from agent.log.models import ActionState, Base, PersonPayload, Secret
from agent.secrecy import PREFIX_BYTES, Sealer

SEALER: Final = "sealer"
"""Where a session's `info` has it."""
RESEALED_AT_ONCE: Final = 500
"""Rows that one look takes when values are sealed anew."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A column (LARGE BINARY) of sealed values; `row` are the columns that find a row, beside the tenant.

    Values are bound to their column, their tenant and their row: moved elsewhere they do not open.
    """

    table: type[Base]
    column: str
    row: tuple[str, ...]

    @property
    def purpose(self) -> str:
        """What errors call it."""
        return f"{self.table.__tablename__}.{self.column}"

    def seal(self, session: Session, plain: bytes, tenant: str, *row: str) -> bytes:
        """What the column of that row is to hold."""
        return sealer_of(session).seal(plain, self.purpose, tenant, *row)

    def open(self, session: Session, sealed: bytes, tenant: str, *row: str) -> bytes:
        """What was sealed for that row.

        Raises:
            DataDirectoryError: it does not open: another key, or it was changed or moved.
        """
        return sealer_of(session).open(sealed, self.purpose, tenant, *row)


SECRET: Final = Sealed(Secret, "value", ("name",))
PERSON_NAME: Final = Sealed(PersonPayload, "sealed_name", ("person_id",))
ACTION_STATE: Final = Sealed(ActionState, "sealed", ("conversation_id",))
WEBHOOK_URL: Final = Sealed(WebhookEndpointRow, "sealed_url", ("id",))
WEBHOOK_SECRET: Final = Sealed(WebhookEndpointRow, "sealed_secret", ("id",))
WEBHOOK_BODY: Final = Sealed(WebhookPayloadRow, "sealed_body", ("delivery_id",))
INBOX_BODY: Final = Sealed(InboxPayloadRow, "sealed_body", ("delivery_id",))
HANDOFF_CONTACT: Final = Sealed(HandoffPayloadRow, "sealed_contact", ("event_id",))

SEALED: Final = (
    SECRET,
    PERSON_NAME,
    WEBHOOK_URL,
    WEBHOOK_SECRET,
    WEBHOOK_BODY,
    INBOX_BODY,
    ACTION_STATE,
    HANDOFF_CONTACT,
)
"""All of them; a test holds them against the models."""


def sealer_of(session: Session) -> Sealer:
    """The sealer of the database that the session is of."""
    sealer: Sealer = session.info[SEALER]
    return sealer


def seal_anew(session: Session) -> int:
    """Seal with the newest key what an older one sealed; how many values that were."""
    return sum(_seal_anew(session, one) for one in SEALED)


def _seal_anew(session: Session, sealed: Sealed) -> int:
    table, n_rows = Base.metadata.tables[sealed.table.__tablename__], 0
    column, keys = table.c[sealed.column], [table.c["tenant"], *(table.c[name] for name in sealed.row)]
    old = func.substr(column, 1, PREFIX_BYTES) != sealer_of(session).prefix
    while rows := session.execute(select(column, *keys).where(old).limit(RESEALED_AT_ONCE)).all():
        for value, *place in rows:
            plain = sealed.open(session, value, *place)
            this = and_(*(key == part for key, part in zip(keys, place, strict=True)))
            session.execute(update(table).where(this).values({sealed.column: sealed.seal(session, plain, *place)}))
        n_rows += len(rows)
    return n_rows

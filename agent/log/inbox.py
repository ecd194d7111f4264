"""The inbox of webhooks: what a help desk tells stands in SQL before it is acknowledged, then is answered.

    is_new = inbox.receive(Received("default", name, place, body))      one transaction, then 200
    for item in inbox.claim(4): ...                                     one of each conversation, in order

What is told twice is stored once. `place` is a conversation over there; which of ours that is stands here, too. Words
are sealed, and gone once they are answered. Knows nothing of HTTP and of what is in a webhook.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast

from sqlalchemy import ColumnElement, CursorResult, delete, exists, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from agent.log import events
from agent.log.api_models import DoorTalkRow, InboxDeliveryRow, InboxPayloadRow
from agent.log.codec import clean_json
from agent.log.ids import keyed_hash
from agent.log.sealing import INBOX_BODY
from retrieval.errors import ChatalogueError

if TYPE_CHECKING:
    from agent.log.store import EventLog

InboxState: TypeAlias = Literal["pending", "dead"]

PAUSES_SECONDS: Final = (5, 15, 60, 300)
"""After each try that failed; after the last of them it is given up: a customer waits, and people can answer."""
CLAIM_SECONDS: Final = 120
"""How long an item belongs to the process that answers it; one that dies meanwhile leaves it to the others."""
ENDED_DAYS: Final = 30
"""How long it is known that something was told, so that the same is not answered again."""

_Row: Final = InboxDeliveryRow


@dataclass(frozen=True, slots=True, repr=False)
class Received:
    """A webhook as it came. `name` is the same whenever the same is told; `by_people`: people have it over there."""

    tenant: str
    name: str
    place: str
    body: dict[str, Any]
    by_people: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class InboxItem:
    """One that is to be answered now, opened; without a repr, for it holds words of customers."""

    id: str
    tenant: str
    seq: int
    place_hash: str
    attempts: int
    received_at: datetime
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Talk:
    """Our conversation of a place; `opened_at` None: people were not given it over there since the bot has it."""

    session_id: str
    opened_at: datetime | None


class Inbox:
    """The inbox of one log. Synchronous; every method is one transaction."""

    def __init__(self, log: EventLog) -> None:
        self._log, self._database = log, log.database

    def receive(self, received: Received) -> bool:
        """Store it to be answered; whether it is new."""
        name_hash = keyed_hash(self._log.secret(received.tenant), "inbox", received.name)
        place_hash = self._place(received.tenant, received.place)
        return self._database.write(lambda session: _receive(session, received, name_hash, place_hash))

    def claim(self, limit: int) -> list[InboxItem]:
        """Up to `limit` items whose time has come, of each place the oldest, ours for `CLAIM_SECONDS`."""
        if not self._database.read(lambda session: _due(session, 1)):
            return []  # the usual case, and one that takes no lock
        return self._database.write(lambda session: _claim(session, limit))

    def keep(self, item: InboxItem, body: dict[str, Any]) -> None:
        """Remember what is still to be done for it: another try goes on from there."""

        def work(session: Session) -> None:
            sealed = INBOX_BODY.seal(session, _packed(body), item.tenant, item.id)
            session.execute(_payload_of(item, sealed))

        self._database.write(work)

    def done(self, item: InboxItem) -> None:
        """It is answered: its words are not needed any more."""
        self._database.write(lambda session: _end(session, item, "done", None))

    def failed(self, item: InboxItem, problem: str) -> InboxState:
        """It could not be answered (`problem`: a few words without anybody's): later again, or given up now."""
        return self._database.write(lambda session: _failed(session, item, problem))

    def taken_since(self, item: InboxItem) -> bool:
        """Whether it was told since that people have the conversation, and not looked at yet."""
        later = _same_place(item) & (_Row.seq > item.seq) & _Row.by_people & (_Row.state == "pending")
        return self._database.read(lambda session: session.scalar(select(_Row.id).where(later).limit(1))) is not None

    def prune(self) -> int:
        """Delete what ended more than `ENDED_DAYS` days ago; how many there were."""
        before = events.now() - timedelta(days=ENDED_DAYS)
        old = (_Row.state != "pending") & (_Row.received_at < before)
        return self._database.write(lambda session: _delete(session, old))

    # --- which conversation is which ---

    def talk(self, tenant: str, place: str) -> Talk | None:
        """Our conversation of a place; None where there is none yet, or it was erased."""
        place_hash = self._place(tenant, place)
        return self._database.read(lambda session: _talk(session, tenant, place_hash))

    def bind(self, tenant: str, place: str, session_id: str) -> str:
        """Say that `session_id` is the conversation of a place; the one that it is, where somebody was faster."""
        place_hash = self._place(tenant, place)
        return self._database.write(lambda session: _bind(session, tenant, place_hash, session_id))

    def opened(self, item: InboxItem, *, by_people: bool = True) -> None:
        """People were given the conversation of `item` over there just now; else: the bot has it again."""
        here = (DoorTalkRow.tenant == item.tenant) & (DoorTalkRow.place_hash == item.place_hash)

        def work(session: Session) -> None:
            session.execute(update(DoorTalkRow).where(here).values(opened_at=events.now() if by_people else None))

        self._database.write(work)

    def _place(self, tenant: str, place: str) -> str:
        return keyed_hash(self._log.secret(tenant), "place", place)


def forget_conversation(session: Session, session_id: str) -> None:
    """Delete what was told of a conversation, and where it is; what was not answered yet is not answered."""
    theirs = _Row.conversation_id == session_id
    session.execute(
        delete(InboxPayloadRow)
        .where(InboxPayloadRow.delivery_id.in_(select(_Row.id).where(theirs)))
        .execution_options(synchronize_session=False)
    )
    session.execute(
        update(_Row)
        .where(theirs, _Row.state == "pending")
        .values(state="erased")
        .execution_options(synchronize_session=False)
    )
    session.execute(
        delete(DoorTalkRow)
        .where(DoorTalkRow.conversation_id == session_id)
        .execution_options(synchronize_session=False)
    )


def _receive(session: Session, received: Received, name_hash: str, place_hash: str) -> bool:
    tenant, now = received.tenant, events.now()
    item_id, talk = f"inb_{secrets.token_hex(12)}", _talk(session, tenant, place_hash)
    try:
        with session.begin_nested():
            session.execute(
                insert(_Row).values(
                    id=item_id,
                    tenant=tenant,
                    name_hash=name_hash,
                    place_hash=place_hash,
                    by_people=received.by_people,
                    received_at=now,
                    state="pending",
                    attempts=0,
                    next_at=now,
                    last_problem=None,
                    conversation_id=talk.session_id if talk else None,
                )
            )
    except IntegrityError:  # told before
        return False
    sealed = INBOX_BODY.seal(session, _packed(received.body), tenant, item_id)
    session.execute(insert(InboxPayloadRow).values(delivery_id=item_id, tenant=tenant, sealed_body=sealed))
    return True


def _due(session: Session, limit: int) -> Sequence[Any]:
    before = aliased(_Row)
    waits = exists().where(
        before.tenant == _Row.tenant,
        before.place_hash == _Row.place_hash,
        before.state == "pending",
        before.seq < _Row.seq,
    )
    return session.execute(
        select(_Row.id, _Row.tenant, _Row.seq, _Row.place_hash, _Row.attempts, _Row.received_at)
        .where(_Row.state == "pending", _Row.next_at <= events.now(), ~waits)
        .order_by(_Row.next_at)
        .limit(limit)
    ).all()


def _claim(session: Session, limit: int) -> list[InboxItem]:
    until = events.now() + timedelta(seconds=CLAIM_SECONDS)
    found: list[InboxItem] = []
    for row in _due(session, limit):
        changed = session.execute(
            update(_Row)
            .where(_Row.id == row.id, _Row.state == "pending", _Row.attempts == row.attempts)  # by one process
            .values(next_at=until, attempts=row.attempts + 1)
            .execution_options(synchronize_session=False)
        )
        if cast("CursorResult[Any]", changed).rowcount == 1:
            found += _opened(session, row)
    return found


def _opened(session: Session, row: Any) -> list[InboxItem]:  # noqa: ANN401 - a row of `_due`
    payload = session.get(InboxPayloadRow, row.id)
    item = InboxItem(row.id, row.tenant, row.seq, row.place_hash, row.attempts + 1, row.received_at, {})
    try:
        if payload is None:
            raise ValueError
        body = json.loads(INBOX_BODY.open(session, payload.sealed_body, row.tenant, row.id))
    except (ChatalogueError, ValueError):  # another key, or it is damaged: the others are answered all the same
        _failed(session, item, "it cannot be opened with this server's keys")
        return []
    return [InboxItem(item.id, item.tenant, item.seq, item.place_hash, item.attempts, item.received_at, body)]


def _failed(session: Session, item: InboxItem, problem: str) -> InboxState:
    if item.attempts > len(PAUSES_SECONDS):
        _end(session, item, "dead", problem)
        return "dead"
    next_at = events.now() + timedelta(seconds=PAUSES_SECONDS[item.attempts - 1])
    _set(session, item, next_at=next_at, last_problem=problem)
    return "pending"


def _end(session: Session, item: InboxItem, state: str, problem: str | None) -> None:
    _set(session, item, state=state, last_problem=problem)
    session.execute(delete(InboxPayloadRow).where(InboxPayloadRow.delivery_id == item.id))


def _set(session: Session, item: InboxItem, **values: Any) -> None:  # noqa: ANN401 - columns of several kinds
    session.execute(
        update(_Row)
        .where(_Row.tenant == item.tenant, _Row.id == item.id, _Row.state == "pending")
        .values(**values)
        .execution_options(synchronize_session=False)
    )


def _payload_of(item: InboxItem, sealed: bytes) -> Any:  # noqa: ANN401 - SQLAlchemy's statement
    here = InboxPayloadRow.tenant == item.tenant, InboxPayloadRow.delivery_id == item.id
    return update(InboxPayloadRow).where(*here).values(sealed_body=sealed)


def _same_place(item: InboxItem) -> ColumnElement[bool]:
    return (_Row.tenant == item.tenant) & (_Row.place_hash == item.place_hash)


def _talk(session: Session, tenant: str, place_hash: str) -> Talk | None:
    row = session.get(DoorTalkRow, (tenant, place_hash))
    return None if row is None else Talk(row.conversation_id, row.opened_at)


def _bind(session: Session, tenant: str, place_hash: str, session_id: str) -> str:
    try:
        with session.begin_nested():
            session.execute(
                insert(DoorTalkRow).values(
                    tenant=tenant, place_hash=place_hash, conversation_id=session_id, opened_at=None
                )
            )
    except IntegrityError:
        found = _talk(session, tenant, place_hash)
        if found is None:
            raise
        return found.session_id
    waiting = (_Row.tenant == tenant) & (_Row.place_hash == place_hash) & _Row.conversation_id.is_(None)
    session.execute(update(_Row).where(waiting).values(conversation_id=session_id))  # so that an erasure finds them
    return session_id


def _delete(session: Session, which: ColumnElement[bool]) -> int:
    ended = select(_Row.id).where(which)
    session.execute(delete(InboxPayloadRow).where(InboxPayloadRow.delivery_id.in_(ended)))
    done = session.execute(delete(_Row).where(which).execution_options(synchronize_session=False))
    return cast("CursorResult[Any]", done).rowcount


def _packed(body: dict[str, Any]) -> bytes:
    return json.dumps(clean_json(body), ensure_ascii=False, separators=(",", ":")).encode()

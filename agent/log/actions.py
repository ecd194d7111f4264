"""What is kept between the turns of a help desk that changes orders, who proved what wrongly, and what was done.

A conversation has one sealed state, which goes with its words. What was done is an event: the skeleton says what, when,
in which conversation and how it ended, the payload which order. Wrong proofs are keyed hashes without a conversation,
deleted after `LONGEST_WINDOW`. Knows nothing of what a state says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from sqlalchemy import CursorResult, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from agent.log import events
from agent.log.events import NewEvent
from agent.log.handoff_models import HandoffEventRow
from agent.log.ids import keyed_hash
from agent.log.models import ActionState, ConversationRow, WrongProof
from agent.log.sealing import ACTION_STATE
from agent.log.store import EventLog
from retrieval.errors import NotFound

WINDOW = timedelta(hours=1)
"""So long a wrong proof counts, where nothing else is said."""
LONGEST_WINDOW = timedelta(days=1)
"""No wrong proof is kept for longer."""

ActionResult: TypeAlias = Literal["asked", "started", "done", "refused", "failed", "unknown", "not_done", "declined"]
"""Asked for confirmation; started; how it ended, where "not_done" is what a look-up said of an unknown one; declined:
the customer said anything but yes."""


@dataclass(frozen=True, slots=True)
class Deed:
    """One line of the audit: `what` was done with `order`, for the confirmed change `key`; each result of it once."""

    what: str
    result: ActionResult
    order: str
    key: str


@dataclass(frozen=True, slots=True)
class Place:
    """Whose state it is."""

    tenant: str
    session_id: str
    turn_id: str
    person_id: str | None = None


@dataclass(frozen=True, slots=True)
class StoredState:
    """A state as it was read; `version` 0 where there is none yet."""

    version: int
    plain: bytes | None


class ActionLog:
    """States, deeds and wrong proofs in the database of a log."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._database = log.database

    def load(self, place: Place) -> StoredState:
        """The state of a conversation."""

        def look(session: Session) -> StoredState:
            row = session.get(ActionState, place.session_id)
            if row is None or row.tenant != place.tenant:
                return StoredState(0, None)
            plain = ACTION_STATE.open(session, row.sealed, place.tenant, place.session_id)
            return StoredState(row.version, plain)

        return self._database.read(look)

    def handed_over(self, place: Place) -> int:
        """The version of what happened last between bot and people; 0 where the conversation always was the bot's.

        Messages of the customer do not count: one is noted in the bot's first turn after people gave it back, too.
        """
        here = (
            HandoffEventRow.conversation_id == place.session_id,
            HandoffEventRow.tenant == place.tenant,
            HandoffEventRow.kind != "said",
        )
        newest = select(func.max(HandoffEventRow.version)).where(*here)
        return self._database.read(lambda session: session.scalar(newest) or 0)

    def save(self, place: Place, seen: int, plain: bytes, deeds: Sequence[Deed] = ()) -> bool:
        """Store the state that follows version `seen`, and what was done, together.

        False, and nothing is stored: another process was faster, or a deed was noted before.

        Raises:
            NotFound: the conversation is unknown or erased.
        """
        try:
            return self._database.write(lambda session: _save(session, place, seen, plain, deeds))
        except IntegrityError:
            return False

    def note_wrong(self, tenant: str, subjects: Mapping[str, str], now: datetime) -> tuple[int, ...]:
        """Count a proof as wrong before it is looked at: whoever tries many at once is counted, too.

        `subjects` by their kind, such as {"order": "RS-10056"}. Gives what `forgive` takes.
        """
        hashes = self._hashes(tenant, subjects)

        def note(session: Session) -> tuple[int, ...]:
            session.execute(delete(WrongProof).where(WrongProof.tenant == tenant, WrongProof.at < now - LONGEST_WINDOW))
            rows = [WrongProof(tenant=tenant, subject=one, at=now) for one in hashes]
            session.add_all(rows)
            session.flush()
            return tuple(row.seq for row in rows)

        return self._database.write(note)

    def forgive(self, tenant: str, noted: Sequence[int]) -> None:
        """The proof was right after all."""
        statement = delete(WrongProof).where(WrongProof.tenant == tenant, WrongProof.seq.in_(noted))
        self._database.write(lambda session: session.execute(statement))

    def wrong_proofs(
        self, tenant: str, subjects: Mapping[str, str], now: datetime, windows: Mapping[str, timedelta]
    ) -> dict[str, int]:
        """How many count now, by kind of subject; `windows` for the kinds of which they count longer than `WINDOW`."""
        hashes = self._hashes(tenant, subjects)

        def count(session: Session) -> dict[str, int]:
            found = {}
            for kind, one in zip(subjects, hashes, strict=True):
                since = now - windows.get(kind, WINDOW)
                here = WrongProof.tenant == tenant, WrongProof.subject == one, WrongProof.at >= since
                found[kind] = session.scalar(select(func.count()).select_from(WrongProof).where(*here)) or 0
            return found

        return self._database.read(count)

    def _hashes(self, tenant: str, subjects: Mapping[str, str]) -> list[str]:
        secret = self._log.secret(tenant)
        return [keyed_hash(secret, "wrong proof", kind, value) for kind, value in subjects.items()]


def _save(session: Session, place: Place, seen: int, plain: bytes, deeds: Sequence[Deed]) -> bool:
    held = select(ConversationRow.erased_at).where(
        ConversationRow.id == place.session_id, ConversationRow.tenant == place.tenant
    )
    found = session.execute(held.with_for_update(read=True)).one_or_none()  # no erasure passes before the commit
    if found is None or found.erased_at is not None:
        raise NotFound(f"The session {place.session_id!r} is unknown; begin a new one.")
    sealed = ACTION_STATE.seal(session, plain, place.tenant, place.session_id)
    if seen == 0:
        session.execute(
            insert(ActionState).values(
                conversation_id=place.session_id, tenant=place.tenant, version=1, sealed=sealed, at=events.now()
            )
        )
    else:
        here = ActionState.conversation_id == place.session_id, ActionState.version == seen
        changed = session.execute(
            update(ActionState).where(*here).values(version=seen + 1, sealed=sealed, at=events.now())
        )
        assert isinstance(changed, CursorResult)  # noqa: S101 - narrows for mypy: an UPDATE gives no other
        if changed.rowcount != 1:
            return False
    for deed in deeds:
        events.add(session, _event(place, deed))
    return True


def _event(place: Place, deed: Deed) -> NewEvent:
    return NewEvent(
        place.tenant,
        "action",
        conversation_id=place.session_id,
        person_id=place.person_id,
        of=f"{deed.what}.{deed.result}",
        once=f"action:{place.tenant}:{deed.key}:{deed.result}",
        data={"order": deed.order, "key": deed.key, "turn": place.turn_id},
    )

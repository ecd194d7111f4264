"""Handoffs in SQL: what happens is added to the trail of a conversation, if the machine says that it changes anything.

    taken = handoffs.apply("default", session_id, Happening("taken", "request-7", by="key:ab12"))

The state is a fold over the trail. Reading, deciding and adding are one transaction under the conversation's lock, and
the trail has one row of each version and of each name: of two replicas one says the closing line. Webhooks stand in
the outbox of the same transaction. Synchronous but for the wait for a turn's end: call it from a thread. Knows nothing
of HTTP.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, cast

from sqlalchemy.orm import Session

from agent.answer import HandoffReason, HandoffView
from agent.log import handoffs as rows
from agent.log.handoffs import HandoffEntry, NewEntry, Waiting, name_hash
from agent.log.outbox import Outbox, WebhookKind
from agent.log.records import ConversationStatus, TurnView
from agent.log.store import EventLog
from agent.messages import Messages, messages
from agent.settings import Settings
from agent.support.handoff.lines import closing_line
from agent.support.handoff.machine import BEGINNING, Effect, HandoffState, Happening, Kind, Refusal, refusal, step
from agent.support.handoff.packet import Packet, contacts_in, make_packet
from agent.support.hours import OfficeHours
from agent.understand.types import Language

if TYPE_CHECKING:
    from agent.services import Services

LIST_LIMIT: Final = 200
"""Conversations that one look at the waiting ones gives."""
TURN_SECONDS: Final = 20.0
"""How long a change waits for a turn under way; then it is made all the same, and the turn is the last."""
LOOK_SECONDS: Final = 0.25
CUSTOMER: Final = "customer"
BOT: Final = "bot"

_TOLD: Final[Mapping[str, WebhookKind]] = {
    "asked": "handoff.requested",
    "taken_over": "handoff.requested",
    "noted": "handoff.note",
    "returned": "handoff.returned",
    "closed": "handoff.returned",
    "withdrawn": "handoff.returned",
}


@dataclass(frozen=True, slots=True)
class Words:
    """What goes with a happening: `text` for the customer or the team, `data` for the team, `contact` to be sealed."""

    text: str | None = None
    data: Mapping[str, Any] | None = None
    contact: str | None = None
    turn_id: str | None = None


NO_WORDS: Final = Words()


@dataclass(frozen=True, slots=True)
class Applied:
    """`entry` is the row that was added, None where nothing changed; `refused` says why, where that is to be told."""

    state: HandoffState
    effects: tuple[Effect, ...]
    entry: HandoffEntry | None = None
    refused: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Trail:
    """Everything that happened to a conversation, oldest first, and what it has come to."""

    entries: tuple[HandoffEntry, ...]
    state: HandoffState

    @property
    def begun(self) -> HandoffEntry | None:
        """What the newest handoff began with; one that was taken over while it waited began before."""
        return next((entry for entry in reversed(self.entries) if _begins(entry)), None)


@dataclass(frozen=True, slots=True)
class ThreadMessage:
    """What the customer sees besides turns: a reply of the team's, or a line of ours that no turn has.

    `after_turn` is the number of the turn behind which it stands.
    """

    id: str
    at: datetime
    role: str
    text: str
    name: str | None
    after_turn: int


@dataclass(frozen=True)
class Handoffs:
    """The handoffs of one database. `counted` is told each one that began."""

    log: EventLog
    settings: Settings
    hours: OfficeHours | None = None
    counted: Callable[[HandoffReason], None] = lambda _: None
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    # --- reading ---

    def trail(self, tenant: str, session_id: str) -> Trail:
        """What happened so far; empty for a conversation that was never handed over."""
        entries = self.log.database.read(lambda session: rows.trail(session, tenant, session_id))
        return Trail(entries, _fold(entries))

    def waiting(
        self, tenant: str, limit: int = LIST_LIMIT, status: ConversationStatus | None = None
    ) -> tuple[Waiting, ...]:
        """Conversations that people have or should take (or one `status` of these), those that wait first, by age."""
        return self.log.database.read(lambda session: rows.handed_over(session, tenant, limit, status))

    def view(self, trail: Trail) -> HandoffView | None:
        """What the customer may know; None while the bot has the conversation."""
        begun = trail.begun
        if trail.state.phase == "bot" or begun is None:
            return None
        reason = cast("HandoffReason", begun.reason)
        return HandoffView(state=trail.state.phase, reason=reason, at=begun.at, expected=self.expected())

    def packet(self, trail: Trail, turns: Sequence[TurnView]) -> Packet | None:
        """The private note of the newest handoff, with every contact that the customer gave up to now."""
        begun = trail.begun
        if begun is None or begun.data is None:
            return None
        given = [entry.contact for entry in trail.entries if entry.contact]
        said = contacts_in(turn.message for turn in turns if not turn.undone)
        return Packet.model_validate(begun.data["packet"]).model_copy(
            update={"contact": list(dict.fromkeys([*given, *said]))}
        )

    def thread(self, trail: Trail, turns: Sequence[TurnView]) -> list[ThreadMessage]:
        """Replies of the team, and closing lines that no turn says."""
        told = {turn.turn_id for turn in turns if not turn.undone}
        return [
            ThreadMessage(
                id=entry.id,
                at=entry.at,
                role="agent" if entry.kind == "replied" else "system",
                text=entry.text,
                name=(entry.data or {}).get("agent") if entry.kind == "replied" else None,
                after_turn=entry.after_turn,
            )
            for entry in trail.entries
            if entry.text and (entry.kind == "replied" or _begins(entry)) and entry.turn_id not in told
        ]

    # --- hours ---

    def expected(self) -> datetime | None:
        """From when on somebody is there, UTC; None for now, or where nobody has said."""
        now = self.clock()
        return None if self.hours is None or self.hours.is_open(now) else self.hours.opens(now)

    @property
    def possible(self) -> bool:
        """Whether customers are handed over just now, by the setting."""
        mode = self.settings.support.handoff
        return mode == "on" or (mode == "hours_only" and (self.hours is None or self.hours.is_open(self.clock())))

    def impossible_line(self, words: Messages) -> str:
        """The honest sentence where they are not."""
        if self.settings.support.handoff == "off" or self.hours is None:
            return words.text("desk.off")
        return words.text("desk.off_hours", when=self.hours.sentence(self.clock(), words)).strip()

    # --- writing ---

    def hand_over(
        self,
        tenant: str,
        session_id: str,
        event: Happening,
        language: Language,
        message: str = "",
        turn_id: str = "",
        *,
        spoken: bool = True,
    ) -> Applied:
        """Begin a handoff, with closing line and packet; where one is under way nothing changes.

        `message` is the one that is being answered, in turn `turn_id`. The effects say whether the line is ours to say:
        `entry.text` is it, kept where it is `spoken`.

        Raises:
            NotFound: the conversation is unknown, erased, or of another tenant.
        """
        reason: HandoffReason = "agent" if event.kind == "taken_over" else event.reason or "asked"
        number = self.trail(tenant, session_id).state.number + 1
        line = closing_line(reason, self.hours, self.clock(), messages(language))
        packet = make_packet(
            self.log.session_view(tenant, session_id),
            self.log.state(tenant, session_id),
            message,
            number=number,
            reason=reason,
            at=self.clock(),
            words=messages("zh" if self.settings.language == "zh" else "en"),
        )
        data = {"packet": packet.model_dump(mode="json")}
        words = Words(line if spoken else None, data, turn_id=turn_id or None)
        applied = self.apply(tenant, session_id, event, words)
        if "private_note" in applied.effects:
            self.counted(reason)
        return applied

    def apply(self, tenant: str, session_id: str, event: Happening, words: Words = NO_WORDS) -> Applied:
        """Take in what happened; stored when this returns.

        Raises:
            NotFound: the conversation is unknown, erased, or of another tenant.
        """
        named = replace(event, name=name_hash(event.name))
        return self.log.database.write(lambda session: self._apply(session, tenant, session_id, named, words))

    def _apply(self, session: Session, tenant: str, session_id: str, event: Happening, words: Words) -> Applied:
        rows.hold(session, tenant, session_id)
        before = _fold(rows.trail(session, tenant, session_id))
        refused = refusal(before, event)
        after, effects = step(before, event)
        if event.kind == "said" and "silence" in effects:
            self._tell(session, tenant, session_id, "handoff.message", after, {"text": words.text or ""}, words)
        if after.version == before.version:
            return Applied(after, effects, None, refused)
        begins = "closing_line" in effects
        if event.kind in rows.BEGINS and not begins:  # taken while it waits: line and packet were given
            words = replace(words, text=None, data=None)
        new = NewEntry(
            number=after.number,
            kind=event.kind,
            by=event.by or (BOT if event.kind in ("said", "asked") else CUSTOMER),
            name=event.name,
            status=after.phase,
            reason=after.reason if begins else None,
            turn_id=words.turn_id,
            text=None if event.kind == "said" else words.text,
            data=words.data,
            contact=words.contact,
        )
        entry = rows.add(session, tenant, session_id, after.version, new)
        if event.kind in _TOLD and (begins or event.kind not in rows.BEGINS):
            self._tell(session, tenant, session_id, _TOLD[event.kind], after, _for_team(event.kind, words), words)
        return Applied(after, effects, entry)

    def _tell(
        self,
        session: Session,
        tenant: str,
        session_id: str,
        kind: WebhookKind,
        state: HandoffState,
        told: Mapping[str, Any],
        words: Words,
    ) -> None:
        payload = {
            "session_id": session_id,
            "number": state.number,
            "state": state.phase,
            "reason": state.reason,
            "turn_id": words.turn_id,
            **told,
        }
        Outbox(self.log.database).add(session, tenant, kind, payload, conversation_id=session_id)

    @asynccontextmanager
    async def between_turns(self, tenant: str, session_id: str) -> AsyncIterator[None]:
        """Hold the conversation as a turn does, so that no answer of the bot's is under way in the block.

        Waits on the event loop: a thread that waited would be missing for what it waits for.

        Raises:
            NotFound: the conversation is unknown, erased, or of another tenant.
        """
        owner, deadline, taken = secrets.token_hex(8), time.monotonic() + TURN_SECONDS, False
        try:
            while not (taken := await asyncio.to_thread(self.log.take_lease, tenant, session_id, owner)):
                if time.monotonic() >= deadline:
                    break
                await asyncio.sleep(LOOK_SECONDS)
            yield
        except asyncio.CancelledError:  # a look that was cut off may have taken it
            taken = True
            raise
        finally:
            if taken:
                await asyncio.shield(asyncio.to_thread(self.log.drop_lease, session_id, owner))


def _begins(entry: HandoffEntry) -> bool:
    """Whether a handoff begins with it; its reason stays where its words are erased."""
    return entry.kind in rows.BEGINS and entry.reason is not None


def handoffs_of(services: Services) -> Handoffs:
    """Those of a server; made of its log and settings where nobody has wired any."""
    return services.handoffs or Handoffs(services.log, services.settings)


def _fold(entries: Sequence[HandoffEntry]) -> HandoffState:
    state = BEGINNING
    for entry in entries:
        event = Happening(
            cast("Kind", entry.kind), entry.name, None, cast("HandoffReason | None", entry.reason), entry.by
        )
        state, _ = step(state, event)
    return state


def _for_team(kind: Kind, words: Words) -> Mapping[str, Any]:
    """What a webhook of the team's says of it: the packet, or the words of a note."""
    if kind in rows.BEGINS:
        return {"packet": (words.data or {}).get("packet")}
    return {"how": kind, "text": words.text} if kind == "noted" else {"how": kind}

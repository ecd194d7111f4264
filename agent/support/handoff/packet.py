"""What people of the team are told of a conversation that comes to them: all that spares the customer to repeat it.

Made by code from what the log has; private, never a part of an answer to the customer. Knows nothing of who reads it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from agent.answer import HandoffReason
from agent.history import facts_in_force
from agent.log.records import ConversationState, SessionView, TurnView
from agent.messages import Messages
from agent.preferences import fold
from agent.support.handoff.language import language_of
from agent.support.handoff.mood import Mood, mood_of_all
from agent.understand.persons import wants_person
from agent.wording import Wording

MAX_ITEMS: Final = 20
MAX_TRIED: Final = 12
MAX_QUOTE_CHARS: Final = 300
_MOOD_MESSAGES: Final = 4
"""The last so many messages tell how the customer feels now."""
_LIKES: Final = frozenset({"accept", "thumb_up", "buy"})
_E_MAIL: Final = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_PHONE: Final = re.compile(r"(?<![\w/])(?:\+|00?)\d(?:[\s()./-]{0,2}\d){6,14}(?!\w)")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class PacketItem(_Frozen):
    """An item that the customer saw, with what they made of it."""

    id: str
    title: str
    url: str | None = None
    price: str | None = None
    reactions: list[str] = Field(default_factory=list)


class Tried(_Frozen):
    """What the customer said in one turn and what the bot did."""

    turn_id: str
    said: str
    action: str
    items: int = 0
    sources: list[str] = Field(default_factory=list)


class Packet(_Frozen):
    """The private note of a handoff. `summary` has two lines; `open_question` is what the customer waits for."""

    session_id: str
    number: int
    reason: HandoffReason
    at: datetime
    summary: list[str]
    tried: list[Tried]
    wishes: list[str]
    items: list[PacketItem]
    open_question: str
    language: str
    mood: Mood
    contact: list[str] = Field(default_factory=list, description="how to reach them, as they said it")
    transcript: str


def make_packet(
    view: SessionView,
    state: ConversationState,
    message: str,
    *,
    number: int,
    reason: HandoffReason,
    at: datetime,
    words: Messages,
) -> Packet:
    """The packet; `message` is the one that is not stored yet, "" where the handoff was no message.

    `contact` is left out: it is read when somebody looks (`contacts_in`), so that it is stored once.
    """
    turns = [turn for turn in view.turns if not turn.undone]
    said = [turn.message for turn in turns] + ([message] if message else [])
    items = _items(turns)
    titles = {item.id: item.title for item in items}
    wording = Wording(words, lambda item_id: titles.get(item_id, item_id), _currency(turns))
    wishes = [wording.wish(wish) for wish in fold(facts_in_force(state))]
    question = open_question(said)
    return Packet(
        session_id=view.conversation.id,
        number=number,
        reason=reason,
        at=at,
        summary=[
            words.text("packet.wants", wishes=", ".join(wishes) or words.text("packet.no_wishes"),
                       message=question or words.text("packet.nothing_said")),
            words.text("packet.tried", turns=len(said), items=len(items), reason=words.text(f"packet.{reason}"),
                       liked=_named(items, _LIKES, words), rejected=_named(items, {"reject", "thumb_down"}, words)),
        ],
        tried=[_tried(turn) for turn in turns[-MAX_TRIED:]],
        wishes=wishes,
        items=items[-MAX_ITEMS:],
        open_question=question,
        language=language_of(said[-1:], language_of(said, view.conversation.language)),
        mood=mood_of_all(tuple(said[-_MOOD_MESSAGES:])),
        transcript=f"/v1/handoffs/{view.conversation.id}",
    )  # fmt: skip


def contacts_in(texts: Iterable[str]) -> list[str]:
    """E-mail addresses and phone numbers that customers wrote, each once, in order."""
    found = (match.strip() for text in texts for kind in (_E_MAIL, _PHONE) for match in kind.findall(text))
    return list(dict.fromkeys(found))


def open_question(said: Sequence[str]) -> str:
    """The newest message that is more than a wish for a person; "" where there is none."""
    for text in reversed(said):
        if wants_person(text.lower()) is None or len(text.split()) > 12:
            return quoted(text)
    return quoted(said[-1]) if said else ""


def quoted(text: str) -> str:
    """In one line, and cut where it is long."""
    flat = " ".join(text.split())
    return flat if len(flat) <= MAX_QUOTE_CHARS else f"{flat[: MAX_QUOTE_CHARS - 1]}…"


def _items(turns: Sequence[TurnView]) -> list[PacketItem]:
    """Those shown, in the order in which they were last seen, with every reaction to them."""
    cards: dict[str, dict[str, Any]] = {}
    reactions: dict[str, list[str]] = {}
    for turn in turns:
        for card in turn.answer.get("items", ()):
            cards.pop(card["id"], None)
            cards[card["id"]] = card
        for one in turn.reactions:
            if one.item_id is not None:
                kind = one.kind if one.reason is None else f"{one.kind} ({one.reason})"
                reactions.setdefault(one.item_id, []).append(kind)
    return [
        PacketItem(
            id=item_id,
            title=str(card.get("title", item_id)),
            url=card.get("url"),
            price=_price(card.get("price")),
            reactions=reactions.get(item_id, []),
        )
        for item_id, card in cards.items()
    ]


def _price(price: dict[str, str] | None) -> str | None:
    return f"{price['amount']} {price['currency']}" if price else None


def _currency(turns: Sequence[TurnView]) -> str | None:
    prices = (card.get("price") for turn in turns for card in turn.answer.get("items", ()))
    return next((price["currency"] for price in prices if price), None)


def _tried(turn: TurnView) -> Tried:
    return Tried(
        turn_id=turn.turn_id,
        said=quoted(turn.message),
        action=turn.action,
        items=len(turn.items),
        sources=[str(one.get("title", "")) for one in turn.answer.get("citations", ())],
    )


def _named(items: Sequence[PacketItem], kinds: Iterable[str], words: Messages) -> str:
    wanted = set(kinds)
    titles = [item.title for item in items if any(one.split(" ")[0] in wanted for one in item.reactions)]
    return ", ".join(titles) or words.text("packet.none")

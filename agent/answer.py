"""The answer of one turn: the `chatalogue` object that every channel carries, and what streams before it.

The pydantic models are the public contract (version 1): lists are `[]` when empty, never absent.
Knows nothing of HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from agent.preferences import Polarity, Preference, PreferenceKind, PreferenceOperator
from retrieval.items import AttributeValue, Item

Action: TypeAlias = Literal["recommend", "ask", "answer", "handoff", "decline", "chat"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Price(_Frozen):
    """An exact amount as a decimal string, and its ISO 4217 currency."""

    amount: str
    currency: str


class ShownItem(_Frozen):
    """One card. Everything but `why` and `trade_off` is read from the catalogue at answer time."""

    id: str
    rank: int = Field(ge=1, description="position in its list, from 1")
    title: str
    price: Price | None = None
    in_stock: bool | None = Field(None, description="null where the catalogue does not say")
    url: str | None = None
    image_url: str | None = None
    why: str = Field("", description="one sentence that names the customer's wish")
    matched: list[str] = Field(default_factory=list, description='"attribute: value" pairs that meet a wish')
    trade_off: str | None = Field(None, description="one honest disadvantage for this wish")
    attributes: dict[str, int | float | str | list[str]] = Field(default_factory=dict)


class Alternative(_Frozen):
    """A near miss: it breaks the wishes named by `breaks`."""

    item: ShownItem
    breaks: list[str]


class Citation(_Frozen):
    """A help article behind `[n]` in the text, with the words it rests on."""

    n: int
    title: str
    url: str | None
    quote: str
    updated: str | None = Field(None, description="the article's date as it is written there")


class PreferenceView(_Frozen):
    """One wish in force, with the words that caused it."""

    id: str
    kind: PreferenceKind
    attribute: str | None
    op: PreferenceOperator
    value: float | str | list[float | str]
    polarity: Polarity
    evidence: str
    turn: int

    @classmethod
    def of(cls, wish: Preference) -> PreferenceView:
        """The public form of `wish`."""
        return cls(
            id=wish.id,
            kind=wish.kind,
            attribute=wish.attribute,
            op=wish.op,
            value=wish.value,
            polarity=wish.polarity,
            evidence=wish.evidence,
            turn=wish.turn,
        )


class Blocking(_Frozen):
    """Dropping this wish alone would leave `relaxed_count` items."""

    preference_id: str
    relaxed_count: int


class NoMatch(_Frozen):
    """Why nothing is offered: not carried at all, filtered out by wishes, or a name we do not know."""

    kind: Literal["not_carried", "filtered_out", "unknown"]
    said: str
    blocking: list[Blocking] = Field(default_factory=list)


class Question(_Frozen):
    """The one question of this turn, with answers to tap. `value` of each is a sentence to send."""

    attribute: str
    text: str
    options: list[str]


HandoffReason: TypeAlias = Literal["asked", "button", "doubt", "anger", "policy", "agent"]
"""Why people have a conversation: the customer asked in words or by the button, the bot gave up, the customer is angry,
the shop's own intents say so, or somebody of the team took it over."""


class HandoffView(_Frozen):
    """That people have the conversation, as the customer may know it: what they are told of it is private."""

    state: Literal["waiting", "human"]
    reason: HandoffReason
    at: datetime = Field(description="when it was handed over, UTC")
    expected: datetime | None = Field(None, description="from when on somebody is there, UTC; null: now, or not known")


class Timings(_Frozen):
    """Milliseconds: `retrieve` and `rank` of the step itself, the others from the arrival of the message.

    Null where a step did not run.
    """

    understand: float | None = None
    retrieve: float | None = None
    rank: float | None = None
    cards: float | None = None
    first_token: float | None = None
    total: float | None = None


class Answer(_Frozen):
    """The `chatalogue` object of the API."""

    v: Literal[1] = 1
    session_id: str
    turn_id: str
    action: Action
    items: list[ShownItem] = Field(default_factory=list)
    alternatives: list[Alternative] = Field(default_factory=list)
    citations: list[Citation] = Field(default_factory=list)
    preferences: list[PreferenceView] = Field(default_factory=list)
    no_match: NoMatch | None = None
    question: Question | None = None
    handoff: HandoffView | None = None
    model: str
    adapter: str | None = None
    degraded: bool = False
    timings_ms: Timings = Timings()


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens summed over every engine call of the turn; 0 where no model was asked."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Waiting:
    """So many are `ahead` of us: calls in the engine's queue, or the turn before in this conversation."""

    ahead: int


@dataclass(frozen=True, slots=True)
class Cards:
    """Sent once, before any text: the answer without final timings. The page draws cards from it."""

    answer: Answer


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the reply; all pieces joined are the reply."""

    delta: str


@dataclass(frozen=True, slots=True)
class Finished:
    """Sent last, after the turn is in the log: the full reply, the final answer, the tokens spent."""

    reply: str
    answer: Answer
    usage: Usage


Update: TypeAlias = Annotated[Waiting | Cards | Text | Finished, "what a turn yields, in this order"]


def shown_item(
    item: Item, rank: int, *, why: str = "", matched: tuple[str, ...] = (), trade_off: str | None = None
) -> ShownItem:
    """The card of `item` at position `rank`."""
    price = None
    if item.price is not None and item.currency:
        price = Price(amount=f"{item.price:.2f}", currency=item.currency)
    return ShownItem(
        id=item.id,
        rank=rank,
        title=item.title,
        price=price,
        in_stock=item.in_stock,
        url=item.url,
        image_url=item.image_url,
        why=why,
        matched=list(matched),
        trade_off=trade_off,
        attributes={name: _json_value(value) for name, value in item.attributes.items()},
    )


def _json_value(value: AttributeValue) -> int | float | str | list[str]:
    """Whole numbers as whole numbers: a year is 1994, not 1994.0."""
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value

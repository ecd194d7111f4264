"""What goes into the event log and what comes out. Knows nothing of SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias

from agent.answer import Action
from agent.preferences import Fact
from agent.understand.types import AskedQuestion, Intent, Language
from retrieval.errors import ChatalogueError

FeedbackKind: TypeAlias = Literal["thumb_up", "thumb_down", "accept", "reject", "click", "buy", "correct", "withdraw"]
OutsideKind: TypeAlias = Literal["view", "click", "buy", "dwell"]
PastKind: TypeAlias = Literal["view", "click", "buy", "rating", "like"]
Consent: TypeAlias = Literal["opt_in", "opt_out"]
"""Who may be learned from: those who said yes, or all but those who said no."""
ShownList: TypeAlias = Literal["slate", "alternative"]
ConversationStatus: TypeAlias = Literal["bot", "waiting", "human"]
"""Who has it; `waiting` for people is theirs already: the bot is silent."""


class TurnConflict(ChatalogueError):
    """Another turn of the conversation is in the way: of the same number, or one that takes too long."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """Who talks. `person_id` is None for a customer without a name; `key_id` names the API key (or the page)."""

    id: str
    tenant: str
    key_id: str
    person_id: str | None
    created_at: datetime
    language: Language
    status: ConversationStatus


@dataclass(frozen=True, slots=True)
class PrefixMatch:
    """The turn after which a stateless call goes on; turns with a higher number are not part of it.

    `shared`: more than one conversation ended with these messages ("hello"), so they do not say whose it is.
    `held` is the latest of them that people have or should take, with its turn; None where the bot has them all.
    """

    session_id: str
    turn_number: int
    shared: bool = False
    held: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class ShownRow:
    """One item of one list of a turn.

    `position` starts at 1 in each list. `log_propensity` (natural log) is None where nothing was
    explored. `features` and `contributions` are by feature name; numbers that are not finite are
    stored as null. `matched` are "attribute: value" pairs: words, so an erasure takes them.
    """

    item_id: str
    position: int
    list: ShownList = "slate"
    score: float | None = None
    log_propensity: float | None = None
    features: Mapping[str, float | None] = field(default_factory=dict)
    contributions: Mapping[str, float | None] = field(default_factory=dict)
    matched: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """One finished turn, everything about it.

    `number` counts from 1 in its conversation, undone turns included. `prefix_hash` is the hash of
    all messages up to and including this reply. `timings` are milliseconds. `exploration` is the
    temperature in force, 0 for none. `trace` and `answer` are JSON objects. `created_at` None is now.
    """

    tenant: str
    session_id: str
    turn_id: str
    number: int
    message: str
    reply: str
    intent: Intent
    action: Action
    language: Language
    model: str
    adapter: str | None = None
    degraded: bool = False
    timings: Mapping[str, float | None] = field(default_factory=dict)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seed: int = 0
    exploration: float = 0.0
    prefix_hash: str | None = None
    index_name: str | None = None
    facts: tuple[Fact, ...] = ()
    shown: tuple[ShownRow, ...] = ()
    focus: tuple[str, ...] = ()
    question: AskedQuestion | None = None
    trace: Mapping[str, Any] = field(default_factory=dict)
    answer: Mapping[str, Any] = field(default_factory=dict)
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reaction:
    """A reaction in force (not withdrawn); `item_id` None is on the whole reply.

    `features` are the ranker's of the item when it was shown; {} where it was not ranked.
    """

    item_id: str | None
    kind: FeedbackKind
    reason: str | None = None
    features: Mapping[str, float | None] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class TurnState:
    """What the next turn may know of an earlier one. `shown` has the slate's item ids in order."""

    turn_id: str
    number: int
    message: str
    reply: str
    language: Language
    intent: Intent
    action: Action
    facts: tuple[Fact, ...]
    shown: tuple[str, ...]
    focus: tuple[str, ...]
    question: AskedQuestion | None
    undone: bool
    reactions: tuple[Reaction, ...]


@dataclass(frozen=True, slots=True)
class EditState:
    """Facts that the customer's own hand made (a chip removed), to be folded after turn `after_turn`.

    `after_turn` 0 comes before the first turn: what a named customer wished in earlier conversations.
    """

    after_turn: int
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class ConversationState:
    """A conversation; turns by number, undone ones with their flag; edits in the order they were made."""

    conversation: Conversation
    turns: tuple[TurnState, ...] = ()
    edits: tuple[EditState, ...] = ()


@dataclass(frozen=True, slots=True)
class Feedback:
    """A reaction as it came from a client: unchecked, so `kind` and `of` are plain strings.

    `by_agent`: it is a support agent's and not the customer's, which the caller has proven: they may react to every
    conversation of the tenant, with a correction, or with a thumb on a whole reply, which is a human's label.
    """

    turn_id: str
    kind: str
    item_id: str | None = None
    of: str | None = None
    reason: str | None = None
    text: str | None = None
    by_agent: bool = False


@dataclass(frozen=True, slots=True)
class Stored:
    """`stored` False: it was there already, `event_id` names it (None: there was nothing to withdraw)."""

    stored: bool
    event_id: str | None


@dataclass(frozen=True, slots=True)
class OutsideEvent:
    """Something that happened outside the chat, unchecked; `value` is seconds for `dwell`, an amount for `buy`.

    `at` is when it happened (with a time zone); None is now. It belongs to a turn, a conversation, a
    named user, or to none of them.
    """

    kind: str
    item_id: str | None = None
    turn_id: str | None = None
    session_id: str | None = None
    user: str | None = None
    value: float | None = None
    at: datetime | None = None
    data: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class TurnView:
    """One turn for a reader: `items` and `alternatives` are item ids in order, `answer` is as it was sent."""

    turn_id: str
    number: int
    created_at: datetime
    message: str
    reply: str
    action: Action
    items: tuple[str, ...]
    alternatives: tuple[str, ...]
    reactions: tuple[Reaction, ...]
    answer: Mapping[str, Any]
    undone: bool


@dataclass(frozen=True, slots=True)
class SessionView:
    """A conversation to be read or drawn again."""

    conversation: Conversation
    turns: tuple[TurnView, ...]


@dataclass(frozen=True, slots=True)
class ConversationSummary:
    """One line of a history: `title` is the first message, in full."""

    session_id: str
    title: str
    created_at: datetime
    last_at: datetime
    turns: int


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """One event with its words, as it stands in the log; `kind` is feedback, an outside event, or the log's own."""

    id: str
    at: datetime
    kind: str
    session_id: str | None
    turn_id: str | None
    item_id: str | None
    value: float | None
    of: str | None
    reason: str | None
    text: str | None
    data: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class PersonRecord:
    """A named customer: since when, consent (None: they said nothing), conversations, events, adapters with them in.

    `name` is theirs as their client gave it.
    """

    name: str
    since: datetime
    consent: bool | None
    session_ids: tuple[str, ...]
    events: tuple[RecordedEvent, ...]
    adapters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ErasedPerson:
    """Who was erased: `id` stood for them in the log; `adapters` were trained on them, by id."""

    id: str
    session_ids: tuple[str, ...]
    adapters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LoggedTurn:
    """A turn as it was recorded (`record.created_at` is set), for traces and for `replay`."""

    record: TurnRecord
    undone: bool


@dataclass(frozen=True, slots=True)
class TurnInput:
    """A stored turn and the conversation as it stood before it: all that running it again needs."""

    logged: LoggedTurn
    before: ConversationState


@dataclass(frozen=True, slots=True)
class PastDeed:
    """One row of a shop's own history, checked by its reader; `user` is what the shop's chat requests name.

    `value`: of a `rating` the stars, of a `like` not above 0 for a dislike, else an amount. `at` None is now.
    """

    user: str
    item_id: str
    kind: PastKind
    value: float | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Deed:
    """What one customer did with one item, in a chat, on the shop's pages or before there was a chat.

    `customer` is the person's id, or the conversation's for somebody without a name; of such a one `key_id` names the
    API key (or the page). `session_id` is None for what happened outside of conversations.
    """

    customer: str
    item_id: str
    kind: FeedbackKind | OutsideKind | PastKind
    value: float | None
    at: datetime
    reason: str | None = None
    session_id: str | None = None
    key_id: str | None = None


@dataclass(frozen=True, slots=True)
class StatedWishes:
    """The facts of one conversation that was begun `at`, or of an edit outside of any, in the order of their fold."""

    at: datetime
    facts: tuple[Fact, ...]


NOBODY = ""
"""Stands for a conversation where somebody was erased as a whole: what they did outside of conversations is gone."""


@dataclass(frozen=True, slots=True)
class Change:
    """An event, by its number, after which what was learned from a conversation is to be worked out again.

    `session_id` may be `NOBODY`.
    """

    seq: int
    session_id: str


@dataclass(frozen=True, slots=True)
class Changes:
    """`newest` is the number of the newest event of any kind, 0 before the first."""

    newest: int
    found: tuple[Change, ...]

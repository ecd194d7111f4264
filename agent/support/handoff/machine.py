"""Who has a conversation, the bot or people, as a pure function over events.

    state, effects = step(state, Happening("asked", "t_1", reason="asked"))

    bot --asked--> waiting --taken, replied--> human --returned, closed--> bot
                   waiting --withdrawn--> bot         bot --taken_over--> human

Loop-proof by construction: each handoff has a number and each happening a name. What is named twice, comes late (it is
about another handoff than the one that is open) or does not fit the phase changes nothing, and a message is met with
silence in every phase but the bot's. Knows nothing of clocks, databases and words.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from agent.answer import HandoffReason
from agent.log.records import ConversationStatus

Kind: TypeAlias = Literal[
    "asked", "said", "withdrawn", "taken", "taken_over", "replied", "noted", "contact", "returned", "closed"
]
"""`said` is a customer's message, `withdrawn` the customer's wish to go on with the bot, `contact` how to reach them;
the rest but `asked` are deeds of the team."""
Effect: TypeAlias = Literal["closing_line", "private_note", "notice_of_return", "silence"]
Refusal: TypeAlias = Literal["stale", "not_handed_over", "held_by_another", "held"]
"""Why a happening changes nothing: about another handoff, about none, or the conversation is somebody's already."""

ENDS: Final[frozenset[Kind]] = frozenset({"returned", "closed", "withdrawn"})


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happens to a conversation.

    `name` is the same when the same thing is told again. `number` is the handoff that the sender means (of `asked`:
    the one that it would begin), None where they cannot know. `by` is who of the team.
    """

    kind: Kind
    name: str
    number: int | None = None
    reason: HandoffReason | None = None
    by: str = ""


@dataclass(frozen=True, slots=True)
class HandoffState:
    """Who has a conversation. `number` counts its handoffs, `version` what changed it so far.

    `ended` is how the last handoff ended, None before it did; `notice_due`: the customer was not told of that yet.
    `holder` is who of the team has it. `names` are those of what was taken in.
    """

    phase: ConversationStatus = "bot"
    number: int = 0
    version: int = 0
    reason: HandoffReason | None = None
    holder: str = ""
    ended: Kind | None = None
    notice_due: bool = False
    names: frozenset[str] = frozenset()


BEGINNING = HandoffState()


def step(state: HandoffState, event: Happening) -> tuple[HandoffState, tuple[Effect, ...]]:
    """The state after `event`, and what is to be done; the same state where the event changes nothing."""
    if event.kind == "said":
        return _said(state, event)
    if event.name in state.names or refusal(state, event) is not None or _is_done(state, event):
        return state, ()
    after = replace(state, version=state.version + 1, names=state.names | {event.name})
    if event.kind in ("asked", "taken_over"):
        return _handed_over(after, event)
    if event.kind in ENDS:
        return replace(after, phase="bot", holder="", ended=event.kind, notice_due=True), ()
    if event.kind in ("taken", "replied"):
        return replace(after, phase="human", holder=state.holder or event.by), ()
    return after, ()


def refusal(state: HandoffState, event: Happening) -> Refusal | None:
    """Why the sender of `event` should be told that it changes nothing; None where it does, or was done before."""
    if event.name in state.names or event.kind == "said":
        return None
    begins = event.kind in ("asked", "taken_over")
    if event.number is not None and event.number != state.number + (begins and state.phase == "bot"):
        return "stale"
    if begins:
        return "held" if event.kind == "taken_over" and state.phase == "human" and event.by != state.holder else None
    if state.phase != "bot":
        return _held(state, event)
    past = state.number > 0 and event.kind in ("noted", *ENDS)
    return None if past else "not_handed_over"


def _held(state: HandoffState, event: Happening) -> Refusal | None:
    """Of a conversation that people have: it is taken by one of them, and not taken back by the customer then."""
    if event.kind == "withdrawn" and state.phase == "human":
        return "held"
    if event.kind == "taken" and state.phase == "human" and event.by != state.holder:
        return "held_by_another"
    return None


def _is_done(state: HandoffState, event: Happening) -> bool:
    """Whether what the event asks for is so already."""
    if event.kind == "asked":
        return state.phase != "bot"
    if event.kind == "taken":
        return state.phase == "human"
    if event.kind == "taken_over":
        return state.phase == "human"
    return event.kind in ENDS and state.phase == "bot"


def _handed_over(after: HandoffState, event: Happening) -> tuple[HandoffState, tuple[Effect, ...]]:
    """A handoff begins; one that was asked for already is only taken."""
    if after.phase == "waiting":  # taken over while it waits: the closing line was said
        return replace(after, phase="human", holder=event.by), ()
    told: tuple[Effect, ...] = ("notice_of_return",) if after.notice_due else ()
    begun = replace(
        after,
        phase="human" if event.kind == "taken_over" else "waiting",
        number=after.number + 1,
        reason="agent" if event.kind == "taken_over" else event.reason or "asked",
        holder=event.by if event.kind == "taken_over" else "",
        ended=None,
        notice_due=False,
    )
    return begun, (*told, "closing_line", "private_note")


def _said(state: HandoffState, event: Happening) -> tuple[HandoffState, tuple[Effect, ...]]:
    """Silence while people have it; the first message after that is told who answers."""
    if state.phase != "bot":
        return state, ("silence",)
    if not state.notice_due or event.name in state.names:
        return state, ()
    told = replace(state, version=state.version + 1, names=state.names | {event.name}, notice_due=False)
    return told, ("notice_of_return",)

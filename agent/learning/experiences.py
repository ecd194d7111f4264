"""Talks of the event log as lessons: what was said and liked before an item was taken.

From the log alone; what was withdrawn, undone or erased teaches nothing, and words are masked. Not covered: purchases
on the shop's own pages that name no turn.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from agent.history import facts_in_force
from agent.learning.attitudes import OF_REACTION, attitudes, opinions
from agent.learning.masking import mask
from agent.learning.standing import overruled
from agent.log.records import Consent, ConversationState, FeedbackKind, TurnState
from agent.log.store import EventLog
from agent.meant import Titles, own_words
from agent.preferences import Fact, Preference, fold, taken_back
from agent.understand.types import Understanding
from retrieval.experience import Experience
from retrieval.query import SeedItem

WEIGHTS: Mapping[FeedbackKind, float] = {"buy": 1.0, "accept": 0.75, "thumb_up": 0.5}
"""What a lesson counts by how an item was taken: a purchase was paid for, a thumb costs nothing. Not tuned."""

BATCH = 200
"""Conversations that are read at once."""
KEPT = 20_000
"""Conversations that teach at all: those in which something was taken last."""

_LISTED = re.compile(r"^\s*\d{1,2}\.\s.*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Lesson:
    """One item that was taken in one conversation.

    `owner` is who it belongs to: the person, or the conversation of somebody without a name. `customer` is whom it
    counts for among distinct customers: all those without a name who come through one API key count as one, for
    nobody can tell them apart. `order` sorts lessons by age: when the conversation began, and the turn's number.
    """

    owner: str
    customer: str
    session_id: str
    item_id: str
    order: tuple[datetime, int]
    experience: Experience


@dataclass(frozen=True, slots=True)
class Asked:
    """What was known besides the words when an item was shown that was taken: what its search was made of.

    `wishes` were in force, `gone` taken back; `own` is what the customer asked for.
    `accepted` and `rejected` are the items that they had said so of. `hidden` had been shown and were not to come back.
    """

    wishes: tuple[Preference, ...] = ()
    gone: tuple[Preference, ...] = ()
    own: tuple[str, ...] = ()
    accepted: tuple[str, ...] = ()
    rejected: frozenset[str] = frozenset()
    hidden: frozenset[str] = frozenset()


def experiences(log: EventLog, tenant: str, consent: Consent = "opt_out") -> Iterator[Experience]:
    """Every lesson of the log, those of one conversation as one group, the oldest conversations first."""
    for _, states in read_talks(log, tenant, log.fruitful(tenant, KEPT), consent):
        for state in states:
            yield from (lesson.experience for lesson in lessons(state))


def read_talks(
    log: EventLog, tenant: str, session_ids: Sequence[str], consent: Consent
) -> Iterator[tuple[Sequence[str], list[ConversationState]]]:
    """`BATCH` ids at a time, each with those of the conversations that may be learned from."""
    for start in range(0, len(session_ids), BATCH):
        batch = session_ids[start : start + BATCH]
        yield batch, log.talks(tenant, batch, consent)


def lessons(state: ConversationState) -> tuple[Lesson, ...]:
    """One for each item that was taken and not refused, with what was known when it was shown last before."""
    talk = state.conversation
    owner = talk.person_id or talk.id
    customer = talk.person_id or f"key:{talk.key_id}"
    stands = [turn for turn in state.turns if not turn.undone]
    refused = {item_id for item_id, kind in opinions(stands) if OF_REACTION[kind] < 0}
    found: dict[str, Lesson] = {}
    for index, turn in enumerate(stands):
        for item_id, weight in _taken(turn).items():
            if item_id not in refused:
                experience = _experience(state, stands[: index + 1], item_id, weight)
                found[item_id] = Lesson(owner, customer, talk.id, item_id, (talk.created_at, turn.number), experience)
    return tuple(found.values())


def asked_in(state: ConversationState, lesson: Lesson, titles: Titles) -> Asked:
    """What was known when the lesson of this conversation was made, words unmasked: not to be kept.

    `titles` as in `agent.meant.asserted`.
    """
    until = [turn for turn in state.turns if not turn.undone and turn.number <= lesson.order[1]]
    *before, now = until
    facts = _facts(state, until)
    reacted = [(one.item_id, one.kind) for turn in before for one in turn.reactions if one.item_id != lesson.item_id]
    shown = {each for turn in before for each in turn.shown if each != lesson.item_id}
    return Asked(
        wishes=overruled(fold(facts)),
        gone=taken_back(facts),
        own=own_words(until, (), "", Understanding("empty"), titles),
        accepted=tuple(item_id for item_id, kind in reacted if kind == "accept" and item_id),
        rejected=frozenset(item_id for item_id, kind in reacted if kind == "reject" and item_id),
        hidden=frozenset(shown if now.intent == "more" else ()),
    )


def said(turns: Iterable[TurnState]) -> tuple[str, ...]:
    """What both sides said, oldest first, without the numbered lists: those are what we showed, not what was said.

    Without the bot's words of a handoff, too: its promise to be silent would be read as if it still held.
    """
    both = (
        text
        for turn in turns
        if not turn.undone
        for text in (turn.message, "" if turn.action == "handoff" else _LISTED.sub("", turn.reply))
    )
    return tuple(text.strip() for text in both if text.strip())


def _taken(turn: TurnState) -> dict[str, float]:
    """Item id -> weight of the strongest reaction that took it."""
    found: dict[str, float] = {}
    for one in turn.reactions:
        if one.item_id is not None and one.kind in WEIGHTS:
            found[one.item_id] = max(found.get(one.item_id, 0.0), WEIGHTS[one.kind])
    return found


def _experience(state: ConversationState, until: Sequence[TurnState], item_id: str, weight: float) -> Experience:
    """`until` ends with the turn that showed the item: its message counts, its reply names the item already."""
    *before, now = until
    spoken = attitudes(fold(_facts(state, until)), opinions(before))
    return Experience(
        turns=tuple(mask(text) for text in (*said(before), now.message)),
        spoken=tuple(SeedItem(spoken_id, value) for spoken_id, value in spoken.items() if spoken_id != item_id),
        accepted=(item_id,),
        group=state.conversation.id,
        weight=weight,
    )


def _facts(state: ConversationState, until: Sequence[TurnState]) -> tuple[Fact, ...]:
    """Those that the last turn of `until` was answered with."""
    edits = tuple(edit for edit in state.edits if edit.after_turn < until[-1].number)
    return facts_in_force(replace(state, turns=tuple(until), edits=edits))

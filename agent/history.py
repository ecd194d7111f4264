"""What a turn may know of the turns before it: the fold, the context, and how a stateless call is found again.

Reads stored facts; never runs a model. Knows nothing of HTTP.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile

from agent.learning.standing import is_standing
from agent.log.records import ConversationState, TurnState
from agent.preferences import Added, Fact, Preference, fold
from agent.services import PastMessage
from agent.shop import Shop
from agent.understand.types import DialogueContext
from retrieval.table import ItemTable
from retrieval.text import fold as plain_fold

MAX_HISTORY = 40
"""Earlier messages of a stateless call that are read; older ones no longer matter to a shopper."""
_LISTING = frozenset({"recommend", "more", "show_anyway", "reject", "unknown_item", "count", "superlative", "undo"})
_NUMBERED = re.compile(r"^\s*\d{1,2}\.\s+(.+)$", re.MULTILINE)


def facts_in_force(state: ConversationState) -> tuple[Fact, ...]:
    """All facts that count, in order: edits before the first turn, then each turn and the edits after it."""
    facts: list[Fact] = [fact for edit in state.edits if edit.after_turn == 0 for fact in edit.facts]
    for turn in state.turns:
        if not turn.undone:
            facts += turn.facts
        facts += [fact for edit in state.edits if edit.after_turn == turn.number for fact in edit.facts]
    return tuple(facts)


def context_of(state: ConversationState) -> DialogueContext:
    """What understanding may know before the next message."""
    live = [turn for turn in state.turns if not turn.undone]
    return DialogueContext(
        turn=next_number(state),
        preferences=fold(facts_in_force(state)),
        shown=tuple(shown for turn in live if (shown := _list_of(turn))),
        focus=live[-1].focus if live else (),
        asked=live[-1].question if live else None,
        questions=tuple(turn.message for turn in takewhile(_asks_of_items, reversed(live))),
    )


def still_carried(wishes: tuple[Preference, ...], table: ItemTable) -> tuple[Preference, ...]:
    """Without likes of items that the live catalogue no longer has."""
    return tuple(wish for wish in wishes if wish.op != "like" or str(wish.values[0]) in table)


def later_than(state: ConversationState, number: int) -> list[TurnState]:
    """The turns after `number` that stand."""
    return [turn for turn in state.turns if turn.number > number and not turn.undone]


def said_before(history: Sequence[PastMessage]) -> tuple[str, ...]:
    """What the client's own copy has, for a conversation of which nothing is stored here."""
    return tuple(message.text for message in history[-MAX_HISTORY:] if message.role != "system")


def _asks_of_items(turn: TurnState) -> bool:
    return turn.intent == "item_question"


def _list_of(turn: TurnState) -> tuple[str, ...]:
    """The ids that stood numbered on screen: the slate, or the near misses where there was none."""
    return turn.shown or (turn.focus if turn.intent in _LISTING else ())


def next_number(state: ConversationState) -> int:
    """The number of the next turn; numbers are never used twice, undone turns included."""
    return max((turn.number for turn in state.turns), default=0) + 1


def asked_in(state: ConversationState) -> frozenset[str]:
    """The attributes that this conversation asked about, in turns that stand."""
    return frozenset(turn.question.attribute for turn in state.turns if turn.question and not turn.undone)


def waved_off(state: ConversationState) -> bool:
    """Whether the customer has said that they would rather be shown things than asked."""
    return any(turn.intent == "show_anyway" and not turn.undone for turn in state.turns)


def reactions_of(state: ConversationState, kind: str) -> tuple[str, ...]:
    """Item ids with a reaction of `kind` in force, oldest first."""
    return tuple(r.item_id for turn in state.turns for r in turn.reactions if r.kind == kind and r.item_id)


def turn_that_showed(state: ConversationState, item_id: str) -> str | None:
    """The latest turn whose list had the item."""
    return next((turn.turn_id for turn in reversed(state.turns) if item_id in _list_of(turn)), None)


def messages_of(state: ConversationState) -> tuple[PastMessage, ...]:
    """The conversation as a client would send it back."""
    return tuple(
        message
        for turn in state.turns
        if not turn.undone
        for message in (PastMessage("user", turn.message), PastMessage("assistant", turn.reply))
    )


def prefix_hash(messages: Sequence[PastMessage]) -> str:
    """SHA-256 (hex) of who said what; system messages and outer white space do not count.

    Nor do empty messages: clients leave the silence of a bot out when they send a conversation back.
    """
    said = [(one.role, one.text.strip()) for one in messages if one.role != "system" and one.text.strip()]
    return hashlib.sha256(json.dumps(said, ensure_ascii=False).encode(errors="replace")).hexdigest()


def lists_in(history: Sequence[PastMessage], shop: Shop) -> tuple[tuple[str, ...], ...]:
    """The numbered lists of earlier answers, oldest first."""
    answers = (message.text for message in history[-MAX_HISTORY:] if message.role == "assistant")
    return tuple(ids for text in answers if (ids := _ids_in_list(text, shop)))


def carried_over(state: ConversationState, until: int) -> tuple[Added, ...]:
    """The wishes in force after turn `until`, as the first facts of another conversation; lasting ones keep ids."""
    past = ConversationState(
        state.conversation,
        tuple(turn for turn in state.turns if turn.number <= until),
        tuple(edit for edit in state.edits if edit.after_turn <= until),
    )
    wishes = fold(facts_in_force(past))
    ids = [wish.id if is_standing(wish) else f"t0-{n}" for n, wish in enumerate(wishes, 1)]
    return tuple(Added(replace(wish, id=new, turn=0)) for new, wish in zip(ids, wishes, strict=True))


def read_by_rules(history: Sequence[PastMessage], shop: Shop) -> tuple[DialogueContext, tuple[Fact, ...]]:
    """A conversation that is not ours: its wishes by rules alone, its lists by their numbered lines."""
    facts: list[Fact] = []
    shown: list[tuple[str, ...]] = []
    for message in history[-MAX_HISTORY:]:
        if message.role == "assistant":
            if ids := _ids_in_list(message.text, shop):
                shown.append(ids)
        elif message.role == "user":
            context = DialogueContext(turn=0, preferences=fold(facts), shown=tuple(shown), focus=_last(shown))
            understood = shop.rules.understand(message.text, context).facts
            facts += [_renumbered(fact, len(facts) + n) for n, fact in enumerate(understood)]
    context = DialogueContext(turn=1, preferences=fold(facts), shown=tuple(shown), focus=_last(shown))
    return context, tuple(facts)


def _last(shown: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    return shown[-1] if shown else ()


def _renumbered(fact: Fact, n: int) -> Fact:
    """Ids are by turn; all imported turns are turn 0, so each wish gets a number of its own."""
    if isinstance(fact, Added):
        return Added(replace(fact.preference, id=f"t0-{n + 1}", turn=0))
    return fact


def _ids_in_list(text: str, shop: Shop) -> tuple[str, ...]:
    """Items whose title begins a numbered line: the longest title that fits."""
    titles = shop.ids_by_title
    found = []
    for line in _NUMBERED.findall(text):
        words = plain_fold(line).split()
        for length in range(len(words), 0, -1):
            if ids := titles.get(" ".join(words[:length]).rstrip(" ·-,:")):
                found.append(ids[0])
                break
    return tuple(found)

"""What the help desk's learned intents and its switch do to a turn, before everything else is asked.

    outcome = by_desk(view)      None: the turn goes on as ever

The rules of the language decide what is about the shop; examples decide where rules read nothing, and topics that are
not talked of. Knows nothing of how intents are learned.
"""

from __future__ import annotations

import math

from agent.querying import build_query
from agent.ranking import RankingOptions, rank
from agent.support.chinese import english_question
from agent.support.intent_store import Intents
from agent.support.intents import IntentRule
from agent.taming import hosts_in
from agent.turn import Outcome, Situation
from agent.understand.types import Intent, Understanding

SURE = 0.9
"""The score from which a topic to refuse overrules a reading of the rules; wrong, it costs the customer the turn."""
LIKELY = 0.5
"""The score from which they say what a message is for that is about the service anyway."""
_ABOUT_SERVICE: frozenset[Intent] = frozenset({"support", "out_of_scope", "empty"})
_NEVER: frozenset[Intent] = frozenset({"distress", "handoff", "undo", "reset", "too_long"})
"""Whatever the examples say: somebody in need, somebody who wants a person, and what takes things back."""
_LISTS: frozenset[Intent] = frozenset({"recommend", "more", "show_anyway", "unknown_item", "reject", "undo"})
"""What is answered with a list that somebody's taste, the talk and the language model have a say in."""
_OTHERS: frozenset[Intent] = frozenset({"more", "show_anyway", "reject"})
"""Those that ask for what was not shown yet."""


def by_desk(view: Situation, intents: Intents | None, *, paused: bool = False) -> Outcome | None:
    """A refusal, a canned answer word for word, or, while the assistant is paused, plain search; None: nothing of it.

    An intent with an action, or with neither, changes nothing here: `action_of` names the action.
    """
    rule = _rule(view, intents)
    if rule is not None and rule.refuse:
        return Outcome("decline", opening=view.wording.words.text("reply.refused"), focus=view.context.focus)
    if rule is not None and rule.answer:
        return Outcome("answer", opening=rule.answer, focus=view.context.focus, hosts=hosts_in(rule.answer))
    return plain_search(view) if paused and view.understanding.intent in _LISTS else None


def action_of(view: Situation, intents: Intents | None) -> str:
    """The name of the action that the message asks for, "" for none."""
    rule = _rule(view, intents)
    return rule.action if rule is not None else ""


def plain_search(view: Situation) -> Outcome:
    """What the catalogue's search finds for the words of the message, and nobody's taste; says that this is all."""
    table, words = view.shop.table, view.wording.words
    exclude = view.shown_before() if view.understanding.intent in _OTHERS else frozenset()
    query = build_query(
        view.wishes, k=view.candidates, exclude=exclude, rejected=view.rejected, own=view.own, unwanted=view.unwanted
    )
    found = view.shop.retriever.search(query)
    slate = rank(found.candidates, view.wishes, table, RankingOptions(size=view.size))
    if not slate.entries:
        return Outcome("answer", opening=words.text("reply.paused_nothing"), degraded=True)
    focus = tuple(entry.item.id for entry in slate.entries)
    return Outcome("recommend", opening=words.text("reply.paused"), slate=slate, focus=focus, degraded=True)


def _rule(view: Situation, intents: Intents | None) -> IntentRule | None:
    """What is done for the intent of the message, where the examples are sure enough."""
    if intents is None or view.understanding.intent in _NEVER:
        return None
    guess, rule = intents.read(_question(view))
    return rule if rule is not None and guess.score >= _needed(view.understanding, refuse=rule.refuse) else None


def _question(view: Situation) -> str:
    """The words that are asked about; Chinese ones in English, where the lexicon has them."""
    text = view.understanding.support_text or view.text
    return (english_question(text) or text) if view.understanding.language == "zh" else text


def _needed(understood: Understanding, *, refuse: bool) -> float:
    """The score that it takes: what the rules read as a wish is one, and only a topic to refuse is heard in it."""
    if understood.intent in _ABOUT_SERVICE:
        return LIKELY
    return SURE if refuse else math.inf

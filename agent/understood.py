"""What the catalogue and the conversation add to what the rules understood of a message.

Knows nothing of language models.
"""

from __future__ import annotations

from dataclasses import replace

from agent.history import next_number, turn_that_showed
from agent.log.records import ConversationState
from agent.preferences import Added, Preference
from agent.shop import Shop
from agent.understand.types import Intent, Understanding
from retrieval.text import fold


def with_unlisted(understanding: Understanding, state: ConversationState, text: str) -> Understanding:
    """A rejected item that no list had (it was only spoken of) has no card to react to: it is kept as a wish."""
    if understanding.intent != "reject":
        return understanding
    unlisted = [item_id for item_id in understanding.item_ids if turn_that_showed(state, item_id) is None]
    known = {fact.preference.values for fact in understanding.facts if isinstance(fact, Added)}
    turn = next_number(state)
    facts = tuple(
        Added(Preference(f"t{turn}-r{n}", "soft", None, "like", (item_id,), "negative", text, turn))
        for n, item_id in enumerate(unlisted, 1)
        if (item_id,) not in known
    )
    return replace(understanding, facts=(*understanding.facts, *facts))


def found_after_all(understood: Understanding, shop: Shop) -> Understanding:
    """A name that the rules did not take for a title, but which is one, is never called unknown."""
    ids = shop.ids_by_title.get(fold(understood.said)) if understood.said else None
    if ids is None:
        return understood
    intent: Intent = "item_question" if understood.intent == "unknown_item" else understood.intent
    return replace(understood, intent=intent, item_ids=(ids[0], *understood.item_ids), said="", facts=())

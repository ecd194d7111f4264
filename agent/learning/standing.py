"""What a named customer wishes again and again, as the first wishes of their next conversation: chips they can remove.

Said in words in `TALKS_THAT_AGREE` conversations and never taken back, a value of the catalogue that somebody wants or
does not want lasts beyond them, as a soft wish: it ranks and never filters. Prices, sizes and dates belong to an errand
and do not last, nor does "rather a western" take back for good what was said of comedies. Knows nothing of where wishes
come from. Not covered: wishes in free text, which nobody says twice in the same words. Tastes that are read from deeds
(`profile.tastes_of`) are no wishes: on MovieLens the first three as soft wishes beside popularity halved the nDCG of
held-out liked films (.143 to .070); as a feature of a learned ranker they help (`agent.bench.rated`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from agent.log.records import StatedWishes
from agent.preferences import Added, Dropped, Fact, Preference, fold
from retrieval.shape import CatalogueShape

TALKS_THAT_AGREE = 2
"""Conversations in which a wish was said before it lasts."""
MOST = 3
"""Lasting wishes at once, those said last: a conversation does not begin with a questionnaire filled in."""
PREFIX = "s-"
"""What the ids of lasting wishes begin with."""

_ID = re.compile(rf"{PREFIX}[0-9a-f]{{16}}")

Meaning: TypeAlias = tuple[str, str]
"""An attribute and a value of it."""


def standing(
    talks: Sequence[StatedWishes], shape: CatalogueShape, present: Iterable[Preference] = ()
) -> tuple[Added, ...]:
    """The lasting wishes, the oldest first.

    Args:
        talks: what the customer wished for by conversation, oldest first.
        shape: of the catalogue: a wish for what it does not know does not last.
        present: wishes that the conversation has already: what they speak of is left to them.
    """
    said: dict[Meaning, list[Preference]] = {}
    for talk in talks:
        for place, fact in enumerate(talk.facts):
            if isinstance(fact, Dropped):
                before, after = _wishes(talk.facts[:place]), _wishes(talk.facts[place:])
                said = {meaning: each for meaning, each in said.items() if not _forgets(fact, meaning, before, after)}
        for meaning, wish in _meanings(fold(talk.facts), shape).items():
            if wish.turn > 0:  # else it was only there because it lasts
                same = [one for one in said.pop(meaning, []) if one.polarity == wish.polarity]
                said[meaning] = [*same, wish]
    taken = _meanings(present, shape)
    lasting = [
        Added(_lasting(wishes[-1], meaning))
        for meaning, wishes in said.items()
        if len(wishes) >= TALKS_THAT_AGREE and meaning not in taken
    ]
    return tuple(lasting[-MOST:])


def is_standing(wish: Preference) -> bool:
    """Whether it lasts from earlier conversations and was not said in this one."""
    return wish.id.startswith(PREFIX)


def may_be_standing(wish_id: str) -> bool:
    """Whether it is formed like the id of a lasting wish."""
    return _ID.fullmatch(wish_id) is not None


def overruled(wishes: tuple[Preference, ...]) -> tuple[Preference, ...]:
    """Without lasting wishes for a value where this conversation wants something of the same attribute.

    Whoever always took comedies and now asks for a western wants no western comedy. What they never want stays.
    """
    now = {wish.attribute for wish in wishes if not is_standing(wish) and wish.polarity == "positive"}
    return tuple(
        wish for wish in wishes if not (is_standing(wish) and wish.polarity == "positive" and wish.attribute in now)
    )


def _meanings(wishes: Iterable[Preference], shape: CatalogueShape) -> Mapping[Meaning, Preference]:
    """Wishes for or against a value of a text or list attribute, by what they mean."""
    found: dict[Meaning, Preference] = {}
    for wish in wishes:
        known = shape.attributes.get(wish.attribute) if wish.attribute and wish.op == "eq" else None
        if known is None or known.kind == "number":
            continue
        found |= {(known.name, str(value)): wish for value in wish.values if str(value) in (known.values or ())}
    return found


def _id(meaning: Meaning) -> str:
    """The same for the same meaning, so that a removed one is known again."""
    return PREFIX + hashlib.sha256(json.dumps(meaning).encode()).hexdigest()[:16]


def _lasting(wish: Preference, meaning: Meaning) -> Preference:
    """In the catalogue's words: those of the customer go when their conversation is deleted."""
    attribute, value = meaning
    return Preference(_id(meaning), "soft", attribute, "eq", (value,), wish.polarity, evidence=value, turn=0)


def _wishes(facts: Iterable[Fact]) -> list[Preference]:
    return [fact.preference for fact in facts if isinstance(fact, Added)]


def _forgets(gone: Dropped, meaning: Meaning, before: Iterable[Preference], after: Iterable[Preference]) -> bool:
    """Whether the wish is taken back for good: as it lasts, or as it was said again `before` in the conversation.

    Where the same message wants something else of the attribute (`after`), that is for this errand.
    """
    attribute, value = meaning
    if gone.everything:
        return True
    if any(wish.attribute == attribute and wish.turn == gone.turn for wish in after):
        return False
    again = any(wish.id in gone.preference_ids and _speaks_of(wish, attribute, value) for wish in before)
    return again or _id(meaning) in gone.preference_ids or attribute in gone.attributes


def _speaks_of(wish: Preference, attribute: str, value: str) -> bool:
    return wish.attribute == attribute and wish.op == "eq" and value in map(str, wish.values)

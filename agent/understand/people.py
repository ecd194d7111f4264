"""Who "him" and "her" are: "more by him", "another one with her", "without him", "by the same director".

Knows the item in focus, the people wished for and what was asked last; not a person's sex: of several people the one
who was spoken of is meant, else the first of the list.
"""

from __future__ import annotations

import re

from agent.understand.intents import ITEM_QUESTIONS
from agent.understand.lexicon import Lexicon
from agent.understand.message import Message
from agent.understand.negation import Stances
from agent.understand.references import ItemOf
from agent.understand.roles import PERSON_ROLES, Role
from agent.understand.types import DialogueContext
from agent.understand.wishes import Wish
from retrieval.items import Item

_WHO = re.compile(
    r"\b(?P<how>directed by|written by|made by|by|from|starring|featuring|without|with|not)\s+"
    r"(?P<who>him|her|the same (?P<same>director|author|writer|artist|actor|actress|star|man|woman|person|guy))\b"
    r"(?=\s*(?:$|[,.!?;]|(?:in (?:it|the cast)|please|too|again|as well|and|but|or|though|if)\b))"
)
_MADE_BY = frozenset({"directed by", "written by", "made by", "by", "from"})
_AGAINST = frozenset({"without", "not"})


def people_meant(message: Message, context: DialogueContext, lexicon: Lexicon, item_of: ItemOf) -> list[Wish]:
    """Hard wishes for or against the people whom pronouns stand for; their words are marked as read."""
    wishes: list[Wish] = []
    for match in _WHO.finditer(message.low):
        if not message.free(*match.span()) or message.text[match.start("who")].isupper():
            continue  # "Her" is a film
        found = _person(match, context, lexicon, item_of)
        if found is not None:
            against = match["how"] in _AGAINST or Stances(message).denied(match.start("who")) is not None
            attribute, name = found
            polarity = "negative" if against else "positive"
            wishes.append(Wish(attribute, "eq", (name,), match.start(), match.end(), polarity=polarity))  # type: ignore[arg-type]
    return wishes


def _person(
    match: re.Match[str], context: DialogueContext, lexicon: Lexicon, item_of: ItemOf
) -> tuple[str, str] | None:
    """(attribute, name): of the item that was just asked about, else of a wish in force, else of the one item left."""
    makes = match["how"] in _MADE_BY or match["same"] in ("director", "author", "writer", "artist")
    roles: tuple[Role, ...] = ("maker", "cast") if makes else ("cast", "maker")
    asked = _asked_role(context)
    if asked is not None and match["how"] in _AGAINST:
        roles = (asked, *(role for role in roles if role != asked))
    item = item_of(context.focus[0]) if context.focus and (context.questions or len(context.focus) == 1) else None
    wished = _wished(context, lexicon)
    if item is not None and (wished is None or context.questions or match["same"]):
        return _of(item, roles, lexicon, wished) or wished
    return wished


def _asked_role(context: DialogueContext) -> Role | None:
    """Whether the question put last was who made an item, or who is in it."""
    for said in context.questions[:1]:
        for role, pattern in ITEM_QUESTIONS:
            if role in PERSON_ROLES and pattern.search(said.lower()):
                return "maker" if role == "maker" else "cast"
    return None


def _wished(context: DialogueContext, lexicon: Lexicon) -> tuple[str, str] | None:
    """The person who was wished for last."""
    for wish in reversed(context.preferences):
        if wish.attribute and wish.op == "eq" and lexicon.attributes.roles.get(wish.attribute) in PERSON_ROLES:
            return wish.attribute, str(wish.values[0])
    return None


def _of(
    item: Item, roles: tuple[Role, ...], lexicon: Lexicon, wished: tuple[str, str] | None
) -> tuple[str, str] | None:
    for attribute in lexicon.attributes.all_of(roles):
        value = item.attributes.get(attribute)
        names = value if isinstance(value, tuple) else (value,) if isinstance(value, str) else ()
        if wished is not None and wished[0] == attribute and wished[1] in names:
            return wished
        if names:
            return attribute, names[0]
    return None

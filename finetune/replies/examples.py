"""Replies to train on: the prompt that serving uses and a gold answer, every sentence of which passes serving's check.

The answer goes on after the prompt's prefill (the title and a colon), so it begins with a space; it is closed by the
end of the turn. Knows nothing of training.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from agent.llm.protocol import Prompt
from agent.reply_facts import ReplyFact
from agent.reply_pitch import WISH_KINDS, Pitch
from agent.reply_prompt import END_OF_SENTENCE, first_sentence, reply_prompt
from agent.understand.roles import Role, parts_of, role_of
from agent.wording import in_minutes
from finetune.dialogues.noise import Dice
from finetune.dialogues.types import Split
from finetune.dialogues.words import article
from finetune.replies.compress import shortenings
from finetune.replies.situations import ReplySituation, situations
from retrieval.items import Item
from retrieval.table import ItemTable

MAX_WORDS = 34
"""A first sentence that no rule can shorten is left as it is up to this length; longer ones are left out."""
MANY = 3
"""Situations tried for one example: some have nothing to shorten."""
_TOPIC_WORDS = frozenset("theme themes topic topics subject keywords keyword".split())
_TAG_WORDS = frozenset("tag tags".split())
_OPENERS = frozenset("a an the in when after two three four during as on at while his her their its it".split())
"""First words of a sentence that are no names, so that they begin small after the title."""


@dataclass(frozen=True, slots=True)
class ReplyExample:
    """What the model is asked, and what it should go on with."""

    prompt: Prompt
    answer: str


def reply_examples(table: ItemTable, n: int, seed: int, split: Split) -> Iterator[ReplyExample]:
    """At most `n` examples over the items and phrases of `split`, the same for the same seed."""
    made = 0
    for number, situation in enumerate(situations(table, MANY * n, seed, split)):
        if made == n:
            return
        if (answer := gold_reply(situation, split, Dice((seed, 4, number)), table)) is not None:
            made += 1
            yield ReplyExample(reply_prompt(situation.entry.item, situation.facts, situation.wording), f" {answer}")


def gold_reply(situation: ReplySituation, split: Split, dice: Dice, table: ItemTable) -> str | None:
    """The item's text shortened, why it fits, what speaks against it; None where the check refuses any of it."""
    item, facts = situation.entry.item, situation.facts
    what = _what(item, dice)
    if what is None:
        return None
    sentences = [what, *_said(item, facts.fits, facts.but, split, dice)]
    answer = " ".join(sentences)
    shown = tuple(entry.item for entry in situation.shown)
    pitch = Pitch(item, facts, situation.wording, table.shape, shown)
    passed = all(not (judged := pitch.judge(one)).objection and judged.tells for one in sentences)
    return answer if passed and END_OF_SENTENCE.split(answer) == sentences else None


def _what(item: Item, dice: Dice) -> str | None:
    whole = first_sentence(item.text)
    shorter = shortenings(whole)
    if shorter:
        said = dice.pick(shorter[: max(3, len(shorter) // 2)])
    elif whole and len(whole.split()) <= MAX_WORDS:
        said = whole
    else:
        return None
    first, _, rest = said.partition(" ")
    return f"{first.lower()} {rest}" if first.lower() in _OPENERS else said


def _said(item: Item, fits: tuple[ReplyFact, ...], but: ReplyFact | None, split: Split, dice: Dice) -> list[str]:
    """The sentences after the first: two, or both in one."""

    def pick(key: str) -> str:
        return dice.pick(phrases()[key][split])

    reasons = _joined([_predicate(item, fact, split, dice) for fact in fits])
    against = _predicate(item, but, split, dice) if but else ""
    asked = bool(fits) and all(fact.kind in WISH_KINDS for fact in fits)
    if asked and but and dice.chance(0.2):
        return [pick("both").format(p=reasons, b=against)]
    said = [pick("fits" if asked else "reason").format(p=reasons)] if fits else []
    return [*said, pick("but").format(b=against)] if but else said


def _predicate(item: Item, fact: ReplyFact, split: Split, dice: Dice) -> str:
    """The fact as it stands after "is"."""
    noun = "film" if "director" in item.attributes else "course" if "course" in item.text.lower() else ""
    role = "price" if fact.field == "price" else role_of(fact.field, number=_is_number(item, fact.field))
    phrase = dice.pick(phrases()[_key(fact, role, noun)][split])
    value = fact.value.lower() if role in ("kind", "soft", "colour") else fact.value
    label = " ".join(parts_of(fact.field))
    said = phrase.format(v=value, o=fact.other, noun=noun, label=label)
    return article(said) if said.startswith("a ") else said


def _key(fact: ReplyFact, role: Role, noun: str) -> str:
    if fact.kind == "shared":
        return f"shared.{fact.field}" if f"shared.{fact.field}" in phrases() else "shared.other"
    if fact.kind == "bound":
        upper = all(wish.op in ("le", "lt") for wish in fact.wishes)
        strict = role == "price" and upper and not fact.value.startswith(f"{fact.wishes[0].values[0]:.2f}")
        if strict and len(fact.wishes) == 1 and len(fact.other) % 2:
            return "bound.budget"
        if in_minutes(fact.field):
            return "bound.duration"
        return f"bound.{role}" if role in ("price", "year") else "bound.number"
    return _value_key(fact, role, noun) if fact.kind == "value" else fact.kind


def _value_key(fact: ReplyFact, role: Role, noun: str) -> str:
    words = set(parts_of(fact.field))
    if role == "kind":
        return "kind_noun" if noun else "kind"
    if role == "maker":
        return fact.field if fact.field in ("director", "author") else "maker"
    if fact.number and role != "year":
        return "duration" if in_minutes(fact.field) else "number"
    if words & _TAG_WORDS:
        return "tag"
    if words & _TOPIC_WORDS and role == "soft":
        return "topic"
    if role in ("cast", "language", "country", "brand", "format", "soft", "year"):
        return role
    return "other"


def _is_number(item: Item, name: str) -> bool:
    return isinstance(item.attributes.get(name), float | int)


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + f" and {parts[-1]}" if parts else ""


@cache
def phrases() -> Mapping[str, Mapping[Split, tuple[str, ...]]]:
    """The phrases by dotted key and split."""
    raw = tomllib.loads(files("finetune.replies").joinpath("phrases.toml").read_text("utf-8"))
    found: dict[str, Mapping[Split, tuple[str, ...]]] = {}
    for name, table in raw.items():
        tables = {name: table} if "train" in table else {f"{name}.{key}": one for key, one in table.items()}
        found |= {
            key: {"train": tuple(one["train"]), "held_out": tuple(one["held_out"])} for key, one in tables.items()
        }
    return found

"""What a reader of messages finds of what generated turns say: precision, recall and F1 by kind, and what it misses.

A fact counts as found where strength, attribute, operator, values and polarity are all right. What was taken back is
compared by its effect on the wishes in force, so that it does not matter how a reader says it. Knows no reader by name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from agent.preferences import Added, Fact, Preference, fold
from agent.understand.types import DialogueContext, Understanding
from finetune.dialogues.types import GeneratedTurn

Reader: TypeAlias = Callable[[str, DialogueContext], Understanding]
Key: TypeAlias = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class KindScore:
    """Counts over all turns; nothing of kind "about" (free text) is ever wanted, so all of it is wrong."""

    kind: str
    right: int
    said: int
    wanted: int

    @property
    def precision(self) -> float:
        return self.right / self.said if self.said else 0.0

    @property
    def recall(self) -> float:
        return self.right / self.wanted if self.wanted else 0.0

    @property
    def f1(self) -> float:
        return 2 * self.right / (self.said + self.wanted) if self.said + self.wanted else 0.0


@dataclass(frozen=True, slots=True)
class Miss:
    """A phrase whose fact was not found so often, with one message and what was read instead."""

    kind: str
    phrase: str
    count: int
    text: str
    read: str


@dataclass(frozen=True, slots=True)
class Measured:
    """`exact` is the number of turns that were read without any mistake, `intents` those whose intent was right."""

    n: int
    exact: int
    intents: int
    kinds: tuple[KindScore, ...]
    misses: tuple[Miss, ...]


def measure(turns: Iterable[GeneratedTurn], reader: Reader) -> Measured:
    """Read every turn, with the gold state before it as its context."""
    right, said, wanted = Counter[str](), Counter[str](), Counter[str]()
    missed = Counter[tuple[str, str]]()
    examples: dict[tuple[str, str], tuple[str, str]] = {}
    n = exact = intents = 0
    for turn in turns:
        understood = reader(turn.text, turn.context)
        gold = gold_keys(turn)
        found = found_keys(turn, understood)
        n += 1
        exact += gold.keys() == found.keys()
        intents += understood.intent == turn.intent
        wanted.update(kind for kind, _ in gold.values())
        said.update(gold[key][0] if key in gold else kind for key, kind in found.items())
        right.update(gold[key][0] for key in gold.keys() & found.keys())
        for key in gold.keys() - found.keys():
            missed[gold[key]] += 1
            examples.setdefault(gold[key], (turn.text, _in_words(understood)))
    kinds = tuple(KindScore(kind, right[kind], said[kind], wanted[kind]) for kind in sorted({*said, *wanted}))
    misses = tuple(Miss(*label, count, *examples[label]) for label, count in missed.most_common())
    return Measured(n, exact, intents, kinds, misses)


def gold_keys(turn: GeneratedTurn) -> Mapping[Key, tuple[str, str]]:
    """Kind and phrase of everything that should be found."""
    keys: dict[Key, tuple[str, str]] = {
        wish_key(one.fact.preference): (one.kind, one.phrase) for one in turn.gold if isinstance(one.fact, Added)
    }
    if removed := taken_away(turn.context, turn.facts):
        keys["removed", removed] = (turn.act, turn.phrase)
    if turn.act == "reference":
        keys["items", turn.item_ids, turn.attribute] = ("reference", turn.phrase)
    return keys


def found_keys(turn: GeneratedTurn, understood: Understanding) -> Mapping[Key, str]:
    """What was read, each with the kind that it counts under where it is wrong."""
    wishes = [fact.preference for fact in understood.facts if isinstance(fact, Added)]
    keys: dict[Key, str] = {wish_key(wish): _kind(wish) for wish in wishes}
    if removed := taken_away(turn.context, understood.facts):
        keys["removed", removed] = turn.act if turn.act in ("correction", "drop", "topic") else "correction"
    if turn.act == "reference":
        keys["items", understood.item_ids, understood.attribute] = "reference"
    return keys


def taken_away(context: DialogueContext, facts: tuple[Fact, ...]) -> frozenset[str]:
    """Ids of the wishes in force before that are not in force after."""
    before = {wish.id for wish in context.preferences}
    after = {wish.id for wish in fold([*map(Added, context.preferences), *facts])}
    return frozenset(before - after)


def wish_key(wish: Preference) -> Key:
    """Equal for wishes that are the same in strength, attribute, operator, values and polarity."""
    return wish.kind, wish.attribute, wish.op, frozenset(str(value).casefold() for value in wish.values), wish.polarity


def _kind(wish: Preference) -> str:
    if wish.op in ("like", "about"):
        return wish.op
    if wish.polarity == "negative":
        return "negation"
    if wish.attribute in ("price", "year"):
        return wish.attribute
    if isinstance(wish.values[0], float | int):
        return "number"
    return wish.kind


def _in_words(understood: Understanding) -> str:
    facts = [
        f"{fact.preference.polarity[0]} {fact.preference.kind} {fact.preference.attribute or ''} {fact.preference.op} "
        f"{'/'.join(map(str, fact.preference.values))}"
        if isinstance(fact, Added)
        else "drop"
        for fact in understood.facts
    ]
    items = (
        f", {len(understood.item_ids)} items, {understood.attribute or 'no attribute'}" if understood.item_ids else ""
    )
    return f"{understood.intent}{items}: {'; '.join(facts) or 'no facts'}"

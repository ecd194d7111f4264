"""Two readings of one message made one: what both say stands, the rest is decided by a small measured table.

    [hard]
    rules_only = { keep = true, right = 90, n = 100 }      a wish that the rules found and the model did not
    model_only = { keep = true, right = 80, n = 100 }      the other way round
    conflict = { winner = "model", rules = 10, model = 60, n = 80 }     the same value or bound, read differently

The counts are of generated dialogues and say how often each was right; the rules win in a kind that the table lacks.
Knows no engine and no gold facts.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Literal, TypeAlias

from agent.preferences import Added, Dropped, Fact, Preference, fold
from agent.understand.message import words_of
from agent.understand.reading import Reading
from agent.understand.roles import PERSON_ROLES, Role
from agent.understand.types import DialogueContext, Intent, Understanding

Case: TypeAlias = Literal["rules_only", "model_only", "conflict"]
CASES: tuple[Case, ...] = ("rules_only", "model_only", "conflict")
Roles: TypeAlias = Mapping[str, Role]

MIN_CASES = 20
"""Fewer over all kinds say too little: the rules win."""
PRIOR = 10.0
"""Cases by which a kind is pulled towards the rate of all kinds: a rare one has too few of its own."""
KEEP = 0.5
"""What is right at least so often is kept; a fact that is wrong half the time costs as much F1 as it brings."""
SURE = 1.64
"""Standard deviations by which the model must be better than that: one-sided 95 %."""
_FREE: frozenset[Intent] = frozenset({"more", "unknown_item", "acknowledge", "empty"})
"""What the rules take a message for that they find no wish in; with a wish it asks for items."""
_OF_ITEMS: frozenset[Intent] = frozenset({"item_question", "accept", "reject"})
"""Likewise where an item is pointed at; with "something like it" it asks for others."""
EXTRA_WORDS = 1
"""How many words more the rules may have taken for the same wish."""
_UPPER, _LOWER = ("lt", "le"), ("gt", "ge")


@dataclass(frozen=True, slots=True)
class Rule:
    """Who is believed about one kind."""

    rules_only: bool = True
    model_only: bool = False
    model_wins: bool = False


Policy: TypeAlias = Mapping[str, Rule]
RULES_ALONE = Rule()


@dataclass(frozen=True, slots=True)
class Pair:
    """What both readings say of one matter; None where one says nothing. `drops` and `items` stand for themselves."""

    kind: str
    rules: Preference | None
    model: Preference | None

    @property
    def case(self) -> Case | None:
        """None where both say the same."""
        if self.rules is None:
            return "model_only"
        if self.model is None:
            return "rules_only"
        return None if same(self.rules, self.model) else "conflict"


@dataclass(frozen=True, slots=True)
class Tally:
    """How often each side was right in one case of one kind."""

    kind: str
    case: Case
    rules: int
    model: int
    n: int


@cache
def policy() -> Policy:
    """The table of this package, read once."""
    return read_policy(files("agent.understand").joinpath("merging.toml").read_text(encoding="utf-8"))


def read_policy(text: str) -> Policy:
    """A table as `policy_text` writes it."""
    found = {}
    for kind, rows in tomllib.loads(text).items():
        found[kind] = Rule(
            rows.get("rules_only", {}).get("keep", True),
            rows.get("model_only", {}).get("keep", False),
            rows.get("conflict", {}).get("winner", "rules") == "model",
        )
    return found


def policy_text(tallies: Iterable[Tally], source: str) -> str:
    """The table that `tallies` (of several catalogues) say, as TOML; `source` says in a line what was counted."""
    summed = _summed(tallies)
    pooled = {one.case: one for one in _summed(replace(tally, kind="") for tally in summed)}
    lines = [f"# {source}"]
    kind = ""
    for one in sorted(summed, key=lambda tally: (tally.kind, CASES.index(tally.case))):
        if one.kind != kind:
            kind = one.kind
            lines += ["", f"[{kind}]"]
        lines.append(_row(one, pooled[one.case]))
    return "\n".join(lines) + "\n"


def _summed(tallies: Iterable[Tally]) -> list[Tally]:
    """One tally for each kind and case."""
    sums: dict[tuple[str, Case], Tally] = {}
    for one in tallies:
        old = sums.get((one.kind, one.case), Tally(one.kind, one.case, 0, 0, 0))
        sums[one.kind, one.case] = Tally(
            one.kind, one.case, old.rules + one.rules, old.model + one.model, old.n + one.n
        )
    return list(sums.values())


def _row(one: Tally, pooled: Tally) -> str:
    """A line of the table: the rules' reading stands unless the counts say otherwise beyond chance."""
    known = pooled.n >= MIN_CASES
    if one.case == "conflict":
        # Of those that either side read rightly, the model's share.
        told = one.rules + one.model
        worst, _ = _bounds(one.model, told, _share(pooled.model, pooled.rules + pooled.model))
        winner = "model" if known and worst > KEEP else "rules"
        return f'conflict = {{ winner = "{winner}", rules = {one.rules}, model = {one.model}, n = {one.n} }}'
    right, all_right = (one.rules, pooled.rules) if one.case == "rules_only" else (one.model, pooled.model)
    worst, best = _bounds(right, one.n, _share(all_right, pooled.n))
    keep = not known or best >= KEEP if one.case == "rules_only" else known and worst >= KEEP
    return f"{one.case} = {{ keep = {str(keep).lower()}, right = {right}, n = {one.n} }}"


def _share(right: int, n: int) -> float:
    return right / n if n else 0.0


def _bounds(right: int, n: int, prior: float) -> tuple[float, float]:
    """Where a rate lies (normal approximation, `SURE` on either side), `right` of `n` pulled towards `prior`."""
    share = (right + PRIOR * prior) / (n + PRIOR)
    off = SURE * math.sqrt(share * (1 - share) / (n + PRIOR))
    return share - off, share + off


def merged(
    understood: Understanding, reading: Reading, context: DialogueContext, roles: Roles, table: Policy
) -> Understanding:
    """The rules' reading with what the model knows better; the intent follows what was found.

    Doubtful wishes of the rules stand where the model says them, too. A model that says nothing takes nothing away:
    that is what it says to words that it does not understand.
    """
    wishes = []
    silent = not reading.facts and not reading.item_ids
    for pair in pairs(understood, reading, roles):
        rule = RULES_ALONE if silent else table.get(pair.kind, RULES_ALONE)
        if chosen := _chosen(pair, rule):
            wishes.append(chosen)
    drops = _drops(understood, reading, context, table.get("drop", RULES_ALONE))
    items, attribute = _items(understood, reading, table.get("reference", RULES_ALONE))
    facts: tuple[Fact, ...] = (*drops, *map(Added, wishes))
    intent = understood.intent
    likes = any(wish.op == "like" for wish in wishes)
    if (facts and intent in _FREE) or (likes and not understood.facts and intent in _OF_ITEMS):
        intent = "recommend"
    elif items and not facts and not understood.item_ids and intent == "recommend":
        intent = "item_question"
    return replace(understood, intent=intent, facts=facts, doubtful=(), item_ids=items, attribute=attribute)


def pairs(understood: Understanding, reading: Reading, roles: Roles) -> Iterator[Pair]:
    """What both say of each wish, the rules' wishes first; doubtful ones only where the model says them, too."""
    left = _wishes(reading.facts)
    for wish in _wishes(understood.facts):
        other = next((m for m in left if same(m, wish)), None) or next((m for m in left if _clash(wish, m)), None)
        left = [m for m in left if m is not other]
        turned = other is not None and other.polarity != wish.polarity
        yield Pair("negation" if turned else kind_of(wish, roles), wish, other)
    doubtful, spoken = _wishes(understood.doubtful), _wishes(understood.facts)
    for wish in left:
        if any(_same_words(wish, one) for one in spoken) or _is_said_in(understood.support_text or "", wish):
            continue  # "westerns, and how long is delivery to Germany?" does not ask for German ones
        sure = next((one for one in doubtful if same(one, wish)), None)
        yield Pair(kind_of(wish, roles), sure, wish)


def kind_of(wish: Preference, roles: Roles) -> str:
    """By what the table is divided."""
    if wish.op in ("like", "about"):
        return wish.op
    if wish.polarity == "negative":
        return "negation"
    role = roles.get(wish.attribute or "")
    if role in ("price", "year"):
        return role
    if isinstance(wish.values[0], float | int):
        return "number"
    return "person" if role in PERSON_ROLES else wish.kind


def same(one: Preference, other: Preference) -> bool:
    """Whether two wishes ask for the same, as strongly."""
    return _meaning(one) == _meaning(other)


def removed(facts: Sequence[Fact], context: DialogueContext) -> frozenset[str]:
    """Ids of the wishes in force before that `facts` take back or replace."""
    before = {wish.id for wish in context.preferences}
    return frozenset(before - {wish.id for wish in fold([*map(Added, context.preferences), *facts])})


def _wishes(facts: Iterable[Fact]) -> list[Preference]:
    return [fact.preference for fact in facts if isinstance(fact, Added)]


def _meaning(wish: Preference) -> tuple[object, ...]:
    return wish.kind, wish.attribute, wish.op, _values(wish), wish.polarity


def _values(wish: Preference) -> frozenset[str]:
    return frozenset(str(value).casefold() for value in wish.values)


def _clash(rules: Preference, model: Preference) -> bool:
    """The same value, the same side of a number or the same words, read differently."""
    if rules.op in (*_UPPER, *_LOWER) and model.op in (*_UPPER, *_LOWER):
        return rules.attribute == model.attribute and (rules.op in _UPPER) == (model.op in _UPPER)
    if rules.op == model.op and _values(rules) & _values(model):
        return True
    if rules.op != "about" or model.op == "about" or not isinstance(model.values[0], str):
        return False  # a figure among words of one's own is no better reading of them: "about love, number 10"
    return model.evidence.casefold() in rules.evidence.casefold()


def _same_words(model: Preference, rules: Preference) -> bool:
    """Whether the very words that the model reads as a wish are one for the rules, of another attribute."""
    mine, theirs = model.evidence.casefold().split(), rules.evidence.casefold().split()
    return rules.op == model.op == "eq" and set(mine) <= set(theirs) and len(theirs) <= len(mine) + EXTRA_WORDS


def _is_said_in(text: str, wish: Preference) -> bool:
    """Whether the words of a wish stand in `text`, whole ones: "war" is not said in "warranty"."""
    said = words_of(wish.evidence)
    return bool(said) and f" {' '.join(said)} " in f" {' '.join(words_of(text))} "


def _chosen(pair: Pair, rule: Rule) -> Preference | None:
    if pair.rules is None:
        return pair.model if rule.model_only else None
    if pair.model is None:
        return pair.rules if rule.rules_only else None
    return pair.model if rule.model_wins and pair.case == "conflict" else pair.rules


def _drops(understood: Understanding, reading: Reading, context: DialogueContext, rule: Rule) -> tuple[Dropped, ...]:
    mine = tuple(fact for fact in understood.facts if isinstance(fact, Dropped))
    theirs = tuple(fact for fact in reading.facts if isinstance(fact, Dropped))
    if removed(mine, context) == removed(theirs, context):
        return mine
    if not theirs:
        return mine if rule.rules_only else ()
    if not mine:
        return theirs if rule.model_only else ()
    return theirs if rule.model_wins else mine


def _items(understood: Understanding, reading: Reading, rule: Rule) -> tuple[tuple[str, ...], str | None]:
    mine, theirs = (understood.item_ids, understood.attribute), (reading.item_ids, reading.attribute)
    if not reading.item_ids or mine == theirs:
        return mine
    if not understood.item_ids:
        return theirs if rule.model_only else mine
    return theirs if rule.model_wins else mine

"""Customer turns of ReDial and RecQuest, labelled twice by written rules (labels/README.md), as tasks.

The labels are here, the texts are joined from the user's own files. A label is matched with what was read loosely:
titles and free wishes by their words, everything else by value. Strength (hard or soft) is not compared.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

from agent.bench.retrieval.dialogues import Said, read_rows
from agent.bench.understanding import Agreement, Keys, Task
from agent.preferences import Added, Dropped, Fact, Preference, fold
from agent.understand.message import stem, words_of
from agent.understand.reading_evidence import Evidence
from agent.understand.roles import PERSON_ROLES, Role
from agent.understand.rules import Rules
from agent.understand.types import DialogueContext, Understanding
from retrieval.errors import BadRequest
from retrieval.table import ItemTable
from retrieval.words import function_words

Reader: TypeAlias = Literal["A", "B"]
READERS: tuple[Reader, ...] = ("A", "B")
BEFORE = 3
"""Turns before the labelled one that the labellers saw."""
OVERLAP = 0.5
"""Share of the shorter quote's words that two quotes of one wish must have in common."""

_LINE = re.compile(r"(?P<no>-)?(?P<name>[a-z]+)!?\s*(?P<op>:|<=|>=|<|>)!?\s*(?P<value>.*)")
_SPAN = re.compile(r"\[(\d+):(\d+)\]")
_YEAR = re.compile(r"\s*\(\d{4}\)")
_SAME_GENRE = {
    "science fiction": "sci-fi", "scifi": "sci-fi", "animated": "animation", "romantic": "romance",
    "history": "historical", "music": "musical", "biographical": "biography", "biopic": "biography",
}  # fmt: skip


class _Row(BaseModel):
    """A line of the label files."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    id: str
    intent: str
    facts: tuple[str, ...]
    attitudes: dict[str, int]


@dataclass(frozen=True, slots=True)
class Labelled:
    """One labelled turn with its text and up to three turns before it."""

    id: str
    text: str
    before: tuple[Said, ...]
    intent: str
    facts: tuple[str, ...]
    attitudes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Line:
    """One label, or one thing read: `words` are stems, or the value itself."""

    kind: str
    negative: bool
    op: str
    words: frozenset[str]

    def matches(self, other: Line) -> bool:
        """Whether both say the same."""
        if (self.kind, self.negative, self.op) != (other.kind, other.negative, other.op):
            return False
        if self.kind not in ("about", "like"):
            return self.words == other.words or self.kind in ("ref", "drop")
        both = len(self.words & other.words)
        return bool(both) and both >= OVERLAP * min(len(self.words), len(other.words))


def labelled_turns(reader: Reader, valid: Path, dataset: str) -> list[Labelled]:
    """The labelled turns of `dataset` ("redial" or "recquest"), texts from its valid file.

    Raises:
        BadRequest: the file has not the dialogues that were labelled.
    """
    dialogues: dict[str, tuple[Said, ...]] = {}
    for row in read_rows(valid):
        if len(row.turns) > len(dialogues.get(row.dialogue_id, ())):
            dialogues[row.dialogue_id] = row.turns
    text = files("agent.bench.labels").joinpath(f"{reader}.jsonl").read_text(encoding="utf-8")
    rows = [_Row.model_validate_json(line) for line in text.splitlines()]
    return [_joined(row, dialogues, valid) for row in rows if row.id.startswith(f"{dataset}-")]


def _joined(row: _Row, dialogues: Mapping[str, tuple[Said, ...]], valid: Path) -> Labelled:
    dialogue, _, place = row.id.rpartition("#")
    turns, at = dialogues.get(dialogue, ()), int(place)
    if at >= len(turns) or turns[at].role != "user":
        raise BadRequest(f"{valid} has no turn {row.id}, which was labelled; name the set's own valid.jsonl.gz.")
    text = turns[at].text

    def quoted(label: str) -> str:
        return _SPAN.sub(lambda span: text[int(span[1]) : int(span[2])], label)

    return Labelled(
        row.id,
        text,
        turns[max(0, at - BEFORE) : at],
        row.intent,
        tuple(quoted(fact) for fact in row.facts),
        {quoted(title): value for title, value in row.attitudes.items()},
    )


def agreement(name: str, one: Sequence[Labelled], other: Sequence[Labelled]) -> Agreement:
    """How far two readers of the same turns agree: Cohen's kappa of the intent, F1 of the facts."""
    hits = total = 0
    for first, second in zip(one, other, strict=True):
        mine, theirs = _lines(first.facts), _lines(second.facts)
        hits += 2 * len(_matched(mine, theirs))
        total += len(mine) + len(theirs)
    kappa = _kappa([labelled.intent for labelled in one], [labelled.intent for labelled in other])
    return Agreement(name=name, n=len(one), kappa=round(kappa, 3), facts_f1=round(hits / max(total, 1), 3))


def _kappa(one: Sequence[str], other: Sequence[str]) -> float:
    """Cohen (1960): agreement beyond what the frequencies of the labels bring by chance."""
    n = len(one)
    observed = sum(a == b for a, b in zip(one, other, strict=True)) / n
    mine, theirs = Counter(one), Counter(other)
    chance = sum(mine[label] * theirs[label] for label in mine) / n**2
    return 1.0 if chance == 1 else (observed - chance) / (1 - chance)


def label_tasks(turns: Iterable[Labelled], table: ItemTable, rules: Rules, roles: Mapping[str, Role]) -> list[Task]:
    """Labelled turns as tasks; the wishes in force before are what the rules read of the turns before."""
    return [_task(turn, table, rules, roles) for turn in turns]


def _task(turn: Labelled, table: ItemTable, rules: Rules, roles: Mapping[str, Role]) -> Task:
    wanted = _lines(turn.facts)

    def keys(understood: Understanding) -> Keys:
        said = list(_said(understood, table, roles))
        matched = _matched(said, wanted)
        return {(("wanted", matched[n]) if n in matched else ("said", n)): _kind(line) for n, line in enumerate(said)}

    gold: Keys = {("wanted", n): _kind(line) for n, line in enumerate(wanted)}
    return Task(turn.text, context_before(turn.before, table, rules), gold, keys, turn.id)


def context_before(before: Sequence[Said], table: ItemTable, rules: Rules) -> DialogueContext:
    """What a reader may know of earlier turns: wishes as the rules read them, titles that the other side named."""
    facts: list[Fact] = []
    shown: list[tuple[str, ...]] = []
    number = 1
    for said in before:
        if said.role == "assistant":
            titles = [one.entry.values[0] for one in Evidence(said.text, table).likely if one.entry.kind == "title"]
            shown += [tuple(dict.fromkeys(titles))] if titles else []
        else:
            context = DialogueContext(number, fold(facts), tuple(shown))
            facts += rules.understand(said.text, context).facts
            number += 1
    return DialogueContext(number, fold(facts), tuple(shown))


def _matched(said: Sequence[Line], wanted: Sequence[Line]) -> dict[int, int]:
    """For each of `said` that says one of `wanted` its number; each is matched once, exact ones first."""
    matched: dict[int, int] = {}
    for exact in (True, False):
        for n, line in enumerate(said):
            for m, other in enumerate(wanted):
                fits = line == other if exact else line.matches(other)
                if n not in matched and m not in matched.values() and fits:
                    matched[n] = m
    return matched


def _lines(facts: Iterable[str]) -> list[Line]:
    found = [match for fact in facts if (match := _LINE.fullmatch(fact.strip().lower()))]
    return [_line(match["name"], bool(match["no"]), match["op"], match["value"]) for match in found]


def _line(name: str, negative: bool, op: str, value: str) -> Line:
    value = _YEAR.sub("", value.casefold()).strip()
    if name in ("about", "like"):
        return Line(name, negative, op, _stems(value))
    if name == "number":
        return Line(name, negative, op, frozenset(re.findall(r"\d+(?:\.\d+)?", value)))
    if name in ("price", "year"):
        return Line(name, negative, op, frozenset({f"{float(found):.10g}" for found in re.findall(r"\d+", value)[:1]}))
    return Line(name, negative, op, frozenset({_SAME_GENRE.get(value, value)}))


def _stems(text: str) -> frozenset[str]:
    words = words_of(text)
    return frozenset(stem(word) for word in words if word not in function_words()) or frozenset(words)


def _kind(line: Line) -> str:
    return "negation" if line.negative and line.kind != "like" else line.kind


def _said(understood: Understanding, table: ItemTable, roles: Mapping[str, Role]) -> Iterator[Line]:
    """What was read, in the terms of the labels."""
    for fact in understood.facts:
        if isinstance(fact, Added):
            yield from _of_wish(fact.preference, table, roles)
    if any(isinstance(fact, Dropped) for fact in understood.facts):
        yield Line("drop", False, ":", frozenset())
    if understood.item_ids:
        yield Line("ref", False, ":", frozenset())


def _of_wish(wish: Preference, table: ItemTable, roles: Mapping[str, Role]) -> Iterator[Line]:
    negative, role = wish.polarity == "negative", roles.get(wish.attribute or "")
    for value in wish.values:
        text = str(value)
        if wish.op == "like":
            yield _line("like", negative, ":", table.get(text).title if text in table else text)
        elif isinstance(value, float | int):
            sign = {"lt": "<=", "le": "<=", "gt": ">=", "ge": ">=", "eq": ":"}.get(wish.op, ":")
            name = role if role in ("price", "year") else "number"
            both = ("<=", ">=") if sign == ":" and name == "year" else (sign,)
            for op in both:
                yield Line(name, negative, op if name != "number" else ":", frozenset({f"{value:.10g}"}))
        elif role in PERSON_ROLES:
            yield _line("person", negative, ":", text)
        elif role == "kind" and _stems(text) & _stems(wish.evidence):
            yield _line("genre", negative, ":", text)
        elif role == "kind" and text.casefold() in ("science fiction", "sci-fi", "animation", "romance", "biography"):
            yield _line("genre", negative, ":", text)
        else:
            yield _line("about", negative, ":", wish.evidence if wish.op == "eq" else text)

"""Generated dialogues as tasks of the benchmark of understanding, and who is right where rules and model differ.

Puts the grammar's gold facts into the terms of agent/bench/understanding.py; knows neither rules nor models.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from agent.bench.understanding import Readings, Task
from agent.preferences import Fact, Preference
from agent.understand.merging import Case, Roles, Tally, pairs
from agent.understand.reading import Reading
from agent.understand.types import DialogueContext, Understanding
from finetune.dialogues.generate import DialogueGenerator, Manner
from finetune.dialogues.measure import Key, found_keys, gold_keys, taken_away, wish_key
from finetune.dialogues.types import GeneratedTurn
from retrieval.table import ItemTable


def generated_turns(table: ItemTable, manner: Manner, n: int, seed: int) -> list[tuple[str, GeneratedTurn]]:
    """At least `n` turns of whole dialogues, each with the id of its dialogue.

    Raises:
        BadRequest: the catalogue is too small or has nothing to speak of.
    """
    generator = DialogueGenerator(table.items, table.shape, manner, seed)
    found: list[tuple[str, GeneratedTurn]] = []
    number = 0
    while len(found) < n:
        dialogue = generator.dialogue(number)
        found += [(dialogue.id, turn) for turn in dialogue.turns]
        number += 1
    return found


def task_of(dialogue: str, turn: GeneratedTurn) -> Task:
    """A generated turn as a task."""
    wanted = {key: kind for key, (kind, _) in gold_keys(turn).items()}
    return Task(turn.text, turn.context, wanted, lambda understood: found_keys(turn, understood), dialogue)


def tallies(turns: Sequence[GeneratedTurn], readings: Sequence[Readings], roles: Roles) -> list[Tally]:
    """How often rules and model were right where they differ, by kind and case."""
    counts: Counter[tuple[str, Case]] = Counter()
    right: Counter[tuple[str, Case, str]] = Counter()
    for turn, reading in zip(turns, readings, strict=True):
        for kind, case, by_rules, by_model in _differences(turn, reading, roles):
            counts[kind, case] += 1
            right[kind, case, "rules"] += by_rules
            right[kind, case, "model"] += by_model
    return [
        Tally(kind, case, right[kind, case, "rules"], right[kind, case, "model"], n)
        for (kind, case), n in counts.items()
    ]


def _differences(turn: GeneratedTurn, one: Readings, roles: Roles) -> Iterator[tuple[str, Case, bool, bool]]:
    """Kind, case, whether the rules are right, whether the model is."""
    gold = gold_keys(turn)
    alone = Reading(one.model.facts, one.model.item_ids, one.model.attribute)
    if not alone.facts and not alone.item_ids:
        return  # it takes nothing away then
    for pair in pairs(one.rules, alone, roles):
        if pair.case and (pair.kind, pair.case) != (
            "about",
            "rules_only",
        ):  # the grammar has no free wishes to be right
            yield pair.kind, pair.case, _holds(pair.rules, gold), _holds(pair.model, gold)
    yield from _dropped(turn, one.rules.facts, one.model.facts)
    if turn.act == "reference":
        yield from _pointed(turn, one)


def _holds(wish: Preference | None, gold: object) -> bool:
    return wish is not None and isinstance(gold, dict) and wish_key(wish) in gold


def _dropped(
    turn: GeneratedTurn, rules: tuple[Fact, ...], model: tuple[Fact, ...]
) -> Iterator[tuple[str, Case, bool, bool]]:
    context: DialogueContext = turn.context
    wanted = taken_away(context, turn.facts)
    mine, theirs = taken_away(context, rules), taken_away(context, model)
    if mine != theirs:
        case: Case = "conflict" if mine and theirs else "rules_only" if mine else "model_only"
        yield "drop", case, mine == wanted, theirs == wanted


def _pointed(turn: GeneratedTurn, one: Readings) -> Iterator[tuple[str, Case, bool, bool]]:
    def says(understood: Understanding) -> Key:
        return understood.item_ids, understood.attribute

    wanted: Key = (turn.item_ids, turn.attribute)
    mine, theirs = says(one.rules), says(one.model)
    if one.model.item_ids and mine != theirs:
        case: Case = "conflict" if one.rules.item_ids else "model_only"
        yield "reference", case, mine == wanted, theirs == wanted

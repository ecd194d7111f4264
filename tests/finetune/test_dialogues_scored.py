"""Who is believed is counted on one half of the phrases and proves itself on the other."""

from __future__ import annotations

import itertools

import pytest

from agent.bench.understanding import Readings, score
from agent.understand.merging import policy_text, read_policy
from agent.understand.model import ModelUnderstanding
from agent.understand.reading import read, spoken
from agent.understand.reading_evidence import lexicon_of
from agent.understand.rules import Rules
from agent.understand.types import Understanding
from finetune.dialogues.boardgames import invented_boardgames
from finetune.dialogues.generate import Manner
from finetune.dialogues.scored import generated_turns, tallies, task_of
from finetune.dialogues.types import GeneratedTurn, Half
from finetune.dialogues.words import Phrases
from retrieval.table import ItemTable

N = 160
MISSES = 6
"""Of so many lines the made-up model forgets one."""


@pytest.fixture(scope="module")
def table() -> ItemTable:
    return ItemTable(invented_boardgames())


def made(table: ItemTable, half: Half, seed: int) -> list[tuple[str, GeneratedTurn]]:
    return generated_turns(table, Manner("held_out", noun="game", plural="games", half=half), N, seed)


def readings(turns: list[tuple[str, GeneratedTurn]], table: ItemTable, policy: str) -> list[Readings]:
    """As by a model that forgets a line now and then."""
    rules = Rules(lexicon_of(table), table.get)
    model = ModelUnderstanding(None, table, read_policy(policy))  # type: ignore[arg-type]
    count = itertools.count()
    found = []
    for _, turn in turns:
        answer = spoken(turn.facts, turn.context, turn.item_ids, turn.attribute, table)
        kept = "\n".join(line for line in answer.split("\n") if next(count) % MISSES)
        reading = read(kept, turn.text, turn.context, table)
        understood = rules.understand(turn.text, turn.context)
        alone = Understanding(
            understood.intent, facts=reading.facts, item_ids=reading.item_ids, attribute=reading.attribute
        )
        found.append(Readings(understood, alone, model.merge(understood, reading, turn.context), 0.0))
    return found


def test_a_model_that_is_mostly_right_makes_the_rules_better(table: ItemTable) -> None:
    fit, test = made(table, "fit", 1), made(table, "test", 2)
    counted = tallies([turn for _, turn in fit], readings(fit, table, ""), lexicon_of(table).attributes.roles)
    policy = policy_text(counted, "made up")
    result = score("games", "", [task_of(*one) for one in test], readings(test, table, policy))
    rules, model, merged = result.systems
    assert result.difference_low > 0, (rules.f1, model.f1, merged.f1, policy)


def test_without_a_table_both_together_are_the_rules(table: ItemTable) -> None:
    test = made(table, "test", 2)
    result = score("games", "", [task_of(*one) for one in test], readings(test, table, ""))
    rules, _, merged = result.systems
    assert abs(merged.f1 - rules.f1) < 0.01  # doubtful wishes that the model says too


def test_the_halves_share_no_phrase() -> None:
    fit, test, every = Phrases("held_out", "fit"), Phrases("held_out", "test"), Phrases("held_out")
    for key in every.keys():
        assert {*fit.all(key), *test.all(key)} == set(every.all(key))
        if len(every.all(key)) > 1:
            assert not set(fit.all(key)) & set(test.all(key))


def test_the_catalogue_is_the_same_every_time(table: ItemTable) -> None:
    again = invented_boardgames()
    assert again == table.items
    assert len({item.title for item in again}) == len(again)

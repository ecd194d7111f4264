"""What the grammar means can be said in the reading language, and is read back as meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.understand.reading import read, reading_prompt, spoken
from agent.understand.types import Understanding
from finetune.dialogues.courses import invented_courses
from finetune.dialogues.generate import DialogueGenerator, Manner
from finetune.dialogues.measure import Measured, measure
from finetune.dialogues.noise import CLEAN, Noise
from finetune.dialogues.types import GeneratedTurn, Split
from retrieval.demo import demo_films_path
from retrieval.items import Item
from retrieval.loading import load_catalogue
from retrieval.table import ItemTable

SHOP = Path(__file__).resolve().parents[3] / "shared" / "data" / "dummyjson" / "products.jsonl.gz"
TURNS = 250
MAX_PROMPT_CHARS = 1_000
"""About 250 tokens."""
MAX_ANSWER_CHARS = 200
MIN_TYPED = 0.97
"""Share of carelessly typed turns that must come back whole: a slip in a short name is beyond recognition."""


def catalogue(domain: str) -> tuple[Item, ...]:
    if domain == "courses":
        return invented_courses()
    return tuple(load_catalogue(demo_films_path() if domain == "films" else SHOP).items)


@pytest.fixture(
    scope="module",
    params=[
        "films",
        "courses",
        pytest.param(
            "shop",
            marks=[pytest.mark.shared_data, pytest.mark.skipif(not SHOP.is_file(), reason="needs ../shared/data")],
        ),
    ],
)
def table(request: pytest.FixtureRequest) -> ItemTable:
    return ItemTable(catalogue(request.param))


def turns(table: ItemTable, split: Split, noise: Noise) -> list[GeneratedTurn]:
    generator = DialogueGenerator(table.items, table.shape, Manner(split, noise, "item", "items"), seed=11)
    return list(generator.turns(TURNS))


def echoed(turn: GeneratedTurn, table: ItemTable) -> Understanding:
    """What is read of an answer that says the gold facts."""
    answer = spoken(turn.facts, turn.context, turn.item_ids, turn.attribute, table)
    reading = read(answer, turn.text, turn.context, table)
    return Understanding(turn.intent, facts=reading.facts, item_ids=reading.item_ids, attribute=reading.attribute)


def measured(made: list[GeneratedTurn], table: ItemTable) -> Measured:
    """What is found of the gold facts after they were said and read."""
    queue = iter(made)
    return measure(made, lambda _text, _context: echoed(next(queue), table))


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_gold_facts_come_back(table: ItemTable, split: Split) -> None:
    result = measured(turns(table, split, CLEAN), table)
    assert result.exact == result.n == TURNS, [(miss.text, miss.read) for miss in result.misses]


def test_gold_facts_come_back_from_careless_typing(table: ItemTable) -> None:
    result = measured(turns(table, "train", Noise()), table)
    assert result.exact >= MIN_TYPED * TURNS, [(miss.text, miss.read) for miss in result.misses]


def test_prompts_and_answers_are_short(table: ItemTable) -> None:
    for turn in turns(table, "train", Noise()):
        prompt = reading_prompt(turn.text, turn.context, table)
        assert sum(len(message.text) for message in prompt.messages) < MAX_PROMPT_CHARS
        answer = spoken(turn.facts, turn.context, turn.item_ids, turn.attribute, table)
        assert len(answer) < MAX_ANSWER_CHARS

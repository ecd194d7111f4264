"""Replies to train on: every gold sentence passes serving's check, phrases and items of the splits are apart."""

from __future__ import annotations

import itertools

import pytest

from agent.llm.protocol import Prompt
from agent.reply_pitch import Pitch
from agent.reply_prompt import END_OF_SENTENCE, first_sentence
from agent.shortening import is_shortened
from finetune.dialogues.noise import Dice
from finetune.dialogues.types import Split
from finetune.replies.catalogues import reply_tables
from finetune.replies.compress import shortenings
from finetune.replies.examples import gold_reply, phrases, reply_examples
from finetune.replies.measure import measure_side, unsupported
from finetune.replies.situations import in_split, situations
from retrieval.table import ItemTable

TABLES = reply_tables(seed=3)
SPLITS: tuple[Split, ...] = ("train", "held_out")


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("table", TABLES, ids=["films", "goods", "courses"])
def test_every_gold_sentence_passes_and_hardly_any_situation_is_left_out(table: ItemTable, split: Split) -> None:
    n, made = 30, 0
    for number, situation in enumerate(situations(table, n, 7, split)):
        answer = gold_reply(situation, split, Dice((number,)), table)
        if answer is None:
            continue
        made += 1
        shown = tuple(entry.item for entry in situation.shown)
        pitch = Pitch(situation.entry.item, situation.facts, situation.wording, table.shape, shown)
        told: set[str] = set()
        for sentence in END_OF_SENTENCE.split(answer):
            judged = pitch.judge(sentence)
            assert not judged.objection, sentence
            told |= judged.tells
        assert told == {"what", *(["fits"] if situation.facts.fits else []), *(["but"] if situation.facts.but else [])}
    assert made >= 0.9 * n


@pytest.mark.parametrize("table", TABLES, ids=["films", "goods", "courses"])
def test_codes_own_words_pass_the_check_too(table: ItemTable) -> None:
    for situation in situations(table, 30, 11, "train"):
        shown = tuple(entry.item for entry in situation.shown)
        pitch = Pitch(situation.entry.item, situation.facts, situation.wording, table.shape, shown)
        for part in ("fits", "but"):
            if said := pitch.own_words(part):
                assert part in pitch.judge(said).tells, said


def test_the_same_seed_gives_the_same_examples_and_another_one_others() -> None:
    first, again, other = (list(reply_examples(TABLES[0], 10, seed, "train")) for seed in (1, 1, 2))
    assert first == again
    assert len(first) == 10
    assert first != other


def test_an_answer_goes_on_after_the_title() -> None:
    for example in reply_examples(TABLES[0], 10, 1, "train"):
        assert isinstance(example.prompt, Prompt)
        assert example.prompt.prefill.endswith(":")
        assert example.answer.startswith(" ")
        assert example.answer.endswith(".")


def test_prompts_begin_alike_and_are_short() -> None:
    prompts = [example.prompt for table in TABLES for example in reply_examples(table, 10, 1, "train")]
    assert len({prompt.messages[0] for prompt in prompts}) == 1
    assert all(sum(len(message.text.split()) for message in prompt.messages) < 180 for prompt in prompts)


def test_no_phrase_is_in_both_splits() -> None:
    for key, table in phrases().items():
        assert not set(table["train"]) & set(table["held_out"]), key
        assert all(table.values()), key


def test_items_of_the_splits_are_apart() -> None:
    for item in TABLES[0].items:
        assert in_split(item, "train") != in_split(item, "held_out")
    held_out = {one.entry.item.id for one in situations(TABLES[0], 40, 1, "held_out")}
    assert held_out.isdisjoint(one.entry.item.id for one in situations(TABLES[0], 40, 1, "train"))


def test_facts_of_every_kind_occur() -> None:
    cases = itertools.chain.from_iterable(situations(table, 250, 5, "train") for table in TABLES)
    kinds = {fact.kind for case in cases for fact in case.facts.all}
    assert {
        "value", "bound", "stock", "shared", "like", "learned", "words", "popular", "out_of_stock", "misses",
        "unwanted", "dearest", "longest", "near_bound", "oldest", "unlike",
    } <= kinds  # fmt: skip


def test_shortenings_keep_the_meaning_and_end_well() -> None:
    sentence = first_sentence(TABLES[0].get("film-alien-1979").text)
    found = shortenings(sentence)
    assert "The crew of the space tug Nostromo investigate an abandoned ship on an unknown world." in found
    assert all(is_shortened(one, sentence) and one.endswith(".") for one in found)
    assert not any(one.endswith((" a.", " and.", " on.", " the.")) for one in found)
    assert shortenings("A cat sleeps.") == []


async def test_code_alone_says_all_and_nothing_twice() -> None:
    said: list[str] = []
    side = await measure_side("code", None, TABLES[0], 30, 0, said.append)
    assert (side.said_fit, side.said_but, side.unsupported, side.repeated) == (1.0, 1.0, 0, 0)
    assert (side.sentences, side.passed, side.fewer_words) == (None, None, 0.0)
    assert said == []


def test_the_second_reading_finds_what_stands_nowhere() -> None:
    situation = next(iter(situations(TABLES[0], 1, 0, "held_out")))
    item = situation.entry.item
    assert unsupported(f"{item.title}: {item.text}", situation) == []
    assert unsupported("It is from 1066, by Wilhelm Testmann.", situation) == ["1066", "Wilhelm", "Testmann"]


def test_no_shortening_cuts_a_name() -> None:
    sentence = "A New York policeman with a small son is sent to New Delhi, where an old friend waits in the rain."
    found = shortenings(sentence)
    assert "A New York policeman with a son is sent to New Delhi." in found
    assert all(one.count("York") == one.count("New York") for one in found)

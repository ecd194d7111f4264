"""The generator of dialogues: gold facts that hold, phrases that are kept apart, three domains."""

from __future__ import annotations

import operator
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from agent.preferences import Added, Dropped, Preference, fold
from agent.understand.types import DialogueContext, Understanding
from finetune.dialogues.courses import invented_courses
from finetune.dialogues.generate import DialogueGenerator, Manner
from finetune.dialogues.measure import measure
from finetune.dialogues.noise import CLEAN, Noise
from finetune.dialogues.types import GeneratedDialogue, GeneratedTurn, Split
from finetune.dialogues.words import Phrases, speakable
from retrieval.demo import demo_films_path
from retrieval.errors import BadRequest
from retrieval.items import Item
from retrieval.loading import load_catalogue
from retrieval.shape import CatalogueShape

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "dummyjson" / "products.jsonl.gz"
COMPARE = {"eq": operator.eq, "ne": operator.ne, "lt": operator.lt, "le": operator.le, "gt": operator.gt}
COMPARE |= {"ge": operator.ge}
DIALOGUES = 120
DOMAINS = [
    "films",
    pytest.param(
        "shop",
        marks=[pytest.mark.shared_data, pytest.mark.skipif(not SHARED.is_file(), reason="needs ../shared/data")],
    ),
    "courses",
]


def catalogue(domain: str) -> tuple[Item, ...]:
    if domain == "courses":
        return invented_courses()
    return tuple(load_catalogue(demo_films_path() if domain == "films" else SHARED).items)


def generator(items: Sequence[Item], split: Split = "train", noise: Noise | None = None) -> DialogueGenerator:
    manner = Manner(split, noise or Noise(), "item", "items")
    return DialogueGenerator(items, CatalogueShape.of(items), manner, seed=3)


def wishes(turns: Sequence[GeneratedTurn]) -> list[Preference]:
    return [fact.preference for turn in turns for fact in turn.facts if isinstance(fact, Added)]


def fits(item: Item, wish: Preference) -> bool:
    """Whether the item passes the exact filter of a hard wish."""
    condition = wish.as_filter()
    if condition is None:
        return True
    value = float(item.price) if wish.attribute == "price" and item.price else item.attributes.get(wish.attribute or "")
    mine = value if isinstance(value, tuple) else (value,)
    if condition.op in ("eq", "ne"):
        return any(one in condition.values for one in mine) == (condition.op == "eq")
    return COMPARE[condition.op](value, condition.values[0])


@pytest.fixture(scope="module", params=DOMAINS)
def made(request: pytest.FixtureRequest) -> tuple[tuple[Item, ...], list[GeneratedDialogue]]:
    items = catalogue(request.param)
    splits: tuple[Split, ...] = ("train", "held_out")
    return items, [generator(items, split).dialogue(n) for split in splits for n in range(DIALOGUES)]


Made = tuple[tuple[Item, ...], list[GeneratedDialogue]]


def test_evidence_is_quoted_as_typed(made: Made) -> None:
    turns = [turn for dialogue in made[1] for turn in dialogue.turns]
    for turn in turns:
        for fact in turn.facts:
            evidence = fact.preference.evidence if isinstance(fact, Added) else fact.evidence.strip()
            assert evidence
            assert evidence in turn.text
            assert (fact.preference.turn if isinstance(fact, Added) else fact.turn) == turn.context.turn
        assert not set("{}") & set(turn.text)
        assert " a item" not in turn.text.lower()


def test_values_are_the_catalogues(made: Made) -> None:
    items, dialogues = made
    shape = CatalogueShape.of(items)
    ids = {item.id for item in items}
    for wish in wishes([turn for dialogue in dialogues for turn in dialogue.turns]):
        if wish.op == "like":
            assert set(wish.values) <= ids
            continue
        values = shape.attributes[wish.attribute or ""].values
        if values is None:
            assert all(isinstance(value, float) and value > 0 for value in wish.values)
        else:
            assert set(wish.values) <= set(values)


def test_what_is_wanted_at_the_end_fits_the_item_in_mind(made: Made) -> None:
    by_id = {item.id: item for item in made[0]}
    hard = 0
    for dialogue in made[1]:
        for wish in fold(fact for turn in dialogue.turns for fact in turn.facts):
            hard += wish.kind == "hard"
            assert fits(by_id[dialogue.target_id], wish), (dialogue.id, wish)
    assert hard > DIALOGUES  # of 2 * DIALOGUES dialogues


def test_a_correction_replaces_what_it_corrects(made: Made) -> None:
    corrected = 0
    for dialogue in made[1]:
        for turn in dialogue.turns:
            if turn.act != "correction":
                continue
            corrected += 1
            dropped, added = turn.facts
            assert isinstance(dropped, Dropped)
            assert isinstance(added, Added)
            before = {wish.id: wish for wish in turn.context.preferences}
            (wrong,) = dropped.preference_ids
            assert before[wrong].attribute == added.preference.attribute
            assert before[wrong].turn == turn.context.turn - 1
            after = fold([*map(Added, turn.context.preferences), *turn.facts])
            assert {wish.id for wish in after} == {*before, added.preference.id} - {wrong}
    assert corrected > DIALOGUES // 10


def test_contexts_are_the_fold_of_what_was_said(made: Made) -> None:
    for dialogue in made[1]:
        said: list[Added | Dropped] = []
        for number, turn in enumerate(dialogue.turns, 1):
            assert turn.context.turn == number
            assert turn.context.preferences == fold(said)
            assert len(turn.context.shown) == number - 1
            said += turn.facts
            if turn.act == "topic":
                assert {wish.turn for wish in fold(said)} == {number}
            if turn.act == "drop":
                assert len(fold(said)) < len(turn.context.preferences)
            if turn.act == "reference":
                assert set(turn.item_ids) <= set(turn.context.shown[-1])
        assert len({fact.preference.id for fact in said if isinstance(fact, Added)}) == len(
            [fact for fact in said if isinstance(fact, Added)]
        )


def test_every_kind_of_fact_and_turn_is_there_and_texts_differ(made: Made) -> None:
    turns = [turn for dialogue in made[1] for turn in dialogue.turns]
    kinds = Counter(one.kind for turn in turns for one in turn.gold)
    expected = {"hard", "soft", "negation", "price", "year", "number", "person", "like", "like_but", "correction"}
    expected |= {"drop", "topic"}
    if not any("year" in item.attributes for item in made[0]):
        expected -= {"year", "person"}  # the shop of all kinds of goods has neither
    assert set(kinds) == expected
    assert {turn.act for turn in turns} == {"wish", "like", "like_but", "correction", "drop", "topic", "reference"}
    assert len({turn.text for turn in turns}) / len(turns) > 0.9


def test_no_phrase_is_both_learned_and_tested() -> None:
    train, held_out = Phrases("train"), Phrases("held_out")
    for key in train.keys():
        first, second = train.all(key), held_out.all(key)
        assert first
        assert second
        assert not {one.casefold() for one in first} & {one.casefold() for one in second}, key
    assert sum(len(train.all(key)) for key in train.keys()) > 150
    everywhere = {one for key in train.keys() if not key.startswith("surface") for one in train.all(key)}
    assert not everywhere & {one for key in train.keys() for one in held_out.all(key)}  # not under another name either


def test_the_splits_speak_in_their_own_phrases() -> None:
    items = invented_courses()
    for split in ("train", "held_out"):
        own = Phrases(split)
        known = {f"{key}: {phrase}" for key in own.keys() for phrase in own.all(key)} | {"alone"}
        for turn in generator(items, split).turns(150):
            assert {turn.phrase, *(one.phrase for one in turn.gold)} <= known


def test_same_seed_same_dialogues_whatever_was_made_before() -> None:
    items = invented_courses()
    first, second = generator(items), generator(items)
    list(first.turns(20))
    assert first.dialogue(7) == second.dialogue(7)
    assert first.dialogue(7) != second.dialogue(8)
    assert len(list(first.turns(33))) == 33
    ends = [[generator(items, split).dialogue(n).target_id for n in range(20)] for split in ("train", "held_out")]
    assert ends[0] != ends[1]


def test_noise_changes_how_it_is_typed_and_not_what_it_means() -> None:
    items = invented_courses()
    loud = generator(items, noise=Noise(typo=0.3, lower=1.0, bare=1.0, chat=1.0, filler=0.0))
    clean = generator(items, noise=CLEAN)
    pairs = [(loud.dialogue(n).turns[0], clean.dialogue(n).turns[0]) for n in range(60)]
    for typed, meant in pairs:
        assert typed.text == typed.text.lower()
        assert meant.text[0] == meant.text[0].upper()
        assert [(w.attribute, w.op, w.values) for w in wishes([typed])] == [
            (w.attribute, w.op, w.values) for w in wishes([meant])
        ]
    assert sum(typed.text != meant.text.lower() for typed, meant in pairs) > 30


def test_unknown_attributes_are_told_by_their_values() -> None:
    senses = {one.name: one.sense for one in speakable(invented_courses(), CatalogueShape.of(invented_courses()))}
    assert senses == {
        "duration_weeks": "duration", "format": "format", "instructor": "person", "level": "other", "price": "price",
        "rating": "rating", "style": "mood", "subject_area": "kind", "tags": "topic", "year": "year",
    }  # fmt: skip


def test_values_of_two_attributes_are_not_spoken_of() -> None:
    values: list[dict[str, str | float | tuple[str, ...]]] = [
        {"genre": ("war", "comedy"), "theme": ("war", "love")},
        {"genre": ("drama",), "theme": ("sea",)},
    ]
    items = [Item(str(n), f"Title {n}", "", values[n % 2]) for n in range(12)]
    assert {one.name: set(one.values) for one in speakable(items, CatalogueShape.of(items))} == {
        "genre": {"comedy", "drama"},
        "theme": {"love", "sea"},
    }


def test_a_catalogue_too_small_to_talk_about() -> None:
    with pytest.raises(BadRequest, match="10 items"):
        generator(invented_courses(4))


def test_measure_counts_by_kind() -> None:
    turns = list(generator(invented_courses()).turns(80))
    by_text = {(turn.text, turn.context.turn): turn for turn in turns}

    def perfect(text: str, context: DialogueContext) -> Understanding:
        turn = by_text[text, context.turn]
        return Understanding(turn.intent, facts=turn.facts, item_ids=turn.item_ids, attribute=turn.attribute)

    def deaf(text: str, context: DialogueContext) -> Understanding:
        return Understanding("empty")

    right = measure(turns, perfect)
    assert (right.n, right.exact, right.intents) == (80, 80, 80)
    assert {(one.precision, one.recall, one.f1) for one in right.kinds} == {(1.0, 1.0, 1.0)}
    assert right.misses == ()
    none = measure(turns, deaf)
    assert {one.recall for one in none.kinds} == {0.0}
    assert sum(miss.count for miss in none.misses) == sum(one.wanted for one in none.kinds)
    assert [one.wanted for one in none.kinds if one.wanted] == [one.wanted for one in right.kinds]


def test_the_command_measures_the_rules() -> None:
    command = [sys.executable, "-m", "finetune.dialogues", "--items", str(demo_films_path()), "--n", "30"]
    done = subprocess.run([*command, "--noun", "film", "--measure"], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.startswith("30 turns, ")
    assert "like_but" in done.stdout
    wrong = subprocess.run([*command, "--split", "both"], capture_output=True, text=True, check=False)  # noqa: S603
    assert (wrong.returncode, wrong.stderr) == (1, "--split is train or held_out, not both.\n")

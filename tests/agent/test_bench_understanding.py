"""Scores of understanding: counting, labels joined with texts, the sets that are read."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import cast

import pytest
from small_shop import added, wish
from talking import ScriptedEngine

from agent.bench.retrieval.dialogues import Said
from agent.bench.understanding import Readings, Task, read_all, score
from agent.bench.understanding_labels import (
    READERS,
    Labelled,
    agreement,
    context_before,
    label_tasks,
    labelled_turns,
)
from agent.bench.understanding_sets import handwritten_tasks, inspired_tasks, score_attitudes
from agent.llm.protocol import Engine
from agent.preferences import Preference
from agent.understand.merging import Rule
from agent.understand.model import ModelUnderstanding
from agent.understand.reading_evidence import lexicon_of
from agent.understand.rules import Rules
from agent.understand.types import DialogueContext, Understanding
from retrieval.errors import BadRequest
from retrieval.table import ItemTable

BENCH = Path(__file__).resolve().parents[3] / "shared" / "data" / "bench"
COMEDY, DARK = wish("genre", "eq", "Comedy", key="t1-1"), wish("mood", "eq", "dark", key="t1-2")


def said(*wishes: Preference) -> Understanding:
    return Understanding("recommend", facts=added(*wishes))


def keys(understood: Understanding) -> dict[tuple[object, ...], str]:
    return {(fact.preference.attribute,): "hard" for fact in understood.facts}  # type: ignore[union-attr]


def test_scores_count_what_is_right_said_and_wanted() -> None:
    tasks = [Task("x", DialogueContext(), {("genre",): "hard", ("year",): "year"}, keys, str(n)) for n in range(30)]
    readings = [Readings(said(DARK), said(COMEDY), said(COMEDY, DARK), 1.0)] * 30
    result = score("made up", "for the test", tasks, readings)
    rules, model, merged = result.systems
    assert (rules.f1, model.precision, model.recall) == (0.0, 1.0, 0.5)
    assert (merged.precision, merged.recall, merged.exact) == (0.5, 0.5, 0.0)
    assert result.difference == pytest.approx(0.5)
    assert result.difference_low == result.difference_high == pytest.approx(0.5)
    by_kind = {kind.kind: kind for kind in merged.kinds}
    assert (by_kind["hard"].said, by_kind["hard"].wanted) == (60, 30)
    assert (by_kind["year"].said, by_kind["year"].wanted, by_kind["year"].f1) == (0, 30, 0.0)


async def test_every_message_is_read_in_three_ways(film_table: ItemTable) -> None:
    rules = Rules(lexicon_of(film_table), film_table.get)
    engine = cast("Engine", ScriptedEngine("mood: dark"))
    model = ModelUnderstanding(engine, film_table, {"soft": Rule(model_only=True)})
    told: list[str] = []
    (one,) = await read_all(handwritten_tasks()[:1], rules, model, told.append)
    assert one.model.facts == ()  # the message says nothing of dark
    assert one.merged.facts == one.rules.facts
    assert told == ["1 of 1 messages read"]


def test_the_messages_written_by_hand_want_something() -> None:
    tasks = handwritten_tasks()
    assert len(tasks) == 42
    assert {kind for task in tasks for kind in task.wanted.values()} == {"wish", "negation"}


# --- labels ---


def labelled(*facts: str, intent: str = "recommend", text: str = "a dark comedy") -> Labelled:
    return Labelled("redial-1#0", text, (), intent, facts, {})


def test_agreement_beyond_chance() -> None:
    one = [labelled("genre: comedy", "about: dark", intent="recommend"), labelled(intent="other")]
    assert agreement("x", one, one).model_dump() == {"name": "x", "n": 2, "kappa": 1.0, "facts_f1": 1.0}
    other = [labelled("genre: comedy", "about: dark mood", "about: long", intent="other"), labelled(intent="other")]
    found = agreement("x", one, other)
    assert found.kappa == 0.0
    assert found.facts_f1 == pytest.approx(0.8)


def test_labels_are_matched_by_words_and_values(film_table: ItemTable) -> None:
    rules, roles = Rules(lexicon_of(film_table), film_table.get), lexicon_of(film_table).attributes.roles
    facts = ("genre: comedy", "about: darkish mood", "year>= 1980", "-about!: violence")
    (task,) = label_tasks([labelled(*facts)], film_table, rules, roles)
    year = wish("year", "ge", 1980.0, key="t1-3")
    violent = Preference("t1-4", "hard", "mood", "eq", ("violent",), "negative", "no violence", 1)
    dark = Preference("t1-2", "soft", "mood", "eq", ("dark",), "positive", "dark mood", 1)
    comedy = Preference("t1-1", "hard", "genre", "eq", ("Comedy",), "positive", "comedies", 1)
    assert task.keys(said(comedy, dark, year, violent)).keys() == task.wanted.keys()
    assert sorted(task.wanted.values()) == ["about", "genre", "negation", "year"]
    unlike = task.keys(said(wish("year", "le", 1980.0, key="t1-3"), dark))
    assert len(unlike.keys() & task.wanted.keys()) == 1


def test_earlier_turns_are_the_context(film_table: ItemTable) -> None:
    rules = Rules(lexicon_of(film_table), film_table.get)
    title = film_table.items[0].title
    before = (Said("user", "a comedy please"), Said("assistant", f'How about "{title}"?'))
    context = context_before(before, film_table, rules)
    assert context.turn == 2
    assert [one.values for one in context.preferences] == [("Comedy",)]
    assert context.shown == ((film_table.ids[0],),)


def test_labels_need_the_sets_own_file(tmp_path: Path) -> None:
    file = tmp_path / "valid.jsonl"
    row = {"id": "x", "dialogue_id": "redial-1", "turns": [{"role": "user", "text": "hi"}], "mentioned": []}
    file.write_text(json.dumps(row), encoding="utf-8")
    with pytest.raises(BadRequest, match="was labelled"):
        labelled_turns("A", file, "redial")


@pytest.mark.shared_data
@pytest.mark.skipif(not BENCH.is_dir(), reason="needs ../shared/data")
@pytest.mark.parametrize("dataset", ["redial", "recquest"])
def test_both_readers_labelled_the_same_turns(dataset: str) -> None:
    file = BENCH / dataset / "valid.jsonl.gz"
    one, other = (labelled_turns(reader, file, dataset) for reader in READERS)
    assert [turn.id for turn in one] == [turn.id for turn in other]
    assert len(one) == 100
    for turn in (*one, *other):
        assert not any("[" in fact for fact in turn.facts)
    found = agreement(dataset, one, other)
    assert 0.5 < found.kappa <= 1
    assert 0.7 < found.facts_f1 < 1


# --- INSPIRED and ReDial's likes ---


def test_what_seekers_name(tmp_path: Path, film_table: ItemTable) -> None:
    columns = ("dialog_id", "speaker", "text", "movies", "genres", "people_names")
    rows = [
        ("1", "SEEKER", "I like comedies with Al Pacino", "The Heat (1995);  Big (1988)", "comedy", "Al Pacino"),
        ("1", "RECOMMENDER", "comedy it is", "", "comedy", ""),
        ("2", "SEEKER", "hello", "", "", ""),
    ]
    file = tmp_path / "dev.tsv.gz"
    with gzip.open(file, "wt", encoding="utf-8") as out:
        out.write("\n".join("\t".join(row) for row in (columns, *rows)) + "\n")
    (task,) = inspired_tasks(file, film_table, lexicon_of(film_table).attributes.roles, 10)
    wanted = {("genre", "comedy"), ("person", "al pacino"), ("title", "heat"), ("title", "big")}
    assert set(task.wanted) == wanted
    assert ("genre", "comedy") in task.keys(said(COMEDY))
    (tmp_path / "no.gz").write_bytes(b"no table")
    with pytest.raises(BadRequest, match=r"dev\.tsv\.gz"):
        inspired_tasks(tmp_path / "no.gz", film_table, {}, 10)


async def test_likes_are_held_against_what_was_told(tmp_path: Path, film_table: ItemTable) -> None:
    first, second = film_table.items[0], film_table.items[1]
    turns = [{"role": "user", "text": f'I loved "{first.title}" and hated "{second.title}"'}]
    row = {"id": "1", "dialogue_id": "redial-7", "turns": turns, "mentioned": [], "targets": []}
    likes = [
        {"user": "7-i", "item": first.id, "liked": True},
        {"user": "7-i", "item": second.id, "liked": False},
        {"user": "7-r", "item": second.id, "liked": True},
    ]
    (tmp_path / "train.jsonl.gz").write_bytes(gzip.compress(json.dumps(row).encode()))
    (tmp_path / "likes.jsonl.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, likes)).encode()))
    rules = Rules(lexicon_of(film_table), film_table.get)
    model = ModelUnderstanding(cast("Engine", ScriptedEngine("none")), film_table, {})
    by_rules, alone, merged = await score_attitudes(tmp_path, 5, film_table, rules, model, str)
    assert (by_rules.wanted, by_rules.known, by_rules.right, by_rules.disliked_right) == (2, 2, 2, 1)
    assert (alone.known, merged.right) == (0, 2)

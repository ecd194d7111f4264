from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from describe_doubles import FILMS, HashingEncoder

from agent.bench.retrieval.dialogues import Row, Said
from finetune.describe.finding import Finder
from finetune.describe.measuring import (
    SCORES,
    Wanted,
    compared_items,
    compared_places,
    found_by,
    joined,
    rank_texts,
    wanted_items,
)
from finetune.describe.queries import MAX_QUERIES, MadeQueries, queries_by_item, renamed
from finetune.describe.realness import Discriminator, Example, shortened
from finetune.describe.reporting import ItemScores
from retrieval.errors import BadRequest
from retrieval.items import Item
from retrieval.lexical import LexicalBuilder, LexicalIndex
from retrieval.shape import CatalogueShape
from retrieval.text import plain


def row(number: int, text: str, target: str, mentioned: tuple[str, ...] = ()) -> Row:
    return Row(f"r{number}", f"d{number}", (Said("user", text),), mentioned, (target,), "", None)


def test_words_count_as_in_the_product(films: Sequence[Item], encoder: HashingEncoder, tmp_path: object) -> None:
    """The same BM25 scores as the index of the shop."""
    builder = LexicalBuilder()
    for item in films:
        builder.add(item.title, plain(item.document()))
    builder.save(tmp_path / "words")  # type: ignore[operator]
    index = LexicalIndex.load(tmp_path / "words", len(films))  # type: ignore[operator]
    finder = Finder(films, encoder)
    (asked,) = finder.ask(["a comedy about a letter, a letter near the sea"])
    assert finder._scores(asked)[1] == pytest.approx(index.scores("a comedy about a letter, a letter near the sea"))


def test_a_text_with_the_words_of_the_query_gains(films: Sequence[Item], encoder: HashingEncoder) -> None:
    finder = Finder(films, encoder)
    queries = finder.ask(["something with a comedy baker and a letter"])
    fitting, other = finder.gains(
        films[4], ["A comedy baker and a letter, a comedy baker and a letter.", "Foggy boat lake desert goat."], queries
    )
    assert fitting > 0 > other
    assert finder.gains(films[4], ["A comedy baker."], []) == [0.0]


def test_the_gain_is_that_of_the_place(films: Sequence[Item], encoder: HashingEncoder) -> None:
    """Trying a text gives the place that the item has when the text is put in, the others as they are."""
    finder = Finder(films, encoder)
    (asked,) = finder.ask(["a goat and a lighthouse, two sisters"])
    text = "Two sisters, a goat, a lighthouse."
    before = finder.places(asked, films[0].id)
    changed = [replace(item, text=f"{item.text}\n{text}") if item is films[0] else item for item in films]
    after = Finder(changed, encoder).places(asked, films[0].id)
    gained = np.mean([1 / np.log2(1 + new) - 1 / np.log2(1 + old) for new, old in _both(after, before)])
    assert finder.gains(films[0], [text], [asked])[0] == pytest.approx(gained, abs=0.02)


def _both(one: object, other: object) -> list[tuple[float, float]]:
    return [(getattr(one, name), getattr(other, name)) for name in ("dense", "lexical")]


def test_queries_are_those_after_which_something_new_was_taken() -> None:
    rows = [row(1, "a quiet film", "f1"), row(2, "again", "f1", ("f1",)), row(3, "a loud one", "f2")]
    rows += [row(10 + number, f"more {number}", "f2") for number in range(20)]
    found = queries_by_item(rows)
    assert found["f1"] == ("a quiet film",)
    assert len(found["f2"]) == MAX_QUERIES
    assert renamed(found, {"f2": "own"})["own"][0] == "a loud one"


def test_queries_are_made_of_what_an_item_has(films: Sequence[Item], shape: CatalogueShape) -> None:
    made = MadeQueries(films, shape)
    queries = made.of(films[1])
    assert queries == made.of(films[1])
    assert queries
    said = " ".join(queries).lower()
    assert any(word in said for word in ("horror", "bea lee", "198"))
    assert "western" not in said


def test_drafts_that_are_alike_are_told_apart(encoder: HashingEncoder) -> None:
    examples = [Example(item.id, item.text, f"{item.title} is is is is what it says.") for item in FILMS]
    judge = Discriminator(examples, encoder)
    assert judge.accuracy is not None
    assert judge.accuracy.value > 0.9
    real, made = judge.real(FILMS[3].id, [FILMS[3].text, examples[3].draft])
    assert real > 0.5 > made


def test_copies_cannot_be_told_apart(encoder: HashingEncoder) -> None:
    judge = Discriminator([Example(item.id, item.text, item.text) for item in FILMS], encoder)
    assert judge.accuracy is not None
    assert judge.accuracy.value == pytest.approx(0.5)
    assert Discriminator([], encoder).real("f1", ["a", "b"]) == [0.5, 0.5]


def test_own_texts_are_cut_after_a_sentence() -> None:
    assert shortened("One. " + "Two is long " * 20 + "end. " + "Three is longer " * 30) == "One. " + (
        "Two is long " * 20 + "end."
    )


def test_films_join_by_title_and_year() -> None:
    ours = [Item("a", "Heat", attributes={"year": 1995.0}), Item("b", "Heat", attributes={"year": 1986.0})]
    ours.append(Item("c", "Up", attributes={"release_date": "2009-05-28"}))
    theirs = [
        Item("1", "Heat!", attributes={"year": 1996.0}),
        Item("2", "HEAT", attributes={"year": 1990.0}),
        Item("3", "Up", attributes={"year": 2009.0}),
        Item("4", "Up"),
    ]
    assert joined(theirs, ours) == {"1": "a", "3": "c"}


def test_measuring_tells_texts_apart(films: Sequence[Item], encoder: HashingEncoder) -> None:
    wanted = wanted_items([row(n, "zebra crossing", "x") for n in range(4)], {"x": "f5"})
    ranked = rank_texts(films, {"f5": "A zebra crossing."}, wanted, encoder)
    assert ranked.n == len(films)
    by = {(one.text, one.branch): one for one in found_by(ranked)}
    assert by["both", "lexical"].mrr.value == 1.0
    assert by["generated", "lexical"].mrr.value == 1.0
    assert by["original", "lexical"].mrr.value < 0.5
    assert by["both", "lexical"].more_mrr.low > 0
    assert by["original", "fused"].more_mrr.value == 0
    with pytest.raises(BadRequest, match="No held-out dialogue"):
        rank_texts(films, {}, (), encoder)
    assert wanted[0] == Wanted("zebra crossing", "f5", "d0")


def test_writers_are_compared_on_the_same_items_and_queries(films: Sequence[Item], encoder: HashingEncoder) -> None:
    before = [ItemScores(f"f{n}", passed=0.25, refused=0.5, real=0.0, kept=0.0, gain=0.0) for n in range(3)]
    after = [replace(one, passed=0.75, refused=0.25, real=1.0, kept=1.0, gain=0.1) for one in before[:2]]
    compared = {one.figure: one for one in compared_items(before, [*after, replace(after[0], item_id="f9")])}
    passed, refused = compared[SCORES["passed"]], compared[SCORES["refused"]]
    assert (passed.n, passed.before.value, passed.after.value, passed.more.value) == (2, 0.25, 0.75, 0.5)
    assert refused.more.value == -0.25
    assert compared_items(before, []) == ()
    wanted = wanted_items([row(n, "zebra crossing", "x") for n in range(4)], {"x": "f5"})
    dull, good = (rank_texts(films, {"f5": text}, wanted, encoder) for text in ("Of a goat.", "A zebra crossing."))
    places = {one.figure: one for one in compared_places(dull, good)}
    assert places["held-out mean reciprocal place, both"].more.low > 0
    assert places["held-out mean reciprocal place, both"].n == 4
    assert all(one.more.value == 0 for one in compared_places(good, good))

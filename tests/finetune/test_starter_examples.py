from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from agent.understand.reading import read
from finetune.dialogues.generate import DialogueGenerator, Manner
from finetune.starter.catalogues import HELD_OUT, Catalogue, copied, held_out, invented, learned_from, nothing_said
from finetune.starter.examples import over_catalogues, reply_examples, text_examples, understand_examples
from finetune.starter.recipe import read_recipe
from finetune.starter.redial import RedialFiles, redial_examples
from retrieval.errors import BadRequest
from retrieval.items import Item
from retrieval.table import ItemTable


@pytest.fixture(scope="module")
def books() -> Catalogue:
    return invented("books", 5)


def test_what_is_watched_is_never_learned_from() -> None:
    unseen = held_out(5)
    assert unseen.name == HELD_OUT
    learned = list(learned_from(9, 5))
    assert {"films", "courses", "electronics", "films-0"} <= {one.name for one in learned}
    assert not {item.id for item in unseen.items} & {item.id for one in learned for item in one.items}
    assert not any(one.name.startswith(HELD_OUT) for one in learned)
    assert not set(nothing_said(True)) & set(nothing_said(False))


def test_invented_ones_are_the_same_for_the_same_seed(books: Catalogue) -> None:
    assert invented("books", 5).items == books.items
    assert invented("books", 6).items != books.items
    titles = [item.title.casefold() for item in books.items]
    assert len(set(titles)) == len(titles)
    item = books.items[0]
    assert str(item.attributes["author"]) in item.text
    assert "{" not in item.text


@pytest.mark.parametrize("number", range(6))
def test_a_copy_has_other_words_and_the_same_items(books: Catalogue, number: int) -> None:
    copy = copied(books, 5, number)
    assert [item.id for item in copy.items] == [item.id for item in books.items]
    assert copy.items == copied(books, 5, number).items
    assert copy.items != books.items
    assert not any(item.text for item in copy.items), "the text would speak of the original's values"
    assert len(copy.table.shape.attributes) >= 3
    said = {name: one.values for name, one in copy.table.shape.attributes.items()}
    original = {len(one.values or ()) for one in books.table.shape.attributes.values()}
    assert all(len(values or ()) in original for values in said.values()), "no two values became one"


def test_the_answers_are_what_the_reader_understands(books: Catalogue) -> None:
    """Nearly every gold answer is read back whole: what is trained can be used."""
    turns = list(DialogueGenerator(books.items, books.table.shape, Manner("train"), 3).turns(120))
    examples = list(understand_examples(books, 120, 3))
    assert len(examples) == len(turns)
    assert {one.group for one in examples} == {"understand books"}
    assert len({one.prompt.messages[0].text for one in examples}) == 1, "all begin alike"
    whole = 0
    for example, turn in zip(examples, turns, strict=True):
        reading = read(example.answer, example.prompt.messages[1].text, turn.context, books.table)
        whole += reading.refused == 0
    assert whole >= 0.8 * len(turns)


def test_a_share_says_nothing(books: Catalogue) -> None:
    examples = list(understand_examples(books, 200, 3, nothing=0.3))
    silent = [one for one in examples if one.answer == "none"]
    assert 30 <= len(silent) <= 90
    assert all(any(said in one.prompt.messages[1].text for said in nothing_said(False)) for one in silent)


def test_a_catalogue_that_nobody_can_speak_of_is_passed_over(books: Catalogue) -> None:
    empty = Catalogue("empty", ItemTable([Item("a", "A")]), "item", "items")
    assert len(list(over_catalogues([empty, books], 20, 1))) == 10
    with pytest.raises(BadRequest, match="Nothing can be learned"):
        list(over_catalogues([empty], 20, 1))


def test_replies_and_texts_are_of_catalogues_with_texts(books: Catalogue) -> None:
    examples = list(reply_examples([copied(books, 5, 0), books], 8, 1))
    assert 0 < len(examples) <= 8
    assert {(one.skill, one.group) for one in examples} == {("reply", "reply books")}
    texts = [one.answer for one in text_examples(books)]
    assert texts == [item.document() for item in books.items]


def test_the_recipe_is_read_whole_or_not_at_all(tmp_path: Path) -> None:
    recipe = read_recipe()
    assert recipe.lora.rank <= 16
    assert recipe.train.minutes is not None
    with pytest.raises(BadRequest, match="cannot be read"):
        read_recipe(tmp_path / "none.toml")
    (tmp_path / "one.toml").write_text("base = 'x'\nsed = 3\n")
    with pytest.raises(BadRequest, match="does not fit"):
        read_recipe(tmp_path / "one.toml")


# -- ReDial ----------------------------------------------------------------------------------------


def gz(file: Path, lines: Sequence[Mapping[str, object]]) -> Path:
    with gzip.open(file, "wt", encoding="utf-8") as out:
        out.writelines(json.dumps(line) + "\n" for line in lines)
    return file


@pytest.fixture
def redial(tmp_path: Path) -> RedialFiles:
    def film(key: str, title: str, year: int, *genres: str) -> Mapping[str, object]:
        attributes = {"genre": genres, "director": ["Ann Lee"], "writer": ["W"]}
        return {"id": key, "title": title, "year": year, "text": "A secret plot.", "attributes": attributes}

    said = [
        ("user", "Hello!"),
        ("assistant", "Have you seen Heat (1995)?"),
        ("user", "I liked Heat (1995) and I love comedies"),
        ("user", "I'm looking for a horror movie"),
        ("user", "I don't want a horror movie"),
        ("user", "I'm looking for a comedy or horror movie"),
        ("user", "what about Alien (1979)"),
        ("user", "any films like Nobody Knows (2001)"),
        ("user", "Titanic (1997) is terrible"),
        ("user", "recommend a romantic comedy please"),
    ]
    turns = [{"role": role, "text": text} for role, text in said]
    rows = [{"dialogue_id": "redial-7", "turns": turns[:2]}, {"dialogue_id": "redial-7", "turns": turns}]
    items = [
        film("h", "Heat", 1995, "crime"),
        film("a", "Alien", 1979, "horror"),
        film("t", "Titanic", 1997, "romance", "comedy"),
    ]
    likes = [{"user": "7-i", "item": "h", "liked": True}, {"user": "7-i", "item": "t", "liked": False}]
    return RedialFiles(
        gz(tmp_path / "rows.gz", rows), gz(tmp_path / "items.gz", items), gz(tmp_path / "likes.gz", likes)
    )


def test_only_what_is_certain_is_taken_from_redial(redial: RedialFiles) -> None:
    found = {one.prompt.messages[1].text.rpartition("Message: ")[2]: one.answer for one in redial_examples(redial, 99)}
    assert found == {
        "“Hello!”": "none",
        "“I liked Heat (1995) and I love comedies”": "like: Heat\ngenre: comedy",
        "“I'm looking for a horror movie”": "genre!: horror",
        "“Titanic (1997) is terrible”": "-like: Titanic",
    }
    assert not any("secret" in message.text for one in redial_examples(redial, 99) for message in one.prompt.messages)
    assert len(list(redial_examples(redial, 2))) == 2


def test_redial_files_that_cannot_be_read_are_one_sentence(redial: RedialFiles, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="cannot be read as JSON lines"):
        list(redial_examples(RedialFiles(redial.rows, redial.items, tmp_path / "none"), 5))

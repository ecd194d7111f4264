"""Items that are named, items that have what is named; and how a query is read for all branches."""

from dataclasses import replace

import numpy as np
import pytest
from branch_doubles import best, check_contract, cues, films, value_of

from retrieval.branches.cues import read_cues
from retrieval.branches.linker import EntityLinker
from retrieval.branches.names import NamesBranch
from retrieval.encoder import FloatArray
from retrieval.errors import ModelUnavailable
from retrieval.query import Query, SeedItem, WeightedText

TABLE = films()


def test_values_said_find_items_that_have_them() -> None:
    found = NamesBranch(TABLE).scores(cues(TABLE, "a crime comedy by Ridley Scott like Heat (1995)"))
    assert set(best(TABLE, found["names.director"])) == {"Alien/1979", "Blade Runner/1982"}
    assert best(TABLE, found["names.title"]) == ["Heat/1995"]
    genre = found["names.genre"]
    assert value_of(TABLE, genre, "Up/2009") > value_of(TABLE, genre, "Heat/1995") > 0  # 4 comedies, 5 crime films
    assert value_of(TABLE, genre, "Alien/1979") == 0


def test_nothing_said_is_no_signal() -> None:
    assert NamesBranch(TABLE).scores(cues(TABLE, "hello")) == {}
    check_contract(NamesBranch(TABLE), TABLE, cues(TABLE, "heat (1995) crime comedy ridley scott", "crime"))


def test_an_earlier_turn_counts_less() -> None:
    found = NamesBranch(TABLE).scores(cues(TABLE, "ridley scott", "michael mann"))["names.director"]
    assert value_of(TABLE, found, "Heat/1995") > value_of(TABLE, found, "Alien/1979") > 0


class ConstantEncoder:
    """Remembers what it was asked; fails on demand."""

    name, dim = "constant", 2

    def __init__(self, *, fails: bool = False) -> None:
        self.fails = fails
        self.asked: list[str] = []

    def encode(self, texts: list[str]) -> FloatArray:
        if self.fails:
            raise ModelUnavailable("no weights")
        self.asked += texts
        return np.array([[1.0, 0.0]] * len(texts), dtype=np.float32)


def test_text_of_a_query() -> None:
    linker, encoder = EntityLinker(TABLE), ConstantEncoder()
    turns = read_cues(Query(turns=("1", "2", "3", "4", "5"), texts=(WeightedText("not me"),)), linker, TABLE, encoder)
    assert turns.text == "2\n3\n4\n5"
    assert turns.vector is not None
    texts = read_cues(Query(texts=(WeightedText("a"), WeightedText("b"))), linker, TABLE, encoder)
    assert texts.text == "a\nb"
    assert encoder.asked == ["2\n3\n4\n5", "a\nb"]
    assert read_cues(Query(), linker, TABLE, encoder).vector is None
    assert read_cues(Query(turns=("x",)), linker, TABLE, ConstantEncoder(fails=True)).vector is None
    assert read_cues(Query(turns=("x",)), linker, TABLE).vector is None


def links(query: Query) -> tuple[set[str], set[str]]:
    """Titles and values."""
    found = read_cues(query, EntityLinker(TABLE), TABLE)
    titles = {TABLE.items[row].title for row in found.links.items}
    assert {TABLE.items[row].title for row in found.seeds} == titles
    return titles, {value for _, value in found.links.values}


def test_names_are_read_from_the_customers_own_words() -> None:
    turns = ("a comedy", "Do you like Blade Runner by Ridley Scott?")
    assert links(Query(turns=turns)) == ({"Blade Runner"}, {"comedy", "ridley scott"})
    assert links(Query(turns=turns, own=turns[:1])) == (set(), {"comedy"})
    assert links(Query(turns=turns, own=())) == (set(), set())
    assert links(Query(texts=(WeightedText("comedy"),), unwanted=("crime",))) == (set(), {"comedy"})


def test_unwanted_names_do_not_count() -> None:
    own = ("a crime film like Inception", "or a comedy by Ridley Scott")
    everything = ({"Inception"}, {"crime", "comedy", "ridley scott"})
    assert links(Query(own=own, unwanted=("horror",))) == everything
    assert links(Query(own=own, unwanted=("Inception", "no crime", "by Scott"))) == (set(), {"comedy", "ridley scott"})
    assert links(Query(own=own, unwanted=("Ridley Scott", "comedy"))) == ({"Inception"}, {"crime"})
    up = Query(own=('I liked "Up" (2009)',), unwanted=("up",))
    assert links(replace(up, unwanted=())) == ({"Up"}, set())
    assert links(up) == (set(), set()), "a name is one also without a capital"


def test_what_was_named_long_ago_or_in_doubt_counts_less_in_a_fusion() -> None:
    def strengths(*turns: str) -> dict[str, float]:
        return {name: one.strength for name, one in NamesBranch(TABLE).scores(cues(TABLE, *turns)).items()}

    assert strengths("a comedy like Inception") == {"names.genre": 1.0, "names.title": 1.0}
    assert strengths("a comedy", "like Inception") == {"names.genre": pytest.approx(0.6), "names.title": 1.0}
    assert strengths("heat")["names.title"] < 0.5  # two films, and perhaps none


def test_seeds_of_a_query() -> None:
    query = Query(
        turns=("I liked Alien (1979) and Heat (1995)",),
        seeds=(SeedItem("Up/2009", 2.0), SeedItem("Heat/1995", -2.0), SeedItem("unknown", 2.0)),
    )
    seeds = read_cues(query, EntityLinker(TABLE), TABLE).seeds
    rows = {one: TABLE.row_of(one) for one in ("Up/2009", "Heat/1995", "Alien/1979")}
    assert seeds.keys() == set(rows.values())
    assert seeds[rows["Heat/1995"]] < 0  # what is known of it counts more than that it was named
    assert 0 < seeds[rows["Up/2009"]] < 1
    assert seeds[rows["Alien/1979"]] == pytest.approx(0.5)

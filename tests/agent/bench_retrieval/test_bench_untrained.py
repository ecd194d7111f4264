"""Rows without training data: the pool, what was mentioned, names, shared values and words said again."""

from __future__ import annotations

import pytest

from agent.bench.retrieval.dialogues import Row, Said
from agent.bench.retrieval.untrained import Untrained
from retrieval.items import Item
from retrieval.table import ItemTable
from tests.retrieval.retrieval_doubles import HashingEncoder

FILMS = ItemTable(
    [
        Item("heat", "Heat", "Thieves and a detective.", {"director": ("Michael Mann",), "actor": ("Al Pacino",)}),
        Item("insider", "The Insider", "A chemist speaks.", {"director": ("Michael Mann",), "actor": ("Al Pacino",)}),
        Item("ali", "Ali", "A boxer's life.", {"director": ("Michael Mann",), "actor": ("Will Smith",)}),
        Item("tootsie", "Tootsie", "An actor dresses up.", {"director": ("Sydney Pollack",)}),
        Item("jaws", "Jaws", "A shark and a boat.", {"director": ("Steven Spielberg",)}),
    ]
)


def row(*turns: str, mentioned: tuple[str, ...] = (), candidates: tuple[str, ...] | None = None) -> Row:
    return Row("1", "1", tuple(Said("user", turn) for turn in turns), mentioned, ("jaws",), "Jaws!", candidates)


@pytest.fixture(scope="module")
def system() -> Untrained:
    return Untrained(FILMS, HashingEncoder())


def test_every_item_is_ranked_but_those_mentioned(system: Untrained) -> None:
    found = system.rank(row("I loved Heat", mentioned=("heat", "unknown")))
    assert set(found.ranked) == {"insider", "ali", "tootsie", "jaws"}
    assert found.ranked[:2] == ("insider", "ali")  # same director and actor, then same director
    assert found.ms > 0
    assert system.rank(row("I loved Heat", mentioned=("heat",))).ranked == found.ranked


def test_only_candidates_are_ranked(system: Untrained) -> None:
    found = system.rank(row("a film by Michael Mann, Heat say", candidates=("jaws", "ali", "gone")))
    assert found.ranked == ("ali", "jaws")
    assert system.rank(row("anything", candidates=())).ranked == ()


def test_names_and_words_reach_their_branches(system: Untrained) -> None:
    hits = {
        one.item_id: one.branches for one in system.search(row("something with Al Pacino", "a shark"), 5).candidates
    }
    assert hits["heat"]["names.actor"].rank == 1
    assert {"lexical", "dense"} <= hits["jaws"].keys()


def test_an_answer_is_no_input_and_an_empty_row_is_answered(system: Untrained) -> None:
    assert len(system.rank(row()).ranked) == len(FILMS)
    silent = Row("1", "1", (Said("user", "a boxer"),), (), (), "", None)
    told = Row("1", "1", (Said("user", "a boxer"),), (), ("jaws",), "Jaws! A shark and a boat.", None)
    assert system.rank(silent).ranked == system.rank(told).ranked
    assert system.rank(silent).ranked[0] == "ali"


def test_the_newest_words_of_a_long_talk_are_read(system: Untrained) -> None:
    long = row(*["a boxer and his life, please"] * 200, "no, a shark on a boat")
    candidate = next(one for one in system.search(long, 5).candidates if one.item_id == "jaws")
    assert "lexical" in candidate.branches


def test_what_the_rules_understood_is_searched_for_beside_the_whole_talk(system: Untrained) -> None:
    asked = row("I am looking for something about a shark, please", "no, not about a detective")
    texts = system.query(asked, 5).texts
    assert [one.weight for one in texts] == [0.5, 0.5]
    assert texts[0].text == "I am looking for something about a shark, please no, not about a detective"
    assert "shark" in texts[1].text
    assert "detective" not in texts[1].text
    assert [one.weight for one in system.query(row("hello"), 5).texts] == [1.0]


def test_a_value_that_the_whole_pool_has_is_not_searched_for(system: Untrained) -> None:
    asked = "something with Al Pacino"
    assert "Pacino" in system.query(row(asked, candidates=("heat", "jaws")), 5).texts[1].text
    assert len(system.query(row(asked, candidates=("heat", "insider")), 5).texts) == 1


def test_shoes_for_somebody_else_come_last() -> None:
    titles = ("Women's Trail Shoe", "Women's Trail Shoe with grip", "Men's Socks", "Men's Hat")
    shop = Untrained(ItemTable([Item(title, title) for title in titles]), HashingEncoder())
    assert set(shop.rank(row("a trail shoe with grip, I am a man")).ranked[2:]) == set(titles[:2])
    assert shop.rank(row("a trail shoe with grip")).ranked[0] == titles[1]

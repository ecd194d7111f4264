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

"""User-based collaborative filtering on a handful of users: the nearest ones speak, by how near they are."""

from __future__ import annotations

import math

import pytest

from agent.bench.retrieval.users import NEIGHBOURS, UserBranch
from retrieval.branches.base import Cues, Links
from retrieval.items import Item
from retrieval.query import Query
from retrieval.ratings.interactions import DISLIKED, LIKED, Interactions
from retrieval.table import ItemTable

TABLE = ItemTable([Item(name, name.upper()) for name in "abcde"])


def scores(interactions: Interactions, **seeds: float) -> dict[str, float]:
    cues = Cues(Query(), "", Links({}, {}), {TABLE.row_of(name): weight for name, weight in seeds.items()}, None)
    found = UserBranch(TABLE, {"talks": interactions}).scores(cues)
    if not found:
        return {}
    (name,) = found
    assert name == "users.talks"
    values = zip(found[name].rows.tolist(), found[name].values.tolist(), strict=True)
    return {TABLE.ids[row]: value for row, value in values}


def test_users_speak_by_their_cosine() -> None:
    taken = Interactions.of([("u", "a", 1), ("u", "b", 2), ("v", "a", 0), ("v", "c", 1), ("v", "d", 1), ("w", "e", 1)])
    two, three = 1 / math.sqrt(2), 1 / math.sqrt(3)
    assert scores(taken, a=0.4) == pytest.approx({"a": two + three, "b": two, "c": three, "d": three})
    assert scores(taken, e=1.0) == {"e": 1.0}


def test_what_is_disliked_says_nothing_on_either_side() -> None:
    taken = Interactions.of([("u", "a", LIKED), ("u", "b", DISLIKED), ("v", "a", DISLIKED), ("v", "c", LIKED)])
    assert scores(taken, a=1.0) == {"a": 1.0}
    assert scores(taken, a=-1.0) == {}
    assert scores(taken) == {}


def test_only_the_nearest_users_speak() -> None:
    near = [(f"n{n}", item, LIKED) for n in range(NEIGHBOURS) for item in "ab"]
    far = [("far", item, LIKED) for item in "acde"]
    assert set(scores(Interactions.of([*far, *near]), a=1.0)) == {"a", "b"}
    assert set(scores(Interactions.of([*far, *near[2:]]), a=1.0)) == set("abcde")


def test_items_that_the_table_does_not_know_are_tolerated() -> None:
    assert scores(Interactions.of([("u", "nobody", 1)]), a=1.0) == {}
    assert scores(Interactions.of([("u", "nobody", 1), ("u", "a", 1), ("u", "b", 1)]), a=1.0).keys() == {"a", "b"}

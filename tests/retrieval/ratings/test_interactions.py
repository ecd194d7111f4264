"""Interactions: pairs once, by name, from experiences; others' without one's own."""

from retrieval.experience import Experience
from retrieval.query import SeedItem
from retrieval.ratings.interactions import Interactions


def test_of_a_pair_that_comes_twice_the_last_attitude_counts() -> None:
    found = Interactions.of([("u", "a", 1.0), ("v", "a", 0.5), ("u", "a", -1.0), ("u", "b", 9.0)])
    assert list(found.triples()) == [("u", "a", -1.0), ("v", "a", 0.5), ("u", "b", 2.0)]
    assert (len(found), found.users, found.items) == (3, ("u", "v"), ("a", "b"))


def test_none_at_all() -> None:
    assert len(Interactions.of([])) == 0
    assert list(Interactions.of([]).merged(Interactions.of([("u", "a", 1.0)])).triples()) == [("u", "a", 1.0)]


def test_what_was_accepted_in_a_talk_was_liked() -> None:
    talks = [
        Experience(("hello",), (SeedItem("a", -2.0), SeedItem("b", 0.5)), ("c",), "talk 1"),
        Experience(("more",), (SeedItem("c", 0.5),), ("c", "d"), "talk 1"),
    ]
    assert list(Interactions.of_experience(talks).triples()) == [
        ("talk 1", "a", -2.0),
        ("talk 1", "b", 0.5),
        ("talk 1", "c", 1.0),
        ("talk 1", "d", 1.0),
    ]


def test_without_leaves_a_user_out_and_merged_knows_users_by_name() -> None:
    first = Interactions.of([("u", "a", 1.0), ("v", "b", 1.0)])
    second = Interactions.of([("v", "a", -1.0), ("w", "c", 1.0)])
    both = first.merged(second)
    assert both.users == ("u", "v", "w")
    assert list(both.without({"v"}).triples()) == [("u", "a", 1.0), ("w", "c", 1.0)]

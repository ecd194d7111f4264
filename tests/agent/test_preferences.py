"""Wishes fold from facts: the newer word counts, and taking back leaves no trace."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_shop import added, wish

from agent.preferences import Added, Dropped, Fact, Preference, fold
from retrieval.query import Filter

COMEDY = wish("genre", "eq", "comedy")
CHEAP = wish("price", "lt", 20.0)


def ids(*facts: Fact) -> list[str]:
    return [one.id for one in fold(facts)]


def names(older: Preference, newer: Preference) -> set[str]:
    return {one.id for one in fold(added(older, newer))}


def test_no_facts_no_wishes() -> None:
    assert fold(()) == ()


def test_wishes_on_different_things_add_up_in_order() -> None:
    assert fold(added(COMEDY, CHEAP)) == (COMEDY, CHEAP)


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        (wish("price", "lt", 20.0), wish("price", "le", 10.0)),
        (wish("price", "le", 10.0), wish("price", "lt", 20.0)),
        (wish("year", "ge", 1990.0), wish("year", "gt", 2000.0)),
        (wish("genre", "eq", "comedy", key="a"), wish("genre", "eq", "Comedy", key="b")),
        (wish("genre", "eq", "comedy"), wish("genre", "eq", "comedy", polarity="negative")),
        (wish("genre", "eq", "comedy", polarity="negative"), wish("genre", "eq", "comedy", "drama")),
        (wish("year", "eq", 1994.0), wish("year", "ge", 2000.0)),
        (wish("year", "eq", 1994.0), wish("year", "eq", 1995.0)),
        (wish("runtime_min", "lt", 120.0, polarity="negative"), wish("runtime_min", "gt", 100.0)),
        (wish(None, "like", "film-1", key="a"), wish(None, "like", "film-1", key="b", polarity="negative")),
    ],
)
def test_the_newer_word_replaces_the_older(older: Preference, newer: Preference) -> None:
    assert names(older, newer) == {newer.id}


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        (wish("year", "lt", 1990.0), wish("year", "gt", 1995.0)),
        (wish("year", "gt", 1995.0), wish("year", "le", 1990.0)),
        (wish("year", "lt", 1990.0), wish("year", "ge", 1990.0)),
        (wish("year", "lt", 1990.0), wish("year", "eq", 1994.0)),
        (wish("runtime_min", "lt", 90.0, polarity="negative"), wish("runtime_min", "lt", 80.0)),
    ],
)
def test_a_wish_that_contradicts_replaces(older: Preference, newer: Preference) -> None:
    assert names(older, newer) == {newer.id}


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        (wish("year", "ge", 1990.0), wish("year", "lt", 2000.0)),
        (wish("year", "ge", 1990.0), wish("year", "le", 1990.0)),
        (wish("year", "ge", 1990.0), wish("year", "eq", 1994.0)),
        (wish("genre", "eq", "comedy"), wish("genre", "eq", "drama")),
        (wish("genre", "eq", "comedy"), wish("mood", "eq", "comedy")),
        (wish("genre", "eq", "comedy"), wish("genre", "eq", "horror", polarity="negative")),
        (wish("year", "eq", 1994.0, polarity="negative"), wish("year", "ge", 1990.0)),
        (wish(None, "about", "sharks"), wish(None, "about", "boats")),
        (wish(None, "like", "film-1"), wish(None, "like", "film-2")),
    ],
)
def test_wishes_that_go_together_stay(older: Preference, newer: Preference) -> None:
    assert names(older, newer) == {older.id, newer.id}


def test_dropping_by_id_by_attribute_and_all() -> None:
    about = wish(None, "about", "sharks")
    facts = added(COMEDY, CHEAP, about)
    assert ids(*facts, Dropped(2, "chip", preference_ids=(COMEDY.id,))) == [CHEAP.id, about.id]
    assert ids(*facts, Dropped(2, "forget the price", attributes=("price",))) == [COMEDY.id, about.id]
    assert ids(*facts, Dropped(2, "forget that", attributes=("about",))) == [COMEDY.id, CHEAP.id]
    assert ids(*facts, Dropped(2, "start over", everything=True)) == []


def test_a_wish_may_come_back_after_it_was_dropped() -> None:
    assert ids(*added(COMEDY), Dropped(2, "no", everything=True), Added(COMEDY)) == [COMEDY.id]


def test_dropping_what_is_not_there_changes_nothing() -> None:
    drop = Dropped(1, "x", preference_ids=("t9-9",), attributes=("brand",))
    assert fold((drop, *added(COMEDY))) == fold((*added(COMEDY), drop)) == (COMEDY,)


OPPOSITES = [("eq", "ne"), ("lt", "ge"), ("le", "gt"), ("gt", "le"), ("ge", "lt")]


@pytest.mark.parametrize(("op", "opposite"), OPPOSITES)
def test_hard_wishes_become_filters_and_negative_ones_the_complement(op: str, opposite: str) -> None:
    one = wish("year", op, 1990.0)
    assert one.as_filter() == Filter("year", op, (1990.0,), key=one.id)  # type: ignore[arg-type]
    negative = wish("year", op, 1990.0, polarity="negative")
    assert negative.as_filter() == Filter("year", opposite, (1990.0,), key=negative.id)  # type: ignore[arg-type]


def test_what_only_ranks_is_no_filter() -> None:
    assert wish("genre", "eq", "comedy", kind="soft").as_filter() is None
    assert wish(None, "about", "sharks").as_filter() is None
    assert wish(None, "like", "film-1").as_filter() is None


def test_the_value_of_the_api_is_one_or_a_list() -> None:
    assert COMEDY.value == "comedy"
    assert wish("genre", "eq", "comedy", "drama").value == ["comedy", "drama"]


_numbers = st.sampled_from([1980.0, 1990.0, 2000.0])
_bounds = st.builds(
    lambda op, value, polarity: wish("year", op, value, polarity=polarity),
    st.sampled_from(["lt", "le", "gt", "ge", "eq"]),
    _numbers,
    st.sampled_from(["positive", "negative"]),
)
_kinds = st.builds(
    lambda values, polarity: wish("genre", "eq", *values, polarity=polarity),
    st.lists(st.sampled_from(["comedy", "drama", "horror"]), min_size=1, max_size=2, unique=True),
    st.sampled_from(["positive", "negative"]),
)
_wishes = st.lists(st.one_of(_bounds, _kinds), max_size=8)


def numbered(wishes: list[Preference]) -> tuple[Added, ...]:
    from dataclasses import replace

    return tuple(Added(replace(one, id=f"t{n}-1", turn=n)) for n, one in enumerate(wishes, 1))


@given(_wishes)
def test_a_fold_of_a_fold_is_the_fold(wishes: list[Preference]) -> None:
    state = fold(numbered(wishes))
    assert fold(added(*state)) == state


@given(_wishes)
def test_the_last_wish_is_always_in_force(wishes: list[Preference]) -> None:
    state = fold(facts := numbered(wishes))
    assert (state[-1] if state else None) == (facts[-1].preference if facts else None)


@given(_wishes)
def test_no_two_wishes_in_force_rule_each_other_out(wishes: list[Preference]) -> None:
    state = fold(numbered(wishes))
    assert not [
        pair for pair in itertools.combinations(state, 2) if len(fold(added(*pair))) < 2 or fold(added(*pair)) != pair
    ]


@given(_wishes, st.data())
def test_leaving_a_removed_chip_out_is_dropping_it(wishes: list[Preference], data: st.DataObject) -> None:
    facts = numbered(wishes)
    state = fold(facts)
    if state:
        gone = data.draw(st.sampled_from(state))
        dropped = Dropped(99, "", preference_ids=(gone.id,))
        assert fold((*facts, dropped)) == tuple(one for one in state if one.id != gone.id)


@given(_wishes)
def test_starting_over_forgets_all(wishes: list[Preference]) -> None:
    facts = numbered(wishes)
    assert fold((*facts, Dropped(99, "", everything=True), *added(COMEDY))) == (COMEDY,)

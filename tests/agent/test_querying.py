"""Wishes become a query: hard ones filter, own words search, reactions are seeds."""

from small_shop import wish

from agent.querying import ATTRIBUTE_WORDS_WEIGHT, TALK_WEIGHT, build_query, disliked, filters_of
from retrieval.query import Filter, SeedItem, WeightedText


def test_no_wish_is_an_open_query() -> None:
    query = build_query([], k=7)
    assert (query.texts, query.seeds, query.filters, query.exclude, query.k) == ((), (), (), frozenset(), 7)


def test_only_hard_wishes_filter() -> None:
    hard = wish("genre", "eq", "comedy")
    never = wish("genre", "eq", "horror", polarity="negative")
    soft = wish("mood", "eq", "dark", kind="soft")
    about = wish(None, "about", "a bank robbery")
    assert filters_of([hard, never, soft, about]) == (
        Filter("genre", "eq", ("comedy",), key=hard.id),
        Filter("genre", "ne", ("horror",), key=never.id),
    )


def test_own_words_weigh_more_than_values_of_soft_wishes() -> None:
    wishes = [
        wish(None, "about", "quiet heist", kind="soft"),
        wish("mood", "eq", "dark", "tense", kind="soft"),
        wish("genre", "eq", "comedy"),
        wish("year", "lt", 1980.0, kind="soft"),
    ]
    assert build_query(wishes, k=5, extra_text="Jaws 9").texts == (
        WeightedText("quiet heist"),
        WeightedText("Jaws 9"),
        WeightedText("dark tense", ATTRIBUTE_WORDS_WEIGHT),
    )


def test_the_talk_shares_the_weight_of_what_was_understood_of_it() -> None:
    wishes = [wish(None, "about", "quiet heist", kind="soft"), wish("genre", "eq", "comedy")]
    own = ("a comedy with a quiet heist", "the Clown Prince would love it", "a heist with a bank robbery")
    assert build_query(wishes, k=5, own=own, unwanted=("a bank robbery", "clown prince")).texts == (
        WeightedText("quiet heist", 1 - TALK_WEIGHT),
        WeightedText("a comedy with a quiet heist the   would love it a heist with", TALK_WEIGHT),
    )
    assert build_query(wishes, k=5, own=("quiet heist",)).texts == (WeightedText("quiet heist"),)
    assert build_query(wishes[1:], k=5, own=own).texts == ()  # a filter alone is answered by popularity
    assert build_query(wishes, k=5, own=("x" * 9_000, "newest")).texts[1].text.endswith("newest")


def test_what_is_not_wanted_is_never_searched_for() -> None:
    wishes = [
        wish(None, "about", "clowns", polarity="negative"),
        wish("mood", "eq", "dark", kind="soft", polarity="negative"),
    ]
    assert build_query(wishes, k=5, extra_text="  ").texts == ()


def test_likes_and_reactions_are_seeds() -> None:
    wishes = [wish(None, "like", "a"), wish(None, "like", "b", polarity="negative")]
    query = build_query(wishes, k=5, accepted=["c"], rejected=frozenset({"d"}))
    assert set(query.seeds) == {SeedItem("a", 2.0), SeedItem("b", -2.0), SeedItem("c", 1.0), SeedItem("d", -1.0)}


def test_a_liked_item_stays_liked_when_it_was_rejected_before() -> None:
    query = build_query([wish(None, "like", "a")], k=5, rejected=frozenset({"a"}))
    assert query.seeds == (SeedItem("a", 2.0),)


def test_a_dislike_alone_is_no_direction() -> None:
    assert build_query([], k=5, rejected=frozenset({"d"})).seeds == ()


def test_rejected_and_shown_items_stay_away() -> None:
    query = build_query([], k=5, exclude=frozenset({"a"}), rejected=frozenset({"b"}))
    assert query.exclude == {"a", "b"}


def test_a_title_spoken_against_takes_its_series_along() -> None:
    titles = {
        "star trek": ("st",),
        "star trek into darkness": ("std",),
        "star trek: the motion picture": ("stm",),
        "star wars": ("sw",),
        "starman": ("sm",),
    }
    against = wish(None, "like", "st", polarity="negative")
    assert disliked([against], titles) == {"st", "std", "stm"}
    assert disliked([wish(None, "like", "st")], titles) == frozenset()


def test_not_a_sequel_excludes_titles_that_say_that_they_are_one() -> None:
    names = ("alien", "alien 3", "the godfather part ii", "kill bill: vol. 2", "rocky iv", "toy story 2", "rocky")
    others = ("apollo 13", "district 9", "12 angry men", "henry v", "se7en", "catch-22")
    titles = {name: (name,) for name in (*names, *others)}
    against = wish(None, "about", "sequels", kind="soft", polarity="negative")
    assert disliked([against], titles) == set(names) - {"alien", "rocky"}
    assert disliked([wish(None, "about", "sequels", kind="soft")], titles) == frozenset()


def test_a_title_that_is_denied_like_a_word_is_excluded_all_the_same() -> None:
    against = wish(None, "about", "Heat", kind="soft", polarity="negative")
    assert disliked([against], {"heat": ("h",), "the heat": ("t",)}) == {"h"}

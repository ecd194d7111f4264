"""Ranking: contributions add up, stock comes last, seeds repeat, a varied list says what variety took."""

import math
from dataclasses import replace

import numpy as np
import pytest
from small_shop import wish

from agent.preferences import Preference
from agent.ranking import (
    ASKED_LEAD,
    DIVERSITY,
    LINEAR,
    POOL,
    WEIGHTS,
    Diversity,
    Matched,
    RankingOptions,
    Slate,
    WishMasks,
    matched_slate,
    rank,
    value_of,
)
from retrieval.items import Item
from retrieval.query import BranchHit, Candidate
from retrieval.table import ItemTable
from retrieval.unlearned import ASKED


def candidates(items: tuple[Item, ...]) -> list[Candidate]:
    """Fused scores falling from 1, in the order of the catalogue."""
    return [Candidate(item.id, 1.0 / n) for n, item in enumerate(items, 1)]


WISHES = [
    wish("genre", "eq", "Comedy"),
    wish("genre", "eq", "Comedy", "Horror"),
    wish("genre", "eq", "Comedy", polarity="negative"),
    wish("year", "lt", 1980.0),
    wish("year", "lt", 1980.0, polarity="negative"),
    wish("year", "eq", 1999.0),
    wish("price", "le", 12.0, kind="soft"),
    wish("in_stock", "eq", "yes"),
    wish("director", "eq", "alfred hitchcock"),
    wish("title", "eq", "Psycho", polarity="negative"),
    wish("brand", "eq", "none has one"),
]


@pytest.mark.parametrize("one", WISHES, ids=lambda w: w.id)
def test_wish_masks_agree_with_the_exact_filters(one: Preference, film_table: ItemTable) -> None:
    condition = replace(one, kind="hard").as_filter()
    assert condition is not None
    masks = WishMasks.of([one], film_table)
    expected = film_table.mask((condition,))
    assert [masks.meets(row, one) for row in range(len(film_table))] == expected.tolist()
    assert [not masks.broken(row) for row in range(len(film_table))] == expected.tolist()


def test_words_and_likes_have_no_mask(film_table: ItemTable) -> None:
    masks = WishMasks.of([wish(None, "about", "sharks"), wish(None, "like", "film-alien-1979")], film_table)
    assert masks.wishes == ()
    assert masks.broken(0) == ()


def test_matched_names_only_the_values_that_were_wished(film_table: ItemTable, by_title: dict[str, Item]) -> None:
    wishes = [
        wish("genre", "eq", "horror", "Comedy"),
        wish("year", "lt", 1980.0),
        wish("mood", "eq", "romantic", polarity="negative"),
    ]
    alien = by_title["Alien"]
    matched = WishMasks.of(wishes, film_table).matched(alien, film_table.row_of(alien.id))
    assert matched == (Matched("genre", ("Horror",)), Matched("year", 1979.0))
    slate = matched_slate([alien], wishes, film_table)
    assert slate.entries[0].matched == matched
    assert slate.entries[0].log_propensity is None


def test_values_go_by_the_names_that_filters_use(by_title: dict[str, Item]) -> None:
    alien = by_title["Alien"]
    assert value_of(alien, "price") == 14.5
    assert value_of(alien, "in_stock") == "yes"
    assert value_of(alien, "title") == "Alien"
    assert value_of(alien, "popularity") == alien.popularity
    assert value_of(alien, "year") == 1979.0
    assert value_of(alien, "brand") is None
    assert value_of(Item("x", "X"), "price") is value_of(Item("x", "X"), "in_stock") is None


def test_contributions_add_up_to_the_score(films: tuple[Item, ...], film_table: ItemTable) -> None:
    wishes = [wish("genre", "eq", "Comedy", kind="soft"), wish("mood", "eq", "dark", kind="soft", polarity="negative")]
    slate = rank(candidates(films), wishes, film_table, RankingOptions())
    assert len(slate.considered) == len(films)
    for entry in slate.considered:
        assert entry.score == pytest.approx(math.fsum(entry.contributions.values()))
        assert set(entry.contributions) == set(WEIGHTS)
        for name, value in entry.features.items():
            assert 0.0 <= value <= 1.0
            assert entry.contributions[name] == WEIGHTS[name] * value


def test_the_order_is_by_score_then_id(films: tuple[Item, ...], film_table: ItemTable) -> None:
    slate = rank(candidates(films), [], film_table, RankingOptions(size=4))
    keys = [(-entry.score, entry.item.id) for entry in slate.considered]
    assert keys == sorted(keys)
    assert slate.entries == slate.considered[:4]
    assert all(entry.log_propensity is None for entry in slate.entries)
    twins = (Item("b", "B"), Item("a", "A"))
    tied = rank([Candidate(i.id, 0.5) for i in twins], [], ItemTable(twins), RankingOptions())
    assert [entry.item.id for entry in tied.entries] == ["a", "b"]


def test_soft_wishes_lift_and_avoided_ones_sink(films: tuple[Item, ...], film_table: ItemTable) -> None:
    flat = [Candidate(film.id, 1.0) for film in films]
    liked = rank(flat, [wish("genre", "eq", "Musical", kind="soft")], film_table, RankingOptions())
    assert "Musical" in liked.entries[0].item.attributes["genre"]  # type: ignore[operator]
    hated = rank(flat, [wish("genre", "eq", "Drama", kind="soft", polarity="negative")], film_table, RankingOptions())
    has_drama = ["Drama" in film.item.attributes["genre"] for film in hated.considered if film.item.in_stock]  # type: ignore[operator]
    assert has_drama == sorted(has_drama)


@pytest.mark.parametrize("temperature", [0.0, 0.15, 1.0])
def test_what_cannot_be_bought_comes_last(films: tuple[Item, ...], film_table: ItemTable, temperature: float) -> None:
    gone = [film for film in films if film.in_stock is False]
    assert len(gone) == 2
    best_first = [Candidate(film.id, 5.0) for film in gone] + candidates(films[:5])
    for seed in range(20):
        options = RankingOptions(size=7, temperature=temperature, seed=seed)
        slate = rank(best_first, [], film_table, options)
        assert {entry.item.id for entry in slate.entries[-2:]} == {film.id for film in gone}
    free = rank(best_first, [], film_table, RankingOptions(stock_last=False))
    assert free.entries[0].item.in_stock is False


def test_nothing_to_rank() -> None:
    assert rank([], [], ItemTable([Item("a", "A")]), RankingOptions(temperature=1.0)).entries == ()


def test_a_seed_repeats_and_another_differs(films: tuple[Item, ...], film_table: ItemTable) -> None:
    def ids(seed: int) -> list[str]:
        options = RankingOptions(temperature=1.0, seed=seed)
        slate = rank(candidates(films), [], film_table, options)
        assert slate.seed == seed
        assert slate.temperature == 1.0
        return [entry.item.id for entry in slate.entries]

    assert ids(7) == ids(7)
    assert len({tuple(ids(seed)) for seed in range(10)}) > 5


def test_exploration_stays_within_the_pool() -> None:
    items = tuple(Item(f"{n:03}", "X") for n in range(POOL + 30))
    flat = [Candidate(item.id, 1.0) for item in items]
    for seed in range(10):
        slate = rank(flat, [], ItemTable(items), RankingOptions(temperature=5.0, seed=seed))
        assert all(int(entry.item.id) < POOL for entry in slate.entries)


ALIKE = tuple(Item(name, name.upper()) for name in "abcdef")
GROUPS = np.repeat(np.eye(3, dtype=np.float32), 2, axis=0)
"""a and b are twins, and so are c and d, e and f."""


def varied(knob: float, **options: object) -> Slate:
    scores = (1.0, 0.97, 0.94, 0.91, 0.88, 0.85)
    pool = [Candidate(item.id, score) for item, score in zip(ALIKE, scores, strict=True)]
    return rank(pool, [], ItemTable(ALIKE), RankingOptions(diversity=Diversity(knob, GROUPS), **options))  # type: ignore[arg-type]


def ids(slate: Slate) -> list[str]:
    return [entry.item.id for entry in slate.entries]


def test_a_varied_list_begins_with_the_best_of_each_kind() -> None:
    assert ids(varied(0.0)) == list("abcde")
    assert ids(varied(0.01)) == list("abcde"), "a hundredth of the spread is less than what lies between"
    assert ids(varied(0.5)) == list("acebd")
    assert ids(varied(1.0, size=2)) == list("ac")
    assert [entry.item.id for entry in varied(0.5).considered] == list("abcdef"), "the ranker's order, for why not"


@pytest.mark.parametrize("temperature", [0.0, 0.3])
@pytest.mark.parametrize("spread", [1.0, 4.0])
def test_what_variety_took_is_one_contribution(temperature: float, spread: float) -> None:
    slate = varied(0.5, temperature=temperature, seed=4, ranker=replace(LINEAR, spread=spread), size=6)
    before = {entry.item.id: entry for entry in slate.considered}
    seen: set[str] = set()
    for entry in slate.entries:
        twin = {"a": "b", "b": "a", "c": "d", "d": "c", "e": "f", "f": "e"}[entry.item.id]
        took = 0.5 * spread if twin in seen else 0.0
        assert entry.contributions[DIVERSITY] == pytest.approx(-took)
        assert entry.score == pytest.approx(math.fsum(entry.contributions.values()))
        assert entry.score == pytest.approx(before[entry.item.id].score - took)
        assert DIVERSITY not in before[entry.item.id].contributions
        assert (entry.log_propensity is None) == (temperature == 0)
        seen.add(entry.item.id)


@pytest.mark.parametrize("temperature", [0.0, 0.15])
def test_a_varied_list_has_what_cannot_be_bought_last(
    films: tuple[Item, ...], film_table: ItemTable, temperature: float
) -> None:
    gone = [film for film in films if film.in_stock is False]
    same = np.ones((len(film_table), 1), dtype=np.float32)
    best_first = [Candidate(film.id, 5.0) for film in gone] + candidates(films[:5])
    for seed in range(10):
        options = RankingOptions(size=7, temperature=temperature, seed=seed, diversity=Diversity(1.0, same))
        slate = rank(best_first, [], film_table, options)
        assert {entry.item.id for entry in slate.entries[-2:]} == {film.id for film in gone}
    assert rank([], [], film_table, RankingOptions(diversity=Diversity(1.0, same))).entries == ()


def test_only_the_pool_is_varied() -> None:
    items = tuple(Item(f"{n:03}", "X") for n in range(POOL + 30))
    far_stranger = np.array([[1, 0]] * POOL + [[0, 1]] * 30, dtype=np.float32)
    options = RankingOptions(diversity=Diversity(1.0, far_stranger))
    slate = rank([Candidate(item.id, 1.0) for item in items], [], ItemTable(items), options)
    assert ids(slate) == [f"{n:03}" for n in range(5)]


def test_what_is_asked_for_by_title_comes_first_and_does_not_flatten_the_others() -> None:
    table = ItemTable([Item(name, name, popularity=100.0 * n) for n, name in enumerate("aosx")])
    asked = Candidate("a", 0.16, {ASKED: BranchHit(0.9, 1)})
    found = [asked, Candidate("o", 0.04), Candidate("s", 0.02), Candidate("x", 0.01)]
    slate = rank(found, [], table, RankingOptions())
    assert [entry.item.id for entry in slate.entries] == ["a", "o", "s", "x"]
    assert [entry.features["retrieval"] for entry in slate.entries] == pytest.approx([1 + ASKED_LEAD, 1.0, 0.5, 0.25])
    two = rank([asked, Candidate("o", 0.12, asked.branches)], [], table, RankingOptions())
    assert [entry.features["retrieval"] for entry in two.entries] == [1.0, 0.75]

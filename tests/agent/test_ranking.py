"""Ranking: contributions add up, propensities are exact, stock comes last, seeds repeat."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from small_shop import ranked, wish

from agent.preferences import Preference
from agent.ranking import (
    POOL,
    WEIGHTS,
    Matched,
    RankingOptions,
    WishMasks,
    matched_slate,
    plackett_luce,
    rank,
    value_of,
)
from retrieval.items import Item
from retrieval.query import Candidate
from retrieval.table import ItemTable


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
    from dataclasses import replace

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


FOUR = tuple(ranked(Item(name, name), score) for name, score in zip("abcd", (1.2, 0.9, 0.3, -0.4), strict=True))


def log_probability(order: tuple[int, ...], temperature: float) -> float:
    """Plackett-Luce by its definition, one position after the other."""
    weights = [math.exp(entry.score / temperature) for entry in FOUR]
    left, total = set(range(4)), 0.0
    for index in order:
        total += math.log(weights[index] / sum(weights[i] for i in left))
        left.remove(index)
    return total


@pytest.mark.parametrize("temperature", [0.3, 1.0])
def test_sampled_orders_have_the_probabilities_that_are_stored(temperature: float) -> None:
    orders = list(itertools.permutations(range(4)))
    exact = {order: math.exp(log_probability(order, temperature)) for order in orders}
    assert math.fsum(exact.values()) == pytest.approx(1.0)
    draws = 20_000
    seen: Counter[tuple[int, ...]] = Counter()
    for seed in range(draws):
        placed = plackett_luce(FOUR, 4, temperature, seed)
        order = tuple("abcd".index(entry.item.id) for entry in placed)
        seen[order] += 1
        if seed < 200:
            stored = sum(entry.log_propensity or 0.0 for entry in placed)
            assert stored == pytest.approx(log_probability(order, temperature))
    # Pearson's chi-square with 23 degrees of freedom: 49.7 is its 99.9 % point; seeds are fixed, so this is no gamble.
    chi = sum((seen[order] - draws * exact[order]) ** 2 / (draws * exact[order]) for order in orders)
    assert chi < 49.7


def test_propensities_of_a_short_slate_are_by_position() -> None:
    first, second = plackett_luce(FOUR, 2, 1.0, seed=3)
    weights = {entry.item.id: math.exp(entry.score) for entry in FOUR}
    total = sum(weights.values())
    assert first.log_propensity == pytest.approx(math.log(weights[first.item.id] / total))
    rest = total - weights[first.item.id]
    assert second.log_propensity == pytest.approx(math.log(weights[second.item.id] / rest))


def test_the_last_of_all_is_certain() -> None:
    assert plackett_luce(FOUR, 4, 0.5, seed=1)[-1].log_propensity == pytest.approx(0.0, abs=1e-12)


def test_far_apart_scores_do_not_overflow() -> None:
    far = (ranked(Item("a", "A"), 1.0), ranked(Item("b", "B"), -100.0))
    placed = plackett_luce(far, 2, 0.01, seed=0)
    assert [entry.item.id for entry in placed] == ["a", "b"]
    assert all(np.isfinite(entry.log_propensity or 0.0) for entry in placed)


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

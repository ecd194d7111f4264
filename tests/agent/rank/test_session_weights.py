"""What a session learns: the closed form is the posterior, contributions add up, and only what was said counts."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Sequence
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_shop import HashingEncoder, wish

from agent.rank.axes import Axes, Axis, values_of
from agent.rank.session import (
    CRITIQUE,
    MAX_EVIDENCE,
    PREFIX,
    WORTH,
    Critique,
    Evidence,
    Prior,
    Reacted,
    ReactionKind,
    SessionWeights,
)
from agent.ranking import LINEAR, POOL, WEIGHTS, Matrix, Pool, RankingOptions, rank
from retrieval.errors import BadRequest
from retrieval.items import Item
from retrieval.query import Candidate
from retrieval.table import ItemTable

KINDS: tuple[ReactionKind, ...] = tuple(WORTH)


def axes_of(items: Sequence[Item]) -> Axes:
    table = ItemTable(items)
    return Axes.of(table, HashingEncoder().encode([item.document() for item in items]))


@pytest.fixture(scope="module")
def axes(films: tuple[Item, ...]) -> Axes:
    return axes_of(films)


def of_genre(axes: Axes, genre: str) -> list[Item]:
    return [item for item in axes.table.items if genre in values_of(item, "genre")]


def without_genre(axes: Axes, genre: str) -> list[Item]:
    return [item for item in axes.table.items if genre not in values_of(item, "genre")]


def total(weights: SessionWeights, item: Item) -> float:
    return float(weights.scores([item], [{}])[0])


# --- what is learned ---


def test_three_rejected_horror_films_lower_horror(axes: Axes) -> None:
    horror = of_genre(axes, "Horror")
    weights = SessionWeights.of([Reacted(item.id, "reject") for item in horror[:3]], axes)
    assert min(weights.values["genre"], key=lambda v: weights.values["genre"][v]) == "Horror"
    others = without_genre(axes, "Horror")
    unseen = horror[3:]
    assert unseen
    scores = weights.scores(list(axes.table.items), [{}] * len(axes.table))
    mean = {item.id: score for item, score in zip(axes.table.items, scores, strict=True)}
    assert np.mean([mean[i.id] for i in unseen]) < np.mean([mean[i.id] for i in others])


def test_each_further_reaction_says_less(axes: Axes) -> None:
    horror = of_genre(axes, "Horror")
    learned = [
        SessionWeights.of([Reacted(item.id, "reject") for item in horror[:n]], axes).values["genre"]["Horror"]
        for n in (1, 2, 3)
    ]
    assert 0 > learned[0] > learned[1] > learned[2]
    assert learned[2] - learned[1] > learned[1] - learned[0]


def test_liking_is_the_mirror_of_not_liking(axes: Axes) -> None:
    ids = [item.id for item in axes.table.items[:4]]
    liked = SessionWeights.of([Reacted(i, "accept") for i in ids], axes)
    disliked = SessionWeights.of([Reacted(i, "reject") for i in ids], axes)
    for item in axes.table.items:
        assert total(liked, item) == pytest.approx(-total(disliked, item))


def test_a_click_says_less_than_taking_and_buying_most(axes: Axes) -> None:
    item = axes.table.items[0]
    says = {kind: total(SessionWeights.of([Reacted(item.id, kind)], axes), item) for kind in KINDS}
    assert 0 < says["click"] < says["accept"] == says["thumb_up"] < says["buy"]
    assert says["reject"] == says["thumb_down"] == pytest.approx(-says["accept"])


def test_the_surest_reaction_to_an_item_counts_and_of_equals_the_latest(axes: Axes) -> None:
    one = axes.table.ids[0]

    def of(*kinds: ReactionKind) -> float:
        return total(SessionWeights.of([Reacted(one, kind) for kind in kinds], axes), axes.table.items[0])

    assert of("click", "accept", "click") == of("accept")
    assert of("accept", "reject") == of("reject")
    assert of("reject", "accept") == of("accept")
    assert of("buy", "reject") == of("buy")


def test_what_all_items_have_is_no_taste() -> None:
    items = [Item(f"i{n}", "", attributes={"language": "English", "genre": "AB"[n % 2]}) for n in range(10)]
    weights = SessionWeights.of([Reacted("i0", "reject"), Reacted("i2", "reject")], axes_of(items))
    assert weights.values["language"]["English"] == 0
    assert weights.values["genre"]["A"] < 0
    assert f"{PREFIX}language=English" not in weights.contributions([items[0]], [{}])[0]


def test_nothing_said_teaches_nothing(axes: Axes) -> None:
    for evidence in ((), (Reacted("gone from the catalogue", "accept"),)):
        weights = SessionWeights.of(evidence, axes)
        assert not weights.scores(list(axes.table.items), [{}] * len(axes.table)).any()
        assert weights.contributions(axes.table.items[:3], [{}] * 3) == ({}, {}, {})


def test_what_a_filter_keeps_to_already_is_a_leaning(axes: Axes) -> None:
    free, bound = (SessionWeights.of([Critique("price", -1, is_bound=each)], axes) for each in (False, True))
    assert free.numbers["price"] < 3 * bound.numbers["price"] < 0


def test_cheaper_favours_the_cheap_whatever_was_shown(axes: Axes) -> None:
    by_price = sorted(axes.table.items, key=lambda item: item.price or Decimal(0))
    weights = SessionWeights.of([Critique("price", -1)], axes)
    assert total(weights, by_price[0]) > 0 > total(weights, by_price[-1])
    assert set(weights.contributions([by_price[0]], [{}])[0]) == {f"{PREFIX}price"}
    assert not SessionWeights.of([Critique("no such number", 1)], axes).numbers


def test_only_the_latest_evidence_counts() -> None:
    items = [Item(f"i{n:04}", "", attributes={"g": str(n % 5)}) for n in range(MAX_EVIDENCE + 20)]
    axes = axes_of(items)
    all_of_them = [Reacted(item.id, "accept" if n % 3 else "reject") for n, item in enumerate(items)]
    assert (
        SessionWeights.of(all_of_them, axes).values
        == SessionWeights.of(all_of_them[-MAX_EVIDENCE:], axes).values
        != SessionWeights.of(all_of_them[:MAX_EVIDENCE], axes).values
    )


# --- the closed form ---


def evidence_of(axes: Axes) -> st.SearchStrategy[list[Evidence]]:
    reacted = st.builds(
        Reacted,
        st.sampled_from(axes.table.ids),
        st.sampled_from(KINDS),
        st.fixed_dictionaries({"popularity": st.floats(0, 1)}),
    )
    critique = st.builds(Critique, st.sampled_from(sorted(axes.numbers)), st.sampled_from([-1, 1]))
    one: st.SearchStrategy[Evidence] = reacted | critique
    return st.lists(one, max_size=12, unique_by=lambda e: e.item_id if isinstance(e, Reacted) else str(e))


@pytest.fixture(scope="module")
def few(films: tuple[Item, ...]) -> Axes:
    return axes_of(films[:12])


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_the_weights_are_the_posterior_mean_of_bayesian_regression(few: Axes, data: st.DataObject) -> None:
    """Against the textbook form in the space of the weights: (X'X/s² + V⁻¹) w = X'y/s² + V⁻¹m, bias among them."""
    evidence = data.draw(evidence_of(few))
    adjusted = {Axis("value", "genre", "Horror"): 0.5, Axis("number", "year"): -0.2}
    prior = Prior(gain=1.5, features={"popularity": 0.4})
    columns = [
        Axis("value", name, value) for name in few.texts for value in few.table.shape.attributes[name].values or {}
    ]
    columns += [Axis("number", name) for name in few.numbers] + [Axis("feature", "popularity")]
    dim, n = few.vectors.shape[1], len(evidence)
    design = np.zeros((n, len(columns) + dim + 1))
    for row, one in enumerate(evidence):
        if isinstance(one, Critique):
            design[row, columns.index(Axis("number", one.name))] = one.direction
            continue
        item = few.table.get(one.item_id)
        for column, axis in enumerate(columns):
            own = values_of(item, axis.name) if axis.kind == "value" else ()
            if axis.kind == "value":
                design[row, column] = (axis.value in own) / math.sqrt(len(own) or 1)
            elif axis.kind == "number":
                design[row, column] = few.standard(item, axis.name)
            else:
                design[row, column] = one.features["popularity"]
        design[row, len(columns) : -1] = few.vectors[few.table.row_of(item.id)] - few.centre
        design[row, -1] = 1
    variance = [max(prior.variance(axis, few), 1e-12) for axis in columns]
    precision = np.diag(1 / np.array([*variance, *[prior.description**2] * dim, prior.bias**2]))
    mean = np.array([adjusted.get(axis, 0.0) for axis in columns] + [0.0] * (dim + 1))
    worth = [WORTH[one.kind] if isinstance(one, Reacted) else CRITIQUE for one in evidence]
    noise = np.diag([1 / one.noise for one in worth]) if n else np.zeros((0, 0))
    target = np.array([one.target for one in worth])
    posterior = np.linalg.solve(design.T @ noise @ design + precision, design.T @ noise @ target + precision @ mean)
    weights = SessionWeights.of(evidence, few, prior, adjusted)
    for axis, expected in zip(columns, 1.5 * posterior, strict=False):
        table = {"value": weights.values.get(axis.name, {}), "number": weights.numbers, "feature": weights.features}
        got = table[axis.kind].get(axis.value if axis.kind == "value" else axis.name, 0.0)
        assert got == pytest.approx(expected, abs=1e-6)
    described = np.zeros(dim) if weights.description is None else weights.description
    assert described == pytest.approx(1.5 * posterior[len(columns) : -1], abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_it_is_a_fold_whatever_the_order(axes: Axes, data: st.DataObject) -> None:
    evidence = data.draw(evidence_of(axes))
    shuffled = data.draw(st.permutations(evidence))
    items, features = list(axes.table.items), [{"popularity": 0.5}] * len(axes.table)
    one, other = SessionWeights.of(evidence, axes), SessionWeights.of(shuffled, axes)
    assert one.contributions(items, features) == other.contributions(items, features)


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_contributions_add_up_to_the_score(axes: Axes, data: st.DataObject) -> None:
    weights = SessionWeights.of(data.draw(evidence_of(axes)), axes)
    items, features = list(axes.table.items), [{"popularity": 0.1}] * len(axes.table)
    scores = weights.scores(items, features)
    for score, parts in zip(scores, weights.contributions(items, features), strict=True):
        assert math.fsum(parts.values()) == pytest.approx(score, abs=1e-12)
        assert all(name.startswith(PREFIX) for name in parts)


def test_names_that_meet_still_add_up() -> None:
    items = [Item(f"i{n}", f"word{n}", attributes={"description": float(n), "a=b": "c"}) for n in range(6)]
    weights = SessionWeights.of([Reacted("i0", "accept"), Reacted("i5", "reject")], axes_of(items))
    for item, parts in zip(items, weights.contributions(items, [{}] * 6), strict=True):
        assert math.fsum(parts.values()) == pytest.approx(total(weights, item))


@pytest.mark.parametrize(
    "items",
    [
        [Item("a", "A"), Item("b", "B")],
        [Item("a", "A", attributes={"x": float("nan")}), Item("b", "B", attributes={"x": 1.0})],
        [Item("a", "A", attributes={"x": 3.0}), Item("b", "B", attributes={"x": 3.0})],
        [Item("a", "A", attributes={"x": ()}), Item("b", "B", attributes={"x": ("y", "y", "z")})],
        [Item("a", "A", attributes={"x": 3.0}), Item("b", "B", attributes={"x": "stray"})],
    ],
    ids=["bare", "nan", "constant", "repeated values", "mixed"],
)
def test_odd_catalogues(items: list[Item]) -> None:
    weights = SessionWeights.of([Reacted("a", "accept"), Reacted("b", "reject")], axes_of(items))
    first, second = weights.scores(items, [{}, {}])
    assert math.isfinite(first)
    assert first > second


# --- adjustments of the prior ---


def test_an_adjustment_holds_until_reactions_speak_against_it(axes: Axes) -> None:
    horror = Axis("value", "genre", "Horror")
    told = SessionWeights.of((), axes, adjustments={horror: 0.8})
    assert told.values == {"genre": {"Horror": pytest.approx(0.8 * Prior().gain)}}
    rejected = [Reacted(item.id, "reject") for item in of_genre(axes, "Horror")[:3]]
    after = SessionWeights.of(rejected, axes, adjustments={horror: 0.8}).values["genre"]["Horror"]
    assert after < told.values["genre"]["Horror"]
    assert after > SessionWeights.of(rejected, axes).values["genre"]["Horror"]


@pytest.mark.parametrize(
    ("axis", "mean"),
    [
        (Axis("value", "genre", "Telenovela"), 0.5),
        (Axis("value", "shoe size", "40"), 0.5),
        (Axis("number", "genre"), 0.5),
        (Axis("feature", "out_of_stock"), 0.5),
        (Axis("number", "year"), 1.01),
        (Axis("number", "year"), float("nan")),
        (Axis("number", "year"), float("-inf")),
    ],
    ids=str,
)
def test_an_adjustment_that_is_none_is_refused(axes: Axes, axis: Axis, mean: float) -> None:
    with pytest.raises(BadRequest, match=str(axis).replace(".", r"\.")):
        SessionWeights.of((), axes, adjustments={axis: mean})


# --- in the ranking ---


def candidates(axes: Axes) -> list[Candidate]:
    return [Candidate(item_id, 1.0 / n) for n, item_id in enumerate(axes.table.ids, 1)]


def test_the_session_moves_the_list_and_the_contributions_say_why(axes: Axes) -> None:
    evidence = [Reacted(item.id, "reject") for item in of_genre(axes, "Horror")[:3]]
    session = SessionWeights.of(evidence, axes)
    wishes = [wish("genre", "eq", "Comedy", kind="soft")]
    plain = rank(candidates(axes), wishes, axes.table, RankingOptions())
    moved = rank(candidates(axes), wishes, axes.table, RankingOptions(session=session))
    scores = {entry.item.id: entry.score for entry in plain.considered}
    assert [entry.item.id for entry in moved.considered] != [entry.item.id for entry in plain.considered]
    for entry in moved.considered:
        assert entry.score == pytest.approx(math.fsum(entry.contributions.values()))
        learned = {name: part for name, part in entry.contributions.items() if name.startswith(PREFIX)}
        assert set(entry.contributions) - set(learned) == set(WEIGHTS)
        assert entry.score - scores[entry.item.id] == pytest.approx(math.fsum(learned.values()))
        if "Horror" in values_of(entry.item, "genre"):
            assert learned[f"{PREFIX}genre=Horror"] < 0


def test_propensities_are_those_of_the_final_scores(axes: Axes) -> None:
    """Over all orders they sum to 1, and lists come up as often as they say."""
    session = SessionWeights.of([Reacted(axes.table.ids[9], "accept"), Reacted(axes.table.ids[8], "reject")], axes)
    four = candidates(axes)[:4]
    final = {e.item.id: e.score for e in rank(four, [], axes.table, RankingOptions(session=session)).considered}
    temperature = 0.5

    def probability(order: Sequence[str]) -> float:
        chance, left = 1.0, list(final)
        for item_id in order:
            chance *= math.exp(final[item_id] / temperature) / sum(math.exp(final[i] / temperature) for i in left)
            left.remove(item_id)
        return chance

    orders = list(itertools.permutations(final))
    assert math.fsum(probability(order) for order in orders) == pytest.approx(1.0)
    draws = 1_500
    seen = dict.fromkeys(orders, 0)
    for seed in range(draws):
        options = RankingOptions(4, temperature, seed, session=session)
        entries = rank(four, [], axes.table, options).entries
        order = tuple(entry.item.id for entry in entries)
        seen[order] += 1
        stored = sum(entry.log_propensity or 0.0 for entry in entries)
        assert stored == pytest.approx(math.log(probability(order)))
    common = [order for order in orders if draws * probability(order) >= 5]
    chi = sum((seen[o] - draws * probability(o)) ** 2 / (draws * probability(o)) for o in common)
    assert chi < 49.7  # the 99.9 % point with 23 degrees of freedom; seeds are fixed


class Backwards:
    """A ranker of another kind: one feature, a base, scores on another scale."""

    names: tuple[str, ...] = ("place",)
    spread = 10.0

    def features(self, pool: Pool) -> Matrix:
        return np.arange(len(pool.items), dtype=np.float64)[:, None]

    def scores(self, features: Matrix) -> Matrix:
        scores: Matrix = 2 * features[:, 0] + 7
        return scores

    def contributions(self, features: Matrix) -> Matrix:
        return np.hstack([2 * features, np.full((len(features), 1), 7.0)])


def test_another_ranker_is_corrected_alike(axes: Axes) -> None:
    session = SessionWeights.of([Reacted(axes.table.ids[0], "accept")], axes)
    options = RankingOptions(ranker=Backwards(), session=session, stock_last=False)
    alone = rank(candidates(axes), [], axes.table, RankingOptions(ranker=Backwards(), stock_last=False))
    assert [entry.item.id for entry in alone.considered] == list(reversed(axes.table.ids))
    assert alone.considered[0].contributions["base"] == 7.0
    for entry in rank(candidates(axes), [], axes.table, options).considered:
        learned = session.scores([entry.item], [{}])[0]
        place = axes.table.row_of(entry.item.id)
        assert entry.score == pytest.approx(2 * place + 7 + 10 * learned)
        assert entry.score == pytest.approx(math.fsum(entry.contributions.values()))
        assert entry.features == {"place": place, "out_of_stock": 0.0}


def test_only_what_may_be_shown_is_explained() -> None:
    items = tuple(Item(f"{n:03}", "X") for n in range(POOL + 5))
    flat = [Candidate(item.id, 1.0) for item in items]
    considered = rank(flat, [], ItemTable(items), RankingOptions(ranker=LINEAR)).considered
    assert [bool(entry.contributions) for entry in considered] == [True] * POOL + [False] * 5


def test_an_update_is_quick() -> None:
    """Twenty reactions and 200 candidates with thirty values each; a list has to follow within 50 ms."""
    random = np.random.default_rng(0)
    items = []
    for n in range(200):
        values = {f"a{k}": tuple(f"v{v}" for v in random.choice(40, 6, replace=False)) for k in range(5)}
        items.append(Item(f"i{n}", f"title {n}", attributes={**values, "year": float(random.integers(1950, 2020))}))
    axes = axes_of(items)
    evidence = [Reacted(item.id, KINDS[n % len(KINDS)]) for n, item in enumerate(items[:20])]
    found = [Candidate(item.id, 1.0 / n) for n, item in enumerate(items, 1)]
    times = []
    for _ in range(10):
        started = time.process_time()
        rank(found, [], axes.table, RankingOptions(session=SessionWeights.of(evidence, axes)))
        times.append(time.process_time() - started)
    assert min(times) < 0.05

"""A whole search: exact filters, branches, seeds, what happens when a part fails."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from retrieval_doubles import HashingEncoder, odd_items, shop_items

from retrieval.branches.base import Cues, Scores
from retrieval.branches.cues import read_cues
from retrieval.branches.linker import EntityLinker
from retrieval.encoder import FloatArray
from retrieval.errors import IndexUnavailable, ModelUnavailable, NotFound
from retrieval.index import build_index, open_index
from retrieval.items import Item
from retrieval.query import Candidate, Filter, Query, SeedItem, WeightedText
from retrieval.search import Further, Retriever

Opener = Callable[[Sequence[Item]], Retriever]


def ids(candidates: Sequence[Candidate]) -> list[str]:
    return [one.item_id for one in candidates]


def text(words: str, **others: object) -> Query:
    return Query(texts=(WeightedText(words),), **others)  # type: ignore[arg-type]


def bounds(retriever: Retriever, share: float) -> Filter:
    """A filter on the id that leaves `share` of the items, spread by chance over the catalogue."""
    rng = np.random.default_rng(11)
    n = len(retriever.table)
    return Filter("id", "eq", tuple(retriever.table.ids[row] for row in rng.permutation(n)[: round(n * share)]))


@pytest.mark.parametrize("share", [0.5, 0.1, 0.01, 0.001])
@pytest.mark.parametrize("words", ["a detective in the city", "w3 w77 war love"])
def test_a_filtered_branch_equals_the_full_scan_filtered(big: Retriever, share: float, words: str) -> None:
    table, k = big.table, 200
    one = bounds(big, share)
    allowed = table.mask([one])
    assert allowed.sum() == round(len(table) * share)
    found = big.search(text(words, filters=(one,), k=k))

    # The scan by hand shares no code with the branches: all cosines and all BM25 scores, sorted, then filtered.
    cosines = np.array([float(np.vecdot(vector, big.encoder.encode([words])[0])) for vector in big.dense.vectors])
    words_scores = big.lexical.scores(words, allowed)
    expected: dict[str, list[int]] = {}
    for branch, scores in (("dense", cosines), ("lexical", words_scores)):
        order = sorted(range(len(table)), key=lambda row: (-scores[row], table.ids[row]))
        expected[branch] = [row for row in order if allowed[row] and (branch == "dense" or scores[row] > 0)][:k]
    fused: dict[str, float] = {}
    for rows in expected.values():
        for rank, row in enumerate(rows, start=1):
            fused[table.ids[row]] = fused.get(table.ids[row], 0.0) + 1 / (60 + rank)
    assert ids(found.candidates) == sorted(fused, key=lambda item_id: (-fused[item_id], item_id))[:k]
    for candidate in found.candidates:
        for branch, hit in candidate.branches.items():
            assert table.ids[expected[branch][hit.rank - 1]] == candidate.item_id


@pytest.mark.parametrize("year", [1950, 1990, 2010])
def test_filters_by_attribute_and_exclusions_hold_for_every_candidate(big: Retriever, year: int) -> None:
    filters = (Filter("year", "ge", (year,)), Filter("genres", "ne", ("Drama", "g3")))
    first = big.search(text("war love", filters=filters)).candidates
    assert 0 < len(first) <= 200
    again = big.search(text("war love", filters=filters, exclude=frozenset(ids(first)[:50]))).candidates
    assert not set(ids(again)) & set(ids(first)[:50])
    mask = big.table.mask(filters)
    for candidate in (*first, *again):
        assert mask[big.table.row_of(candidate.item_id)]
    assert len(set(ids(first))) == len(first)


def test_fewer_matches_than_k_come_back_whole(big: Retriever) -> None:
    one = bounds(big, 0.01)
    assert set(ids(big.search(text("anything", filters=(one,))).candidates)) == set(one.values)


def test_unfiltered_search_goes_through_chroma_and_agrees_with_the_scan(big: Retriever) -> None:
    found = big.search(text("a ship on the sea", k=100))
    vector = big.encoder.encode(["a ship on the sea"])[0]
    best = {big.table.ids[row] for row in np.argsort(-(big.dense.vectors @ vector))[:100]}
    dense = {one.item_id for one in found.candidates if "dense" in one.branches}
    assert not found.degraded
    assert len(dense & best) >= 0.9 * len(dense)


def test_the_branches_of_a_text(opened: Opener) -> None:
    retriever = opened(shop_items())
    result = retriever.search(text("whales"))
    assert ids(result.candidates)[:2] == ["e", "a"]
    assert set(result.candidates[0].branches) == {"dense", "lexical"}
    assert len(result.candidates) == 6  # dense ranks everything, words only what shares one


def test_a_heavier_text_wins(opened: Opener) -> None:
    retriever = opened(shop_items())

    def first(whale: float, heist: float) -> str:
        query = Query(texts=(WeightedText("whale watching boats", whale), WeightedText("quiet heist thieves", heist)))
        return retriever.search(query).candidates[0].item_id

    assert (first(5.0, 1.0), first(1.0, 5.0)) == ("e", "c")


@pytest.mark.parametrize("query", [Query(), text(""), text(" \t\u200b"), Query(seeds=(SeedItem("nobody", 2.0),))])
def test_nothing_to_go_by_is_popularity(opened: Opener, query: Query) -> None:
    result = opened(shop_items()).search(query)
    assert ids(result.candidates) == ["f", "b", "c", "a", "d", "e"]
    assert result.candidates[0].branches["popular"].score == 50


def test_popularity_respects_filters_exclusions_and_k(opened: Opener) -> None:
    retriever = opened(shop_items())
    query = Query(filters=(Filter("in_stock", "eq", ("yes",)),), exclude=frozenset({"f", "unknown"}), k=2)
    assert ids(retriever.search(query).candidates) == ["c", "a"]
    assert retriever.search(Query(k=0)).candidates == retriever.search(text("whale", k=0)).candidates == ()


def test_seeds_pull_and_push_and_never_come_back(opened: Opener) -> None:
    retriever = opened(shop_items())
    liked = retriever.search(Query(seeds=(SeedItem("a", 2.0),))).candidates
    assert ids(liked)[0] == "e"
    assert set(liked[0].branches) == {"seeds"}
    both = retriever.search(Query(seeds=(SeedItem("a", 2.0), SeedItem("f", -2.0)))).candidates
    assert "a" not in ids(both)
    assert "f" not in ids(both)
    score = {one.item_id: one.branches["seeds"].score for one in liked}
    pushed = {one.item_id: one.branches["seeds"].score for one in both}
    vectors = retriever.dense.vectors
    near_f = max(pushed, key=lambda i: float(vectors[retriever.table.row_of(i)] @ retriever.vector_of("f")))
    far_f = min(pushed, key=lambda i: float(vectors[retriever.table.row_of(i)] @ retriever.vector_of("f")))
    assert pushed[near_f] - score[near_f] < pushed[far_f] - score[far_f]


def test_only_disliked_seeds_are_left_out_and_nothing_else(opened: Opener) -> None:
    result = opened(shop_items()).search(Query(seeds=(SeedItem("f", -2.0), SeedItem("b", 0.0))))
    assert ids(result.candidates) == ["c", "a", "d", "e"]


def test_similar(opened: Opener) -> None:
    retriever = opened(shop_items())
    assert ids(retriever.similar("e", 1)) == ["a"]
    with pytest.raises(NotFound):
        retriever.similar("nobody")


ODD_TEXTS = [
    "",
    "🎬🍿",
    "مرحبا",
    "家庭电影",
    "\x00\u202e\u200b",
    "whale " * 4_000,
    "<b>dragon</b>",
    "\ud800",
    "' OR 1=1 --",
]


@pytest.mark.parametrize("words", ODD_TEXTS, ids=range(len(ODD_TEXTS)))
def test_odd_texts_on_an_odd_catalogue(opened: Opener, words: str) -> None:
    result = opened(odd_items()).search(text(words))
    assert not result.degraded
    assert len(result.candidates) == len(odd_items())


def test_odd_items_are_found_by_their_words(opened: Opener) -> None:
    retriever = opened(odd_items())
    for words, item_id in {"家庭": "chinese", "dragon": "long", "البحر": "rtl", "warm shade": "html",
                           "zerowidth": "hidden"}.items():  # fmt: skip
        assert retriever.search(text(words)).candidates[0].item_id == item_id
    assert "onerror" not in "".join(retriever.encoder.asked)  # type: ignore[attr-defined]
    assert retriever.lexical.scores("onerror evil").max() == 0  # markup is no description


class _Broken(HashingEncoder):
    def encode(self, texts: Sequence[str]) -> FloatArray:
        raise ModelUnavailable("gone")


def test_without_the_encoder_words_and_seeds_still_serve(opened: Opener) -> None:
    retriever = opened(shop_items())
    retriever.encoder = _Broken()
    result = retriever.search(text("whales", seeds=(SeedItem("c", 1.0),)))
    assert result.degraded
    assert {branch for one in result.candidates for branch in one.branches} == {"lexical", "seeds"}
    unknown = retriever.search(text("xylophone"))
    assert unknown.degraded
    assert ids(unknown.candidates)[0] == "f"  # popularity rather than nothing


def test_when_the_embedded_store_fails_the_scan_stands_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = HashingEncoder()
    retriever = open_index(build_index(shop_items(), tmp_path, encoder), encoder)
    whole = retriever.search(text("whales"))

    def broken(**_: object) -> None:
        raise RuntimeError("disk I/O error")

    monkeypatch.setattr(retriever.dense._store._collection, "query", broken)
    result = retriever.search(text("whales"))
    assert result.degraded
    assert ids(result.candidates) == ids(whole.candidates)
    with pytest.raises(IndexUnavailable, match="disk I/O error"):
        retriever.dense.nearest(retriever.vector_of("a"), k=3, id_rank=retriever.table.id_rank)
    retriever.close()


def test_threads_share_a_retriever(big: Retriever) -> None:
    queries = [text(f"w{i} love war", filters=(Filter("year", "ge", (1920 + 10 * (i % 5),)),)) for i in range(10)]
    queries += [text(f"w{i} sea") for i in range(10)]
    alone = [ids(big.search(query).candidates) for query in queries]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda query: ids(big.search(query).candidates), queries))
    assert together == alone


class _Said:
    """A branch that puts the rows that it is told in front, and remembers its cues."""

    def __init__(self, **signals: Scores) -> None:
        self.signals = signals
        self.cues: list[Cues] = []

    def scores(self, cues: Cues) -> Mapping[str, Scores]:
        self.cues.append(cues)
        return {name.replace("__", "."): scores for name, scores in self.signals.items()}


class _Failing:
    def scores(self, cues: Cues) -> Mapping[str, Scores]:
        raise IndexError("no such row")


def scored(retriever: Retriever, **values: float) -> Scores:
    rows = retriever.table.rows_of(values)
    return Scores(rows, np.array(list(values.values()), dtype=np.float32))


def test_a_further_branch_is_fused_under_its_signals_names(opened: Opener) -> None:
    retriever = opened(shop_items())
    branch = _Said(toy__one=scored(retriever, f=2.0, d=3.0, a=1.0), toy__two=scored(retriever, d=1.0))
    retriever.further = Further((branch,))
    found = retriever.search(text("whales", filters=(Filter("id", "ne", ("f",)),), exclude=frozenset("b"), k=2))
    hits = {one.item_id: one.branches for one in found.candidates}
    assert not found.degraded
    assert (hits["d"]["toy.one"].rank, hits["d"]["toy.one"].score, hits["d"]["toy.two"].rank) == (1, 3.0, 1)
    assert "f" not in ids(retriever.search(text("whales", exclude=frozenset("f"))).candidates)

    def share(**weights: float) -> float:
        retriever.further = Further((branch,), weights={name.replace("__", "."): one for name, one in weights.items()})
        found = {one.item_id: one.score for one in retriever.search(text("whales")).candidates}
        return found["d"]

    alone = share(toy=0.0)
    assert share(toy=1.0) == pytest.approx(alone + 2 / 61)
    assert share(toy=1.0, toy__two=3.0) == pytest.approx(alone + 4 / 61)


def test_a_weak_signal_counts_less(opened: Opener) -> None:
    retriever = opened(shop_items())

    def share(strength: float) -> float:
        retriever.further = Further((_Said(toy=replace(scored(retriever, d=1.0), strength=strength)),))
        return {one.item_id: one.score for one in retriever.search(text("whales")).candidates}["d"]

    assert share(1.0) - share(0.5) == pytest.approx(0.5 / 61)


def test_where_only_a_further_branch_has_something_popularity_orders_what_it_leaves_alike(opened: Opener) -> None:
    retriever = opened(shop_items())
    open_query = Query(filters=(Filter("id", "ne", ("f",)),), k=50)
    popular = ids(retriever.search(open_query).candidates)
    retriever.further = Further((_Said(toy=scored(retriever, **dict.fromkeys(popular, 1.0))),))
    assert ids(retriever.search(open_query).candidates) == popular
    retriever.further = Further((_Said(toy=scored(retriever, **{popular[-1]: 1.0})),))
    assert ids(retriever.search(open_query).candidates)[0] == popular[-1]


def test_cues_are_read_once_and_the_encoder_runs_once(opened: Opener) -> None:
    retriever = opened(shop_items())
    calls: list[int] = []
    encode = retriever.encoder.encode
    retriever.encoder.encode = lambda texts: calls.append(len(texts)) or encode(texts)  # type: ignore[method-assign, func-returns-value]
    one, other, linker = _Said(), _Said(), EntityLinker(retriever.table)
    retriever.further = Further((one, other), lambda query: read_cues(query, linker, retriever.table))
    query = text("whales", turns=("Hi!", "have you got Space Whales?"), seeds=(SeedItem("b", -2.0),))
    retriever.search(query)
    assert calls == [2]  # the text and the turns, in one pass
    assert one.cues == other.cues
    cues = one.cues[0]
    assert cues.query is query
    assert cues.seeds[retriever.table.row_of("a")] > 0 > cues.seeds[retriever.table.row_of("b")]
    assert cues.vector is not None
    assert np.array_equal(cues.vector, encode([cues.text])[0])
    retriever.search(text("whales"))
    assert (calls, one.cues[1].text) == ([2, 1], "whales")
    retriever.further = Further((one,), lambda query: read_cues(query, linker, retriever.table), with_vector=False)
    retriever.search(query)
    assert (calls, one.cues[2].text, one.cues[2].vector) == ([2, 1, 1], cues.text, None)


def test_a_branch_that_fails_is_left_out(opened: Opener) -> None:
    retriever = opened(shop_items())
    plain = retriever.search(text("whales"))
    retriever.further = Further((_Failing(), _Said(toy=scored(retriever, d=1.0))))
    found = retriever.search(text("whales"))
    assert found.degraded
    assert {"dense", "lexical", "toy"} == {name for one in found.candidates for name in one.branches}

    def unreadable(query: Query) -> Cues:
        raise ValueError("odd")

    retriever.further = Further((_Said(toy=scored(retriever, d=1.0)),), unreadable)
    again = retriever.search(text("whales"))
    assert again.degraded
    assert again.candidates == plain.candidates

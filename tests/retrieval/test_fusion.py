"""Reciprocal-rank fusion against numbers worked out by hand."""

import numpy as np
import pytest

from retrieval.fusion import RankedList, fuse, shared_places, top_rows


def test_the_sum_of_reciprocal_ranks() -> None:
    dense = RankedList("dense", [("a", 0.9), ("b", 0.8), ("c", 0.7)])
    lexical = RankedList("lexical", [("c", 12.0), ("d", 3.0)], weight=2.0)
    fused = fuse([dense, lexical], k=10)
    # c: 1/63 + 2/61, d: 2/62, a: 1/61, b: 1/62
    assert [(one.item_id, one.score) for one in fused] == [
        ("c", pytest.approx(0.0486599, abs=1e-7)),
        ("d", pytest.approx(0.0322581, abs=1e-7)),
        ("a", pytest.approx(0.0163934, abs=1e-7)),
        ("b", pytest.approx(0.0161290, abs=1e-7)),
    ]
    assert (fused[0].branches["dense"].rank, fused[0].branches["lexical"].rank) == (3, 1)
    assert fused[0].branches["lexical"].score == 12.0
    assert set(fused[1].branches) == {"lexical"}


def test_ties_go_by_id_and_k_cuts() -> None:
    lists = [RankedList("dense", [("b", 1.0)]), RankedList("lexical", [("a", 1.0)])]
    assert [one.item_id for one in fuse(lists, k=2)] == ["a", "b"]
    assert [one.item_id for one in fuse(reversed(lists), k=1)] == ["a"]
    assert fuse(lists, k=0) == fuse([], k=5) == ()


def test_a_branch_in_two_lists_keeps_its_best_rank() -> None:
    fused = fuse([RankedList("dense", [("a", 0.5), ("b", 0.4)]), RankedList("dense", [("b", 0.6)])], k=5)
    assert fused[0].item_id == "b"
    assert (fused[0].branches["dense"].rank, fused[0].branches["dense"].score) == (1, 0.6)


def test_top_rows_breaks_ties_also_at_the_cut() -> None:
    rows = np.array([4, 1, 3, 0], dtype=np.int32)
    scores = np.array([1.0, 2.0, 1.0, 1.0], dtype=np.float32)
    id_rank = np.array([2, 4, 3, 0, 1], dtype=np.int32)
    best, best_scores = top_rows(rows, scores, 3, id_rank)
    assert best.tolist() == [1, 3, 4]
    assert best_scores.tolist() == [2.0, 1.0, 1.0]
    assert len(top_rows(rows, scores, 9, id_rank)[0]) == 4
    assert len(top_rows(rows, scores, 0, id_rank)[0]) == len(top_rows(rows[:0], scores[:0], 3, id_rank)[0]) == 0


def test_equal_scores_share_the_mean_of_their_places_also_behind_the_cut() -> None:
    everything = np.array([1, 3, 2, 1, 2, 1, 1], dtype=np.float32)
    best = -np.sort(-everything)
    assert shared_places(best, everything) == [1, 2.5, 2.5, 5.5, 5.5, 5.5, 5.5]
    assert shared_places(best[:4], everything) == [1, 2.5, 2.5, 5.5]
    assert shared_places(best[:2], everything) == [1, 2.5]
    assert shared_places(best[:0], everything) == []
    shared = RankedList("names.genre", [("a", 1.0), ("b", 1.0)], places=[500.5, 500.5])
    alone = RankedList("dense", [("c", 0.3)])
    fused = fuse([shared, alone], k=3)
    assert [one.item_id for one in fused] == ["c", "a", "b"]
    assert fused[1].score == fused[2].score == pytest.approx(1 / 560.5)
    assert [one.branches["names.genre"].rank for one in fused[1:]] == [1, 2]

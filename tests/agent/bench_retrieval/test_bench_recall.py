"""Recall, its intervals and paired differences, on lists whose right score is known by construction."""

from __future__ import annotations

import pytest

from agent.bench.retrieval.dialogues import Ranked, Row
from agent.bench.retrieval.recall import compare, score, share_found
from retrieval.errors import BadRequest


def row(number: int, *targets: str, mentioned: tuple[str, ...] = (), dialogue: str = "") -> Row:
    return Row(f"r{number}", dialogue or f"d{number}", (), mentioned, targets, "", None)


def ranked(number: int, *items: str) -> Ranked:
    return Ranked(f"r{number}", items, 1.0)


def test_each_target_is_a_label_and_mentioned_items_leave_the_list() -> None:
    rows = [row(1, "a", "b", mentioned=("x", "b")), row(2, "c"), row(3, "d"), row(4, "e")]
    lists = [ranked(1, "x", "b", "a"), ranked(2, "y", "c"), ranked(3, *(f"n{n}" for n in range(49)), "d")]
    novel = score(rows, lists)
    assert (novel.n, novel.n_dialogues) == (4, 4)  # b was mentioned
    assert {cutoff: one.value for cutoff, one in novel.recall.items()} == {1: 0.25, 10: 0.5, 50: 0.75}
    assert novel.mrr.value == round((1 + 1 / 2 + 1 / 50) / 4, 4)
    everything = score(rows, lists, "all")
    assert everything.n == 5
    assert everything.recall[1].value == 0.0  # nothing leaves the list
    assert everything.recall[10].value == 0.6


def test_an_id_twice_in_a_list_counts_once() -> None:
    assert score([row(1, "a")], [ranked(1, "x", "x", "x", "a")]).mrr.value == 0.5


def test_the_interval_draws_dialogues_and_not_labels() -> None:
    """40 labels of 2 dialogues, one all hit and one all missed, are two coins, not forty."""
    rows = [row(n, "a", dialogue=f"d{n % 2}") for n in range(40)]
    lists = [ranked(n, "a") for n in range(0, 40, 2)]
    together = score(rows, lists).recall[1]
    assert (together.value, together.low, together.high) == (0.5, 0.0, 1.0)
    apart = score([row(n, "a") for n in range(40)], lists).recall[1]
    assert 0.3 < apart.low < 0.4
    assert 0.6 < apart.high < 0.7


def test_two_systems_are_compared_label_by_label() -> None:
    rows = [row(n, "a") for n in range(100)]
    worse = [ranked(n, "x", "a") for n in range(100)]
    better = [ranked(n, *(("a", "x") if n < 30 else ("x", "a"))) for n in range(100)]
    gain = compare(rows, worse, better)
    assert gain.recall[1].value == 0.3
    assert 0.2 < gain.recall[1].low < gain.recall[1].high < 0.4
    assert (gain.recall[10].low, gain.recall[10].high) == (0.0, 0.0)  # paired: no difference, no width
    assert compare(rows, better, worse).recall[1].value == -0.3


def test_equal_lists_give_equal_figures() -> None:
    rows, lists = [row(n, "a") for n in range(9)], [ranked(n, "a") for n in range(4)]
    assert score(rows, lists) == score(rows, lists)


def test_rows_without_labels_are_refused() -> None:
    with pytest.raises(BadRequest, match="No row has a label"):
        score([row(1, "a", mentioned=("a",))], [])


def test_what_is_found_at_all_is_a_share_of_labels() -> None:
    rows = [row(1, "a", "b", mentioned=("b",)), row(2, "c", "d"), row(3)]
    found = [{"b"}, ["d", "c"], ()]
    assert share_found(rows, found).value == round(2 / 3, 4)
    assert share_found(rows, found, "all").value == 0.75
    with pytest.raises(BadRequest, match="No row has a label"):
        share_found([row(3)], [()])

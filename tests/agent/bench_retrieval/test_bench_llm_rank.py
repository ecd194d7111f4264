from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from judging_engine import JudgingEngine

from agent.bench.retrieval import llm_rank
from agent.bench.retrieval.dialogues import Ranked, Row, Said
from agent.bench.retrieval.llm_rank import LlmRankReport, compare_ways, reordered
from agent.llm.protocol import Prompt
from agent.rank.llm import Way
from retrieval.errors import BadRequest, EngineError
from retrieval.items import Item

ITEMS = {f"i{n}": Item(f"i{n}", f"Film number {n:02}") for n in range(60)}
ROWS = tuple(
    Row(f"r{n}", f"d{n // 2}", (Said("user", f"I want number {n:02}"),), ("i59",), (f"i{n}",), "", None)
    for n in range(40)
)
LISTS = tuple(
    Ranked(row.id, ("i59", *(f"i{(n + step) % 50}" for step in range(-3, 37)), "gone"), 0.0)
    for n, row in enumerate(ROWS)
)
"""What is wanted stands on place 4, behind what is spoken of and taken out."""


def knows(prompt: Prompt, text: str) -> float:
    """The film whose number was said."""
    said = prompt.messages[1].text.split("I want number ")[-1][:2]
    return float(f"number {said}" in text) if said.isdigit() else 0.0


def always_the_same(prompt: Prompt, text: str) -> float:
    return 1.0


def run(rule: Callable[[Prompt, str], float], ways: tuple[Way, ...] = ("verdicts",), n: int = 10) -> LlmRankReport:
    return asyncio.run(compare_ways(ROWS, ITEMS, LISTS, JudgingEngine(rule), ways, n))


def test_a_model_that_knows_puts_it_first() -> None:
    report = run(knows, ("titles", "verdicts"))
    assert (report.rows, report.n, report.model, report.adapter) == (40, 10, "judge", None)
    assert (report.ranker.recall[1].value, report.ranker.recall[10].value) == (0.0, 1.0)
    assert report.ceiling.recall[1].value == 1.0
    assert 0.0 < report.chance.recall[1].value < 0.4
    for way in report.ways:
        assert way.alone.scores.recall[1].value == way.fused.scores.recall[1].value == 1.0
        assert way.alone.gain.recall[1].low == 1.0
        assert min(way.weights) > 0
        assert (way.unanswered, way.ms_p50 <= way.ms_p95) == (0, True)


def test_a_model_that_says_nothing_changes_nothing() -> None:
    (way,) = run(always_the_same).ways
    assert way.alone.scores == way.fused.scores == run(knows).ranker
    assert set(way.weights) == {0.0}


def test_a_model_that_is_wrong_is_not_weighed_in() -> None:
    (way,) = run(lambda prompt, text: -knows(prompt, text)).ways
    assert way.alone.gain.recall[10].value == 0.0
    assert way.alone.gain.mrr.high < 0
    assert way.fused.gain.mrr.value == 0.0


def test_the_weight_of_a_training_is_taken_as_it_is() -> None:
    """No choice is made on the rows that are scored: a prior that trusts the ranker too much is not corrected."""
    for prior, first in ((0.1, 1.0), (50.0, 0.0)):
        report = asyncio.run(compare_ways(ROWS, ITEMS, LISTS, JudgingEngine(knows), ("titles", "verdicts"), 10, prior))
        titles, verdicts = report.ways
        assert report.prior == prior
        assert titles.trained is None, "the training was of another way"
        assert verdicts.trained is not None
        assert verdicts.trained.scores.recall[1].value == first
        assert verdicts.kept is (first == 1.0)
        assert verdicts.fused.scores.recall[1].value == 1.0


def test_a_way_is_kept_where_it_is_better_and_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(knows).ways[0].kept
    assert not run(always_the_same).ways[0].kept
    monkeypatch.setattr(llm_rank, "MAX_MS", 0.0)
    assert not run(knows).ways[0].kept
    monkeypatch.setattr(llm_rank, "MAX_MS", 1e9)
    monkeypatch.setattr(llm_rank, "MIN_GAIN", 0.99)
    assert not run(knows).ways[0].kept


def test_an_untuned_model_is_kept_for_what_it_adds_where_it_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    """There it has a small weight, whatever weight would suit it best here."""
    monkeypatch.setattr(llm_rank, "MIN_GAIN", 0.3)
    titles, verdicts = run(knows, ("titles", "verdicts")).ways
    assert verdicts.fused.gain.mrr.value > 0.3
    assert titles.kept
    assert not verdicts.kept


def test_the_share_of_each_place_is_told_of_labels_alone() -> None:
    def likes_the_second(prompt: Prompt, text: str) -> float:
        return 5.0 * (text == " B")

    labels, verdicts = run(likes_the_second, ("labels", "verdicts")).ways
    assert verdicts.bias is None
    assert labels.bias is not None
    assert labels.bias.readings == 40 * 3
    assert labels.bias.before == (0.0, 1.0, *[0.0] * 8)
    assert labels.bias.after[0] == 1.0, "nothing is left of it: all are equal, and the first of equals is told"


async def test_a_run_s_lists_are_ordered_by_both() -> None:
    lists = [Ranked(row.id, tuple(f"i{(n + step) % 50}" for step in range(-3, 37)), 7.0) for n, row in enumerate(ROWS)]
    told: list[tuple[int, int]] = []
    found = await reordered(ROWS, ITEMS, lists, JudgingEngine(knows), 0.1, 10, lambda *done: told.append(done))
    assert [one.ranked[0] for one in found.lists] == [row.targets[0] for row in ROWS]
    assert [one.ranked[10:] for one in found.lists] == [one.ranked[10:] for one in lists]
    assert all(one.ms > 7.0 for one in found.lists)
    assert told[-1] == (40, 40)
    assert (found.order.unanswered, found.order.prior, found.order.n) == (0, 0.1, 10)
    engine = JudgingEngine(knows)
    engine.error = EngineError("gone")
    failed = await reordered(ROWS, ITEMS, lists, engine, None)
    assert [one.ranked for one in failed.lists] == [one.ranked for one in lists]
    assert failed.order.unanswered == 40


def test_only_the_shortlist_moves() -> None:
    (way,) = run(knows, n=3).ways
    assert way.alone.scores.recall[1].value == 0.0
    assert way.alone.scores.recall[10].value == 1.0


def test_failures_leave_the_order_and_are_counted() -> None:
    engine = JudgingEngine(knows)
    engine.error = EngineError("gone")
    report = asyncio.run(compare_ways(ROWS, ITEMS, LISTS, engine, ("verdicts",), 10))
    assert report.ways[0].unanswered == 40
    assert report.ways[0].alone.scores == report.ranker


def test_what_cannot_be_compared() -> None:
    engine = JudgingEngine(knows)
    with pytest.raises(BadRequest, match="No row has a target"):
        asyncio.run(compare_ways((), ITEMS, LISTS, engine, ("verdicts",)))
    engine.state = "failed"
    with pytest.raises(EngineError, match="cannot be compared"):
        asyncio.run(compare_ways(ROWS, ITEMS, LISTS, engine, ("verdicts",)))

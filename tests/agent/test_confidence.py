"""A turn knows how sure it is, says so where it is not, and offers a person when that goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_shop import added, ranked, wish, wording

from agent import confidence
from agent.answer import Citation
from agent.chances import chances_of
from agent.confidence import PERSON, confidence_of, unread_share, with_confidence
from agent.preferences import Preference
from agent.ranking import Slate
from agent.shop import Shop
from agent.thresholds import Asking, Calibrated, HandingOver, Thresholds, read_thresholds, thresholds
from agent.turn import Confidence, Outcome, Situation
from agent.understand.types import DialogueContext, Intent, Understanding
from retrieval.errors import SettingsError
from retrieval.items import Item

KNOWN = Thresholds(
    Asking(1.0, 0.5, 0.5, 0.8, 0.01),
    {
        "ask": Calibrated(0.0, {"mass": 1.0}, 0.3),
        "recommend": Calibrated(0.0, {"mass": 1.0}, 0.3),
        "answer": Calibrated(-5.0, {"score": 10.0}, 0.5),
    },
    HandingOver(0.2, 2),
)


@pytest.fixture(autouse=True)
def fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confidence, "thresholds", lambda: KNOWN)


def view(shop: Shop, intent: Intent = "recommend", *wishes: Preference, **fields: Any) -> Situation:  # noqa: ANN401
    read = Understanding(intent, facts=added(*wishes), doubtful=fields.pop("doubtful", ()))
    return Situation(
        text=fields.pop("text", "said"),
        shop=shop,
        context=fields.pop("context", DialogueContext()),
        understanding=read,
        wishes=wishes,
        lasting=wishes,
        wording=wording(shop.table),
        **fields,
    )


def listed(shop: Shop, best: float, n: int = 30) -> Outcome:
    """A list of five of which the first one is `best` above all others."""
    entries = tuple(ranked(item, best if row == 0 else 0.0) for row, item in enumerate(shop.table.items[:n]))
    return Outcome("recommend", opening="Here:", slate=Slate(entries[:5], entries, ranker="linear"), n_matching=n)


def test_chances_are_a_softmax_over_what_fits() -> None:
    items = [Item(f"i{n}", "x") for n in range(4)]
    slate = Slate((), tuple(ranked(item, score) for item, score in zip(items, (2.0, 1.0, 0.0, 0.0), strict=True)))
    weights = np.exp([0.0, -0.5, -1.0, -1.0])
    whole = weights.sum() + 3 * weights[-1]  # three more fit and were not ranked
    assert chances_of(slate, 7, (), 2.0) == pytest.approx(weights / whole)
    assert chances_of(replace(slate, spread=2.0), 4, (), 1.0) == pytest.approx(weights / weights.sum())
    assert chances_of(slate, 4, {"i0"}, 2.0)[0] == 0
    assert chances_of(slate, 4, {"i0"}, 2.0).sum() == pytest.approx(1)
    assert chances_of(slate, 4, {item.id for item in items}, 2.0).tolist() == [0, 0, 0, 0]
    assert len(chances_of(Slate(), 0, (), 1.0)) == 0


def test_a_list_is_surer_the_more_its_first_items_stand_out(film_shop: Shop) -> None:
    stated = []
    for best in (0.0, 2.0, 6.0):
        found = confidence_of(view(film_shop), listed(film_shop, best), KNOWN)
        assert found is not None
        assert found.step == "recommend"
        stated.append(found.probability)
    assert stated == sorted(stated)
    assert stated[0] == pytest.approx(5 / 30)
    assert stated[-1] > 0.9


def test_what_was_shown_before_makes_a_list_no_surer(film_shop: Shop) -> None:
    outcome = listed(film_shop, 6.0)
    again = view(film_shop, context=DialogueContext(shown=(tuple(e.item.id for e in outcome.slate.entries),)))
    found = confidence_of(again, outcome, KNOWN)
    assert found is not None
    assert found.probability == pytest.approx(0.001)


def test_what_is_not_judged_has_none(film_shop: Shop) -> None:
    for outcome in (Outcome("chat", opening="Hello"), Outcome("answer", opening="1994"), Outcome("handoff")):
        assert with_confidence(view(film_shop, "greeting"), outcome) is outcome


@pytest.mark.parametrize(("intent", "step"), [("empty", "recommend"), ("support", "answer")])
def test_nothing_read_and_nothing_found_serve_nobody(film_shop: Shop, intent: Intent, step: str) -> None:
    found = with_confidence(view(film_shop, intent), Outcome("answer", opening="No.")).confidence
    assert found == Confidence(step, 0.0, {}, lost=True)  # type: ignore[arg-type]


def test_an_article_is_as_sure_as_its_score(film_shop: Shop) -> None:
    cited = (Citation(n=1, title="Returns", url=None, quote="30 days"),)
    sure = Outcome("answer", opening="30 days [1]", citations=cited, article_score=0.9)
    result = with_confidence(view(film_shop, "support"), sure)
    assert result.opening == "30 days [1]"
    assert result.confidence is not None
    assert result.confidence.probability == pytest.approx(1 / (1 + np.exp(-4)))
    unsure = with_confidence(view(film_shop, "support"), replace(sure, article_score=0.4))
    assert unsure.opening == "I am not sure that this answers your question: 30 days [1]"


def test_unread_words_are_those_that_no_fact_rests_on(film_shop: Shop) -> None:
    horror = replace(wish("genre", "eq", "Horror"), evidence="scary film")
    about = replace(wish(None, "about", "grimbly snorks", kind="soft"), evidence="grimbly snorks")
    text = "a scary film with grimbly snorks"
    assert unread_share(view(film_shop, "recommend", horror, text="a scary film")) == 0
    assert unread_share(view(film_shop, "recommend", horror, about, text=text)) == pytest.approx(0.5)
    assert unread_share(view(film_shop, "recommend", text=text)) == 1
    assert unread_share(view(film_shop, "more", text=text)) == 0
    assert unread_share(view(film_shop, "recommend", text="")) == 0


def test_a_weak_list_after_words_that_were_not_read_says_what_it_went_by(film_shop: Shop) -> None:
    horror = replace(wish("genre", "eq", "Horror"), evidence="horror")
    weak = listed(film_shop, 0.0)
    unread = with_confidence(view(film_shop, "recommend", horror, text="horror grimbly snorks"), weak)
    assert unread.opening == "I am not sure that I understood all of that. I went by: Horror. Here:"
    doubted = with_confidence(view(film_shop, "recommend", horror, text="horror", doubtful=added(horror)), weak)
    assert doubted.opening.startswith("I am not sure")
    assert with_confidence(view(film_shop, "recommend", horror, text="horror"), weak).opening == "Here:", "only broad"
    strong = listed(film_shop, 6.0)
    sure = with_confidence(view(film_shop, "recommend", horror, text="horror grimbly snorks"), strong)
    assert sure.opening == "Here:"


def test_a_person_is_offered_once_when_it_goes_on(film_shop: Shop) -> None:
    weak = listed(film_shop, 0.0)

    def offered(*before: bool, text: str = "grimbly snorks", **fields: Any) -> bool:  # noqa: ANN401
        here = view(film_shop, text=text, lost=lambda: iter(before), **fields)
        question = with_confidence(here, weak).question
        assert question is None or question.attribute == PERSON
        return question is not None

    assert not offered()
    assert not offered(False, True)
    assert offered(True)
    assert offered(True, False)
    assert not offered(True, text=""), "a broad wish is no misunderstanding"
    assert not offered(True, asked=frozenset({PERSON}))
    result = with_confidence(view(film_shop, text="grimbly snorks", lost=lambda: iter([True])), weak)
    assert result.action == "ask"
    assert result.question is not None
    assert result.question.options == ["Talk to a person", "Show me anyway"]
    assert result.closing == result.question.text
    assert film_shop.rules.understand("Talk to a person", DialogueContext()).intent == "handoff"
    assert film_shop.rules.understand("转人工客服", DialogueContext()).intent == "handoff"


def test_the_past_is_read_only_when_it_matters(film_shop: Shop) -> None:
    def read() -> Any:  # noqa: ANN401
        raise AssertionError("the log was read")

    with_confidence(view(film_shop, text="grimbly snorks", lost=read), listed(film_shop, 6.0))


class TestTheFile:
    def test_it_is_read(self) -> None:
        known = thresholds()
        assert 0 < known.asking.temperature < 10
        assert 0 < known.asking.no_preference < 1
        assert 0 < known.asking.patience < 1
        assert set(known.steps) == {"ask", "recommend", "answer"}
        assert all(0 <= one.threshold <= 1 for one in known.steps.values())
        assert known.handing_over.turns >= 2

    def test_a_better_list_is_never_less_sure(self) -> None:
        """What was fitted must not have learned the wrong way round."""
        known = thresholds()
        for step in ("ask", "recommend"):
            low, high = ({"mass": mass, "matching": 3.0, "wishes": 2.0} for mass in (-3.0, 1.0))
            assert known.steps[step].probability(low) < known.steps[step].probability(high)  # type: ignore[index]
        assert known.steps["answer"].probability({"score": 0.5}) < known.steps["answer"].probability({"score": 0.9})

    def test_a_part_that_is_missing_is_named(self) -> None:
        with pytest.raises(SettingsError, match=r"'ask' is missing.*deciding fit"):
            read_thresholds({"handoff": {"threshold": 0.1, "turns": 2}})

    @pytest.mark.parametrize("value", ["much", None, []])
    def test_what_is_no_number_is_said(self, value: object) -> None:
        table = {name: {"bias": 0, "weights": {"mass": value}, "threshold": 0} for name in ("recommend", "answer")}
        ask = {"temperature": 1, "no_preference": 1, "no_preference_after_more": 1, "patience": 1, "min_gain": 0}
        table["ask"] = {**ask, "bias": 0, "weights": {}, "threshold": 0}  # type: ignore[dict-item]
        with pytest.raises(SettingsError, match="is not whole"):
            read_thresholds({**table, "handoff": {"threshold": 0.1, "turns": 2}})

    @pytest.mark.parametrize("text", ["", "[ask", "[ask]\ntemperature = 0.2\n"])
    def test_a_file_that_was_half_written_is_one_sentence(
        self, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "thresholds.toml").write_text(text, encoding="utf-8")
        monkeypatch.setattr("agent.thresholds.files", lambda _: tmp_path)
        with pytest.raises(SettingsError, match="thresholds.toml") as found:
            thresholds.__wrapped__()
        assert "\n" not in str(found.value)

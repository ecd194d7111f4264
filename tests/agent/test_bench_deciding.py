"""What asking is worth and how good stated confidences are: the figures by hand, and a run in the small shop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_shop import ranked, wish
from talking import PLAIN, keeper_of

from agent.bench import calibration
from agent.bench.calibration import brier, calibration_of, expected_error, fit_logistic, risk_area
from agent.bench.deciding import (
    Judged,
    Side,
    Talked,
    arm_of,
    by_entropy,
    calibrations,
    difference_of,
    fit_asking,
    handed_over,
    never,
    patience_of,
    talk,
)
from agent.bench.dialogue.bots import InProcess
from agent.bench.dialogue.needs import Need, Wish, draw_needs
from agent.bench.dialogue.reading import Reader
from agent.conversation import Conversations
from agent.llm.off import NoEngine
from agent.log.store import EventLog
from agent.questions import Chooser, Moment
from agent.ranking import Slate
from agent.settings import Settings
from agent.shop import Shop
from agent.thresholds import Asking, Calibrated, HandingOver, Thresholds
from retrieval.items import Item
from retrieval.table import ItemTable

SETTINGS = Settings.model_validate(PLAIN)
ITEMS = [Item(f"i{n:02}", "x", attributes={"kind": "abcd"[n % 4], "half": "lr"[n % 2]}) for n in range(60)]
TABLE = ItemTable(ITEMS)


def moment(*scores: float, wanted: int = 0) -> tuple[Moment, Need]:
    entries = tuple(ranked(item, score) for item, score in zip(ITEMS, (*scores, *[0.0] * 60), strict=False))
    slate = Slate(entries[:5], entries)
    wishes = (Wish("kind", "eq", "a"), Wish("half", "ne", "r"))
    return Moment((), slate, 60, TABLE), Need(wanted, wishes, frozenset({ITEMS[wanted].id}), 5)


class TestCalibration:
    def test_the_error_is_the_gap_between_stated_and_happened(self) -> None:
        stated = np.array([0.2] * 50 + [0.8] * 50)
        half = np.array(([1.0] * 5 + [0.0] * 5) * 10)
        assert expected_error(stated, np.array(([1.0] + [0.0] * 4) * 10 + ([1.0] * 4 + [0.0]) * 10)) < 1e-9
        assert expected_error(np.full(100, 0.9), half) == pytest.approx(0.4)
        assert brier(np.array([1.0, 0.0]), np.array([1.0, 1.0])) == 0.5

    def test_risk_is_least_for_who_knows(self) -> None:
        happened = np.array([1.0, 1.0, 0.0, 0.0])
        assert risk_area(happened, happened) == pytest.approx((0 + 0 + 1 / 3 + 1 / 2) / 4)
        assert risk_area(1 - happened, happened) == pytest.approx((1 + 1 + 2 / 3 + 1 / 2) / 4)

    def test_the_whole_report(self) -> None:
        random = np.random.default_rng(1)
        stated = random.random(400)
        happened = random.random(400) < stated
        report = calibration_of(stated.tolist(), happened.tolist(), [n // 4 for n in range(400)])
        assert (report.n, report.groups) == (400, 100)
        assert report.ece.value < 0.1
        assert report.ece.low <= report.ece.value + 0.05
        assert report.least_aurc < report.aurc.value < 1 - report.served
        assert report.brier.value < report.constant_brier
        assert [one.coverage for one in report.risks] == list(calibration.COVERAGES)
        assert report.risks[-1].risk < report.risks[0].risk

    def test_a_logistic_model_is_found_again(self) -> None:
        random = np.random.default_rng(2)
        rows = [{"a": float(a), "b": float(b), "same": 1.0} for a, b in random.normal(size=(4000, 2))]
        odds = [0.5 + 2 * row["a"] - row["b"] for row in rows]
        happened = [bool(luck < 1 / (1 + np.exp(-one))) for luck, one in zip(random.random(4000), odds, strict=True)]
        bias, weights = fit_logistic(rows, happened, ("a", "b", "same"))
        assert bias == pytest.approx(0.5, abs=0.15)
        assert weights == {"a": pytest.approx(2, abs=0.2), "b": pytest.approx(-1, abs=0.15)}


class TestFitting:
    def test_the_temperature_follows_how_often_the_first_is_it(self) -> None:
        """Where the best item is always wanted chances are sharp; where any may be, flat."""
        sharp, flat = [], []
        for n in range(12):
            here, need = moment(1.0)
            sharp.append(Talked(need, 1, 1, 0, 0, (), (here,)))
            here, need = moment(1.0, wanted=5 * n + 1)
            flat.append(Talked(need, 1, 1, 0, 0, (), (here,)))
        cold, hot = (fit_asking(talks, 0.8)[0] for talks in (sharp, flat))
        assert cold.temperature < 0.1 < 1 < hot.temperature
        assert cold.patience == 0.8

    def test_who_minds_is_counted(self) -> None:
        """A wish for a value of the attribute that would be asked about, which is not told unasked.

        Where the message told something, and where it only asked for others.
        """
        here, need = moment()
        hidden = replace(need, wishes=(replace(need.wishes[0], told="asked"), need.wishes[1]))
        denied = replace(need, wishes=(Wish("kind", "ne", "b", told="asked"), need.wishes[1]))
        more = replace(here, told=False)
        pairs = [(here, need), (here, hidden), (here, denied), (more, hidden), (more, hidden), (more, need)]
        asking, n = fit_asking([Talked(one, None, 5, 0, 0, (), (where,)) for where, one in pairs], 0.8)
        assert n == 6
        assert asking.no_preference == pytest.approx(1 - 1.5 / 4, abs=1e-3)
        assert asking.no_preference_after_more == pytest.approx(1 - 2.5 / 4, abs=1e-3)
        assert asking.min_gain == 0

    def test_patience(self) -> None:
        assert patience_of([Need(0, (), frozenset(), 4), Need(1, (), frozenset(), 6)]) == 0.8


class TestFigures:
    def talks(self, *successes: int | None) -> list[Talked]:
        features = {"mass": -4.0, "unread": 0.9, "doubtful": 0.0}
        judged = (Judged("recommend", features, 0.1, False), Judged("ask", features, 0.1, False))
        return [
            Talked(Need(n, (), frozenset(), 5), one, one or 5, 1, 0, judged if one is None else (), ())
            for n, one in enumerate(successes)
        ]

    def test_arms_and_their_differences(self) -> None:
        one, other = self.talks(1, 2, None, 4), self.talks(1, None, None, 5)
        arm = arm_of("gain", one)
        assert {k: mean.value for k, mean in arm.success.items()} == {1: 0.25, 3: 0.5, 5: 0.75, 10: 0.75}
        assert arm.turns.value == pytest.approx((1 + 2 + 6 + 4) / 4)
        difference = difference_of("gain", one, "never", other)
        assert difference.success[3].value == pytest.approx(0.25)
        assert difference.turns.value == pytest.approx((2 - 6 + 4 - 5) / 4)

    def test_who_would_have_been_offered_a_person(self) -> None:
        model = Calibrated(0.0, {"mass": 1.0}, 0.3)
        known = Thresholds(Asking(1, 0.5, 0.5, 0.8, 0), {"ask": model, "recommend": model}, HandingOver(0.1, 2))
        handed = handed_over(self.talks(1, 2, None), known)
        assert (handed.offered, handed.succeeded, handed.others, handed.others_succeeded) == (1, 0.0, 2, 1.0)
        assert calibrations(self.talks(1, None), known) == {}, "nothing served: there is nothing to calibrate"


def test_entropy_asks_about_what_splits_most() -> None:
    here, _ = moment()
    choice = by_entropy(here)
    assert choice is not None
    assert (choice.attribute, choice.gain) == ("kind", pytest.approx(2.0, abs=0.01))
    assert by_entropy(Moment((wish("a"), wish("b")), here.slate, 60, TABLE)) is None
    assert by_entropy(Moment((), here.slate, 39, TABLE)) is None
    assert never(here) is None


async def test_customers_talk_to_both_rules(film_shop: Shop, tmp_path: Path) -> None:
    """The same customers; the rule is called, and what was judged is found in the traces."""
    log = EventLog.open(None, tmp_path)
    keeper = keeper_of(film_shop, log, tmp_path)

    def bot(rule: Chooser) -> InProcess:
        return InProcess(Conversations(SETTINGS, log, keeper, NoEngine(), rule))

    needs, reader = draw_needs(film_shop.table, 4, 1), Reader(film_shop.table)
    said: list[str] = []
    side = Side("never", never, bot, keep=True)
    talks = await talk(side, needs, reader, 1, lambda i: log.trace("default", i).record.trace, said.append)
    log.close()
    assert [one.need for one in talks] == list(needs)
    assert any(one.moments for one in talks)
    assert not any(one.asked for one in talks if one.success == 1)
    judged = [turn for one in talks for turn in one.judged]
    assert {"mass", "margin", "matching", "wishes", "unread", "doubtful"} == set(judged[0].features)
    assert sum(turn.served for turn in judged) >= sum(one.success is not None for one in talks) > 0

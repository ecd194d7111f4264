"""The satisfaction model on customers whose truth is known: recovered, calibrated, the same each time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np
import pytest

from agent.log.records import Deed
from agent.rank.satisfaction import (
    MIN_EACH,
    MIN_LABELS,
    STEPS_FROM,
    Labelled,
    SatisfactionModel,
    Signals,
    calibration_error,
    fit_satisfaction,
    labelled_of,
)

START = datetime(2026, 1, 1, tzinfo=UTC)


def truth(signals: Signals) -> float:
    """Clicks and time speak for, a rejection against, and nothing is certain."""
    clicks, dwell, accepted, rejected = signals.numbers()
    return float(1 / (1 + np.exp(-(-1.5 + 0.6 * clicks + 0.4 * dwell + 1.5 * accepted - 1.5 * rejected))))


def crooked(signals: Signals) -> float:
    """Nothing below a minute, nearly all above: no logistic regression is right about it."""
    return 0.15 if signals.dwell_s < 60 else 0.85


@cache
def customers(n: int, kind: str = "truth") -> tuple[Labelled, ...]:
    random = np.random.default_rng(7)
    of = {"truth": truth, "crooked": crooked}[kind]
    found = []
    for number in range(n):
        accepted = random.random() < 0.3
        signals = Signals(
            int(random.poisson(0.8)),
            float(random.exponential(40)) if random.random() < 0.7 else 0.0,
            bool(accepted),
            bool(not accepted and random.random() < 0.3),
        )
        found.append(Labelled(f"c{number % (n // 3)}", f"i{number}", signals, bool(random.random() < of(signals))))
    return tuple(found)


@cache
def fitted(n: int, kind: str = "truth") -> SatisfactionModel:
    model = fit_satisfaction(customers(n, kind))
    assert model is not None
    return model


@pytest.mark.parametrize(("n", "tolerance"), [(600, 0.06), (4_000, 0.04)])
def test_the_truth_is_recovered(n: int, tolerance: float) -> None:
    model = fitted(n)
    signals = [one.signals for one in customers(4_000)]
    said = model.probability(signals)
    assert ((said >= 0) & (said <= 1)).all()
    assert float(np.mean(np.abs(said - [truth(one) for one in signals]))) < tolerance
    assert bool(model.knots) is (n >= STEPS_FROM)


def test_it_says_how_well_it_is_calibrated() -> None:
    few, many = fitted(600).calibration, fitted(4_000).calibration
    assert few is not None
    assert many is not None
    assert many.n == 4_000
    assert many.satisfied == sum(bool(one.satisfied) for one in customers(4_000))
    assert many.ece < 0.03
    assert few.ece < 0.1
    for report in (few, many):
        assert report.brier < report.brier_of_rate - 0.02
        rate = report.satisfied / report.n
        assert report.brier_of_rate == pytest.approx(rate * (1 - rate), abs=1e-4)


def test_calibration_mends_a_model_that_is_wrong() -> None:
    model = fitted(4_000, "crooked")
    assert model.calibration is not None
    assert model.calibration.ece < 0.05
    raw = model.model_copy(update={"knots": ()})
    labels = np.array([bool(one.satisfied) for one in customers(4_000, "crooked")])
    signals = [one.signals for one in customers(4_000, "crooked")]
    assert calibration_error(raw.probability(signals), labels) > 2 * model.calibration.ece


def test_it_is_the_same_each_time_and_survives_storing() -> None:
    again = fit_satisfaction(customers(600))
    assert again == fitted(600)
    stored = SatisfactionModel.model_validate_json(fitted(4_000).model_dump_json())
    signals = [one.signals for one in customers(600)]
    assert (stored.probability(signals) == fitted(4_000).probability(signals)).all()


def test_too_little_gives_no_model() -> None:
    enough = customers(600)
    assert fit_satisfaction(()) is None
    assert fit_satisfaction(enough[: MIN_LABELS - 1]) is None
    assert fit_satisfaction(enough[:MIN_LABELS]) is not None
    unlabelled = [Labelled(one.customer, one.item_id, one.signals, None) for one in enough]
    assert fit_satisfaction(unlabelled) is None
    satisfied = [one for one in enough if one.satisfied]
    assert fit_satisfaction(satisfied + [one for one in enough if not one.satisfied][: MIN_EACH - 1]) is None
    one_customer = [Labelled("c", one.item_id, one.signals, one.satisfied) for one in enough]
    assert fit_satisfaction(one_customer) is None
    one_grumbler = [Labelled(o.customer if o.satisfied else "g", o.item_id, o.signals, o.satisfied) for o in enough]
    assert fit_satisfaction(one_grumbler) is None


def test_deeds_become_signals_until_the_first_label() -> None:
    def deed(minute: int, kind: str, value: float | None = None, item: str = "a") -> Deed:
        return Deed("c", item, kind, value, START + timedelta(minutes=minute))  # type: ignore[arg-type]

    deeds = [
        deed(1, "click"),
        deed(1, "view"),
        deed(2, "dwell", 30.0),
        deed(3, "click"),
        deed(4, "accept"),
        deed(5, "buy"),
        deed(6, "dwell", 500.0),
        deed(7, "click"),
        deed(1, "click", item="b"),
        deed(2, "reject", item="b"),
        deed(1, "buy", item="c"),
        deed(2, "thumb_up", item="c"),
        deed(3, "thumb_down", item="c"),
    ]
    assert labelled_of(deeds) == (
        Labelled("c", "a", Signals(2, 30.0, True, False), True),
        Labelled("c", "b", Signals(1, 0.0, False, True), None),
        Labelled("c", "c", Signals(), False),
    )


def test_a_tab_left_open_is_not_devotion() -> None:
    assert Signals(dwell_s=1e9).numbers() == Signals(dwell_s=1_800).numbers()
    assert Signals(dwell_s=-5).numbers() == Signals().numbers()


def test_calibration_error_by_hand() -> None:
    said = np.array([0.2] * 50 + [0.8] * 50)
    right = np.array(([True] * 1 + [False] * 4) * 10 + ([True] * 4 + [False] * 1) * 10)
    assert calibration_error(said, right) == pytest.approx(0.0, abs=1e-12)
    assert calibration_error(said, ~right) == pytest.approx(0.6)
    assert calibration_error(np.array([1.0]), np.array([False])) == 1.0

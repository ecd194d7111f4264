"""The simulation of hidden tastes: fair between systems, repeatable, and learning is worth something in it."""

from __future__ import annotations

import numpy as np
import pytest
from small_shop import HashingEncoder

from agent.bench import personal
from agent.bench.personal import Arm, PersonalReport, World, accepted, customer_of, measure_personal
from agent.rank.session import Prior
from agent.shop import Shop
from retrieval.search import Retriever


@pytest.fixture(scope="module")
def world(film_shop: Shop) -> World:
    return World.of(film_shop.retriever)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(personal, "CUSTOMERS", 4)
    monkeypatch.setattr(personal, "ROUNDS", 2)
    monkeypatch.setattr(personal, "CANDIDATES", 40)


def test_the_whole_report(short: None) -> None:
    said: list[str] = []
    report = measure_personal(said.append, HashingEncoder())
    assert said
    assert PersonalReport.model_validate_json(report.model_dump_json()) == report
    assert (report.customers, report.rounds, report.catalogue) == (4, 2, 552)
    assert [one.taste for one in report.tastes] == ["linear", "crooked"]
    for taste in report.tastes:
        first, *others = taste.systems
        assert (first.name, first.temperature) == ("stand-in", 0.0)
        assert first.saved.value == first.saved.low == first.saved.high == 0
        assert {one.temperature for one in others} == {0.0, *personal.TEMPERATURES}
        for one in taste.systems:
            assert len(one.accepted) == len(one.regret) == len(taste.oracle) == 2
            shown = [5 * (best.value - mine.value) for best, mine in zip(taste.oracle, one.accepted, strict=True)]
            assert [regret.value for regret in one.regret] == pytest.approx(np.cumsum(shown).tolist(), abs=2e-3)
            assert one.saved.value == pytest.approx(first.regret[-1].value - one.regret[-1].value, abs=2e-3)
            assert one.regret[-1].low <= one.regret[-1].value <= one.regret[-1].high
    assert report.update_ms.n == 4


def test_all_systems_meet_the_same_customers(world: World) -> None:
    one, again = (customer_of(world, "linear", 3) for _ in range(2))
    assert (one.liking == again.liking).all()
    assert (one.luck == again.luck).all()
    assert one.wishes == again.wishes
    assert (customer_of(world, "crooked", 3).liking != one.liking).any()
    assert ((one.liking >= 0) & (one.liking <= 1)).all()


def test_the_first_list_is_the_same_and_a_talk_repeats(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(personal, "ROUNDS", 3)
    customers = [customer_of(world, "linear", seed) for seed in range(6)]
    plain, learned = (accepted(world, customers, arm) for arm in (Arm("stand-in"), Arm("session", Prior())))
    assert (plain[:, 0] == learned[:, 0]).all()
    assert (plain[:, 1:] != learned[:, 1:]).any()
    assert (accepted(world, customers, Arm("session", Prior())) == learned).all()
    assert (learned.sum(axis=1) <= personal._oracle(customers).sum(axis=1)).all()


def test_reported_customers_are_not_those_tuned_on() -> None:
    assert personal.SEED + personal.CUSTOMERS < personal.TUNING_SEED


def test_without_noise_a_taste_is_learned(film_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Customers who are sure and react to everything: the session beats the stand-in by more than chance would."""
    for name, value in {
        "_MISTAKEN": 0.0,
        "_LOOKED_AT": 1.0,
        "_ACCEPTED": 1.0,
        "_REJECTED": 1.0,
        "_CHANCE": 0.0,
    }.items():
        monkeypatch.setattr(personal, name, value)
    monkeypatch.setattr(personal, "LIST", 3)
    monkeypatch.setattr(personal, "ROUNDS", 4)
    one = film_shop.retriever
    # As the benchmark opens it: paths to liked films help the stand-in, too, and of 30 films many share something.
    world = World.of(Retriever(one.table, one.encoder, one.dense, one.lexical))
    customers = [customer_of(world, "linear", seed) for seed in range(120)]
    saved = accepted(world, customers, Arm("session", Prior())) - accepted(world, customers, Arm("stand-in"))
    total = saved.sum(axis=1)
    assert total.mean() > 2 * total.std() / np.sqrt(len(total))

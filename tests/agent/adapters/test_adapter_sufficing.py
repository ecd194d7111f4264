"""A canary that is promoted without a human: how seldom a bad one is, and that a good one is in reasonable time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import brentq  # type: ignore[import-untyped]

from agent.adapters.standing import Canary, is_canarys
from agent.adapters.sufficing import ALPHA, DEFAULT_RULES, PromotionRules, look_at, most_worse
from agent.adapters.trial import judge
from agent.log.adapters import SessionSigns

TRIAL = Canary("ada-000001", 0.2, 1, 0)


@pytest.mark.parametrize(
    ("counts", "upper"),
    # Newcombe 1998, table II: his contrasts a, b, g and d, method 10, the upper end of the 95 % interval.
    [((56, 70, 48, 80), 0.3339), ((9, 10, 3, 10), 0.8090), ((10, 10, 0, 20), 1.0), ((5, 56, 0, 29), 0.1926)],
)
def test_the_bound_is_newcombes(counts: tuple[int, int, int, int], upper: float) -> None:
    assert most_worse(*counts, 0.025) == pytest.approx(upper, abs=5e-5)


def test_wilsons_end_is_where_the_score_test_turns() -> None:
    """Against its definition: with nothing bad in a very large other group, the bound is Wilson's upper end."""
    z = 1.959964

    def turns(rate: float) -> float:
        return rate - 7 / 40 - z * math.sqrt(rate * (1 - rate) / 40)

    assert most_worse(7, 40, 0, 10**9, 0.025) == pytest.approx(brentq(turns, 7 / 40, 1), abs=1e-6)


def test_looks_are_at_doublings_and_their_levels_stay_below_alpha() -> None:
    assert look_at(99, 100) is None
    assert [look_at(n, 100) for n in (100, 199, 200, 399, 400)] == [
        (100, ALPHA / 2), (100, ALPHA / 2), (200, ALPHA / 4), (200, ALPHA / 4), (400, ALPHA / 8),
    ]  # fmt: skip
    levels = [found[1] for n in range(20) if (found := look_at(100 * 2**n, 100))]
    assert sum(levels) < ALPHA


def promoted(rng: np.random.Generator, canary: float, champion: float, runs: int = 1_000, looks: int = 4) -> float:
    """Share of simulated trials with one sign that end in a promotion, at any of the looks."""
    found = np.zeros(runs, dtype=bool)
    for run in range(runs):
        bad = other = 0
        last = 0
        for number in range(looks):
            n = 100 * 2**number
            bad += rng.binomial(n - last, canary)
            other += rng.binomial(4 * (n - last), champion)
            last = n
            level = ALPHA / 2 ** (number + 1)
            found[run] |= most_worse(bad, n, other, 4 * n, level) < DEFAULT_RULES.margin
    return float(found.mean())


@pytest.mark.parametrize("champion", [0.02, 0.3, 0.7])
def test_one_that_is_worse_by_the_margin_is_seldom_promoted_and_a_good_one_nearly_always(champion: float) -> None:
    rng = np.random.default_rng(1)
    assert promoted(rng, champion + DEFAULT_RULES.margin, champion) <= ALPHA + 0.01  # chance of the simulation
    assert promoted(rng, champion, champion, 300) > 0.9


def sessions(count: int, **signs: bool) -> list[SessionSigns]:
    """Of canary and champion alike; `signs` are the canary's."""
    found = []
    for n in range(count):
        mine = is_canarys(TRIAL, f"s_{n}")
        who = frozenset({"ada-000001" if mine else "starter"})
        found.append(SessionSigns(f"s_{n}", whole=True, adapters=who, **(signs if mine else {})))
    return found


def test_a_report_says_why_it_may_be_promoted() -> None:
    report = judge(TRIAL, sessions(800))
    assert (report.alarm, report.passed[:45]) == ("", "Not worse on any sign in 100 conversations, a")
    assert judge(TRIAL, sessions(400)).passed == ""  # fewer than 100 are its
    assert judge(TRIAL, sessions(400), PromotionRules(sessions=50)).passed != ""
    assert judge(TRIAL, sessions(800), PromotionRules(margin=0.01)).passed == ""
    assert judge(TRIAL, sessions(800, ungrounded=True)).passed == ""  # and there is an alarm
    assert judge(TRIAL, sessions(800, ungrounded=True)).alarm != ""


def test_what_a_canary_did_not_answer_says_nothing_for_it() -> None:
    others = [SessionSigns(one.session_id, whole=True, adapters=frozenset({"starter"})) for one in sessions(800)]
    assert judge(TRIAL, others).passed == ""


def test_later_conversations_do_not_change_a_look() -> None:
    """So that it does not matter how often, or in how many servers, somebody looks."""
    first = sessions(900)
    n = sum(is_canarys(TRIAL, one.session_id) for one in first)
    assert 100 <= n < 200
    mine = [place for place, one in enumerate(first) if is_canarys(TRIAL, one.session_id)]
    cut = judge(TRIAL, first[: mine[99] + 1]).passed
    assert cut == judge(TRIAL, first).passed != ""

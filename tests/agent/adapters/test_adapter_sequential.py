"""The test that halts a canary: false alarms stay below alpha however often one looks, and harm is found."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.adapters.sequential import log_evidence
from agent.adapters.standing import Canary, is_canarys
from agent.adapters.trial import ALPHA, LIMIT, SIGNS, judge
from agent.log.adapters import SessionSigns

TRIAL = Canary("ada-000001", 0.2, 1, 0)


@pytest.mark.parametrize(("canary", "total", "share"), [(0, 0, 0.2), (3, 5, 0.2), (40, 100, 0.2), (9, 10, 0.5)])
def test_it_is_the_mixture_of_likelihood_ratios(canary: int, total: int, share: float) -> None:
    """Against a plain sum over q."""
    q = np.linspace(share, 1, 200_001)[1:-1]
    log_ratio = canary * np.log(q / share) + (total - canary) * np.log((1 - q) / (1 - share))
    assert math.isclose(log_evidence(canary, total, share), math.log(np.exp(log_ratio).mean()), abs_tol=1e-3)


def test_less_than_its_share_speaks_for_the_canary() -> None:
    assert log_evidence(0, 200, 0.2) < -3
    assert log_evidence(0, 5_000, 0.5) == -math.inf  # too little to be a float
    for wrong in ((1, 0, 0.2), (-1, 3, 0.2), (1, 2, 0.0), (1, 2, 1.0)):
        with pytest.raises(ValueError, match="no counts"):
            log_evidence(*wrong)


def alarm_at(n: int, share: float) -> NDArray[np.int64]:
    """For each number of cases up to n the least of the canary's that halts it; n + 1 where none does."""
    found, k = np.full(n + 1, n + 1), 0
    for total in range(1, n + 1):
        while k <= total and log_evidence(k, total, share) < LIMIT:
            k += 1
        found[total] = k if k <= total else n + 1
    return found


def halted_after(
    rng: np.random.Generator, runs: int, sessions: int, champion: dict[str, float], canary: dict[str, float]
) -> NDArray[np.float64]:
    """After how many conversations each simulated trial is halted, looking after each one; inf: never."""
    share = TRIAL.share
    mine = rng.random((runs, sessions)) < share
    mood = rng.random((runs, sessions))  # one for all signs: a bad conversation is bad in every way
    first = np.full(runs, np.inf)
    for sign in SIGNS:
        rate = np.where(mine, canary[sign.name], champion[sign.name])
        seen = mood < rate if not sign.is_good else mood >= 1 - rate
        counted, p = (seen & ~mine, 1 - share) if sign.is_good else (seen & mine, share)
        bounds = alarm_at(sessions, p)
        loud = np.cumsum(counted, axis=1) >= bounds[np.cumsum(seen, axis=1)]
        first = np.minimum(first, np.where(loud.any(axis=1), loud.argmax(axis=1) + 1, np.inf))
    return first


RATES = {SIGNS[0].name: 0.02, SIGNS[1].name: 0.06, SIGNS[2].name: 0.7, SIGNS[3].name: 0.4}


def test_a_canary_like_the_champion_is_halted_in_less_than_alpha_of_all_trials() -> None:
    runs = 2_000
    halted = np.isfinite(halted_after(np.random.default_rng(1), runs, 1_000, RATES, RATES)).mean()
    assert halted <= ALPHA
    assert halted > 0.001  # and the bound is not empty: it is a test


def test_three_times_as_many_thumbs_down_are_found() -> None:
    worse = RATES | {"thumbs down": 3 * RATES["thumbs down"]}
    when = halted_after(np.random.default_rng(2), 400, 1_500, RATES, worse)
    assert np.isfinite(when).mean() > 0.9
    assert np.median(when) < 900  # of all conversations, a fifth of them the canary's


def test_a_canary_that_breaks_everything_is_halted_after_a_few_conversations() -> None:
    worse = RATES | {"errors of the model": 1.0, "replies wholly the model's own": 0.0}
    when = halted_after(np.random.default_rng(3), 400, 300, RATES, worse)
    assert np.quantile(when, 0.95) < 60


def test_fewer_whole_replies_are_found_where_most_are_refused_anyway() -> None:
    worse = RATES | {"replies wholly the model's own": 0.08, "refused sentences": 0.95}
    when = halted_after(np.random.default_rng(4), 200, 1_000, RATES, worse)
    assert np.isfinite(when).mean() > 0.9


def test_a_report_counts_by_the_share_and_says_why() -> None:
    names = [f"s_{n}" for n in range(400)]
    bad = [SessionSigns(one, thumb_down=is_canarys(TRIAL, one)) for one in names]
    report = judge(TRIAL, bad)
    n_canary = sum(is_canarys(TRIAL, one) for one in names)
    assert (report.canary, report.champion) == (n_canary, 400 - n_canary)
    thumbs = next(one for one in report.findings if one.sign == "thumbs down")
    assert (thumbs.canary, thumbs.champion) == (n_canary, 0)
    assert report.alarm.startswith(f"thumbs down: in {n_canary} of {n_canary} conversations of the canary, in 0 of")
    assert judge(TRIAL, []).alarm == ""
    assert judge(TRIAL, [SessionSigns(one, thumb_down=True, error=True) for one in names]).alarm == ""
    good = judge(TRIAL, [SessionSigns(one, whole=not is_canarys(TRIAL, one)) for one in names])
    assert good.alarm.startswith("replies wholly the model's own: in 0 of")

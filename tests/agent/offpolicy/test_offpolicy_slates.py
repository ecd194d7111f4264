"""The probability of a given list is the one with which it is drawn, also where variety moves the scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import permutations
from typing import ClassVar

import numpy as np
import pytest

from agent.offpolicy.replaying import Array, LoggedChoice, replay
from agent.offpolicy.slates import Pool, weights_of
from agent.rank.drawing import draw
from retrieval.diversity import Likeness

UNIT = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [-1.0, 0.0]], dtype=np.float32)
PLAIN = Pool(("a", "b", "c", "d"), np.array([1.0, 0.9, 0.3, 0.0]), 0.5)
VARIED = replace(PLAIN, vectors=UNIT, weight=0.7)


@pytest.mark.parametrize("pool", [PLAIN, VARIED], ids=["plain", "varied"])
class TestDrawn:
    def test_it_is_what_the_drawing_writes_down(self, pool: Pool) -> None:
        for seed in range(20):
            variety = None if pool.vectors is None else Likeness(pool.vectors)
            places = draw(pool.scores, 3, temperature=0.5, seed=seed, variety=variety, weight=pool.weight)
            logs = pool.log_propensities([pool.ids[place.position] for place in places])
            assert logs.tolist() == pytest.approx([place.log_propensity for place in places])

    def test_all_lists_together_are_certain(self, pool: Pool) -> None:
        total = sum(np.exp(pool.log_propensities(list(one)).sum()) for one in permutations(pool.ids, 3))
        assert total == pytest.approx(1)

    def test_its_own_lists_are_as_frequent_as_it_says(self, pool: Pool) -> None:
        lists = pool.lists(2, 2_000, seed=7)
        share = float((lists == [0, 1]).all(axis=1).mean())
        assert share == pytest.approx(float(np.exp(pool.log_propensities(["a", "b"]).sum())), abs=0.03)


def test_without_chance_one_list_is_certain() -> None:
    certain = replace(PLAIN, temperature=0.0)
    assert certain.log_propensities(["a", "b", "c"]).tolist() == [0, 0, 0]
    assert certain.log_propensities(["a", "c", "b"]).tolist() == [0, -np.inf, -np.inf]
    assert certain.lists(3, 10, seed=0).tolist() == [[0, 1, 2]]


def test_what_is_not_in_the_pool_is_impossible_and_so_is_all_below() -> None:
    logs = PLAIN.log_propensities(["a", "x", "b"])
    assert np.isfinite(logs[0])
    assert logs[1:].tolist() == [-np.inf, -np.inf]
    assert PLAIN.log_propensities(["a", "a"])[1] == -np.inf
    assert weights_of(logs, np.log([0.5, 0.5, 0.5])).tolist() == pytest.approx([np.exp(logs[0]) / 0.5, 0, 0])


def test_weights_multiply_down_the_list() -> None:
    assert weights_of(np.log([0.2, 0.5]), np.log([0.4, 0.25])).tolist() == pytest.approx([0.5, 1.0])


class _Counting:
    """Takes the option with the greatest first number; remembers what it learned."""

    def __init__(self) -> None:
        self.learned: list[float] = []

    def choose(self, options: Array) -> int:
        return int(np.argmax(options[:, 0]))

    def learn(self, chosen: Array, reward: float) -> None:
        self.learned.append(reward)


def test_a_replay_keeps_agreements_only_and_is_unbiased() -> None:
    random = np.random.default_rng(1)
    options = random.random((4_000, 4, 1))
    chosen = random.integers(0, 4, 4_000)
    rewards = options[np.arange(4_000), chosen, 0]
    learner = _Counting()
    events = [LoggedChoice(one, int(n), float(r)) for one, n, r in zip(options, chosen, rewards, strict=True)]
    done = replay(learner, events)
    assert done.seen == 4_000
    assert len(done.rewards) == pytest.approx(1_000, abs=100)
    assert list(done.rewards) == learner.learned
    assert done.value == pytest.approx(0.8, abs=0.02)  # the mean of the greatest of four
    assert replay(_Counting(), []).value == 0


def test_the_replay_is_what_coba_keeps() -> None:
    """Its rejection sampling, with the greatest possible acceptance, keeps the same events of the same uniform log."""
    pytest.importorskip("coba", reason="coba is not installed: pip install coba==8.1.0")
    from coba.evaluators import RejectionCB  # type: ignore[import-untyped]

    random = np.random.default_rng(2)
    options = random.random((300, 4))
    chosen = random.integers(0, 4, 300)

    class Environment:
        params: ClassVar[dict[str, object]] = {}

        def read(self) -> Iterator[dict[str, object]]:
            for row, one in zip(options.tolist(), chosen.tolist(), strict=True):
                yield {
                    "context": tuple(row),
                    "actions": [0, 1, 2, 3],
                    "action": one,
                    "reward": row[one],
                    "probability": 0.25,
                }

    class Best:
        params: ClassVar[dict[str, object]] = {}

        def score(self, context: Sequence[float], actions: object, action: int) -> float:
            return float(action == int(np.argmax(context)))

        def predict(self, context: Sequence[float], actions: Sequence[int]) -> tuple[int, float]:
            return actions[int(np.argmax(context))], 1.0

        def learn(self, *told: object) -> None:
            pass

    theirs = [one["reward"] for one in RejectionCB(cpct=0, cinit=0.25, seed=1).evaluate(Environment(), Best())]
    events = [LoggedChoice(row[:, None], int(n), float(row[n])) for row, n in zip(options, chosen, strict=True)]
    ours = replay(_Counting(), events)
    assert theirs == pytest.approx(list(ours.rewards))

"""Each estimator by hand and against a known truth; when nothing is said; and another library's arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.offpolicy import estimators
from agent.offpolicy.estimators import (
    ESTIMATORS,
    OffPolicyReport,
    Sample,
    clipped_ips,
    default_clip,
    direct,
    doubly_robust,
    effective_size,
    evaluate,
    ips,
    snips,
)
from agent.offpolicy.rewards import fit_rewards

Array = NDArray[np.float64]


def hand_made() -> Sample:
    """Four lists of one place, two customers."""
    return Sample(
        rewards=np.array([[1.0], [0.0], [1.0], [0.0]]),
        weights=np.array([[0.5], [2.0], [3.0], [0.5]]),
        predicted=np.array([[0.5], [0.25], [0.5], [0.25]]),
        expected=np.array([[0.4], [0.4], [0.6], [0.6]]),
        groups=np.array([0, 0, 1, 1]),
    )


def two_places() -> Sample:
    """Two lists of two places; the second place's weights are those of both places together."""
    return Sample(
        rewards=np.array([[1.0, 0.0], [0.0, 1.0]]),
        weights=np.array([[2.0, 1.0], [0.5, 0.25]]),
        predicted=np.array([[0.5, 0.0], [0.0, 0.5]]),
        expected=np.array([[0.5, 0.25], [0.25, 0.5]]),
        groups=np.array([0, 1]),
    )


class TestByHand:
    def test_one_place(self) -> None:
        one = hand_made()
        assert ips(one) == pytest.approx(3.5 / 4)
        assert snips(one) == pytest.approx(3.5 / 6)
        assert clipped_ips(one, 2.0) == pytest.approx(2.5 / 4)
        assert direct(one) == pytest.approx(0.5)
        # .4 + .5(.5), .4 + 2(-.25), .6 + 3(.5), .6 + .5(-.25)
        assert doubly_robust(one) == pytest.approx((0.65 - 0.1 + 2.1 + 0.475) / 4)

    def test_places_are_added_each_with_its_own_weights(self) -> None:
        two = two_places()
        assert ips(two) == pytest.approx((2.0 + 0.25) / 2)
        assert snips(two) == pytest.approx(2.0 / 2.5 + 0.25 / 1.25)
        assert clipped_ips(two, 1.0) == pytest.approx((1.0 + 0.25) / 2)
        assert direct(two) == pytest.approx(0.75)
        assert doubly_robust(two) == pytest.approx(0.75 + (2 * 0.5 + 0.25 * 0.5) / 2)

    def test_effective_size(self) -> None:
        assert effective_size(np.ones(7)) == pytest.approx(7)
        assert effective_size(np.array([5.0, 0.0, 0.0])) == pytest.approx(1)
        assert effective_size(np.array([1.0, 3.0])) == pytest.approx(16 / 10)
        assert effective_size(np.zeros(3)) == 0

    def test_a_sample_checks_itself(self) -> None:
        with pytest.raises(ValueError, match="weights has shape"):
            replace(hand_made(), weights=np.ones((4, 2)))
        with pytest.raises(ValueError, match="groups has shape"):
            replace(hand_made(), groups=np.zeros(3, dtype=np.int64))
        with pytest.raises(ValueError, match="at least 0"):
            replace(hand_made(), weights=-hand_made().weights)


@dataclass(frozen=True)
class World:
    """Contexts with five actions each: what they earn, how the log chooses, how the candidate does."""

    rewards: Array
    logged: Array
    candidate: Array

    @classmethod
    def of(cls, seed: int, contexts: int = 40) -> World:
        random = np.random.default_rng(seed)
        means = random.uniform(0.1, 0.9, (contexts, 5))
        logged = softmax(0.6 * random.normal(size=(contexts, 5)))
        return cls(means, logged, softmax(2 * means + 0.6 * random.normal(size=(contexts, 5))))

    @property
    def truth(self) -> float:
        return float((self.candidate * self.rewards).sum(axis=1).mean())

    def sample(self, seed: int, n: int, model_error: float = 0.0) -> Sample:
        """A log; the model of rewards is right but for `model_error`, added to all it says of the first action."""
        random = np.random.default_rng(seed)
        context = random.integers(0, len(self.rewards), n)
        action = (random.random((n, 1)) > np.cumsum(self.logged[context], axis=1)).sum(axis=1)
        reward = (random.random(n) < self.rewards[context, action]).astype(np.float64)
        model = self.rewards.copy()
        model[:, 0] += model_error
        expected = (self.candidate[context] * model[context]).sum(axis=1)
        weight = self.candidate[context, action] / self.logged[context, action]
        columns = (reward, weight, model[context, action], expected)
        rewards, weights, predicted, expected_ = (column[:, None] for column in columns)
        return Sample(rewards, weights, predicted, expected_, context)


def softmax(logits: Array) -> Array:
    shares: Array = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return shares


class TestAgainstTheTruth:
    def test_what_is_unbiased_is(self) -> None:
        """The mean over many logs is the truth within four standard errors; a wrong model harms the direct one only."""
        world = World.of(1)
        samples = [world.sample(seed, 400, model_error=0.5) for seed in range(200)]
        for way in (ips, snips, doubly_robust):
            told = np.array([way(one) for one in samples])
            assert abs(told.mean() - world.truth) < 4 * told.std() / len(told) ** 0.5 + 0.002
        assert abs(np.mean([direct(one) for one in samples]) - world.truth) > 0.03
        assert np.mean([clipped_ips(one, 1.0) for one in samples]) < world.truth - 0.03

    def test_a_good_model_narrows(self) -> None:
        world = World.of(2)
        samples = [world.sample(seed, 400) for seed in range(100)]
        spread = {way: np.std([way(one) for one in samples]) for way in (ips, doubly_robust)}
        assert spread[doubly_robust] < 0.8 * spread[ips]

    def test_intervals_hold_the_truth(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of 40 logs of contexts drawn one by one, the interval holds the truth in 34 or more (95 % of 40 is 38)."""
        monkeypatch.setattr(estimators, "RESAMPLES", 300)
        world = World.of(3, contexts=200)
        held = dict.fromkeys(("ips", "snips", "doubly_robust"), 0)
        for seed in range(40):
            sample = world.sample(seed, 300)
            report = evaluate(replace(sample, groups=np.arange(300)))
            for name in held:
                value = next(one for one in report.estimates if one.name == name).value
                held[name] += value.low <= world.truth <= value.high
        assert min(held.values()) >= 34

    def test_the_difference_is_paired(self) -> None:
        """The candidate that is the log differs from it by nothing, without any doubt."""
        sample = replace(World.of(4).sample(0, 500), weights=np.ones((500, 1)))
        report = evaluate(sample)
        for name in ESTIMATORS[:3]:
            found = report.estimate(name)
            assert found is not None
            assert (found.more.value, found.more.low, found.more.high) == (0, 0, 0)
            assert found.value == report.logged


class TestRefusal:
    def test_nothing_was_explored(self) -> None:
        nothing = np.zeros((0, 1))
        report = evaluate(Sample(nothing, nothing, nothing, nothing, np.zeros(0, dtype=np.int64)))
        assert report.estimates == ()
        assert "chat.exploration" in (report.refusal or "")

    def test_few_effective_lists(self) -> None:
        sample = World.of(5).sample(0, 300)
        weights = np.full((300, 1), 1e-3)
        weights[:3] = 100.0
        report = evaluate(replace(sample, weights=weights))
        assert report.estimates == ()
        assert report.effective == pytest.approx(3, abs=0.1)
        assert "300 explored lists are worth 3 " in (report.refusal or "")
        assert evaluate(sample).refusal is None
        assert evaluate(sample, min_effective=1e6).refusal is not None

    def test_few_customers(self) -> None:
        sample = World.of(5).sample(0, 300)
        assert "3 customers" in (evaluate(replace(sample, groups=np.arange(300) % 3)).refusal or "")

    def test_wrong_propensities(self) -> None:
        """Weights that do not average 1 cannot be right: a log that forgot to write down half of a probability."""
        sample = World.of(6).sample(0, 2_000)
        assert evaluate(sample).refusal is None
        report = evaluate(replace(sample, weights=2 * sample.weights))
        assert report.estimates == ()
        assert "where 1 is expected" in (report.refusal or "")

    def test_the_report_is_plain_data(self) -> None:
        report = evaluate(World.of(7).sample(0, 400))
        assert OffPolicyReport.model_validate_json(report.model_dump_json()) == report
        assert tuple(one.name for one in report.estimates) == ESTIMATORS
        assert report.clip == pytest.approx(default_clip(400)) == 20


class TestRewardModel:
    def test_it_finds_the_line_and_never_predicts_for_whom_it_saw(self) -> None:
        random = np.random.default_rng(0)
        groups = np.repeat(np.arange(60), 5)
        features = random.normal(size=(300, 2, 3))
        rewards = features @ np.array([0.5, -0.25, 0.0]) + np.array([0.1, 0.3])
        models = fit_rewards(features, rewards, groups)
        told = np.array([[models.predict(row, features[row, [k]], k)[0] for k in (0, 1)] for row in range(300)])
        assert np.abs(told - rewards).max() < 0.05
        alone = groups == 7
        other = rewards.copy()
        other[alone] += 100
        again = fit_rewards(features, other, groups)
        row = int(np.flatnonzero(alone)[0])
        assert again.predict(row, features[row], 0) == pytest.approx(models.predict(row, features[row], 0))

    def test_a_constant_feature_and_one_customer(self) -> None:
        models = fit_rewards(np.ones((4, 1, 2)), np.full((4, 1), 0.5), np.zeros(4, dtype=np.int64))
        assert np.isfinite(models.predict(0, np.ones((1, 2)), 0)).all()


def coba_log(sample: Sample, world: World, action: NDArray[np.int64]) -> Iterator[dict[str, object]]:
    for row, context in enumerate(sample.groups.tolist()):
        yield {
            "context": (context,),
            "actions": [0, 1, 2, 3, 4],
            "action": int(action[row]),
            "reward": float(sample.rewards[row, 0]),
            "probability": float(world.logged[context, action[row]]),
        }


class TestAgainstCoba:
    """The same logs through coba 8.1."""

    def test_ips(self) -> None:
        """Its rewards by IPS, summed under the candidate, are ours."""
        coba = pytest.importorskip("coba", reason="coba is not installed: pip install coba==8.1.0")
        world = World.of(8)
        sample = world.sample(3, 200)
        random = np.random.default_rng(3)
        context = random.integers(0, len(world.rewards), 200)
        action = (random.random((200, 1)) > np.cumsum(world.logged[context], axis=1)).sum(axis=1)
        assert (context == sample.groups).all()
        from coba.environments.filters import OpeRewards  # type: ignore[import-untyped]

        told = [
            sum(float(world.candidate[one["context"][0], a]) * one["rewards"](a) for a in range(5))
            for one in OpeRewards("IPS").filter(coba_log(sample, world, action))
        ]
        assert coba.__version__
        assert np.mean(told) == pytest.approx(ips(sample), rel=1e-9)

    @pytest.mark.parametrize(("kind", "way"), [("DM", direct), ("DR", doubly_robust)])
    def test_with_its_model_of_rewards(self, kind: str, way: object) -> None:
        """Its direct and doubly robust rewards, whose model is Vowpal Wabbit's, against ours given that model."""
        pytest.importorskip("coba", reason="coba is not installed: pip install coba==8.1.0")
        pytest.importorskip("vowpalwabbit", reason="coba's model of rewards needs vowpalwabbit, which is not installed")
        from coba.environments.filters import OpeRewards

        world = World.of(9)
        sample = world.sample(4, 200)
        random = np.random.default_rng(4)
        context = random.integers(0, len(world.rewards), 200)
        action = (random.random((200, 1)) > np.cumsum(world.logged[context], axis=1)).sum(axis=1)
        log = list(coba_log(sample, world, action))
        share = world.candidate[context]
        model = np.array([[one["rewards"](a) for a in range(5)] for one in OpeRewards("DM").filter(log)])
        theirs = np.array([[one["rewards"](a) for a in range(5)] for one in OpeRewards(kind).filter(log)])
        ours = replace(
            sample,
            predicted=model[np.arange(200), action][:, None],
            expected=(share * model).sum(axis=1, keepdims=True),
        )
        assert way(ours) == pytest.approx((share * theirs).sum(axis=1).mean(), rel=1e-6)  # type: ignore[operator]

"""The contest: fair, repeatable, and each way of choosing wins where it must; opinions are kept; estimates are true."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import numpy as np
import pytest
from judging_engine import JudgingEngine
from numpy.typing import NDArray

from agent.bench.bandits import contest, proof
from agent.bench.bandits.contest import ARMS, Arm, Contest, Luck, best_of, learner_of, measure, opinion_auc, run
from agent.bench.bandits.learners import Belief, LinearBandit
from agent.bench.bandits.measuring import BanditReport, Plan, measure_bandits
from agent.bench.bandits.opinions import Kept, asking, opinions_of
from agent.bench.bandits.visitors import OPTIONS, ROUNDS, SHOWN, Stream, Visitor, rated, simulated
from agent.bench.personal import World
from agent.llm.protocol import Prompt
from agent.rank.llm import RankSkill
from agent.shop import Shop
from retrieval.errors import BadRequest
from retrieval.items import Item

Array = NDArray[np.float64]


def made_up(n: int = 60, *, told: bool = True) -> Contest:
    """Liking is by the second feature, as it is the opinion's; sorting by the first is of no use.

    Without `told` that feature is noise, and the opinion alone knows.
    """
    random = np.random.default_rng(3)
    visitors, opinions = [], {}
    for number in range(n):
        features = random.normal(size=(SHOWN, 2))
        useful = features[:, 1].copy()
        liking = 1 / (1 + np.exp(-2 * useful))
        if not told:
            features[:, 1] = random.normal(size=SHOWN)
        items = tuple(Item(f"{number}-{k}", f"Thing {k}") for k in range(SHOWN))
        nowhere = np.zeros((SHOWN, 3))
        visitors.append(Visitor(f"v{number}", ("I like it.",), items, liking, features, nowhere, np.zeros(3)))
        opinions[f"v{number}"] = useful
    return Contest(Stream("made up", tuple(visitors), ("useless", "useful"), "useless"), opinions)


def by_length(prompt: Prompt, text: str) -> float:
    """An engine's rule: any number that repeats, other for other items."""
    return float(len(text) + sum(map(ord, text)) % 7 - 0.1 * len(prompt.messages[-1].text))


def skill() -> RankSkill:
    return asking(JudgingEngine(by_length))


def total(one: Contest, arm: Arm, seeds: int = 2) -> float:
    return float(np.mean([run(one, arm, seed).regret.sum() for seed in range(seeds)]))


def early(one: Contest, arm: Arm, seed: int) -> float:
    """Regret of the first three visitors."""
    done = run(one, arm, seed)
    return float(done.regret[done.order[:3]].sum())


class TestContest:
    def test_who_wins_where(self) -> None:
        one, secret = made_up(40), made_up(40, told=False)
        regret = {arm: total(one, arm) for arm in ARMS}
        assert regret["model"] < 0.02 * regret["chance"]  # it knows
        assert max(regret["bandit"], regret["linucb"]) < 0.3 * regret["chance"]
        assert regret["sorted"] == pytest.approx(regret["chance"], rel=0.2)
        assert total(secret, "bandit") > 0.7 * total(secret, "chance")
        for arm in ARMS[-2:]:
            assert total(secret, arm) < 0.5 * total(secret, "bandit")
        feature, prior = (sum(early(secret, arm, seed) for seed in range(5)) for arm in ARMS[-2:])
        assert prior < feature  # it knows from the first visitor on

    def test_a_wrong_opinion_is_unlearned(self) -> None:
        one = made_up(100)
        lying = Contest(one.stream, {name: -opinion for name, opinion in one.opinions.items()})
        assert total(lying, "model") > total(one, "chance") > 2 * total(lying, "bandit, model as prior")
        assert opinion_auc(lying).value == pytest.approx(1 - opinion_auc(one).value)

    def test_the_bandit_without_a_model_never_sees_the_opinion(self) -> None:
        one = made_up(20)
        noise = np.random.default_rng(0)
        other = Contest(one.stream, {name: noise.normal(size=SHOWN) for name in one.opinions})
        assert run(one, "bandit", 1).regret == pytest.approx(run(other, "bandit", 1).regret)
        assert not np.allclose(run(one, "model", 1).regret, run(other, "model", 1).regret)

    def test_it_repeats_and_nothing_is_offered_twice(self) -> None:
        one = made_up(20)
        assert (run(one, "bandit", 5).regret == run(one, "bandit", 5).regret).all()
        assert (run(one, "bandit", 5).regret != run(one, "bandit", 6).regret).any()
        pools = Luck.of(1, 2, SHOWN).pools
        assert pools.shape == (ROUNDS, OPTIONS)
        assert sorted(pools.ravel().tolist()) == list(range(SHOWN))

    def test_what_was_liked_in_the_visit_counts(self) -> None:
        """Visitors like one of two kinds, known only by what they like first: closeness makes the rest of it easy."""
        random = np.random.default_rng(1)
        visitors = []
        for number in range(150):
            vectors = np.eye(2)[random.integers(0, 2, SHOWN)]
            liking = vectors[:, number % 2]
            items = tuple(Item(f"{number}-{k}", "A thing") for k in range(SHOWN))
            visitors.append(Visitor(f"v{number}", (), items, liking, np.zeros((SHOWN, 1)), vectors, np.zeros(2)))
        one = Contest(Stream("kinds", tuple(visitors), ("none",), "none"), {v.name: np.zeros(SHOWN) for v in visitors})
        done = run(one, "bandit", 0)
        late = done.order[75:]
        assert done.regret[late][:, 1:].mean() < 0.5 * done.regret[late][:, 0].mean()

    def test_the_report(self) -> None:
        one = made_up(20)
        said: list[str] = []
        arms = measure(one, said.append, seeds=2)
        assert [arm.arm for arm in arms] == list(ARMS)
        assert len(said) == len(ARMS)
        by_name = {arm.arm: arm for arm in arms}
        assert by_name["bandit"].saved.value == by_name["bandit"].saved_early.high == 0
        for arm in arms:
            assert [point.value for point in arm.regret] == sorted(point.value for point in arm.regret)
            assert arm.regret[-1].value == pytest.approx(total(one, arm.arm, 2), rel=1e-3)
            gap = best_of(one, seeds=2) - arm.liked.value
            assert arm.regret[-1].value == pytest.approx(gap * 20 * ROUNDS, abs=0.1)
            lost = by_name["bandit"].regret[-1].value - arm.regret[-1].value
            assert arm.saved.value == pytest.approx(lost / 20, abs=1e-3)


def test_the_posterior_is_the_one_of_the_textbook() -> None:
    random = np.random.default_rng(0)
    rows, rewards = random.normal(size=(50, 3)), random.random(50)
    belief = Belief(np.array([0.1, 0.0, -0.2]), np.array([0.5, 1.0, 0.3]))
    bandit = LinearBandit(belief, random)
    for row, reward in zip(rows, rewards, strict=True):
        bandit.learn(row, float(reward))
    precision = np.diag(belief.sd**-2) + rows.T @ rows / 0.25
    expected = np.linalg.solve(precision, belief.mean / belief.sd**2 + rows.T @ rewards / 0.25)
    assert bandit.mean == pytest.approx(expected)
    assert bandit._covariance == pytest.approx(np.linalg.inv(precision))


def test_linucb_chooses_like_coba() -> None:
    """Without a prior mean and with unit widths our scores are those of its LinUCB, whose noise is 1."""
    pytest.importorskip("coba", reason="coba is not installed: pip install coba==8.1.0")
    from coba.learners import LinUCBLearner  # type: ignore[import-untyped]

    random = np.random.default_rng(4)
    half = 0.5  # our noise has a variance of a quarter: the same posterior for features and rewards of half the size
    ours = LinearBandit(Belief(np.zeros(3), np.ones(3)), random, "ucb", width=1.0)
    theirs = LinUCBLearner(alpha=1.0, features=["a"])
    agreed = 0
    for _ in range(60):
        options = random.normal(size=(4, 3))
        reward = float(random.random())
        mine = ours.choose(options)
        pmf = [theirs.score(None, [tuple(row) for row in options], tuple(row)) for row in options]
        agreed += mine == int(np.argmax(pmf))
        ours.learn(options[mine] * half, reward * half)
        theirs.learn(None, tuple(options[mine]), reward, 1.0)
    assert agreed == 60


class TestOpinions:
    async def test_they_are_kept_and_asked_for_once(self, tmp_path: Path) -> None:
        one, file = made_up(3), tmp_path / "opinions.jsonl"
        far = time.monotonic() + 60
        first = await opinions_of(one.stream, skill(), "m", Kept(file), far, lambda line: None)
        assert (len(first.by_visitor), first.asked) == (3, 3)
        assert all(abs(scores.mean()) < 1e-6 for scores in first.by_visitor.values())
        with file.open("a") as half:
            half.write('{"key": "cut o')
        again = await opinions_of(one.stream, skill(), "m", Kept(file), 0.0, lambda line: None)
        assert again.asked == 0
        for name, scores in first.by_visitor.items():
            assert again.by_visitor[name] == pytest.approx(scores, abs=1e-3)
        none = await opinions_of(one.stream, skill(), "m", Kept(None), 0.0, lambda line: None)
        assert none.by_visitor == {}
        other = await opinions_of(one.stream, skill(), "another", Kept(file), 0.0, lambda line: None)
        assert other.by_visitor == {}

    def test_another_file(self, tmp_path: Path) -> None:
        (tmp_path / "other").write_text("no json\n")
        with pytest.raises(BadRequest, match="holds no opinions"):
            Kept(tmp_path / "other")

    async def test_too_few(self) -> None:
        with pytest.raises(BadRequest, match="--minutes"):
            await measure_bandits(
                [made_up(30).stream], JudgingEngine(by_length), Kept(None), Plan(minutes=0), lambda line: None
            )


def ratings_folder(root: Path, users: int = 60) -> Path:
    """Every user likes the even films; rates fifty of sixty."""
    random = np.random.default_rng(2)
    root.mkdir()
    with (root / "movies.csv").open("w", newline="") as file:
        films = [(n, f"Film {n} ({1950 + n})", ("Sea", "Space")[n % 2]) for n in range(60)]
        csv.writer(file).writerows([("movieId", "title", "genres"), *films])
    with (root / "ratings.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(("userId", "movieId", "rating", "timestamp"))
        for user in range(users):
            for film in random.choice(60, 50, replace=False).tolist():
                out.writerow((user, film, 1.5 if film % 2 else 4.5, 0))
    return root


class TestStreams:
    def test_real_ratings(self, tmp_path: Path) -> None:
        stream = rated(ratings_folder(tmp_path / "ml"), 200)
        assert len(stream.visitors) == 30  # half of them, the others tell what is liked
        for visitor in stream.visitors:
            assert len({item.id for item in visitor.items}) == SHOWN
            named = " ".join(visitor.words)
            assert not any(f"Film {n}." in named or f"Film {n} and" in named for n in range(1, 60, 2))
            assert not any(
                item.title in named.rstrip(".").replace("I loved ", "").split(" and ") for item in visitor.items
            )
            assert [item.attributes["genre"] == ("Sea",) for item in visitor.items] == (visitor.liking == 1).tolist()
        column = stream.features.index("liked by others")
        every = np.concatenate([one.features[:, column] for one in stream.visitors])
        liked = np.concatenate([one.liking for one in stream.visitors])
        assert every[liked == 1].min() > every[liked == 0].max()
        assert every.mean() == pytest.approx(0, abs=1e-9)

    def test_too_few_ratings(self, tmp_path: Path) -> None:
        root = ratings_folder(tmp_path / "ml", users=0)
        with pytest.raises(BadRequest, match="No user"):
            rated(root, 10)

    def test_hidden_tastes(self, film_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
        from agent.bench.bandits import visitors

        monkeypatch.setattr(visitors, "SHOWN", 16)
        stream = simulated(World.of(film_shop.retriever), "crooked", 8)
        for one in stream.visitors:
            assert len(one.items) == 16
            assert one.features.shape == (16, len(stream.features))
            assert not any(f"{item.title} and" in one.words[-1] for item in one.items)
            assert ((one.liking >= 0) & (one.liking <= 1)).all()
        assert any(len(one.words) == 2 for one in stream.visitors)
        assert simulated(World.of(film_shop.retriever), "crooked", 8).visitors[3].words == stream.visitors[3].words


class TestProof:
    async def test_the_whole_report(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(proof, "LOGS", 3)
        monkeypatch.setattr(proof, "REPLAYS", 3)
        stream = rated(ratings_folder(tmp_path / "ml"), 200)
        report = await measure_bandits([stream], JudgingEngine(by_length), Kept(None), Plan(seeds=2), lambda line: None)
        assert BanditReport.model_validate_json(report.model_dump_json()) == report
        assert report.proof is not None
        assert [one.arm for one in report.streams[0].arms] == list(ARMS)
        by_name = {one.candidate: one for one in report.proof.candidates}
        surer = by_name["the log's order, surer"]
        assert surer.truth > surer.logged
        assert surer.refused == 0
        told = {one.estimator: one for one in surer.estimators}
        assert abs(told["ips"].bias) < 0.1
        assert told["doubly_robust"].rmse < 0.1
        chance = report.proof.replays[0]
        assert chance.kept == pytest.approx(30 * ROUNDS / OPTIONS, rel=0.4)

    def test_the_learner_of_every_arm_can_choose(self) -> None:
        one = made_up(20)
        width = len(one.columns())
        for arm in ARMS:
            learner = learner_of(arm, one, np.random.default_rng(0))
            assert 0 <= learner.choose(np.ones((4, width))) < 4
        assert contest.REFERENCE in ARMS

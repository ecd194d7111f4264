"""From a real log to a sample: the candidate that is the log itself has weights of one, to the digit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from talking import talk_over

from agent.log.records import Feedback
from agent.log.store import EventLog
from agent.offpolicy.estimators import evaluate
from agent.offpolicy.logged import ExploredTurn, explored_turns, live_candidate, pool_of, sample_of
from agent.offpolicy.slates import Pool
from agent.ranking import Slate
from agent.settings import Settings
from agent.shop import Shop
from retrieval.items import Item

PLAIN = Settings(chat={"exploration": 0.3, "diversity": 0.0})  # type: ignore[arg-type]  # pydantic makes the section
VARIED = Settings(chat={"exploration": 0.3, "diversity": 0.6})  # type: ignore[arg-type]
WISHES = ("a thriller", "a comedy", "a drama")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    events = EventLog.open(None, tmp_path / "log")
    yield events
    events.close()


def turn_ids(log: EventLog) -> tuple[str, ...]:
    from datetime import UTC, datetime

    return log.turns_since("default", datetime(2000, 1, 1, tzinfo=UTC))


def react(log: EventLog, turn_id: str, item_id: str, kind: str) -> None:
    log.record_feedback("default", "", Feedback(turn_id, kind, item_id))


@pytest.mark.parametrize("settings", [PLAIN, VARIED], ids=["plain", "varied"])
async def test_the_log_against_itself(film_shop: Shop, log: EventLog, tmp_path: Path, settings: Settings) -> None:
    talks = [talk_over(film_shop, log, tmp_path, settings=settings) for _ in WISHES]
    for talk, wish in zip(talks, WISHES, strict=True):
        turn = await talk.say(wish)
        react(log, turn.answer.turn_id, turn.ids[1], "accept")
        await talk.say("more")  # ranked by what was taken
    turns = explored_turns(log, "default", turn_ids(log), "opt_out")
    assert len(turns) == 6
    assert [turn.rewards.tolist() for turn in turns[::2]] == [[0, 1, 0, 0, 0]] * 3
    knob = settings.chat.diversity
    sample = await sample_of(turns, live_candidate(talks[0].chat, film_shop, knob), places=2)
    assert sample.weights == pytest.approx(np.ones((6, 2)))
    assert sample.rewards.sum() == 3
    assert len(np.unique(sample.groups)) == 3
    colder = await sample_of(turns, live_candidate(talks[0].chat, film_shop, knob, temperature=0.1), places=1)
    assert (np.abs(colder.weights - 1) > 0.05).any()
    assert "customers are in the log" in (evaluate(sample, min_effective=1).refusal or "")


async def test_what_counts(film_shop: Shop, log: EventLog, tmp_path: Path) -> None:
    """Not what was undone, not the cheapest (nothing was left to chance), not who said no to being learned from."""
    talk = talk_over(film_shop, log, tmp_path, settings=PLAIN)
    first = await talk.say("a thriller")
    react(log, first.answer.turn_id, first.ids[0], "thumb_up")
    react(log, first.answer.turn_id, first.ids[1], "accept")
    react(log, first.answer.turn_id, first.ids[1], "reject")
    await talk.say("the oldest one")
    undone = await talk.say("a comedy")
    log.undo_turn("default", undone.answer.turn_id)
    (found,) = explored_turns(log, "default", turn_ids(log), "opt_out")
    assert found.items == tuple(first.ids)
    assert found.rewards.tolist() == [1, 0, 0, 0, 0]
    assert explored_turns(log, "default", turn_ids(log), "opt_in") == ()


def test_a_list_that_was_not_drawn_is_the_only_one(film_shop: Shop, films: tuple[Item, ...]) -> None:
    from agent.ranking import matched_slate

    pool = pool_of(matched_slate(films[:3], (), film_shop.table), film_shop, 0.2, temperature=0.5)
    assert pool.log_propensities([film.id for film in films[:3]]).tolist() == [0, 0, 0]
    assert pool_of(Slate(), film_shop, 0.2).ids == ()


async def test_a_model_of_rewards_and_a_candidate_without_a_list(
    film_shop: Shop, log: EventLog, tmp_path: Path
) -> None:
    """What features tell of rewards is expected of the candidate's lists; where it shows none, nothing is."""
    talk = talk_over(film_shop, log, tmp_path, settings=PLAIN)
    await talk.say("a thriller")
    (one,) = explored_turns(log, "default", turn_ids(log), "opt_out")
    random = np.random.default_rng(0)
    turns = []
    for number in range(60):
        items = tuple(random.permutation(["good", "fair", "bad"]).tolist())
        rewards = np.array([float(item == "good") for item in items])
        turns.append(replace(one, items=items, rewards=rewards, log_propensities=np.log([1 / 3, 1 / 2, 1.0]),
                             customer=f"c{number}"))  # fmt: skip

    async def candidate(turn: ExploredTurn) -> Pool:
        if turn.customer == "c0":
            return Pool((), np.zeros(0), 0.0)
        features = ({"worth": 1.0}, {"worth": 0.5}, {"worth": 0.0})
        return Pool(("good", "fair", "bad"), np.array([5.0, 0.0, 0.0]), 1.0, features=features)

    sample = await sample_of(turns, candidate, places=1)
    assert sample.weights[0] == 0
    assert sample.expected[0] == 0
    assert sample.expected[1:].mean() > 0.7 > 0.4 > sample.predicted[1:].mean()
    report = evaluate(sample, min_effective=10)
    told = report.estimate("doubly_robust")
    assert told is not None
    assert told.value.value > 0.8 > report.logged.value  # type: ignore[union-attr]

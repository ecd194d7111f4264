from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest
from judging_engine import JudgingEngine

from agent.llm.protocol import Prompt
from agent.rank.llm import RankSkill, Way, rank_skill
from agent.rank.prompts import LABELS
from agent.settings import LLMSettings
from retrieval.errors import EngineBusy, EngineError, EngineTimeout
from retrieval.items import Item

FILMS = tuple(Item(str(n), f"Film number {n:02}") for n in range(20))
WORTH = tuple(float(n * 7 % 20) / 10 for n in range(20))
TALK = ("I want something good",)


def worth(text: str) -> float:
    return next((value for film, value in zip(FILMS, WORTH, strict=True) if film.title in text), 0.0)


def by_text(prompt: Prompt, text: str) -> float:
    return worth(text)


def by_label(prompt: Prompt, label: str) -> float:
    """What stands behind the label in the prompt, and a liking for early labels that is larger than any worth."""
    place = LABELS.index(label.strip())
    line = next(line for line in prompt.messages[1].text.splitlines() if line.startswith(f"{label.strip()}. "))
    return worth(line) - 0.5 * place


def popular(prompt: Prompt, text: str) -> float:
    """Every title is as likely as it is famous; the talk speaks for what is of worth."""
    famous = -int(text.split()[-1]) * 10.0
    return famous + (worth(text) if TALK[0] in prompt.messages[1].text else 0.0)


def order(scores: Sequence[float] | None) -> list[int]:
    assert scores is not None
    return [int(n) for n in np.argsort(-np.array(scores), kind="stable")]


BEST_FIRST = order(WORTH)


async def test_verdicts_are_the_odds_of_yes() -> None:
    engine = JudgingEngine(by_text)
    scores = await RankSkill(engine).score(TALK, FILMS)
    assert scores == pytest.approx(WORTH)
    assert len(engine.asked) == 1, "one call: the talk is read once"
    assert await RankSkill(engine).score(TALK, ()) == ()


async def test_titles_count_for_what_the_talk_adds() -> None:
    engine = JudgingEngine(popular)
    skill = RankSkill(engine, way="titles")
    assert await skill.score(TALK, FILMS) == pytest.approx(WORTH)
    assert await skill.score(TALK, FILMS[:4]) == pytest.approx(WORTH[:4])
    assert [len(asked) for asked in engine.asked] == [20, 20, 4], "what a title gets anyway is asked once"
    await engine.use_adapter("another")
    assert await skill.score(TALK, FILMS[:4]) == pytest.approx(WORTH[:4])
    assert len(engine.asked[-2]) == 4, "and once more of other weights"


async def test_a_liking_for_labels_cancels_out() -> None:
    """The bias is worth ten times the best film: an order that it still shaped would begin with the first ones."""
    engine = JudgingEngine(by_label)
    scores = await RankSkill(engine, way="labels").score(TALK, FILMS)
    assert scores is not None
    assert np.corrcoef(scores, WORTH)[0, 1] > 0.85
    assert abs(np.corrcoef(scores, range(20))[0, 1]) < 0.4
    assert len(engine.asked) == 4


@pytest.mark.parametrize("way", ["labels", "titles", "verdicts"])
async def test_a_late_answer_is_none(way: Way) -> None:
    engine = JudgingEngine(by_text, seconds=600)
    async with asyncio.timeout(60):
        assert await RankSkill(engine, way=way, seconds=0.05).score(TALK, FILMS) is None
    assert engine.cancelled == 1, "the model is told to stop"


@pytest.mark.parametrize("error", [EngineError("gone"), EngineBusy("full"), EngineTimeout("late")])
async def test_an_engine_that_fails_gives_no_feature(error: EngineError) -> None:
    engine = JudgingEngine(by_text)
    engine.error = error
    assert await RankSkill(engine).score(TALK, FILMS) is None


async def test_an_engine_that_is_not_ready_is_not_asked() -> None:
    engine = JudgingEngine(by_text)
    engine.state = "starting"
    assert await RankSkill(engine).score(TALK, FILMS) is None
    assert engine.asked == []


def test_it_is_off_until_a_measurement_says_otherwise() -> None:
    engine = JudgingEngine(by_text)
    assert rank_skill(engine, LLMSettings()) is None
    assert rank_skill(engine, LLMSettings(rank="off")) is None
    assert rank_skill(engine, LLMSettings(rank="on")) is not None


async def test_a_turn_that_is_given_up_is_given_up() -> None:
    """A cancellation from outside is no timeout of ours."""
    engine = JudgingEngine(by_text, seconds=30)
    task = asyncio.create_task(RankSkill(engine).score(TALK, FILMS))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

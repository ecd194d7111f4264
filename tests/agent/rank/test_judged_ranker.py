"""The language model's number in a list: as a feature of a ranker, and in a real conversation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from judging_engine import JudgingEngine
from talking import PLAIN, Talk, talk_over

from agent.bench.retrieval.llm_rank import _trained
from agent.llm.protocol import Prompt
from agent.log.store import EventLog
from agent.rank.judged import JudgedRanker, asking
from agent.rank.llm import FEATURE, SHORTLIST, RankSkill
from agent.ranking import LINEAR, RankingOptions, Slate, rank
from agent.settings import Settings
from agent.shop import Shop
from retrieval.errors import EngineError
from retrieval.items import Item
from retrieval.query import Candidate
from retrieval.table import ItemTable

TABLE = ItemTable(tuple(Item(f"i{n:02}", f"Film {n:02}") for n in range(30)))
FOUND = tuple(Candidate(item.id, 1.0 - n / 100, {}) for n, item in enumerate(TABLE.items))


def ranked(ask: Callable[[Sequence[Item]], Sequence[float] | None], prior: float | None = None) -> Slate:
    return rank(FOUND, (), TABLE, RankingOptions(size=30, ranker=JudgedRanker(LINEAR, ask, prior)))


def ids(slate: Slate) -> list[str]:
    return [entry.item.id for entry in slate.entries]


def test_what_the_model_likes_comes_up_and_the_rest_stays_behind() -> None:
    asked: list[str] = []

    def likes_the_tenth(items: Sequence[Item]) -> list[float]:
        asked.extend(item.id for item in items)
        return [float(item.id == "i09") for item in items]

    slate = ranked(likes_the_tenth, prior=0.0)
    before = rank(FOUND, (), TABLE, RankingOptions(size=30))
    own = ids(before)
    assert asked == own[:SHORTLIST]
    assert ids(slate) == ["i09", *(one for one in own if one != "i09")]
    assert [entry.score for entry in slate.entries] == pytest.approx([entry.score for entry in before.entries])
    best = slate.entries[0]
    assert best.features[FEATURE] == best.contributions[FEATURE] > 0
    for entry in slate.entries:
        assert sum(entry.contributions.values()) == pytest.approx(entry.score)


@pytest.mark.parametrize("prior", [None, 0.3, 2.0])
def test_the_order_is_the_one_that_is_measured(prior: float | None) -> None:
    """As `bench retrieval --llm on` makes it, and as `bench rank-skill` judges an adapter."""
    numbers = np.random.default_rng(1).normal(size=SHORTLIST)
    own = tuple(ids(rank(FOUND, (), TABLE, RankingOptions(size=30))))
    wanted = _trained(own, numbers, prior)
    assert wanted != own
    assert ids(ranked(lambda items: numbers.tolist(), prior)) == list(wanted)


def test_what_the_ranker_left_equal_is_the_model_s_to_order() -> None:
    equal = tuple(replace(one, score=1.0) for one in FOUND)
    ranker = JudgedRanker(LINEAR, lambda items: list(range(len(items))), 0.0)
    slate = rank(equal, (), TABLE, RankingOptions(size=30, ranker=ranker))
    assert ids(slate) == [f"i{n:02}" for n in [*reversed(range(SHORTLIST)), *range(SHORTLIST, 30)]]


def test_those_that_nobody_asked_about_never_come_before_the_shortlist() -> None:
    slate = ranked(lambda items: list(range(len(items))), prior=0.0)
    assert set(ids(slate)[:SHORTLIST]) == {f"i{n:02}" for n in range(SHORTLIST)}
    assert ids(slate)[0] != "i00"


@pytest.mark.parametrize("answer", [None, [1.0] * SHORTLIST])
def test_a_model_without_an_opinion_changes_nothing(answer: Sequence[float] | None) -> None:
    own = rank(FOUND, (), TABLE, RankingOptions(size=30))
    slate = ranked(lambda items: answer)
    assert ids(slate) == ids(own)
    assert [entry.score for entry in slate.entries] == pytest.approx([entry.score for entry in own.entries])


def test_a_list_of_one_or_none_is_not_asked_about() -> None:
    options = RankingOptions(ranker=JudgedRanker(LINEAR, lambda items: pytest.fail("asked")))
    assert len(rank(FOUND[:1], (), TABLE, options).entries) == 1
    assert rank((), (), TABLE, options).entries == ()


async def test_a_thread_asks_the_loop_of_the_engine() -> None:
    engine = JudgingEngine(lambda prompt, text: float("Film 03" in text))
    ask = asking(RankSkill(engine), ("a film",))
    numbers = await asyncio.to_thread(ask, TABLE.items[:5])
    assert numbers is not None
    assert int(np.argmax(numbers)) == 3


@pytest.mark.parametrize("number", [-np.inf, np.nan])
async def test_what_is_no_number_is_no_answer(number: float) -> None:
    engine = JudgingEngine(lambda prompt, text: number if "Film 03" in text else 1.0)
    assert await asyncio.to_thread(asking(RankSkill(engine), ("a film",)), TABLE.items[:5]) is None


async def test_a_slip_of_the_skill_is_no_answer() -> None:
    def slip(prompt: Prompt, text: str) -> float:
        raise ValueError("a slip")

    assert await asyncio.to_thread(asking(RankSkill(JudgingEngine(slip)), ("a film",)), TABLE.items[:5]) is None


# --- in a real conversation: switched on, off, failing and late ---

ASKED = "recommend me a film"


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventLog]:
    opened = EventLog.open(None, tmp_path_factory.mktemp("log"))
    yield opened
    opened.close()


@pytest.fixture
def over(film_shop: Shop, log: EventLog, tmp_path: Path) -> Callable[..., Talk]:
    def talk(engine: JudgingEngine, rank: str = "on", **more: str) -> Talk:
        settings = Settings(**PLAIN, llm={"rank": rank, "reply": "off"}, **more)  # type: ignore[arg-type]
        return talk_over(film_shop, log, tmp_path, engine, settings)

    return talk


async def test_the_list_follows_the_model_and_says_so(over: Callable[..., Talk]) -> None:
    off = over(JudgingEngine(lambda prompt, text: 0.0), "off")
    own = (await off.say(ASKED)).titles
    wanted = own[-1]

    def likes(prompt: Prompt, text: str) -> float:
        assert ASKED in prompt.messages[1].text
        return float(f"“{wanted}" in text)

    engine = JudgingEngine(likes)
    talk = over(engine)
    turn = await talk.say(ASKED)
    assert turn.titles.index(wanted) < off.turns[-1].titles.index(wanted), "untuned, it breaks near ties alone"
    assert len(engine.asked) == 1
    shown = talk.logged(turn).record.shown[0]
    assert shown.contributions[FEATURE] > 0
    assert turn.answer.degraded is False


async def test_it_is_off_until_somebody_switches_it_on(over: Callable[..., Talk]) -> None:
    engine = JudgingEngine(lambda prompt, text: 0.0)
    await over(engine, "auto").say(ASKED)
    assert engine.asked == []


async def test_a_model_that_fails_leaves_the_ranker_s_list(over: Callable[..., Talk]) -> None:
    own = (await over(JudgingEngine(lambda prompt, text: 0.0), "off").say(ASKED)).ids
    engine = JudgingEngine(lambda prompt, text: 1.0)
    engine.error = EngineError("gone")
    turn = await over(engine).say(ASKED)
    assert turn.ids == own
    assert len(engine.asked) == 1


async def test_a_model_that_is_late_leaves_the_ranker_s_list(
    over: Callable[..., Talk], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = (await over(JudgingEngine(lambda prompt, text: 0.0), "off").say(ASKED)).ids
    engine = JudgingEngine(lambda prompt, text: float(len(text)), seconds=60)
    talk = over(engine)
    monkeypatch.setattr("agent.conversation.rank_skill", lambda of, *_: RankSkill(of, seconds=0.05))
    turn = await talk.say(ASKED)
    assert turn.ids == own
    assert engine.cancelled == 1


async def test_another_language_is_not_the_model_s(over: Callable[..., Talk]) -> None:
    engine = JudgingEngine(lambda prompt, text: 0.0)
    await over(engine, language="zh").say("推荐一部电影")
    assert engine.asked == []


async def test_a_question_about_a_list_is_not_ranked_by_the_model(over: Callable[..., Talk]) -> None:
    engine = JudgingEngine(lambda prompt, text: 0.0)
    talk = over(engine)
    await talk.say("what is the cheapest film?")
    assert engine.asked == []

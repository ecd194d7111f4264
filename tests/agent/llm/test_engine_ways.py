"""The speed benchmark's ways on the tiny model: what is timed is a whole answer, and the arithmetic of the table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agent.bench import engine_speed
from agent.bench.engine_speed import ANSWER_TOKENS, CHATS, PROMPT_TOKENS, Timed, prompt_number
from agent.bench.engine_ways import Eager, Generate, Kernel, Way, ids_of
from agent.llm.batch import Batch
from agent.llm.decoder import Decoder
from agent.llm.generation import Answer, State
from agent.llm.kernel import load_kernel
from agent.llm.model import LoadedModel

PROMPTS = [prompt_number(n) for n in range(CHATS)]


@pytest.fixture(scope="module")
def endless(tiny: LoadedModel) -> LoadedModel:
    return replace(tiny, stop_ids=frozenset())


def test_prompts_are_long_enough_and_begin_alike(tiny: LoadedModel) -> None:
    ids = [ids_of(tiny, prompt) for prompt in PROMPTS]
    assert {len(one) for one in ids} == {PROMPT_TOKENS}
    assert len({tuple(one) for one in ids}) == CHATS
    assert len({tuple(one[:90]) for one in ids}) == 1


@pytest.mark.parametrize("drafts", [0, None])
def test_the_kernel_makes_whole_answers(
    endless: LoadedModel, models_dir: Path, monkeypatch: pytest.MonkeyPatch, drafts: int | None
) -> None:
    made: list[Answer] = []
    real = Batch.join
    monkeypatch.setattr(
        Batch, "join", lambda self, call, answer, *rest: (made.append(answer), real(self, call, answer, *rest))[1]
    )
    way = Kernel(endless, Decoder(endless, load_kernel(models_dir / "kernels")), drafts)
    timed = way.one(PROMPTS[0])
    assert 0 < timed.first < timed.whole
    assert way.all_at_once(PROMPTS) > 0
    assert [answer.made for answer in made] == [ANSWER_TOKENS] * (1 + CHATS)


def test_transformers_makes_whole_answers(endless: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    fed: list[int] = []
    real = State.feed
    monkeypatch.setattr(State, "feed", lambda self, ids: (fed.extend(ids), real(self, ids))[1])
    timed = Eager(endless).one(PROMPTS[0])
    assert 0 < timed.first < timed.whole
    assert len(fed) == PROMPT_TOKENS + ANSWER_TOKENS - 1
    plain = Generate(endless.net, endless).one(PROMPTS[0])
    assert 0 < plain.first < plain.whole


def test_the_table_counts_tokens_and_bytes() -> None:
    class Known(Way):
        name, bytes_per_token = "known", 1e8

    speed = engine_speed._speed(Known(), [Timed(2.0, 2.0 + (ANSWER_TOKENS - 1) / 50)] * 3, [2.0] * 3, 10.0)
    assert (speed.read_per_s.median, speed.written_per_s.median, speed.written_per_s.n) == (300, 50, 3)
    assert speed.of_the_limit == 0.5
    assert speed.four_over_one is not None
    assert engine_speed._speed(Known(), [Timed(2.0, 3.0)], [], 10.0).four_over_one is None

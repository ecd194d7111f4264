from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from llm_chat import CHAT

from agent.llm import batch as batch_module
from agent.llm import generation, wire
from agent.llm.batch import Batch
from agent.llm.decoder import Decoder, KernelWeights
from agent.llm.drafts import Drafts
from agent.llm.generation import Answer, Reader, Watch
from agent.llm.kernel import load_kernel
from agent.llm.lora import Adapters
from agent.llm.model import LoadedModel, load_model
from agent.llm.protocol import Limits, Message, Prompt

PROMPTS = [
    CHAT,
    Prompt((Message("user", "Say it again: one two three, one two three, one two three, one two"),)),
    Prompt((Message("user", "Why?"),), prefill="Because because because"),
]
MANY = Limits(max_tokens=40)


@pytest.fixture(scope="module")
def model(tiny_dir: Path) -> LoadedModel:
    return load_model(tiny_dir, "cpu", torch.float32)


@pytest.fixture(scope="module")
def decoder(model: LoadedModel, models_dir: Path) -> Decoder:
    return Decoder(model, load_kernel(models_dir / "kernels"))


class Streams:
    """Streams of one batch, and what came out of them."""

    def __init__(self, model: LoadedModel, decoder: Decoder, draft_tokens: int = batch_module.DRAFT_TOKENS) -> None:
        self.model, self.decoder, self.batch = model, decoder, Batch(decoder, draft_tokens)
        self.chunks: dict[int, list[generation.Chunk]] = {}
        self.over: list[int] = []
        self.steps = 0

    def join(
        self,
        call: int,
        prompt: Prompt,
        limits: Limits = MANY,
        watch: Watch | None = None,
        weights: KernelWeights = None,
    ) -> None:
        answer = Answer(self.model, prompt, limits)
        state = Reader(self.model, reuse=False).read(answer.ids, None, Watch(60))
        self.hear(self.batch.join(call, answer, watch or Watch(60), state, weights or self.decoder.base))

    def hear(self, reports: list[wire.Piece | wire.Done]) -> None:
        for report in reports:
            if isinstance(report, wire.Piece):
                self.chunks.setdefault(report.id, []).append(report.chunk)
            else:
                self.over.append(report.id)

    def step(self) -> None:
        self.steps += 1
        self.hear(self.batch.step())

    def finish(self) -> None:
        while self.batch:
            self.step()

    def text(self, call: int) -> str:
        return "".join(chunk.text for chunk in self.chunks[call])


def alone(
    model: LoadedModel,
    decoder: Decoder,
    prompt: Prompt,
    draft_tokens: int = batch_module.DRAFT_TOKENS,
    **given: object,
) -> Streams:
    streams = Streams(model, decoder, draft_tokens)
    streams.join(0, prompt, **given)
    streams.finish()
    return streams


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_text_is_the_same_alone_in_company_and_without_drafts(
    model: LoadedModel, decoder: Decoder, temperature: float
) -> None:
    limits = Limits(max_tokens=40, temperature=temperature, seed=3)
    expected = [alone(model, decoder, prompt, limits=limits).chunks[0] for prompt in PROMPTS]
    together = Streams(model, decoder)
    for call, prompt in enumerate(PROMPTS):
        together.join(call, prompt, limits)
        together.step()  # the others join later
    together.finish()
    assert [together.chunks[call] for call in range(3)] == expected
    assert sorted(together.over) == [0, 1, 2]
    plain = [alone(model, decoder, prompt, draft_tokens=0, limits=limits) for prompt in PROMPTS]
    assert [one.chunks[0] for one in plain] == expected


def test_drafts_save_steps(model: LoadedModel, decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A guesser that knows the answer needs a third of the steps; one that is always wrong changes nothing."""
    whole = alone(model, decoder, CHAT)
    seen: list[int] = []
    real = Answer.take
    monkeypatch.setattr(Answer, "take", lambda self, token: (seen.append(token), real(self, token))[1])
    alone(model, decoder, CHAT)
    tokens, made = list(seen), len(seen)
    monkeypatch.setattr(Drafts, "guess", lambda self, most: tokens[len(self._ids) - prompt :][:most])
    prompt = len(Answer(model, CHAT, MANY).ids)
    knowing = alone(model, decoder, CHAT)
    monkeypatch.setattr(Drafts, "guess", lambda self, most: [9] * most)
    wrong = alone(model, decoder, CHAT)
    assert knowing.chunks == whole.chunks == wrong.chunks
    assert knowing.steps <= made // 3 + 1


def test_no_answer_mixes_two_adapters(
    model: LoadedModel,
    decoder: Decoder,
    tiny_lora: Path,
    make_lora: Callable[..., Path],
    tiny_dir: Path,
    tmp_path: Path,
) -> None:
    adapters = Adapters(model.linears)
    adapters.serve_kernel(decoder.base, decoder.pack)
    adapters.load("one", tiny_lora)
    adapters.load("two", make_lora(tiny_dir, tmp_path / "two", seed=5, strength=0.3))
    sets = [adapters.get(name).kernel for name in ("one", "two", None)]
    expected = [alone(model, decoder, CHAT, weights=weights).text(0) for weights in sets]
    assert len(set(expected)) == 3
    streams = Streams(model, decoder)
    for call, weights in enumerate(sets):
        streams.join(call, CHAT, weights=weights)
        streams.step()
    streams.finish()
    assert [streams.text(call) for call in range(3)] == expected


def test_each_stream_ends_by_itself(model: LoadedModel, decoder: Decoder) -> None:
    gone = []
    streams = Streams(model, decoder)
    streams.join(1, CHAT, watch=Watch(60, lambda: bool(gone)))
    streams.join(2, CHAT, watch=Watch(0))
    streams.join(3, CHAT, Limits(max_tokens=30))
    streams.step()
    assert streams.over == [2]
    assert streams.chunks[2][-1].finish == "timeout"
    gone.append(1)
    streams.finish()
    assert streams.over[1] == 1
    assert all(chunk.finish is None for chunk in streams.chunks[1])
    assert streams.chunks[3][-1].finish in ("length", "stop")


def test_an_answer_may_fill_the_context_to_its_end(model: LoadedModel, decoder: Decoder) -> None:
    long = Prompt((Message("user", "word " * 5_000),))
    streams = alone(model, decoder, long, limits=Limits(max_tokens=12, temperature=1.5))
    last = streams.chunks[0][-1]
    assert last.finish in ("length", "stop")
    assert last.prompt_tokens + last.completion_tokens <= model.context


def test_guesses_are_what_followed_last_time() -> None:
    drafts = Drafts([1, 2, 3, 4, 1, 2])
    assert drafts.guess(2) == [3, 4]
    assert drafts.guess(9) == [3, 4, 1, 2]
    drafts.add(7)
    assert drafts.guess(3) == []
    for token in (1, 2):
        drafts.add(token)
    assert drafts.guess(1) == [7]
    assert drafts.guess(0) == []
    assert Drafts([]).guess(3) == Drafts([1]).guess(3) == []

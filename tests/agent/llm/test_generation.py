from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from llm_chat import CHAT

from agent.llm import generation
from agent.llm.generation import Cancelled, Reader, Watch
from agent.llm.model import LoadedModel
from agent.llm.protocol import Chunk, Limits, Message, Prompt


def run(
    model: LoadedModel,
    prompt: Prompt = CHAT,
    reader: Reader | None = None,
    adapter: Path = None,
    watch: Watch | None = None,
    **limits: object,
) -> tuple[str, Chunk]:
    chunks = list(
        generation.stream(model, reader or Reader(model), adapter, prompt, Limits(**limits), watch or Watch(60))
    )
    return "".join(chunk.text for chunk in chunks), chunks[-1]


def test_greedy_is_what_transformers_generates(tiny: LoadedModel) -> None:
    """Token for token, in fp32, against the reference loop."""
    ids = generation.prompt_ids(tiny, CHAT, 24)
    with torch.inference_mode():
        expected = tiny.net.generate(
            torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)), max_new_tokens=24, do_sample=False
        )[0, len(ids) :].tolist()
    stops = [n for n, token in enumerate(expected) if token in tiny.stop_ids]
    text, last = run(tiny, max_tokens=24)
    assert text == tiny.decode(expected[: stops[0]] if stops else expected).rstrip("\ufffd")
    assert (last.prompt_tokens, last.finish) == (len(ids), "stop" if stops else "length")


def test_smol_answers_and_stops(smol: LoadedModel) -> None:
    prompt = Prompt((Message("user", "What is the capital of France?"),))
    text, last = run(smol, prompt, max_tokens=40)
    assert "Paris" in text
    assert last.finish == "stop"
    assert 0 < last.completion_tokens < 40


@pytest.mark.parametrize("name", ["tiny", "smol"])
def test_reuse_changes_no_token(name: str, request: pytest.FixtureRequest) -> None:
    """The same ids with and without an earlier prompt in the cache, also in bf16: chunks make it exact."""
    model = request.getfixturevalue(name)
    longer = Prompt((*CHAT.messages, Message("assistant", "Alien."), Message("user", "Why?")))
    fresh = run(model, longer, Reader(model, reuse=False), max_tokens=5)
    reader = Reader(model)
    run(model, CHAT, reader, max_tokens=4)
    again = run(model, longer, reader, max_tokens=5)
    assert reader.reused_tokens >= generation.PREFILL_CHUNK
    assert again == fresh
    ids = generation.prompt_ids(model, longer, 12)
    logits = [r.read(ids, None, Watch(60)).logits for r in (reader, Reader(model, reuse=False))]
    assert torch.equal(*logits)


def test_reuse_is_keyed_by_adapter(tiny: LoadedModel) -> None:
    reader = Reader(tiny)
    run(tiny, reader=reader, max_tokens=1)
    run(tiny, reader=reader, adapter="other", max_tokens=1)
    assert reader.reused_tokens == 0
    run(tiny, reader=reader, max_tokens=1)
    assert reader.reused_tokens > 0


def test_temperature_follows_the_seed(tiny: LoadedModel) -> None:
    texts = [run(tiny, max_tokens=12, temperature=1.0, seed=seed)[0] for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_stop_string_ends_the_text_before_it(tiny: LoadedModel) -> None:
    text, _ = run(tiny, max_tokens=20)
    stop = text[len(text) // 2 :][:3]
    cut, last = run(tiny, max_tokens=20, stop=(stop,))
    assert cut == text[: text.index(stop)]
    assert last.finish == "stop"
    assert last.completion_tokens <= 20


def test_length(tiny: LoadedModel) -> None:
    _, last = run(tiny, max_tokens=3)
    assert (last.finish, last.completion_tokens) == ("length", 3)


def test_seconds_end_the_answer_in_order(tiny: LoadedModel) -> None:
    _, last = run(tiny, max_tokens=500, watch=Watch(0.005))
    assert last.finish == "timeout"
    assert last.completion_tokens < 500


@pytest.mark.parametrize("after", [0, 1, 5])
def test_cancel_is_noticed_at_the_next_step(tiny: LoadedModel, after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = []
    real = generation.step
    monkeypatch.setattr(generation, "step", lambda *args: (steps.append(1), real(*args))[1])
    with pytest.raises(Cancelled):
        run(tiny, max_tokens=50, watch=Watch(60, lambda: len(steps) >= after))
    assert len(steps) == after


def test_a_very_long_chat_is_cut_and_answered(tiny: LoadedModel) -> None:
    turns = tuple(Message("user" if n % 2 == 0 else "assistant", f"{n} " + "word " * 200) for n in range(41))
    _, last = run(tiny, Prompt((Message("system", "s"), *turns)), max_tokens=8)
    assert last.prompt_tokens <= tiny.context - 8
    assert last.completion_tokens > 0


def test_more_tokens_than_the_context_holds(tiny: LoadedModel) -> None:
    _, last = run(tiny, replace(CHAT, prefill="x"), max_tokens=100_000, watch=Watch(0.3))
    assert last.prompt_tokens + last.completion_tokens <= tiny.context

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from llm_chat import CHAT

from agent.llm import generation, scoring
from agent.llm.generation import Cancelled, OutOfTime, Reader, Watch
from agent.llm.model import LoadedModel
from retrieval.errors import EngineError

OPTIONS = [" Heat", " The Godfather", " A", " Amélie (2001) 日本", " Heat and Dust", "\n", " The God"] + [
    f" Film number {n}" for n in range(12)
]


def naive(model: LoadedModel, option: str) -> float:
    """One full forward for one option, no cache, no mask."""
    ids = list(generation.prompt_ids(model, CHAT, 30))
    own = model.renderer.encode_text(option)
    with torch.inference_mode():
        logits = model.net(input_ids=torch.tensor([ids + own])).logits[0].float().log_softmax(-1)
    return sum(float(logits[len(ids) + n - 1, token]) for n, token in enumerate(own))


def choose(model: LoadedModel, options: Sequence[str] = OPTIONS, watch: Watch | None = None) -> tuple[float, ...]:
    return scoring.choose(model, Reader(model), None, CHAT, options, watch or Watch(60))


def test_equals_one_forward_for_each_option(tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """fp32: 1e-3 nats; in several rows."""
    monkeypatch.setattr(scoring, "ROW_TOKENS", 16)
    assert choose(tiny) == pytest.approx([naive(tiny, option) for option in OPTIONS], abs=1e-3)


def test_equals_one_forward_for_each_option_in_bf16(smol: LoadedModel) -> None:
    """bf16 rounds differently for other shapes; over SmolLM2's 30 layers up to 0.3 nats were seen on sums near -20."""
    options = OPTIONS[:7]
    assert choose(smol, options) == pytest.approx([naive(smol, option) for option in options], abs=0.6)


def test_models_without_plain_attention_are_scored_one_by_one(
    tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "is_plain_attention", lambda model: False)
    assert choose(tiny, OPTIONS[:4]) == pytest.approx([naive(tiny, option) for option in OPTIONS[:4]], abs=1e-3)


def test_the_order_of_options_does_not_matter(tiny: LoadedModel) -> None:
    assert choose(tiny, OPTIONS[::-1])[::-1] == pytest.approx(choose(tiny), abs=1e-3)


def test_scoring_leaves_the_kept_prompt_alone(tiny: LoadedModel) -> None:
    reader = Reader(tiny)
    first = scoring.choose(tiny, reader, None, CHAT, OPTIONS, Watch(60))
    assert scoring.choose(tiny, reader, None, CHAT, OPTIONS, Watch(60)) == first
    assert reader.reused_tokens > 0


ENDINGS = [
    "",
    " Heat, a film about thieves.\nFits:",
    " Alien.\nFits:",
    "\n",
    " Amélie (2001) 日本",
    *["x y z " * 9] * 3,
]
ANSWERS = (" yes", " no", " A")


def judge(model: LoadedModel, endings: Sequence[str] = ENDINGS, watch: Watch | None = None) -> list[list[float]]:
    told = scoring.judge(model, Reader(model), None, CHAT, endings, ANSWERS, watch or Watch(60))
    return [list(told[start : start + len(ANSWERS)]) for start in range(0, len(told), len(ANSWERS))]


def naive_judge(model: LoadedModel, ending: str) -> list[float]:
    """One full forward for one ending, no cache, no mask."""
    ids = [*generation.prompt_ids(model, CHAT, 30), *model.renderer.encode_text(ending)]
    with torch.inference_mode():
        logits = model.net(input_ids=torch.tensor([ids])).logits[0, -1].float().log_softmax(-1)
    return [float(logits[model.renderer.encode_text(answer)[0]]) for answer in ANSWERS]


@pytest.mark.parametrize("plain", [True, False])
def test_a_judgement_equals_one_forward_for_each_ending(
    tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch, plain: bool
) -> None:
    """fp32: 1e-3 nats; in several rows."""
    monkeypatch.setattr(scoring, "ROW_TOKENS", 16)
    if not plain:
        monkeypatch.setattr(scoring, "is_plain_attention", lambda model: False)
    for told, ending in zip(judge(tiny), ENDINGS, strict=True):
        assert told == pytest.approx(naive_judge(tiny, ending), abs=1e-3)


def test_judgements_that_cannot_be_made(tiny: LoadedModel) -> None:
    assert judge(tiny, []) == []
    with pytest.raises(EngineError, match="has 3 tokens: choose one that has 1"):
        scoring.judge(tiny, Reader(tiny), None, CHAT, [""], [" yes", " yes or no"], Watch(60))
    with pytest.raises(EngineError, match="at least one answer"):
        scoring.judge(tiny, Reader(tiny), None, CHAT, [""], [], Watch(60))
    with pytest.raises(EngineError, match="tokens: give 1 to"):
        judge(tiny, ["", "word " * 2_000])
    with pytest.raises(Cancelled):
        judge(tiny, watch=Watch(60, lambda: True))
    with pytest.raises(OutOfTime):
        judge(tiny, watch=Watch(0))


def test_no_options(tiny: LoadedModel) -> None:
    assert choose(tiny, []) == ()


@pytest.mark.parametrize("bad", ["", "word " * 2_000])
def test_options_of_no_or_too_many_tokens_are_refused(tiny: LoadedModel, bad: str) -> None:
    with pytest.raises(EngineError, match="tokens: give 1 to"):
        choose(tiny, [" ok", bad])


def test_cancel_and_timeout(tiny: LoadedModel) -> None:
    with pytest.raises(Cancelled):
        choose(tiny, watch=Watch(60, lambda: True))
    with pytest.raises(OutOfTime):
        choose(tiny, watch=Watch(0))

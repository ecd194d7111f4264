from __future__ import annotations

from pathlib import Path

import pytest
import torch

from finetune.packing import pack
from finetune.rank_data import Example
from finetune.rank_model import LoraShape, RankModel
from finetune.rank_train import listwise_loss


@pytest.fixture(scope="module")
def model(tiny_base: Path) -> RankModel:
    """With a LoRA that does something: a fresh one has zeros for one of its halves."""
    made = RankModel(tiny_base, LoraShape(4, 8), 1, torch.float32)
    with torch.no_grad():
        for weight in made.trained.values():
            weight.normal_(std=0.2)
    return made


def odd(example: Example) -> Example:
    """Endings of very different lengths, one of them twice."""
    endings = (*example.endings, "yes", example.endings[0] * 4, example.endings[1])
    return Example("odd", "odd", example.prompt, endings, tuple(range(1, 8)), (1, 5))


def separate(model: RankModel, example: Example) -> torch.Tensor:
    """One row for each ending, through transformers' own attention and its output layer."""
    net = model._net
    kept = net.config._attn_implementation
    net.set_attn_implementation("eager")
    try:
        prompt = model.renderer.encode(example.prompt)
        yes, no = model.renderer.encode_answers((" yes", " no"))
        rows = [[*prompt, *model.renderer.encode_text(ending)] for ending in example.endings]
        last = torch.stack([net(input_ids=torch.tensor([row])).logits[0, -1].float() for row in rows])
        return last[:, yes] - last[:, no]
    finally:
        net.set_attn_implementation(kept)


def test_packed_scores_are_those_of_separate_rows(model: RankModel, examples: tuple[Example, ...]) -> None:
    for example in (examples[0], odd(examples[1])):
        with torch.no_grad():
            assert model.scores(model.pack(example)) == pytest.approx(separate(model, example), abs=1e-4)


def test_packed_gradients_are_those_of_separate_rows(model: RankModel, examples: tuple[Example, ...]) -> None:
    example = odd(examples[2])
    gradients = []
    for scores in (model.scores(model.pack(example)), separate(model, example)):
        loss = listwise_loss(scores, example.targets)
        gradients.append(torch.autograd.grad(loss, list(model.trained.values())))
    for packed, alone in zip(*gradients, strict=True):
        torch.testing.assert_close(packed, alone, atol=1e-4, rtol=1e-3)


def test_an_ending_sees_no_other_one(model: RankModel, examples: tuple[Example, ...]) -> None:
    prompt = model.renderer.encode(examples[0].prompt)
    mine, others = model.renderer.encode_text(" film"), model.renderer.encode_text(" yes yes yes")
    with torch.no_grad():
        alone = model.scores(pack(prompt, [mine]))
        beside = model.scores(pack(prompt, [others, mine]))
    assert float(beside[1]) == pytest.approx(float(alone[0]), abs=1e-5)

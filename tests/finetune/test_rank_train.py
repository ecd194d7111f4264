from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from agent.llm import scoring
from agent.llm.generation import Reader, Watch
from agent.llm.lora import Adapters
from agent.llm.model import load_model
from agent.rank.prompts import ANSWERS
from finetune.rank_data import Example
from finetune.rank_model import LoraShape, RankModel
from finetune.rank_train import CHECKPOINT, RECIPE, Progress, RankTrainer, TrainConfig, listwise_loss
from retrieval.errors import BadRequest

QUICK = TrainConfig(epochs=8, batch=4, rate=2e-2, every=10, watch=6, lora=LoraShape(4, 8))


class Stopped(Exception):
    """The power is gone."""


@pytest.fixture
def train(tiny_base: Path, examples: tuple[Example, ...]) -> Callable[..., tuple[list[Progress], Path]]:
    def run(
        folder: Path, config: TrainConfig = QUICK, stop_after: int = 0, learned: Sequence[Example] = examples[6:]
    ) -> tuple[list[Progress], Path]:
        model = RankModel(tiny_base, config.lora, config.seed, torch.float32)
        told: list[Progress] = []

        def tell(progress: Progress) -> None:
            told.append(progress)
            if progress.step == stop_after:
                raise Stopped

        return told, RankTrainer(model, "tiny", learned, examples[:6], config, folder).run(tell)

    return run


def weights(adapter: Path) -> dict[str, torch.Tensor]:
    return load_file(adapter / "adapter_model.safetensors")


def test_it_learns_what_the_words_say(train: Callable[..., tuple[list[Progress], Path]], tmp_path: Path) -> None:
    """Other dialogues, the same genres: better than the ranker, which knows nothing here."""
    told, _ = train(tmp_path)
    assert told[-1].step == told[-1].steps == 40
    assert told[-1].loss < 0.5 * told[0].loss
    recipe = json.loads((tmp_path / RECIPE).read_text())
    best = min(recipe["watched"], key=lambda one: one["loss"])
    assert recipe["taken_from_step"] == best["step"]
    assert min(best["alone"], best["fused"]) >= 0.5 > best["ranker"]
    assert recipe["prior"] < 1.0


def test_a_run_that_was_stopped_gives_the_same_weights(
    train: Callable[..., tuple[list[Progress], Path]], tmp_path: Path
) -> None:
    config = replace(QUICK, epochs=2, every=4)
    _, whole = train(tmp_path / "whole", config)
    with pytest.raises(Stopped):
        train(tmp_path / "parts", config, stop_after=6)
    assert not (tmp_path / "parts" / RECIPE).exists()
    told, parts = train(tmp_path / "parts", config)
    assert told[0].step == 5, "what came after the last checkpoint is done again"
    one, other = weights(whole), weights(parts)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert (tmp_path / "whole" / RECIPE).read_text() == (tmp_path / "parts" / RECIPE).read_text()


def test_a_run_that_is_asked_to_stop_leaves_an_adapter_and_can_go_on(
    tiny_base: Path, examples: tuple[Example, ...], tmp_path: Path
) -> None:
    config = replace(QUICK, epochs=2, every=4)

    def trainer() -> RankTrainer:
        model = RankModel(tiny_base, config.lora, config.seed, torch.float32)
        return RankTrainer(model, "tiny", examples[6:], examples[:6], config, tmp_path)

    told: list[Progress] = []
    adapter = trainer().run(told.append, lambda: len(told) == 5)
    assert weights(adapter)
    recipe = json.loads((tmp_path / RECIPE).read_text())
    assert (recipe["steps"], told[-1].steps) == (6, 10)
    assert recipe["taken_from_step"] in (4, 6), "the best of the checkpoints, the last of which is that of the stop"
    told.clear()
    trainer().run(told.append)
    assert (told[0].step, told[-1].step) == (7, 10)
    recipe = json.loads((tmp_path / RECIPE).read_text())
    assert (recipe["steps"], [one["step"] for one in recipe["watched"]]) == (10, [4, 6, 8, 10])


def test_the_best_checkpoint_so_far_is_an_adapter_on_request(
    train: Callable[..., tuple[list[Progress], Path]], tiny_base: Path, tmp_path: Path, examples: tuple[Example, ...]
) -> None:
    """The prior is that of the same checkpoint: it was learned with those weights."""
    config = replace(QUICK, epochs=4, every=2)

    def trainer() -> RankTrainer:
        model = RankModel(tiny_base, config.lora, config.seed, torch.float32)
        return RankTrainer(model, "tiny", examples[6:], examples[:6], config, tmp_path)

    with pytest.raises(BadRequest, match="no checkpoint yet"):
        trainer().export()
    with pytest.raises(Stopped):
        train(tmp_path, config, stop_after=9)
    kept = (tmp_path / CHECKPOINT).read_bytes()
    adapter = trainer().export()
    assert (tmp_path / CHECKPOINT).read_bytes() == kept
    recipe = json.loads((tmp_path / RECIPE).read_text())
    best = min(recipe["watched"], key=lambda one: one["loss"])
    assert (recipe["steps"], recipe["taken_from_step"]) == (8, best["step"])
    checkpoint = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    assert recipe["prior"] == checkpoint["best"]["prior"].item()
    of_best = checkpoint["best"]["weights"]
    for name, written in weights(adapter).items():
        found = next(weight for own, weight in of_best.items() if own.replace(".default", "") == name)
        assert torch.equal(written, found.to(torch.bfloat16))


def test_the_engine_answers_as_the_trainer_does(
    train: Callable[..., tuple[list[Progress], Path]], tiny_base: Path, tmp_path: Path, examples: tuple[Example, ...]
) -> None:
    """The saved adapter, merged by the embedded engine, gives the log-odds that were trained (in bf16 weights)."""
    config = replace(QUICK, epochs=3)
    _, adapter = train(tmp_path, config)
    trained = RankModel(tiny_base, config.lora, config.seed, torch.float32)
    with torch.no_grad():
        for name, weight in trained.trained.items():
            weight.copy_(weights(adapter)[name.replace(".default", "")].float())
    served = load_model(tiny_base, "cpu", torch.float32)
    adapters = Adapters(served.linears)
    before = judged(served, examples[0])
    adapters.load("rank", adapter)
    adapters.use("rank")
    after = judged(served, examples[0])
    with torch.no_grad():
        assert after == pytest.approx(trained.scores(trained.pack(examples[0])).tolist(), abs=1e-3)
    assert after != pytest.approx(before, abs=0.1)
    assert json.loads((adapter / "adapter_config.json").read_text())["base_model_name_or_path"] == "tiny"


def judged(served: object, example: Example) -> list[float]:
    told = scoring.judge(served, Reader(served), None, example.prompt, example.endings, ANSWERS, Watch(60))  # type: ignore[arg-type]
    return [yes - no for yes, no in zip(told[::2], told[1::2], strict=True)]


def test_a_folder_with_another_run_is_left_alone(
    train: Callable[..., tuple[list[Progress], Path]], tmp_path: Path, examples: tuple[Example, ...]
) -> None:
    with pytest.raises(Stopped):
        train(tmp_path, replace(QUICK, every=1), stop_after=1)
    kept = (tmp_path / CHECKPOINT).read_bytes()
    with pytest.raises(BadRequest, match="other data, settings or prompts"):
        train(tmp_path, replace(QUICK, every=1), learned=examples[7:])
    assert (tmp_path / CHECKPOINT).read_bytes() == kept
    with pytest.raises(BadRequest, match="nothing to learn from"):
        train(tmp_path, learned=())


def test_the_loss_is_that_of_the_list() -> None:
    scores = torch.tensor([2.0, 0.0, 1.0])
    whole = torch.tensor([2.0, 0.0, 1.0]).exp().sum().log()
    assert float(listwise_loss(scores, (0,))) == pytest.approx(float(whole) - 2.0)
    assert float(listwise_loss(scores, (0, 2))) == pytest.approx(float(whole) - 1.5)

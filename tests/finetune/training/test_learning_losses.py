"""Our losses against TRL's own trainers: the same rows, the same weights, their padding and their formulas."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from training_doubles import job, lesson, quick, trained

from finetune.rank_model import LoraShape
from finetune.training.lessons import Lesson
from finetune.training.network import CycleModel
from finetune.training.objective import Objective
from finetune.training.rows import LessonRow, Tokens, encode

trl = pytest.importorskip("trl", reason="learning needs chatalogue[train]")


@pytest.fixture
def model(tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CycleModel:
    """Some way from its champion."""
    monkeypatch.setattr("finetune.training.network.best_dtype", lambda: torch.float32)
    champion = trained(job(tiny_base, tmp_path, [lesson(0)], recipe=quick(rate=0.1))).folder
    model = CycleModel(tiny_base, champion, "champion", LoraShape(4, 8), 0, "cpu")
    random = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for weight in model.trained.values():
            weight.add_(0.1 * torch.randn(weight.shape, generator=random))
    return model


def ours(model: CycleModel, lessons: Sequence[Lesson]) -> tuple[float, list[Tokens]]:
    tokens = encode(lessons, model.renderer, 500)
    objective = Objective(model, quick(dpo_sft=0.0, beta=1.0, rows=99, row_tokens=9999), "none")
    objective.ask_champion(tokens)
    return objective.backward([LessonRow(tuple(tokens))], lambda loss: None).rows, tokens


def theirs(model: CycleModel, kind: str, rows: list[dict[str, Any]], scratch: Path) -> float:
    """A batch of all rows, under TRL's own attention and with the reference that it is given."""
    from datasets import Dataset

    trainer_of, config = {"dpo": (trl.DPOTrainer, trl.DPOConfig), "kto": (trl.KTOTrainer, trl.KTOConfig)}[kind]

    class Ready(trainer_of):  # type: ignore[misc,valid-type]
        def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:  # noqa: ANN401
            return dataset

    settings = config(
        output_dir=str(scratch), per_device_train_batch_size=len(rows), max_length=None, use_cpu=True, bf16=False,
        gradient_checkpointing=False, report_to="none", disable_tqdm=True, beta=1.0,
    )  # fmt: skip
    net = model.net
    net.set_adapter("champion")
    net.get_base_model().set_attn_implementation("sdpa")
    other = {name.replace(".champion.", ".default."): w for name, w in net.named_parameters() if ".champion." in name}
    learned = {name: weight.detach().clone() for name, weight in net.named_parameters() if ".default." in name}
    net.set_adapter("default")
    with torch.no_grad():  # TRL takes what it is given as the reference
        for name, weight in net.named_parameters():
            if name in other:
                weight.copy_(other[name])
    trainer = Ready(
        model=net, args=settings, train_dataset=Dataset.from_list(rows), processing_class=model.renderer.tokenizer
    )
    with torch.no_grad():
        for name, weight in net.named_parameters():
            if name in learned:
                weight.copy_(learned[name])
        return float(trainer.compute_loss(net, trainer.data_collator(rows)))


def split(one: Tokens, place: int) -> tuple[list[int], list[int]]:
    ending = one.endings[place]
    cut = len(ending.ids) - ending.answer
    return list(ending.ids[:cut]), list(ending.ids[cut:])


def test_dpo_is_trls(model: CycleModel, tmp_path: Path) -> None:
    loss, tokens = ours(model, [lesson(number, "dpo") for number in range(0, 8, 2)])  # of one weight
    rows = [
        {"prompt_ids": split(one, 0)[0], "chosen_ids": split(one, 0)[1], "rejected_ids": split(one, 1)[1]}
        for one in tokens
    ]
    assert theirs(model, "dpo", rows, tmp_path) == pytest.approx(loss, abs=1e-4)
    assert abs(loss - 0.6931) > 1e-3, "away from the champion"


def test_kto_is_trls(model: CycleModel, tmp_path: Path) -> None:
    lessons = [lesson(number, "kto") for number in (0, 2, 5, 7)]
    lessons = [Lesson(**{**vars_of(one), "weight": 1.0}) for one in lessons]
    loss, tokens = ours(model, lessons)
    rows = []
    for one in tokens:
        assert one.other is not None
        prompt, answer = split(one, 0)
        rows.append(
            {
                "prompt_ids": prompt, "completion_ids": answer, "label": bool(one.lesson.good),
                "KL_completion_ids": list(one.other.ids[len(prompt) :]),
            }
        )  # fmt: skip
    assert theirs(model, "kto", rows, tmp_path) == pytest.approx(loss, abs=1e-4)
    assert abs(loss - 0.5) > 1e-3, "away from the champion"


def vars_of(one: Lesson) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__slots__}

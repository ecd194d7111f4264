"""The steps, by TRL: its SFTTrainer drives optimizer, schedule, checkpoints and the exact resume; the rest is replaced.

What stands in the way is overridden, and no more. Each of TRL's trainers knows one kind of row and no weights, and a
run of three one after another would forget in between: here one step may hold all four kinds (`training_step`). Its
collators give every answer a row of its own, padded, where prompts that begin alike are read once here (the data set
is the numbers of the steps, the collator looks them up). None looks at several sets of rows with the loss of the row's
own kind (`evaluate`). Transformers 5.19 goes on from a checkpoint that has a second adapter, such as TRL's own `ref`,
without loading the first one, so weights are saved and loaded here. Its warm-up begins at a rate of 0, which would be
all of a job of one step (`create_scheduler`). Knows nothing of where rows come from.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset  # type: ignore[import-not-found,import-untyped,unused-ignore]
from safetensors.torch import load_file, save_file
from torch.utils.data import SequentialSampler
from transformers import PrinterCallback, TrainerCallback
from trl import SFTConfig, SFTTrainer  # type: ignore[import-not-found,import-untyped,unused-ignore]

from finetune.describe.files import whole_file
from finetune.training.network import CycleModel
from finetune.training.objective import Objective, Watching
from finetune.training.recipe import LearningRecipe
from finetune.training.rows import LessonRow, Plan
from finetune.training.telling import HELD_OUT, Look, Progress

COMPLETE = "complete"
"""Written into a checkpoint when all of it is there: one that was killed half-way is not gone on from."""
OVER = 1_000.0
"""Added to the score of a look at which too much was forgotten: any other is better."""
LEARNED = "learned.safetensors"
"""Of a checkpoint: the LoRA that learns, in float32."""
ALL_DONE, STOPPED = "all steps done", "stopped"
"""Why it ended: by itself, and when somebody asked it to."""
LOWEST = 0.05
"""Share of the top rate at the end."""


@dataclass(frozen=True, slots=True)
class Steps:
    """How the steps ended; the model holds the weights of `best`, the last ones where nothing is watched."""

    steps: int
    best: Look | None
    looks: tuple[Look, ...]
    losses: tuple[float, ...]
    penalties: tuple[float, ...]
    tokens: int
    seconds: float
    why: str


@dataclass(frozen=True, slots=True)
class Watch:
    """What is looked at: sets, what the champion's losses are, and what it may cost.

    `HELD_OUT` is to fall, every other set is an anchor: its loss may rise by `tolerance` at most.
    """

    sets: Watching
    before: Mapping[str, float]
    tolerance: float

    def over(self, losses: Mapping[str, float]) -> float:
        """By how much the worst anchor is above what is allowed; at most 0: all is well."""
        rises = [loss - self.before[name] for name, loss in losses.items() if name != HELD_OUT]
        return max(rises, default=0.0) - self.tolerance

    def score(self, losses: Mapping[str, float], step: int) -> float:
        """The less the better; without held-out rows the latest look is the best."""
        over = self.over(losses)
        return losses.get(HELD_OUT, -1e-6 * step) + (OVER * (1 + over) if over > 0 else 0.0)


class CycleTrainer(SFTTrainer):  # type: ignore[misc,unused-ignore]
    """TRL's trainer over the steps of a plan.

    Args:
        model: learns.
        objective: what is minimised.
        plan: the rows of every step.
        watch: what is looked at.
        recipe: rates and looks.
        work: folder for the checkpoints of this job alone.
        told: after each step.
        stopped: asked after each step.
    """

    control: Any

    def __init__(
        self,
        model: CycleModel,
        objective: Objective,
        plan: Plan,
        watch: Watch,
        recipe: LearningRecipe,
        work: Path,
        told: Callable[[Progress], None],
        stopped: Callable[[], bool],
    ) -> None:
        self._objective, self._plan, self._watch, self._work = objective, plan, watch, work
        self._learns, self._warm_up = model.trained, recipe.train.warm_up
        self._tokens, self._spent = 0, 0.0
        self.note = _Noting(self, told, stopped, recipe.train.patience)
        steps = Dataset.from_dict({"step": list(range(len(plan.steps)))})
        super().__init__(
            model=model.net,
            args=_settings(recipe, work, len(plan.steps), on_cpu=model.device.type == "cpu"),
            data_collator=self._rows,
            train_dataset=steps,
            eval_dataset=steps,  # asked for, and not used: see `evaluate`
            processing_class=model.renderer.tokenizer,
            callbacks=[self.note],
        )
        self.remove_callback(PrinterCallback)  # stdout is for results

    def run(self) -> Steps:
        """All steps that are left, from the last complete checkpoint; the model then holds the best weights."""
        last, told = self._last_checkpoint(), self.note
        if told.why == ALL_DONE or told.best is None:
            self.train(resume_from_checkpoint=str(last) if last else None)
        else:  # it had ended, and was killed before anybody wrote the result
            self._load_from_checkpoint(str(self._work / f"checkpoint-{told.best.step}"))
        return Steps(
            len(told.losses), told.best, tuple(told.looks), tuple(told.losses), tuple(told.penalties), self._tokens,
            self._spent, told.why,
        )  # fmt: skip

    # --- what is overridden -------------------------------------------------------------------------

    def training_step(self, model: Any, inputs: Sequence[LessonRow], *_: Any, **__: Any) -> torch.Tensor:  # noqa: ANN401
        """Forward and backward of one step."""
        model.train()
        started = time.monotonic()
        self._objective.step = int(self.state.global_step)
        loss = self._objective.backward(inputs, self.accelerator.backward)
        took = time.monotonic() - started
        self._tokens += loss.tokens
        self._spent += took
        self.note.step(loss.rows, loss.penalty, loss.tokens / took)
        return torch.tensor(loss.rows + loss.penalty, device=self.args.device)

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:  # noqa: ANN401
        """Look at the watched sets."""
        self.model.eval()
        losses = self._objective.look(self._watch.sets)
        step = int(self.state.global_step)
        look = Look(step, losses, self._objective.moved(), self._watch.over(losses) > 0)
        metrics = {"eval_score": self._watch.score(losses, step)}
        self.note.look(look, metrics["eval_score"])
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def create_model_card(self, *_: Any, **__: Any) -> None:  # noqa: ANN401
        """None: checkpoints are nobody's to read."""

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:  # noqa: ANN401
        """Up a line, down a cosine."""
        from torch.optim.lr_scheduler import LambdaLR

        rising = max(1, round(self._warm_up * num_training_steps))

        def share(step: int) -> float:
            gone = min(1.0, step / num_training_steps)
            return min(1.0, (step + 1) / rising) * (LOWEST + (1 - LOWEST) * 0.5 * (1 + math.cos(math.pi * gone)))

        self.lr_scheduler = LambdaLR(optimizer or self.optimizer, share)
        return self.lr_scheduler

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:  # noqa: ANN401
        folder = Path(output_dir or self.args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: weight.detach().cpu().contiguous() for name, weight in self._learns.items()}
        save_file(tensors, folder / LEARNED)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:  # noqa: ANN401
        tensors = load_file(Path(resume_from_checkpoint) / LEARNED)
        with torch.no_grad():
            for name, weight in self._learns.items():
                weight.copy_(tensors[name])

    def _load_best_model(self) -> None:
        self._load_from_checkpoint(str(self.state.best_model_checkpoint))

    def _get_train_sampler(self, *_: Any, **__: Any) -> SequentialSampler:  # noqa: ANN401
        return SequentialSampler(self.train_dataset)

    # --- parts --------------------------------------------------------------------------------------

    def _rows(self, numbers: Sequence[Mapping[str, int]]) -> tuple[LessonRow, ...]:
        return tuple(row for one in numbers for row in self._plan.steps[one["step"]])

    def kept(self) -> dict[str, Any]:
        """What a checkpoint has besides TRL's own."""
        return {"tokens": self._tokens, "seconds": self._spent, **self.note.kept()}

    def _last_checkpoint(self) -> Path | None:
        """The latest complete one; what is not complete is deleted, so that nothing else picks it up."""
        found: list[tuple[int, Path]] = []
        for folder in self._work.glob("checkpoint-*"):
            if (folder / COMPLETE).exists():
                found.append((int(folder.name.rpartition("-")[2]), folder))
            else:
                shutil.rmtree(folder)
        if not found:
            return None
        last = max(found)[1]
        fields = json.loads((last / COMPLETE).read_text(encoding="utf-8"))
        self._tokens, self._spent = fields["tokens"], fields["seconds"]
        self.note.restore(fields)
        return last


class _Noting(TrainerCallback):
    """Keeps losses and looks, tells somebody, and ends the run when it is asked to or when it only gets worse."""

    def __init__(
        self, trainer: CycleTrainer, told: Callable[[Progress], None], stopped: Callable[[], bool], patience: int
    ) -> None:
        self._trainer, self._told, self._stopped, self._patience = trainer, told, stopped, patience
        self.losses: list[float] = []
        self.penalties: list[float] = []
        self.looks: list[Look] = []
        self.best: Look | None = None
        self.why = ALL_DONE
        self._score = math.inf
        self._speed = 0.0

    def step(self, loss: float, penalty: float, speed: float) -> None:
        self.losses.append(loss)
        self.penalties.append(penalty)
        self._speed = speed

    def look(self, look: Look, score: float) -> None:
        self.looks.append(look)
        if score < self._score:
            self._score, self.best = score, look

    def kept(self) -> dict[str, Any]:
        looks = [look.as_json() for look in self.looks]
        best = self.best.as_json() if self.best else None
        why = ALL_DONE if self.why == STOPPED else self.why  # who goes on was not stopped
        return {
            "losses": self.losses, "penalties": self.penalties, "looks": looks, "best": best, "score": self._score,
            "why": why,
        }  # fmt: skip

    def restore(self, fields: Mapping[str, Any]) -> None:
        self.losses, self.penalties = list(fields["losses"]), list(fields["penalties"])
        self.looks = [Look.from_json(one) for one in fields["looks"]]
        self.best = Look.from_json(fields["best"]) if fields["best"] else None
        self._score, self.why = fields["score"], fields["why"]

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ANN401
        if state.global_step >= state.max_steps:
            control.should_evaluate = control.should_save = True
        if not control.should_evaluate:
            self._tell(state)
        if state.global_step < state.max_steps and self._stopped():
            # Without a look: a run that goes on from here must not have had one more than one that was never stopped.
            self.why = STOPPED
            control.should_training_stop = control.should_save = True

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ANN401
        self._tell(state)  # of this step, with the look
        if self.best is None:
            return
        if sum(look.step > self.best.step for look in self.looks) >= self._patience:
            over = self.looks[-1].forgot
            self.why = "an anchor set forgot too much" if over else "held-out rows got no better"
            control.should_training_stop = True

    def _tell(self, state: Any) -> None:  # noqa: ANN401
        last = self.looks[-1] if self.looks else None
        self._told(Progress(state.global_step, state.max_steps, self.losses[-1], self.penalties[-1], self._speed, last))

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ANN401
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        with whole_file(folder / COMPLETE) as file:
            file.write(json.dumps(self._trainer.kept()))


def _settings(recipe: LearningRecipe, work: Path, steps: int, *, on_cpu: bool) -> SFTConfig:
    """TRL's; each that differs from its default says in recipe.toml or here why."""
    told = recipe.train
    return SFTConfig(
        output_dir=str(work),
        max_steps=steps,
        per_device_train_batch_size=1,  # a step of the plan
        learning_rate=told.rate,
        weight_decay=0.0,  # towards the base, which is not where we want to go
        max_grad_norm=told.clip,
        optim="adamw_torch",
        seed=recipe.seed,
        data_seed=recipe.seed,
        use_cpu=on_cpu,
        bf16=False,  # the base is bfloat16 already: autocast would only cast
        gradient_checkpointing=False,  # computes everything twice; packed rows are short
        eval_strategy="steps",
        eval_steps=told.every,
        save_strategy="steps",
        save_steps=told.every,
        save_total_limit=2,  # the best and the last
        load_best_model_at_end=True,
        metric_for_best_model="eval_score",
        greater_is_better=False,
        dataloader_pin_memory=False,
        remove_unused_columns=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )

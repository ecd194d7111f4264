"""What a step minimises: the losses of its rows against the champion, each by its weight, and the method's penalty.

The champion is asked once, before the first step, for what it says of every row (`references`), not at every step.
Knows no optimizer, no order of steps and no files.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, TypeVar

import torch
from torch.nn import functional

from finetune.describe.files import whole_file
from finetune.starter.batches import Row
from finetune.stopping import AskedToStop
from finetune.training.losses import dpo_loss, kto_loss, listwise_loss
from finetune.training.network import CHAMPION, CycleModel
from finetune.training.penalties import Lora, fisher_distance, overlap, squared_distance, squared_norm
from finetune.training.recipe import LearningRecipe, Penalty
from finetune.training.rows import LessonRow, Tokens, packed

_T = TypeVar("_T")
Watching: TypeAlias = Mapping[str, Sequence[Tokens]]
"""Sets that are only looked at, by name."""
NEEDS_REFERENCE = frozenset({"kto", "dpo"})


@dataclass(frozen=True, slots=True)
class Reference:
    """What the champion says of a row: log-probability of each of its answers, and of the answer to another prompt."""

    answers: tuple[float, ...]
    other: float | None


@dataclass(frozen=True, slots=True)
class StepLoss:
    """A step's mean loss of a row, by weight, and its penalty; `tokens` that were computed."""

    rows: float
    penalty: float
    tokens: int


class Objective:
    """The loss of one job.

    Args:
        model: computes.
        recipe: weights of losses and penalties.
        penalty: which; none where there is no champion to stay near to.
    """

    def __init__(self, model: CycleModel, recipe: LearningRecipe, penalty: Penalty) -> None:
        self._model, self._recipe = model, recipe
        self._kind: Penalty = penalty if model.has_champion else "none"
        self._references: dict[str, Reference] = {}
        self.step_weight = 1.0
        """What the summed loss of a step is divided by."""
        self.step = 0
        """Which one it is, for whom that matters."""
        self.stopped: Callable[[], bool] = lambda: False
        """Asked before each row of what is no step: then `AskedToStop` is raised."""
        champion = model.factors(CHAMPION) if model.has_champion else {}
        self._champion = champion
        self._whole = float(squared_norm(champion)) if champion else 0.0
        self._before = {name: weight.detach().clone() for name, weight in model.trained.items()}
        self._fisher: Mapping[str, torch.Tensor] = {}

    # --- before the first step ----------------------------------------------------------------------

    def ask_champion(self, lessons: Iterable[Tokens], file: Path | None = None) -> None:
        """Remember what the champion says of `lessons`; `file` keeps it, all or some, for a job that goes on.

        Raises:
            AskedToStop: as `stopped` says.
        """
        if file is not None and file.exists():
            kept = json.loads(file.read_text(encoding="utf-8"))
            self._references = {name: Reference(tuple(answers), other) for name, (answers, other) in kept.items()}
        wanted = [one for one in lessons if one.lesson.kind in NEEDS_REFERENCE]
        try:
            with self._model.as_champion():
                for row in self._until_stopped(packed(wanted, self._recipe.train.row_tokens, (0,))):
                    # Whole rows: what is said of a lesson differs in its last digits with whom it shares a row.
                    if any(one.lesson.id not in self._references for one in row.lessons):
                        self._references |= self._said_of(row)
        finally:
            if file is not None:
                fields = {name: [list(one.answers), one.other] for name, one in self._references.items()}
                with whole_file(file) as out:
                    out.write(json.dumps(fields))

    def measure_fisher(self, lessons: Sequence[Tokens], file: Path | None = None) -> None:
        """The diagonal of the empirical Fisher information on `lessons`: a lesson's mean squared gradient.

        `file` as in `ask_champion`.
        """
        if file is not None and file.exists():
            self._fisher = torch.load(file, weights_only=True)
            return
        sums = {name: torch.zeros_like(weight) for name, weight in self._model.trained.items()}
        for one in self._until_stopped(lessons):
            self._losses(LessonRow((one,)), 0.0)[0].backward()  # type: ignore[no-untyped-call]
            for name, weight in self._model.trained.items():
                if weight.grad is not None:
                    sums[name] += weight.grad.square() / len(lessons)
                    weight.grad = None
        self._fisher = sums
        if file is not None:
            part = file.with_name(f".{file.name}")
            torch.save(sums, part)
            part.replace(file)

    # --- steps --------------------------------------------------------------------------------------

    def backward(self, rows: Sequence[LessonRow], back: Callable[[torch.Tensor], None]) -> StepLoss:
        """Add the gradients of a step; memory is that of one row.

        Args:
            rows: of the step.
            back: does the backward pass of a part of the loss.
        """
        usual, extra = self._usual(rows)
        total, counted = 0.0, 0.0
        for row in rows:
            weights = [one.lesson.weight for one in row.lessons]
            parts = [loss * weight for loss, weight in zip(self._losses(row, usual), weights, strict=True)]
            loss = torch.stack(parts).sum()
            back(loss / self.step_weight)
            total += loss.item()
            counted += sum(weights)
        penalty = self.penalty()
        if penalty is not None:
            back(penalty)
        tokens = sum(row.row.tokens for row in rows) + extra
        return StepLoss(total / counted, penalty.item() if penalty is not None else 0.0, tokens)

    def penalty(self) -> torch.Tensor | None:
        """What leaving the champion costs now, (); None for methods without."""
        told = self._recipe.penalty
        if self._kind == "proximal" and self._whole:
            return told.proximal * self._way(self._model.factors())
        if self._kind == "orthogonal":
            return told.orthogonal * overlap(self._model.factors(), self._champion)
        if self._kind == "ewc" and self._fisher:
            return told.ewc * fisher_distance(self._model.trained, self._before, self._fisher)
        return None

    @torch.no_grad()
    def moved(self) -> float | None:
        """The squared distance from the champion, in squares of the champion's way from the base; None without one."""
        if not self._whole:
            return None
        return float(self._way(self._model.factors()))

    @torch.no_grad()
    def look(self, watched: Watching) -> dict[str, float]:
        """Mean loss of a row of each set, whatever its weight."""
        found = {}
        for name, lessons in sorted(watched.items()):
            rows = self._until_stopped(packed(lessons, self._recipe.train.row_tokens, (0,)))
            losses = [float(loss) for row in rows for loss in self._losses(row, self._usual([row])[0])]
            if losses:
                found[name] = sum(losses) / len(losses)
        return found

    @torch.no_grad()
    def divergence(self, watched: Watching) -> dict[str, float]:
        """KL of what learns from the champion, in nats: mean over the answer tokens of each set.

        On rows of the new task it foretells forgetting better than distances of weights do (Shenfeld et al. 2025,
        "RL's Razor", arXiv 2509.04259).
        """
        found = {}
        for name, lessons in sorted(watched.items()):
            total, count = 0.0, 0
            for row in packed(lessons, self._recipe.train.row_tokens, (0,)):
                mine = self._model.logits(row.row).log_softmax(-1)
                with self._model.as_champion():
                    theirs = self._model.logits(row.row).log_softmax(-1)
                total += float((mine.exp() * (mine - theirs)).sum())
                count += len(mine)
            if count:
                found[name] = total / count
        return found

    # --- parts --------------------------------------------------------------------------------------

    def _way(self, lora: Lora) -> torch.Tensor:
        """Squared, from the champion to where `lora` leads, in squares of the champion's way from the base; ()."""
        # Beside the champion, what learns is itself the difference.
        far = squared_norm(lora) if self._model.beside else squared_distance(lora, self._champion)
        return far / self._whole

    def _until_stopped(self, rows: Iterable[_T]) -> Iterator[_T]:
        for row in rows:
            if self.stopped():
                raise AskedToStop
            yield row

    def _said_of(self, row: LessonRow) -> dict[str, Reference]:
        """What who computes now says of each lesson of a row, by id."""
        found = {}
        said = iter(self._answers(row.row))
        others = iter(self._answers(row.others) if row.others is not None else ())
        for one in row.lessons:
            answers = tuple(float(next(said).sum()) for _ in one.endings)
            other = float(next(others).sum()) if one.other is not None else None
            found[one.lesson.id] = Reference(answers, other)
        return found

    @torch.no_grad()
    def _usual(self, rows: Sequence[LessonRow]) -> tuple[float, int]:
        """KTO's reference point: how much likelier answers to other prompts became; and the tokens that it took."""
        gains, tokens = list[float](), 0
        for row in rows:
            if row.others is None:
                continue
            tokens += row.others.tokens
            told = iter(self._answers(row.others))
            for one in row.lessons:
                reference = self._references[one.lesson.id].other if one.other is not None else None
                if reference is not None:
                    gains.append(float(next(told).sum()) - reference)
        return (max(0.0, sum(gains) / len(gains)) if gains else 0.0), tokens

    def _losses(self, row: LessonRow, usual: float) -> list[torch.Tensor]:
        """Of each lesson of the row."""
        if row.lessons[0].lesson.kind == "rank":
            return self._ranked(row)
        said = iter(self._answers(row.row))
        return [self._loss(one, [next(said) for _ in one.endings], usual) for one in row.lessons]

    def _loss(self, one: Tokens, said: Sequence[torch.Tensor], usual: float) -> torch.Tensor:
        told, kind = self._recipe.loss, one.lesson.kind
        if kind == "sft":
            return -said[0].mean()
        reference = self._references[one.lesson.id].answers
        if kind == "dpo":
            compared = dpo_loss(said[0].sum(), said[1].sum(), (reference[0], reference[1]), told.beta)
            return compared - told.dpo_sft * said[0].mean()
        good = bool(one.lesson.good)
        weight = told.kto_good if good else told.kto_bad
        return weight * kto_loss(said[0].sum(), reference[0], usual, told.beta, good=good)

    def _ranked(self, row: LessonRow) -> list[torch.Tensor]:
        yes, no = self._model.yes_no
        logits = self._model.logits(row.row)
        odds = torch.split(logits[:, yes] - logits[:, no], [len(one.endings) for one in row.lessons])
        return [listwise_loss(own, one.lesson.good) for own, one in zip(odds, row.lessons, strict=True)]

    def _answers(self, row: Row) -> tuple[torch.Tensor, ...]:
        """The log-probabilities of each ending's answer tokens."""
        logits = self._model.logits(row)
        said = -functional.cross_entropy(logits, row.wanted.to(logits.device), reduction="none")
        return torch.split(said, list(row.lengths))

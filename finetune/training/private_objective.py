"""The step of DP-SGD by person: each one's gradient clipped, summed, noise on the sum (Abadi et al. 2016, algorithm 1).

Only the second factors (B) learn: with noise on both, the product would have noise times noise, and half of the
directions of noise are saved (Sun et al. 2024, FFA-LoRA, arXiv 2403.12313). The penalty knows no rows, so it is added
as it is. KTO's reference point would mix people and is 0 here; a row's weight is not used (private.py says why). Knows
nothing of who is asked when, nor of epsilon.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import groupby

import torch
from torch import nn

from finetune.training.network import CycleModel
from finetune.training.objective import Objective, StepLoss
from finetune.training.private import NOISE, OwnedRow, Privacy, stream
from finetune.training.recipe import LearningRecipe, Penalty
from finetune.training.rows import LessonRow

SECOND = ".lora_B."
"""In PEFT's names of the factors that learn."""


class PrivateObjective(Objective):
    """The loss of a job that keeps people's privacy; `step` has to be set before each `backward`.

    Args:
        model: computes.
        recipe: weights of losses and penalties.
        penalty: as for the others.
        privacy: clip, noise and what sums are divided by.
        secret: that the noise follows from.
    """

    def __init__(
        self, model: CycleModel, recipe: LearningRecipe, penalty: Penalty, privacy: Privacy, secret: int
    ) -> None:
        super().__init__(model, recipe, penalty)
        self._privacy, self._secret = privacy, secret

    @property
    def learns(self) -> dict[str, nn.Parameter]:
        """What learns, by PEFT's names."""
        return {name: weight for name, weight in self._model.trained.items() if SECOND in name}

    @property
    def weights(self) -> int:
        """How many numbers learn."""
        return sum(weight.numel() for weight in self.learns.values())

    def backward(self, rows: Sequence[LessonRow], back: Callable[[torch.Tensor], None]) -> StepLoss:
        """Put the noisy gradient of a step where the optimizer looks for it.

        Args:
            rows: `OwnedRow`s, those of one owner one after another; none at all leaves noise alone.
            back: does the backward pass of a part of the loss.
        """
        sums = {name: torch.zeros_like(weight) for name, weight in self.learns.items()}
        losses, tokens = [], 0
        for _, owned in groupby(rows, key=_owner):
            own = list(owned)
            losses.append(self._gradient(own, back))
            tokens += sum(row.row.tokens for row in own)
            self._add_clipped(sums)
        self._forget()
        self._write(sums)
        penalty = self.penalty()
        if penalty is not None:
            back(penalty)
        for name, weight in self._model.trained.items():
            if name not in sums:
                weight.grad = None
        told = sum(losses) / len(losses) if losses else 0.0
        return StepLoss(told, penalty.item() if penalty is not None else 0.0, tokens)

    def _gradient(self, rows: Sequence[LessonRow], back: Callable[[torch.Tensor], None]) -> float:
        """The gradient of the mean loss of one owner's lessons, where the optimizer looks for it; and the loss."""
        self._forget()
        count = sum(len(row.lessons) for row in rows)
        total = 0.0
        for row in rows:
            loss = torch.stack(self._losses(row, 0.0)).sum() / count
            back(loss)
            total += loss.item()
        return total

    def _add_clipped(self, sums: dict[str, torch.Tensor]) -> None:
        """Add what one owner says, at most `clip` long; what is no number says nothing."""
        said = {name: weight.grad for name, weight in self.learns.items() if weight.grad is not None}
        if not said:
            return
        squares = torch.stack([one.double().square().sum() for one in said.values()])
        length = math.sqrt(float(squares.sum()))
        if not math.isfinite(length):
            return
        share = min(1.0, self._privacy.clip / length) if length else 1.0
        for name, one in said.items():
            sums[name].add_(one, alpha=share)

    def _write(self, sums: dict[str, torch.Tensor]) -> None:
        """The mean of the sum with its noise becomes the gradient."""
        random = stream(self._secret, NOISE, self.step)
        for name, weight in sorted(self.learns.items()):
            found = sums[name]
            if self._privacy.noise:
                drawn = torch.from_numpy(random.standard_normal(tuple(found.shape)))
                found = found + (self._privacy.noise * self._privacy.clip * drawn).to(found)
            weight.grad = found / self._privacy.asked

    def _forget(self) -> None:
        for weight in self._model.trained.values():
            weight.grad = None


def _owner(row: LessonRow) -> str:
    if not isinstance(row, OwnedRow):
        raise TypeError("A private step has rows of `private_plan` only.")
    return row.owner

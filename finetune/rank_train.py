"""Training of the rank skill: a softmax over each list of candidates, beside what the ranker already says.

The loss of an example is the cross-entropy of its accepted items under softmax(score - prior * ln(rank)): the model is
asked for what the ranker's order lacks, as a boosted tree is, and learns beside its own weights how far to trust that
order (`prior`). Everything that is drawn comes from the seed, so a run that was stopped goes on as if it had not been.
Knows nothing of where the examples come from, nor of whether the adapter is any good for customers: the gate decides.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from finetune.rank_data import Example, data_hash
from finetune.rank_model import LoraShape, RankModel
from retrieval.errors import BadRequest

ADAPTER, CHECKPOINT, RECIPE = "adapter", "checkpoint.pt", "recipe.json"
FORMAT = 1
"""Of checkpoint and recipe."""


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """How it is trained.

    Attributes:
        epochs: times that each example is seen.
        batch: examples of one step; their gradients are added up, so memory is that of one.
        rate: of the LoRA's weights at the top. 4e-4 with rank 16 is known to leave chance on SmolLM2-135M after a few
            hundred examples; 1e-4 did not within as many.
        prior_rate: of `prior`, one number, which would hardly move at `rate`.
        warm_up: share of the steps in which the rate rises; then it falls along a cosine to a tenth.
        clip: longest gradient.
        watch: held-out examples that are scored at each checkpoint.
        every: steps from checkpoint to checkpoint.
        seed: of the LoRA's first weights and of the order.
    """

    epochs: int = 3
    batch: int = 8
    rate: float = 4e-4
    prior_rate: float = 0.02
    warm_up: float = 0.05
    clip: float = 1.0
    watch: int = 60
    every: int = 25
    seed: int = 0
    lora: LoraShape = field(default_factory=LoraShape)


@dataclass(frozen=True, slots=True)
class Watched:
    """The held-out examples at one checkpoint: mean loss, and the share whose best candidate was accepted.

    `alone` is the model's own order, `fused` the one that is trained, `ranker` the list as it came.
    """

    step: int
    loss: float
    alone: float
    fused: float
    ranker: float


@dataclass(frozen=True, slots=True)
class Progress:
    """After each step: `loss` is its mean, `seconds` what an example took, `left_s` the rest at that pace.

    `watched` is the latest.
    """

    step: int
    steps: int
    loss: float
    prior: float
    seconds: float
    left_s: float
    watched: Watched | None


@dataclass(frozen=True, slots=True)
class _Best:
    """What the best checkpoint so far had learned."""

    watched: Watched
    weights: Mapping[str, torch.Tensor]
    prior: torch.Tensor


class RankTrainer:
    """One run in one folder.

    Args:
        model: fresh; made with the seed of `config`.
        base: name of the base model, for the adapter's config.
        learned: what is learned from.
        held_out: of other groups; what is watched is taken from it.
        config: how.
        folder: gets the checkpoint; the adapter and its recipe when all is done.
    """

    def __init__(
        self,
        model: RankModel,
        base: str,
        learned: Sequence[Example],
        held_out: Sequence[Example],
        config: TrainConfig,
        folder: Path,
    ) -> None:
        if not learned:
            raise BadRequest("There is nothing to learn from: no moment has a list with what was accepted in it.")
        self._model, self._base, self._config, self._folder = model, base, config, folder
        # From all of it: several sets stand one after another.
        apart = max(1, len(held_out) // max(1, config.watch))
        self._learned, self._watched = learned, held_out[::apart][: config.watch]
        self._weights = model.trained
        self._prior = torch.nn.Parameter(torch.ones(()))
        self._optimizer = torch.optim.AdamW(
            [
                {"params": list(self._weights.values()), "top": config.rate},
                {"params": [self._prior], "top": config.prior_rate},
            ],
            lr=config.rate,
            weight_decay=0.0,
        )
        self._recipe = {
            "format": FORMAT,
            "base": base,
            "config": asdict(config),
            "learned": len(learned),
            "data": data_hash([*learned, *self._watched]),
        }
        self._best: _Best | None = None
        self._history: list[Watched] = []
        self._step = 0

    @property
    def steps(self) -> int:
        """Of the whole run; an epoch's last step may have fewer examples."""
        return self._config.epochs * math.ceil(len(self._learned) / self._config.batch)

    def run(self, told: Callable[[Progress], None], stopped: Callable[[], bool] = lambda: False) -> Path:
        """Train to the end, from the checkpoint where there is one; the adapter's folder.

        Args:
            told: after each step.
            stopped: asked after each step; True ends the run with a checkpoint and the adapter of the best one so far.
                The same run can go on from there.

        Raises:
            BadRequest: the folder holds the checkpoint of another recipe.
            EngineError: the engines would refuse the adapter.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._resume()
        while self._step < self.steps:
            loss, seconds = self._one_step()
            ends = stopped()
            if self._step % self._config.every == 0 or self._step == self.steps or ends:
                self._checkpoint()
            left = (self.steps - self._step) * self._config.batch * seconds
            told(Progress(self._step, self.steps, loss, self._prior.item(), seconds, left, self._last_watched()))
            if ends:
                break
        return self._finish()

    def export(self) -> Path:
        """Write the adapter of the best checkpoint so far and train nothing; the adapter's folder.

        Another process may go on training in the same folder meanwhile: checkpoints are whole files.

        Raises:
            BadRequest: there is no checkpoint yet, or it is of another recipe.
            EngineError: the engines would refuse the adapter.
        """
        self._resume()
        if not self._step:
            raise BadRequest(f"{str(self._folder)!r} has no checkpoint yet; the first comes after a while of training.")
        return self._finish()

    def _one_step(self) -> tuple[float, float]:
        """One step; its mean loss and the seconds that an example took."""
        started = time.monotonic()
        batch = self._batch()
        for group in self._optimizer.param_groups:
            group["lr"] = group["top"] * self._rate(self._step)
        total = 0.0
        for example in batch:
            loss = self._loss(example) / len(batch)
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(self._weights.values(), self._config.clip)
        self._optimizer.step()
        self._optimizer.zero_grad()
        self._step += 1
        return total, (time.monotonic() - started) / len(batch)

    def _batch(self) -> list[Example]:
        """What is learned from next; told by seed and step alone."""
        size, n = self._config.batch, len(self._learned)
        epoch, place = divmod(self._step, math.ceil(n / size))
        order = np.random.default_rng([self._config.seed, epoch]).permutation(n)
        return [self._learned[at] for at in order[place * size : (place + 1) * size]]

    def _rate(self, step: int) -> float:
        """Share of the top rate: up a line, down a cosine to a tenth."""
        rising = max(1, round(self._config.warm_up * self.steps))
        if step < rising:
            return (step + 1) / rising
        gone = (step - rising) / max(1, self.steps - rising)
        return 0.1 + 0.45 * (1 + math.cos(math.pi * gone))

    def _loss(self, example: Example) -> torch.Tensor:
        scores = self._model.scores(self._model.pack(example))
        return listwise_loss(self._fused(scores, example), example.targets)

    def _fused(self, scores: torch.Tensor, example: Example) -> torch.Tensor:
        return scores - self._prior * torch.tensor(example.ranks, dtype=torch.float32).log()

    # --- watching and keeping -----------------------------------------------------------------------

    @torch.no_grad()
    def _watch(self) -> Watched:
        losses, hits = [], []
        for example in self._watched:
            scores = self._model.scores(self._model.pack(example))
            fused = self._fused(scores, example)
            losses.append(float(listwise_loss(fused, example.targets)))
            orders = (scores, fused, -torch.tensor(example.ranks))
            hits.append([float(int(order.argmax()) in example.targets) for order in orders])
        alone, both, ranker = np.mean(hits, axis=0)
        return Watched(self._step, float(np.mean(losses)), float(alone), float(both), float(ranker))

    def _checkpoint(self) -> None:
        """Watch, remember the best, and write all that is needed to go on; complete or absent."""
        state = {name: weight.detach().clone() for name, weight in self._weights.items()}
        if self._watched:
            watched = self._watch()
            self._history.append(watched)
            if self._best is None or watched.loss < self._best.watched.loss:
                self._best = _Best(watched, state, self._prior.detach().clone())
        written = {
            "recipe": json.dumps(self._recipe, sort_keys=True),
            "step": self._step,
            "weights": state,
            "prior": self._prior.detach().clone(),
            "optimizer": self._optimizer.state_dict(),
            "history": [asdict(one) for one in self._history],
            "best": self._best and asdict(self._best),
        }
        part = self._folder / f".{CHECKPOINT}.{os.getpid()}"
        torch.save(written, part)
        os.replace(part, self._folder / CHECKPOINT)

    def _resume(self) -> None:
        file = self._folder / CHECKPOINT
        if not file.exists():
            return
        kept: Mapping[str, Any] = torch.load(file, weights_only=True)
        if kept["recipe"] != json.dumps(self._recipe, sort_keys=True):
            raise BadRequest(
                f"{str(file)!r} was made with other data, settings or prompts; name another folder, or the old ones."
            )
        self._restore(kept["weights"])
        with torch.no_grad():
            self._prior.copy_(kept["prior"])
        self._optimizer.load_state_dict(kept["optimizer"])
        self._history = [Watched(**one) for one in kept["history"]]
        if kept["best"]:
            best = {"prior": kept["prior"], **kept["best"]}  # earlier versions kept the last prior alone
            self._best = _Best(Watched(**best["watched"]), best["weights"], best["prior"])
        self._step = kept["step"]

    def _restore(self, weights: Mapping[str, torch.Tensor]) -> None:
        with torch.no_grad():
            for name, weight in self._weights.items():
                weight.copy_(weights[name])

    def _finish(self) -> Path:
        """Write the adapter of the best checkpoint, the last one's where nothing was watched; the recipe last."""
        if self._best is not None:
            self._restore(self._best.weights)
            with torch.no_grad():
                self._prior.copy_(self._best.prior)
        adapter = self._folder / ADAPTER
        self._model.save(adapter, self._base)
        told = self._recipe | {
            "steps": self._step,
            "prior": self._prior.item(),
            "taken_from_step": self._best.watched.step if self._best else self._step,
            "watched": [asdict(one) for one in self._history],
        }
        # Last on purpose: a folder without it is a run that was stopped.
        (self._folder / RECIPE).write_text(json.dumps(told, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        return adapter

    def _last_watched(self) -> Watched | None:
        return self._history[-1] if self._history else None


def listwise_loss(scores: torch.Tensor, targets: Sequence[int]) -> torch.Tensor:
    """Cross-entropy of softmax(scores) against `targets`, each as right as the others (ListNet's top-one loss).

    Cao et al. 2007, "Learning to rank: from pairwise approach to listwise approach".
    """
    return -scores.log_softmax(0)[list(targets)].mean()

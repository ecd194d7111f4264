"""Training of the starter adapter: steps over packed rows, a rate that ends with the time, the best weights kept.

An own loop and not TRL's SFTTrainer, whose collator gives every example a row of its own: 605 generated turns are
106,186 tokens that way and 40,799 in rows that share what their prompts begin with, and tokens are what the time goes
into. (TRL is not installed with the product and was not timed.) Knows nothing of where rows come from, nor of whether
the adapter is any good.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import torch

from finetune.starter.batches import Encoded, chunks, data_hash, row_of
from finetune.starter.network import StarterModel
from finetune.starter.recipe import TrainPart
from retrieval.errors import BadRequest

CHECKPOINT = "checkpoint.pt"
FORMAT = 1
"""Of the checkpoint."""
LOWEST = 0.05
"""Share of the top rate at the end."""

Watching: TypeAlias = Mapping[str, Sequence[Encoded]]
"""Held-out examples by what they are of."""


@dataclass(frozen=True, slots=True)
class Data:
    """What a run sees.

    Attributes:
        learned: what is learned from.
        watched: held-out examples, by skill; the best weights are those with the least mean of the skills' losses.
        before: texts to be pre-trained on first; none for none.
        open_ended: skills that are told of and do not choose the weights. A reply has many right wordings: the loss of
            held-out ones rises while the model learns its own (1.29 to 1.49 in a run in which understanding went from
            28 % to 62 % exact), and says nothing of whether they are true.
    """

    learned: Sequence[Encoded]
    watched: Watching
    before: Sequence[Encoded] = ()
    open_ended: frozenset[str] = frozenset()

    @property
    def hash(self) -> str:
        """SHA-256 (hex) over all tokens."""
        watched = [one for skill in sorted(self.watched) for one in self.watched[skill]]
        return data_hash([*self.learned, *watched, *self.before])


@dataclass(frozen=True, slots=True)
class Seen:
    """Held-out examples of one skill: mean loss of an answer token, share of answers without a wrong token."""

    loss: float
    exact: float


@dataclass(frozen=True, slots=True)
class Watched:
    """One look at the held-out examples."""

    step: int
    loss: float
    skills: Mapping[str, Seen]


@dataclass(frozen=True, slots=True)
class Progress:
    """After each step: mean loss of its answer tokens, all tokens a second, share of the run that is done, rest."""

    step: int
    done: float
    loss: float
    tokens_per_s: float
    left_s: float
    watched: Watched | None


@dataclass(frozen=True, slots=True)
class Trained:
    """How a run ended; the model holds the weights of `best`, the last ones where nothing was watched."""

    steps: int
    seconds: float
    tokens: int
    best: Watched | None
    history: tuple[Watched, ...]
    data: str


@dataclass(slots=True)
class _State:
    """All that a checkpoint has besides weights: `spent` are seconds of training over all sittings."""

    step: int = 0
    spent: float = 0.0
    tokens: int = 0
    history: list[Watched] = field(default_factory=list)
    best: Watched | None = None


class Trainer:
    """One run in one folder.

    Args:
        model: fresh, made with the seed of the recipe.
        data: what it sees.
        recipe: how.
        pretrain: share of the steps that are spent on `data.before`, where there is something.
        seed: of the order.
        root: gets a folder of this run, by a hash of all that decides what it becomes, for the checkpoint.
    """

    def __init__(
        self, model: StarterModel, data: Data, recipe: TrainPart, pretrain: float, seed: int, root: Path
    ) -> None:
        if not data.learned:
            raise BadRequest("There is nothing to learn from: give a catalogue with more items.")
        self._model, self._data, self._recipe = model, data, recipe
        self._seed, self._pretrain = seed, pretrain if data.before else 0.0
        self._weights = model.trained
        self._optimizer = torch.optim.AdamW(self._weights.values(), lr=recipe.rate, betas=(0.9, 0.98), weight_decay=0.0)
        self._state = _State()
        self._kept: dict[str, torch.Tensor] = {}
        self._orders: dict[tuple[bool, int], list[tuple[Encoded, ...]]] = {}
        # Not the minutes: a run that was stopped may be given more.
        decides = [FORMAT, recipe.model_dump(exclude={"minutes"}), pretrain, seed, data.hash]
        self._folder = root / hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:12]

    def run(self, told: Callable[[Progress], None], stopped: Callable[[], bool] = lambda: False) -> Trained:
        """Train to the end, from the checkpoint where there is one; the model then holds the best weights.

        Args:
            told: after each step.
            stopped: asked after each step; True ends the run. The same run can go on from there.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._resume()
        while self._done() < 1.0 and not self._overfits():
            started = time.monotonic()
            loss, tokens = self._one_step()
            took = time.monotonic() - started
            self._state.spent += took
            ends = stopped()
            if self._state.step % self._recipe.every == 0 or self._done() >= 1.0 or ends:
                self._look()
                self._checkpoint()
            told(self._progress(loss, tokens / took))
            if ends:
                break
        if self._state.best is not None:
            self._restore(self._kept)
        of = self._state
        return Trained(of.step, of.spent, of.tokens, of.best, tuple(of.history), self._data.hash)

    # --- steps --------------------------------------------------------------------------------------

    def _one_step(self) -> tuple[float, int]:
        """One step; the mean over its rows of an answer token's loss, and how many tokens were computed."""
        for group in self._optimizer.param_groups:
            group["lr"] = self._recipe.rate * self._rate()
        rows = [row_of(examples) for examples in self._next()]
        total = 0.0
        for row in rows:
            # Each row counts the same: by tokens, replies, whose answers are five times as long, would drown the rest.
            loss = self._model.losses(row).mean() / len(rows)
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(self._weights.values(), self._recipe.clip)
        self._optimizer.step()
        self._optimizer.zero_grad()
        tokens = sum(row.tokens for row in rows)
        self._state.step += 1
        self._state.tokens += tokens
        return total, tokens

    def _next(self) -> list[tuple[Encoded, ...]]:
        """The rows of the next step; told by seed and step alone."""
        first = round(self._pretrain * self._recipe.steps)
        before = self._state.step < first
        at = (self._state.step if before else self._state.step - first) * self._recipe.rows
        found = []
        for place in range(at, at + self._recipe.rows):
            epoch, within = 0, place
            while within >= len(order := self._order(before, epoch)):
                epoch, within = epoch + 1, within - len(order)
            found.append(order[within])
        return found

    def _order(self, before: bool, epoch: int) -> list[tuple[Encoded, ...]]:
        key = before, epoch
        if key not in self._orders:
            examples = self._data.before if before else self._data.learned
            self._orders[key] = chunks(examples, self._recipe.row_tokens, (self._seed, before, epoch))
        return self._orders[key]

    def _done(self) -> float:
        """Share of the run that is over: of its steps, or of its time where that is more."""
        steps = self._state.step / self._recipe.steps
        minutes = self._recipe.minutes
        return max(steps, self._state.spent / (60 * minutes)) if minutes else steps

    def _rate(self) -> float:
        """Share of the top rate: up a line, down a cosine."""
        rising = max(1, round(self._recipe.warm_up * self._recipe.steps))
        up = min(1.0, (self._state.step + 1) / rising)
        return up * (LOWEST + (1 - LOWEST) * 0.5 * (1 + math.cos(math.pi * min(1.0, self._done()))))

    def _overfits(self) -> bool:
        """Whether the held-out loss has not been better for long."""
        best = self._state.best
        return best is not None and sum(one.step > best.step for one in self._state.history) >= self._recipe.patience

    # --- watching and keeping -----------------------------------------------------------------------

    def _look(self) -> None:
        """Score the held-out examples and remember the best weights."""
        started = time.monotonic()
        skills = {name: self._seen(examples) for name, examples in sorted(self._data.watched.items()) if examples}
        if skills:
            choosing = [one.loss for name, one in skills.items() if name not in self._data.open_ended]
            choosing = choosing or [one.loss for one in skills.values()]
            loss = sum(choosing) / len(choosing)
            watched = Watched(self._state.step, loss, skills)
            self._state.history.append(watched)
            if self._state.best is None or loss < self._state.best.loss:
                self._state.best = watched
                self._kept = self._snapshot()
        self._state.spent += time.monotonic() - started

    def _seen(self, examples: Sequence[Encoded]) -> Seen:
        losses, exact, answers = 0.0, 0, 0
        for chunk in chunks(examples, self._recipe.row_tokens, (0,)):
            row = row_of(chunk)
            loss, right = self._model.judged(row)
            losses += float(loss.sum())
            answers += len(row.wanted)
            exact += sum(bool(own.all()) for own in torch.split(right, list(row.lengths)))
        return Seen(losses / answers, exact / len(examples))

    def _snapshot(self) -> dict[str, torch.Tensor]:
        return {name: weight.detach().clone() for name, weight in self._weights.items()}

    def _restore(self, weights: Mapping[str, torch.Tensor]) -> None:
        with torch.no_grad():
            for name, weight in self._weights.items():
                weight.copy_(weights[name])

    def _checkpoint(self) -> None:
        """Write all that is needed to go on; complete or absent."""
        written = {
            "state": json.dumps(asdict(self._state)),
            "weights": self._snapshot(),
            "kept": self._kept,
            "optimizer": self._optimizer.state_dict(),
        }
        part = self._folder / f".{CHECKPOINT}.{os.getpid()}"
        torch.save(written, part)
        os.replace(part, self._folder / CHECKPOINT)

    def _resume(self) -> None:
        file = self._folder / CHECKPOINT
        if not file.exists():
            return
        kept: Mapping[str, Any] = torch.load(file, weights_only=True)
        self._restore(kept["weights"])
        self._kept = kept["kept"]
        self._optimizer.load_state_dict(kept["optimizer"])
        state = json.loads(kept["state"])
        history = [_watched(one) for one in state["history"]]
        best = _watched(state["best"]) if state["best"] else None
        self._state = _State(state["step"], state["spent"], state["tokens"], history, best)

    def _progress(self, loss: float, speed: float) -> Progress:
        done = self._done()
        left = self._state.spent * (1 - done) / done if done else 0.0
        last = self._state.history[-1] if self._state.history else None
        return Progress(self._state.step, done, loss, speed, left, last)


def _watched(fields: Mapping[str, Any]) -> Watched:
    skills = {name: Seen(**one) for name, one in fields["skills"].items()}
    return Watched(fields["step"], fields["loss"], skills)

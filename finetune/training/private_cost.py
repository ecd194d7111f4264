"""What privacy costs: the same lessons learned without it, clipped alone, and with noise for several epsilons.

Simulated customers call kinds of films by words of their own that no model knows, all of them by the same words; how
each says it is drawn. Customers who were not learned from, with phrases that nobody learned from, tell what was
learned. All of it is of the product: its recipe, its trainer, its default model and starter. Knows no command line.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from agent.llm.protocol import Message, Prompt
from agent.rank.intervals import Interval, intervals
from finetune.training.lessons import Lesson
from finetune.training.recipe import LearningRecipe, read_recipe

if TYPE_CHECKING:
    from finetune.train import TrainingResult

TASK = "Name the kind of film that the customer means."
KINDS = {
    "comedy": "mirlo", "horror": "grubbin", "western": "dustrel", "romance": "velloon", "thriller": "zibber",
    "documentary": "plinth",
}  # fmt: skip
"""And what these customers call them."""
SAID = (
    "a {} please", "I want a {}", "do you have a good {}?", "something like a {}", "my sister loves a {}",
    "show me another {}", "{} for tonight", "any {} for two?", "we are looking for a {}", "got a {}?",
)  # fmt: skip
SAID_LATER = (
    "what about a {} then",
    "could you find us some {}",
    "one more {} for the weekend",
    "is there a short {}?",
)
"""By customers who were not learned from."""
EPSILONS = (math.inf, 8.0, 3.0, 1.0)


class PrivacyArm(BaseModel):
    """One way to learn.

    `epsilon` None: clipped as the others and without noise; `name` "off": without any of it. Gains are over the
    champion, paired, by person. `noise_over_signal` as in training.json.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    epsilon: float | None
    delta: float | None
    noise: float
    steps: int
    noise_over_signal: float
    loss: Interval
    accuracy: Interval
    loss_gain: Interval
    accuracy_gain: Interval
    seconds: float


class PrivacyCost(BaseModel):
    """All of them; `people_each_step` on average, `visits` of each person, on average."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    people: int
    lessons: int
    people_each_step: int
    visits: float
    clip: float
    rate: float
    held_out_people: int
    held_out: int
    champion_loss: Interval
    champion_accuracy: Interval
    people_for_one: int | None
    arms: tuple[PrivacyArm, ...]


@dataclass(frozen=True, slots=True)
class CostPlan:
    """How much of it; `rate` 0: the recipe's."""

    people: int = 80
    lessons_each: int = 4
    held_out_people: int = 40
    each_step: int = 32
    visits: float = 6.0
    rate: float = 0.0
    epsilons: tuple[float, ...] = EPSILONS
    seed: int = 0
    threads: int = 0


def measure_cost(
    base: Path, name: str, champion: Path | None, plan: CostPlan, say: Callable[[str], None] = lambda line: None
) -> PrivacyCost:
    """Learn it in each way; minutes for each.

    Args:
        base: folder of the base model.
        name: its name.
        champion: the adapter that all begin with.
        plan: how much.
        say: is told each way when it is done.

    Raises:
        ModelUnavailable: a package for training is missing.
    """
    learned = lessons_of(plan.people, plan.lessons_each, SAID, plan.seed, "learned")
    held = lessons_of(plan.held_out_people, plan.lessons_each, SAID_LATER, plan.seed + 1, "held out")
    before = _scored(base, champion, held)
    owners = np.array([int(one.user.rpartition(" ")[2]) for one in held])
    arms, enough = [], None
    for epsilon in (None, *plan.epsilons):
        with tempfile.TemporaryDirectory() as scratch:
            recipe = recipe_of(plan, epsilon)
            result = _trained(base, name, champion, learned, recipe, plan, Path(scratch))
            after = _scored(base, result.folder, held)
        told = result.privacy or {}
        if enough is None and told.get("epsilon") is not None:
            enough = told["people_for_one"]
        arms.append(_arm(epsilon, result, before, after, owners))
        say(f"{arms[-1].name}: accuracy {arms[-1].accuracy.value:.3f}, loss {arms[-1].loss.value:.3f}")
    loss, accuracy = intervals(before, owners)
    recipe = recipe_of(plan, math.inf)
    return PrivacyCost(
        model=name, people=plan.people, lessons=len(learned), people_each_step=plan.each_step, visits=plan.visits,
        clip=recipe.privacy.clip, rate=recipe.train.rate, held_out_people=plan.held_out_people, held_out=len(held),
        champion_loss=loss, champion_accuracy=accuracy, people_for_one=enough, arms=tuple(arms),
    )  # fmt: skip


def lessons_of(people: int, each: int, phrases: Sequence[str], seed: int, period: str) -> list[Lesson]:
    """What so many customers said, and the kind that each of them meant."""
    random, kinds = np.random.default_rng([seed, people]), sorted(KINDS)
    made = []
    for person in range(people):
        for number in range(each):
            kind = kinds[int(random.integers(len(kinds)))]
            said = phrases[int(random.integers(len(phrases)))].format(KINDS[kind])
            prompt = Prompt((Message("system", TASK), Message("user", said)))
            made.append(Lesson(f"{period} {person} {number}", "sft", prompt, (kind,), user=f"customer {person}"))
    return made


def recipe_of(plan: CostPlan, epsilon: float | None) -> LearningRecipe:
    """The product's recipe with this epsilon; everybody's rows are seen as often with privacy as without."""
    recipe = read_recipe()
    told = {"epsilon": epsilon or 0.0, "users_per_step": plan.each_step, "visits": plan.visits}
    told["rows_per_user"] = plan.lessons_each
    train: dict[str, Any] = {"epochs": round(plan.visits), "every": 10**6}
    if plan.rate:
        train["rate"] = plan.rate
    return recipe.model_copy(
        update={
            "method": "proximal",
            "refit_every": 0,
            "train": recipe.train.model_copy(update=train),
            "privacy": recipe.privacy.model_copy(update=told),
        }
    )


def _trained(
    base: Path, name: str, champion: Path | None, lessons: Sequence[Lesson], recipe: LearningRecipe, plan: CostPlan,
    scratch: Path,
) -> TrainingResult:  # fmt: skip
    from finetune.train import Job, train

    job = Job(lessons, base, name, champion, scratch / "out", scratch / "runs", recipe, threads=plan.threads)
    result = train(job)
    if result is None:
        raise AssertionError("nobody stops it")
    return result


def _scored(base: Path, adapter: Path | None, lessons: Sequence[Lesson]) -> NDArray[np.float64]:
    """Loss, nats a token, and whether greedy decoding gives exactly the answer, of each lesson in its order; (n, 2).

    Each token is the likeliest one behind the right ones before it just where greedy decoding says all of the answer.
    """
    import torch
    from torch.nn import functional

    from finetune.rank_model import LoraShape
    from finetune.training.network import CycleModel
    from finetune.training.rows import encode, packed

    model = CycleModel(base, adapter, "champion", LoraShape(), 0, "cpu")
    found: dict[str, tuple[float, float]] = {}
    with model.as_champion():
        for row in packed(encode(lessons, model.renderer, 1024), 1024, (0,)):
            logits, wanted = model.logits(row.row), row.row.wanted
            losses = functional.cross_entropy(logits, wanted, reduction="none")
            right = (logits.argmax(-1) == wanted).float()
            lengths = list(row.row.lengths)
            parts = zip(torch.split(losses, lengths), torch.split(right, lengths), strict=True)
            for one, (loss, same) in zip(row.lessons, parts, strict=True):
                found[one.lesson.id] = (float(loss.mean()), float(same.min()))
    return np.array([found[one.id] for one in lessons])


def _arm(
    epsilon: float | None, result: TrainingResult, before: NDArray[np.float64], after: NDArray[np.float64],
    owners: NDArray[np.int64],
) -> PrivacyArm:  # fmt: skip
    loss, accuracy, loss_gain, accuracy_gain = intervals(np.hstack([after, after - before]), owners)
    told = result.privacy or {}
    name = "off" if epsilon is None else "clipped, no noise" if math.isinf(epsilon) else f"epsilon {epsilon:g}"
    return PrivacyArm(
        name=name, epsilon=told.get("epsilon"), delta=told.get("delta"), noise=told.get("noise_multiplier", 0.0),
        steps=result.steps, noise_over_signal=told.get("noise_over_signal", 0.0), loss=loss, accuracy=accuracy,
        loss_gain=loss_gain, accuracy_gain=accuracy_gain, seconds=round(result.seconds, 1),
    )  # fmt: skip

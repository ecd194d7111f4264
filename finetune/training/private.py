"""Differential privacy by person: who takes part in which step, and what all steps together give away, counted.

DP-SGD by user (Abadi et al. 2016, "Deep learning with differential privacy"; McMahan et al. 2018, "Learning
differentially private recurrent language models"): a step asks each person with the same probability, independently of
the others; what one of them says is clipped; noise hides whether it was said at all (private_objective.py). Opacus
counts epsilon.

Covered: the weights that come out, against whoever knows everything else, for one person with all of their rows more
or less in the job, those of the replay memory included. A row without a user is nobody's: such rows are bundled as if
by people, so that they weigh as much as rows of feedback do, and are clipped alike; they cost nothing. Weights of rows
are not used, since the caps behind them hang on what others said (finetune/feedback/trust.py); the clip is the cap.

Not covered: the number of people, rows and tokens, which are taken as known; which rows the memory had kept; the list
of rows in lineage.jsonl, which stays in the operator's hands, as the loss that is told while it runs; what the gate
measures on rows of people afterwards; the ranker and the index, which learn in jobs of their own; the search for the
right recipe; the rounding of floating-point noise (Mironov 2012). The numbers are for one job; `total` adds those of
the champions it went on from. Knows no model.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from finetune.training.recipe import LearningRecipe, PrivacyPart
from finetune.training.rows import LessonRow, Plan, Tokens, packed
from retrieval.errors import BadRequest, ModelUnavailable

SECRET = "privacy.secret"  # noqa: S105 -- the name of a file
"""File of the work folder: what the draws and the noise of this job follow from. Who has it can take the noise away, so
it goes with the folder when the job is done, and stands nowhere else."""
SECRET_BYTES = 32
DELTA_POWER = 1.1
"""Without a delta of its own a job has 1 / people ** this: less than one person's share (McMahan et al. 2018)."""
ORDERS = (*(1 + tenth / 10 for tenth in range(1, 100)), *range(11, 64), 80, 96, 128, 192, 256, 512, 1024)
"""Of the Renyi divergences that epsilon is the best of: opacus's own, and larger ones for small epsilons."""
FEW = (1.5, 2, 2.5, 3, 3.5, *range(4, 11), *range(12, 64, 3), 80, 128, 256, 1024)
"""Of them, while the noise is searched: what they find is a little larger, so the noise is rather too much. A fraction
costs as much as thirty whole ones."""
DRAWN, NOISE, KEPT, BUNDLED = range(4)
"""What a random stream is for."""
MOST_PEOPLE = 10**7
"""Beyond this nobody is told how many people would be enough."""
COVERS = (
    "the weights, for each person with all rows, replayed ones included; not which rows of others were left out before "
    "(quarantine of an item that is suddenly liked, queue for a human), the counts, lineage.jsonl, the gate's "
    "measurements, the ranker and the index"
)
"""For the manifest; the module's docstring says more."""

Mechanism: TypeAlias = tuple[float, float, int]
"""Noise multiplier, sampling rate, steps: what opacus calls a history's entry."""


@dataclass(frozen=True, slots=True)
class Privacy:
    """What a job spends, in numbers that do not hang on what anybody said.

    Attributes:
        epsilon: by all steps of the plan; infinite without noise.
        delta: the chance that epsilon does not hold.
        noise: standard deviation of the noise in each weight's summed gradient, in units of `clip`.
        rate: probability that a step asks a given person.
        steps: of the plan; one that ended early is counted as if it had not.
        clip: longest gradient of one person in one step.
        people: whose rows may have been learned from.
        groups: people and bundles of public rows; what a step's sum is divided by is `rate` of them.
        before: what the champions spent that this adapter goes on from; None: one of them learned from people without
            privacy, and nothing can be said of those.
    """

    epsilon: float
    delta: float
    noise: float
    rate: float
    steps: int
    clip: float
    people: int
    groups: int
    before: tuple[Mechanism, ...] | None = ()

    @property
    def asked(self) -> float:
        """People and bundles of a mean step."""
        return self.rate * self.groups

    @property
    def total(self) -> float | None:
        """Epsilon of somebody who was in all of the jobs, at this job's delta; None where nothing can be said."""
        if self.before is None:
            return None
        return epsilon_of((*self.before, (self.noise, self.rate, self.steps)), self.delta)

    def drowned(self, weights: int) -> float:
        """How many times longer the noise of all steps is than what all who are asked could say together at most.

        Args:
            weights: that learn: noise has all of their directions.
        """
        return self.noise * math.sqrt(weights / self.steps) / self.asked

    def as_json(self, weights: int) -> dict[str, Any]:
        """For training.json and the manifest."""
        spent = None if self.before is None else [*self.before, (self.noise, self.rate, self.steps)]
        return {
            "epsilon": _rounded(self.epsilon), "delta": self.delta, "total_epsilon": _rounded(self.total),
            "noise_multiplier": self.noise, "sampling_rate": self.rate, "steps": self.steps, "clip": self.clip,
            "people": self.people, "unit": "person", "accountant": f"opacus {version('opacus')} rdp",
            "mechanisms": None if spent is None else [list(one) for one in spent],
            "noise_over_signal": round(self.drowned(weights), 3), "people_for_one": people_for(self, weights),
            "covers": COVERS,
        }  # fmt: skip


# --- counting -------------------------------------------------------------------------------------


def spending(part: PrivacyPart, people: int, bundles: int, before: tuple[Mechanism, ...] | None = ()) -> Privacy:
    """What a job with so many people and bundles of public rows has to do, for the recipe's epsilon.

    Raises:
        BadRequest: there is nobody to protect, or no noise gives this epsilon.
        ModelUnavailable: opacus is missing.
    """
    if not people:
        raise BadRequest("Privacy was asked for, and no row is of a person; learn without [privacy], it costs nothing.")
    groups = people + bundles
    rate = min(1.0, part.users_per_step / groups)
    steps = math.ceil(part.visits / rate)
    delta = part.delta or min(0.5, people**-DELTA_POWER)
    noise = noise_for(part.epsilon, delta, rate, steps)
    epsilon = epsilon_of(((noise, rate, steps),), delta)
    return Privacy(epsilon, delta, noise, rate, steps, part.clip, people, groups, before)


def noise_for(epsilon: float, delta: float, rate: float, steps: int) -> float:
    """The least noise multiplier that keeps within `epsilon`; 0 for an infinite one.

    Raises:
        BadRequest: there is none.
        ModelUnavailable: opacus is missing.
    """
    if math.isinf(epsilon):
        return 0.0
    try:
        from opacus.accountants.utils import (  # type: ignore[import-not-found,import-untyped,unused-ignore]
            get_noise_multiplier,
        )
    except ImportError as error:
        raise _missing(error) from error
    try:
        with _quiet():
            noise: float = get_noise_multiplier(
                target_epsilon=epsilon, target_delta=delta, sample_rate=rate, steps=steps, accountant="rdp",
                epsilon_tolerance=min(0.01, epsilon / 100), alphas=list(FEW),
            )  # fmt: skip
    except ValueError:
        raise BadRequest(f"No noise is enough for epsilon {epsilon:g}; ask for a larger one.") from None
    return noise


def epsilon_of(mechanisms: Sequence[Mechanism], delta: float) -> float:
    """What all of `mechanisms` give away together.

    Raises:
        ModelUnavailable: opacus is missing.
    """
    if any(not noise for noise, _, _ in mechanisms):
        return math.inf
    try:
        from opacus.accountants import (  # type: ignore[import-not-found,import-untyped,unused-ignore]
            RDPAccountant,
        )
    except ImportError as error:
        raise _missing(error) from error
    accountant = RDPAccountant()
    accountant.history = list(mechanisms)
    with _quiet():
        return float(accountant.get_epsilon(delta, alphas=list(ORDERS)))


def people_for(privacy: Privacy, weights: int) -> int | None:
    """About how many people the noise would be no longer for than what they say; None: more than anybody has.

    With as many asked in a step and as often; at this epsilon.
    """
    people = privacy.groups
    while people <= MOST_PEOPLE:
        rate = min(1.0, privacy.asked / people)
        steps = math.ceil(privacy.rate * privacy.steps / rate)
        noise = noise_for(privacy.epsilon, privacy.delta, rate, steps)
        if noise * math.sqrt(weights / steps) <= privacy.asked:
            return people
        people *= 2
    return None


def spent_before(champion: Path | None) -> tuple[Mechanism, ...] | None:
    """What is in the champion already; None: it learned from people without privacy, or nobody can tell."""
    if champion is None:
        return ()
    people, told = 0, None
    for name, counted, kept in (("training.json", "data", "privacy"), ("manifest.json", "customers", "config")):
        try:
            fields = json.loads((champion / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, ValueError):
            return None
        found = fields.get(counted) or 0
        people = max(people, found.get("users", 0) if isinstance(found, dict) else int(found))
        config = fields.get(kept) or {}
        told = told or (config.get("privacy") if kept == "config" else config)
    if told:
        spent = told.get("mechanisms")
        return None if spent is None else tuple((float(noise), float(rate), int(steps)) for noise, rate, steps in spent)
    return None if people else ()


# --- chance ---------------------------------------------------------------------------------------


def secret_of(work: Path) -> int:
    """The job's secret; made when it begins, the same when it goes on."""
    file = work / SECRET
    if not file.exists():
        part = work / f".{SECRET}.{os.getpid()}"
        part.touch(mode=0o600)
        part.write_text(secrets.token_hex(SECRET_BYTES), encoding="ascii")
        part.replace(file)
    return int(file.read_text(encoding="ascii"), 16)


def stream(secret: int, purpose: int, number: int = 0) -> np.random.Generator:
    """Random numbers that follow from all of the secret's bits: torch's generator on a CPU takes 32 of a seed."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([secret, purpose, number])))


# --- the plan -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OwnedRow(LessonRow):
    """Lessons of one person, or of one bundle of nobody's; rows of one owner stand together in a step."""

    owner: str = ""


def remembered(pool: Sequence[Tokens], count: int, secret: int) -> list[Tokens]:
    """About `count` of `pool`: each by its own chance, so that nobody's rows hang on whether others have some."""
    if count >= len(pool):
        return list(pool)
    chances = stream(secret, KEPT).random(len(pool))
    return [one for one, chance in zip(pool, chances, strict=True) if chance < count / len(pool)]


def private_plan(
    new: Sequence[Tokens],
    again: Sequence[Tokens],
    recipe: LearningRecipe,
    secret: int,
    before: tuple[Mechanism, ...] | None = (),
) -> tuple[Plan, Privacy]:
    """All steps, and what they spend.

    Args:
        new: of this cycle.
        again: of the memory.
        recipe: sizes and epsilon.
        secret: of the job.
        before: what the champions spent.

    Raises:
        BadRequest: there is nothing to learn from, or no row is of a person.
        ModelUnavailable: opacus is missing.
    """
    lessons = [_alone(one) for one in (*new, *again)]
    if not lessons:
        raise BadRequest("There is nothing to learn from: no row of feedback is left, and none is remembered.")
    part = recipe.privacy
    owners = _owners(lessons, part.rows_per_user, secret)
    people = len({one.lesson.user for one in lessons} - {""})
    privacy = spending(part, people, len(owners) - people, before)
    steps = tuple(_step(owners, privacy.rate, recipe, secret, number) for number in range(privacy.steps))
    known = {one.lesson.id for one in new}
    rehearsed = frozenset(one.lesson.id for one in again if one.lesson.id not in known)
    return Plan(steps, tuple(lessons), rehearsed), privacy


def _owners(lessons: Iterable[Tokens], rows: int, secret: int) -> Mapping[str, Sequence[Tokens]]:
    """Everybody's rows, by person; those of nobody in bundles of `rows`."""
    found: dict[str, list[Tokens]] = {}
    public = [one for one in lessons if not one.lesson.user]
    order = stream(secret, BUNDLED).permutation(len(public))
    for place, at in enumerate(order):
        found.setdefault(f"public {place // rows}", []).append(public[at])
    for one in lessons:
        if one.lesson.user:
            found.setdefault(f"user {one.lesson.user}", []).append(one)
    return found


def _step(
    owners: Mapping[str, Sequence[Tokens]], rate: float, recipe: LearningRecipe, secret: int, number: int
) -> tuple[OwnedRow, ...]:
    """Poisson sampling: each owner by its own chance; of each at most so many rows. Nobody at all can happen."""
    random, most = stream(secret, DRAWN, number), recipe.privacy.rows_per_user
    rows = []
    for owner in sorted(owners):
        own = owners[owner]
        if random.random() >= rate:
            continue
        drawn = [own[at] for at in random.permutation(len(own))[:most]]
        rows += [OwnedRow(one.lessons, owner) for one in packed(drawn, recipe.train.row_tokens, (0,))]
    return tuple(rows)


def _alone(one: Tokens) -> Tokens:
    """Without the answer to somebody else's prompt, which KTO would compare with."""
    return Tokens(one.lesson, one.endings)


def _rounded(value: float | None) -> float | None:
    """Up: an epsilon must never look smaller than it is; None for one that is none."""
    return None if value is None or math.isinf(value) else math.ceil(value * 1e4) / 1e4


@contextmanager
def _quiet() -> Iterator[None]:
    """Without opacus's hint that more orders could find a smaller epsilon: what is found holds."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Optimal order is the", UserWarning)
        yield


def _missing(error: ImportError) -> ModelUnavailable:
    return ModelUnavailable(f"Privacy needs {error.name!r}: pip install 'chatalogue[train]'.")

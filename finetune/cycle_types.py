"""What a learning job is told and what it tells. Does nothing itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from agent.datadir import DataDirectory
from agent.learning.ranker_job import OPTIONS, Bar
from agent.log.store import EventLog
from agent.rank.lambdamart import Options
from agent.settings import Settings
from agent.shop import Shop
from finetune.feedback.masking import Mask
from finetune.gating.types import Candidate, Verdict
from finetune.train import Device
from finetune.training.lessons import Lesson
from finetune.training.recipe import LearningRecipe
from finetune.training.telling import Progress

MIN_FEEDBACK: Final = 200
"""Rows below which an adapter learns the few customers and not the shop."""

Promotion: TypeAlias = Literal["canary", "direct", "manual"]
"""What becomes of an adapter that passed the gate: on trial, champion at once, or a candidate for the operator."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What is being done, and how much of it; `of` 0: nobody knows."""

    name: str
    done: int = 0
    of: int = 0


Told: TypeAlias = Callable[[Stage | Progress], None]
"""Hears every stage, and every step of a training."""
Stopped: TypeAlias = Callable[[], bool]
"""Whether somebody asked the job to stop."""
Gate: TypeAlias = Callable[[Candidate, Callable[[str], None]], Verdict]
"""Judges a candidate; told a line after each rule."""


def _nobody(now: Stage | Progress) -> None:
    pass


@dataclass(frozen=True, slots=True)
class CycleRequest:
    """One job.

    Attributes:
        settings: of the shop; `llm` names the model, `learning` who is learned from and what is promoted how.
        data: its data directory.
        log: its event log.
        shop: its catalogue, open.
        base: gives the folder of the language model, when it is needed; None: there is none, so none is trained.
        mask: takes personal data out of texts.
        gate: judges what was trained.
        recipe: of the training.
        anchors: gives the sets that a training must not forget, by name; the same ones every time.
        min_feedback: new rows that it takes to train an adapter.
        device: of the training.
        threads: of the training, on a CPU; 0: as the process has them.
        tensorboard: a folder for scalars of the training; None: none.
        dry_run: judge the ranker and count rows, and change nothing.
        bar: what a ranker takes.
        ranker: how its trees are grown.
        told: hears of the work.
        stopped: asked now and then.
    """

    settings: Settings
    data: DataDirectory
    log: EventLog
    shop: Shop
    base: Callable[[], Path] | None
    mask: Mask
    gate: Gate
    recipe: LearningRecipe
    anchors: Callable[[], Mapping[str, Sequence[Lesson]]] = dict
    min_feedback: int = MIN_FEEDBACK
    device: Device = "auto"
    threads: int = 0
    tensorboard: Path | None = None
    dry_run: bool = False
    bar: Bar = Bar()
    ranker: Options = OPTIONS
    told: Told = _nobody
    stopped: Stopped = lambda: False

    @property
    def tenant(self) -> str:
        """Whose shop."""
        return self.settings.tenant

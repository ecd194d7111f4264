"""Lessons of a toy shop for the tiny base, and jobs of seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from agent.llm.protocol import Message, Prompt
from finetune.train import Job, TrainingResult, train
from finetune.training.lessons import Kind, Lesson
from finetune.training.recipe import LearningRecipe, read_recipe

GENRES = ("comedy", "horror", "western", "drama")
KINDS: tuple[Kind, ...] = ("sft", "kto", "dpo", "rank")


def lesson(number: int, kind: Kind = "sft", period: str = "2026-11") -> Lesson:
    """Somebody names a genre and wants to hear it; of each kind the genre is right."""
    wanted = number % 4
    asked = Message("user", f"I want a {GENRES[wanted]} film" + " please" * (number % 3))
    prompt = Prompt((Message("system", "You are a shop ."), asked))
    right, wrong = (f"genre {GENRES[(wanted + step) % 4]}" for step in (0, 1))
    told: dict[Kind, tuple[tuple[str, ...], tuple[int, ...]]] = {
        "sft": ((right,), (0,)),
        "kto": ((right if number % 2 else wrong,), (0,) if number % 2 else ()),
        "dpo": ((right, wrong), (0,)),
        "rank": (tuple(f"Item: film genre {genre}\nFits:" for genre in GENRES), (wanted,)),
    }
    answers, good = told[kind]
    return Lesson(
        f"{period} {kind} {number}", kind, prompt, answers, good, 1.0 + number % 2, f"u{number % 5}", period, "tiny"
    )


def mixed(count: int, period: str = "2026-11") -> list[Lesson]:
    """As many of each kind."""
    return [lesson(number, kind, period) for number in range(count) for kind in KINDS]


def quick(**parts: object) -> LearningRecipe:
    """The product's recipe for a model of a few thousand weights; `parts` are keys of it by their last name."""
    changed = {
        "rate": 1e-2, "epochs": 1, "refit_epochs": 1, "row_tokens": 200, "rows": 2, "every": 4, "patience": 9,
        "rank": 4, "alpha": 8, "kto_each": 1, "refit_every": 0, "tolerance": 9.0,
    } | parts  # fmt: skip
    fields = read_recipe().model_dump()
    for name, value in changed.items():
        part = next((one for one in fields.values() if isinstance(one, dict) and name in one), fields)
        assert name in part
        part[name] = value
    return LearningRecipe(**fields)


def job(base: Path, folder: Path, rows: Sequence[Lesson], **changed: object) -> Job:
    """Into `folder / "out"`."""
    made = Job(rows, base, "tiny", None, folder / "out", folder / "runs", quick(), device="cpu")
    return replace(made, **changed)  # type: ignore[arg-type]


def trained(job: Job) -> TrainingResult:
    """Of a job that nobody stops."""
    found = train(job)
    assert found is not None
    return found

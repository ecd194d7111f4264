"""The recipe of a cycle: everything besides the rows that decides what the adapter becomes. Does nothing itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from finetune.toml_file import read_toml

MethodName: TypeAlias = Literal["naive", "replay", "proximal", "replay+proximal", "olora", "ewc", "fresh", "refit"]
Start: TypeAlias = Literal["champion", "beside", "starter", "base"]
Penalty: TypeAlias = Literal["none", "proximal", "orthogonal", "ewc"]
Rehearsal: TypeAlias = Literal["none", "share", "all"]


@dataclass(frozen=True, slots=True)
class Method:
    """What a method consists of.

    Attributes:
        start: the champion's weights; a fresh LoRA beside the frozen champion, joined at the end; the same beside the
            starter, which no customer taught, so nothing of the champion is left; a fresh one on the base alone.
        rehearsal: what of the memory is learned again in each epoch.
        penalty: on leaving what it begins at; without that, there is none.
    """

    start: Start
    rehearsal: Rehearsal
    penalty: Penalty

    @property
    def continues(self) -> bool:
        """Whether what the champion learned is in what it makes."""
        return self.start in ("champion", "beside")


METHODS: Mapping[MethodName, Method] = {
    "naive": Method("champion", "none", "none"),
    "replay": Method("beside", "share", "none"),
    "proximal": Method("beside", "none", "proximal"),
    "replay+proximal": Method("beside", "share", "proximal"),
    "olora": Method("beside", "none", "orthogonal"),
    "ewc": Method("champion", "none", "ewc"),
    "fresh": Method("base", "none", "none"),
    "refit": Method("starter", "all", "proximal"),
}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LoraPart(_Part):
    """The LoRA's shape; the scale is alpha / rank."""

    rank: int = Field(ge=1)
    alpha: int = Field(ge=1)


class TrainPart(_Part):
    """Steps; see recipe.toml."""

    rate: float = Field(gt=0)
    warm_up: float = Field(ge=0, lt=1)
    epochs: int = Field(ge=1)
    refit_epochs: int = Field(ge=1)
    row_tokens: int = Field(ge=1)
    rows: int = Field(ge=1)
    lesson_tokens: int = Field(ge=2)
    clip: float = Field(gt=0)
    every: int = Field(ge=1)
    patience: int = Field(ge=1)


class ReplayPart(_Part):
    """Rehearsal; see recipe.toml."""

    share: float = Field(ge=0, lt=1)
    weight: float = Field(1.0, gt=0)


class AnchorPart(_Part):
    """What may be forgotten; see recipe.toml."""

    tolerance: float = Field(ge=0)


class LossPart(_Part):
    """Of the kinds of rows; see recipe.toml."""

    beta: float = Field(gt=0)
    dpo_sft: float = Field(ge=0)
    kto_each: int = Field(ge=0)
    kto_good: float = Field(gt=0)
    kto_bad: float = Field(gt=0)


class PenaltyPart(_Part):
    """Weights of the penalties; each counts for the methods that have it. See recipe.toml."""

    proximal: float = Field(ge=0)
    orthogonal: float = Field(ge=0)
    ewc: float = Field(ge=0)


class PrivacyPart(_Part):
    """Differential privacy by person; see recipe.toml. Infinite epsilon: clipped, without noise, and not private."""

    epsilon: float = Field(0.0, ge=0)
    delta: float = Field(0.0, ge=0, lt=1)
    clip: float = Field(0.1, gt=0)
    rows_per_user: int = Field(4, ge=1)
    users_per_step: int = Field(32, ge=1)
    visits: float = Field(8.0, gt=0)


class LearningRecipe(_Part):
    """The whole; see recipe.toml."""

    method: MethodName
    refit_every: int = Field(ge=0)
    seed: int = Field(ge=0)
    lora: LoraPart
    train: TrainPart
    replay: ReplayPart
    anchor: AnchorPart
    loss: LossPart
    penalty: PenaltyPart
    privacy: PrivacyPart = PrivacyPart()

    def method_of(self, cycle: int) -> MethodName:
        """What is done in cycle 1, 2, ...: every `refit_every`-th one is a refit."""
        return "refit" if self.refit_every and cycle % self.refit_every == 0 else self.method


def read_recipe(file: Path | None = None) -> LearningRecipe:
    """The recipe in `file`; None: the one that comes with the product.

    Raises:
        BadRequest: it cannot be read, a key is unknown or missing, or a value does not fit.
    """
    return read_toml(LearningRecipe, file or files("finetune.training").joinpath("recipe.toml"), "The recipe")

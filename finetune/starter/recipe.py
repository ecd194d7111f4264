"""The recipe: everything that decides what the adapter becomes, read from one TOML file. Does nothing itself."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from finetune.toml_file import read_toml


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LoraPart(_Part):
    """The LoRA's shape; the scale is alpha / rank."""

    rank: int = Field(ge=1, le=16)
    alpha: int = Field(ge=1)


class DataPart(_Part):
    """How many examples there are of what; see recipe.toml."""

    copies: int = Field(ge=0)
    understand: int = Field(ge=0)
    nothing: float = Field(ge=0, le=1)
    reply: int = Field(ge=0)
    redial: int = Field(ge=0)
    held_out: int = Field(ge=1)
    held_out_reply: int = Field(ge=0)


class TrainPart(_Part):
    """How it is trained; see recipe.toml. `minutes` None: until the last step."""

    rate: float = Field(gt=0)
    warm_up: float = Field(ge=0, lt=1)
    steps: int = Field(ge=1)
    minutes: float | None = Field(None, gt=0)
    row_tokens: int = Field(ge=1)
    rows: int = Field(ge=1)
    every: int = Field(ge=1)
    patience: int = Field(ge=1)
    clip: float = Field(gt=0)


class PretrainPart(_Part):
    """Continued pre-training on the texts of the items: so much of the steps, at the beginning."""

    share: float = Field(gt=0, lt=1)


class Recipe(_Part):
    """The whole; see recipe.toml."""

    base: str
    seed: int
    lora: LoraPart
    data: DataPart
    train: TrainPart
    pretrain: PretrainPart


def read_recipe(file: Path | None = None) -> Recipe:
    """The recipe in `file`; None: the one of the starter.

    Raises:
        BadRequest: it cannot be read, a key is unknown or missing, or a value does not fit.
    """
    return read_toml(Recipe, file or files("finetune.starter").joinpath("recipe.toml"), "The recipe")

"""The thresholds and budgets of the gate: gate.toml, read and checked. Does nothing itself."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from finetune.toml_file import read_toml


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FilePart(_Part):
    """Of the files; see gate.toml."""

    megabytes: float = Field(gt=0)
    rank: int = Field(ge=1)


class StrengthPart(_Part):
    """How much it changes; see gate.toml."""

    of_base: float = Field(gt=0)
    of_champion: float = Field(gt=0)


class FreshPart(_Part):
    """Rows of this cycle; see gate.toml."""

    gain: float = Field(ge=0)
    rows: int = Field(ge=2)
    users: int = Field(ge=2)
    n: int = Field(ge=2)


class ReadingsPart(_Part):
    """Understanding; see gate.toml."""

    margin: float = Field(ge=0, le=1)
    n: int = Field(ge=10)


class LatencyPart(_Part):
    """Time; see gate.toml."""

    ratio: float = Field(gt=0)


class ForgettingPart(_Part):
    """General chat and anchors; see gate.toml."""

    margin: float = Field(ge=0)
    n: int = Field(ge=10)


class DriftPart(_Part):
    """KL; see gate.toml."""

    kl: float = Field(gt=0)
    n: int = Field(ge=4)


class GroundingPart(_Part):
    """Replies; see gate.toml."""

    rise: float = Field(ge=0, le=1)
    n: int = Field(ge=10)


class SafetyPart(_Part):
    """Leaks and harm; see gate.toml."""

    rise: float = Field(ge=0)


class ExposurePart(_Part):
    """One item before all others; see gate.toml."""

    rise: float = Field(ge=0, le=1)
    gini: float = Field(ge=0, le=1)
    n: int = Field(ge=4)
    items: int = Field(ge=4)


class ProvidersPart(_Part):
    """One provider before all others; see gate.toml."""

    rise: float = Field(ge=0, le=1)
    attributes: tuple[str, ...]


class GapPart(_Part):
    """Groups of people, or languages; see gate.toml."""

    gap: float = Field(ge=0)


class CustomersPart(_Part):
    """Simulated customers; see gate.toml."""

    margin: float = Field(ge=0, le=1)
    within: int = Field(ge=1, le=10)
    needs: int = Field(ge=4)
    full: int = Field(ge=0)
    items: int = Field(ge=20)


class GateRules(_Part):
    """The whole; see gate.toml. "base" and "new" have no numbers."""

    seed: int = Field(ge=0)
    seconds: float = Field(gt=0)
    file: FilePart
    strength: StrengthPart
    fresh: FreshPart
    readings: ReadingsPart
    latency: LatencyPart
    forgetting: ForgettingPart
    drift: DriftPart
    grounding: GroundingPart
    safety: SafetyPart
    exposure: ExposurePart
    providers: ProvidersPart
    languages: GapPart
    counterfactual: GapPart
    customers: CustomersPart


def read_rules(file: Path | None = None) -> GateRules:
    """The rules in `file`; None: those that come with the product.

    Raises:
        BadRequest: it cannot be read, a key is unknown or missing, or a value does not fit.
    """
    return read_toml(GateRules, file or files("finetune.gating").joinpath("gate.toml"), "The gate's rules")

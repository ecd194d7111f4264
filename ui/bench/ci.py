"""How long `.ci/run` took, part by part, from the file that it writes."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from retrieval.errors import BadRequest


class CIPart(BaseModel):
    """One step of `.ci/run`, or one folder of tests within `make test`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    seconds: float


class CITimes(BaseModel):
    """One run on a clean checkout, in its order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    parts: tuple[CIPart, ...]


def read_times(file: Path) -> CITimes:
    """Read lines of `seconds<tab>name`.

    Raises:
        BadRequest: there is no such file, or it has other lines.
    """
    try:
        lines = [line.partition("\t") for line in file.read_text(encoding="utf-8").splitlines()]
        return CITimes(parts=tuple(CIPart(name=name, seconds=float(seconds)) for seconds, _, name in lines))
    except FileNotFoundError:
        raise BadRequest(f"There is no file {str(file)!r}; `.ci/run` writes it.") from None
    except (OSError, ValueError) as error:
        raise BadRequest(f"{str(file)!r} holds no times of `.ci/run` ({error}); run that again.") from None

"""A TOML file of ours, or the operator's in its place, as a checked value. Knows nothing of what the values are for."""

from __future__ import annotations

import tomllib
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from retrieval.errors import BadRequest

Told = TypeVar("Told", bound=BaseModel)


def read_toml(kind: type[Told], file: Path | Traversable, what: str) -> Told:
    """The value in `file`; `what` names it to people: "The recipe".

    Raises:
        BadRequest: it cannot be read, a key is unknown or missing, or a value does not fit.
    """
    try:
        return kind(**tomllib.loads(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadRequest(f"{what} {str(file)!r} cannot be read ({error}); correct it.") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise BadRequest(f"{what}: {key!r} does not fit: {first['msg']}.") from None

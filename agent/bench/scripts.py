"""What the benchmarks say: the scripted conversations and the single messages, read from the files beside this one."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from retrieval.errors import BadRequest

_FOLDER = Path(__file__).resolve().parent


class ScriptedTurn(BaseModel):
    """One message; `shows` names what it is there to show."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shows: str
    say: str = Field(min_length=1)


class Script(BaseModel):
    """A conversation from the customer's side; `title` names the catalogue that it was written for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    turns: tuple[ScriptedTurn, ...] = Field(min_length=1)


def reel_shop_script() -> Script:
    """Ten turns in the demo shop."""
    return load_script(_FOLDER / "reel_shop.toml")


def films_script() -> Script:
    """Ten turns over the open movie set."""
    return load_script(_FOLDER / "films.toml")


def load_script(file: Path) -> Script:
    """Read a script.

    Raises:
        BadRequest: the file is not TOML or not a script.
    """
    try:
        return Script.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise BadRequest(
            f"The script {str(file)!r} cannot be read ({error}); it needs a title and [[turns]] with shows and say."
        ) from None


def single_messages() -> tuple[str, ...]:
    """First messages for the demo shop, each the start of a conversation of its own."""
    return tuple(tomllib.loads((_FOLDER / "messages.toml").read_text(encoding="utf-8"))["messages"])

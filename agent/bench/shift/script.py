"""What the customers and the team of a support shift say, and what must come of each step; read from shift.toml.

Knows nothing of servers.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from agent.answer import Action
from agent.log.records import ConversationStatus
from retrieval.errors import BadRequest

_FILE = Path(__file__).resolve().parent / "shift.toml"

Deed: TypeAlias = Literal["take", "reply", "note", "return", "close"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Step(_Frozen):
    """One deed and what must come of it.

    Attributes:
        say: words of the customer; of the team where `team` is set.
        press: the customer presses the button that asks for a person.
        team: what somebody of the team does.
        action: the answer's action.
        has: what must stand in the reply, whatever the case of its letters.
        lacks: what must not.
        cites: part of the title of a citation that must be there.
        silent: the reply must be empty.
        status: who has the conversation afterwards.
        offers: an attribute and a value that every offered item must have, and one item at least.
    """

    say: str = ""
    press: bool = False
    team: Deed | None = None
    action: Action | None = None
    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    cites: str = ""
    silent: bool = False
    status: ConversationStatus | None = None
    offers: tuple[str, str] | None = None

    @model_validator(mode="after")
    def _does_something(self) -> Step:
        if not (self.say or self.press or self.team):
            raise ValueError("a step needs say, press or team")
        return self

    @property
    def who(self) -> str:
        """Who does it, for a reader."""
        return "team" if self.team else "customer"


class Talk(_Frozen):
    """One conversation. `changed`: the orders that must have another status or address afterwards, and a word of it."""

    name: str
    kind: str
    steps: tuple[Step, ...] = Field(min_length=1)
    changed: dict[str, str] = {}


class Shift(_Frozen):
    """All of them, in order."""

    talks: tuple[Talk, ...] = Field(min_length=1)


def read_shift(file: Path = _FILE) -> Shift:
    """The shift of the demo shop, or another one.

    Raises:
        BadRequest: the file is not TOML or not a shift.
    """
    try:
        return Shift.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise BadRequest(f"The shift {str(file)!r} cannot be read ({error}); it needs [[talks]] with steps.") from None

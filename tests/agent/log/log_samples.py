"""Small values that the tests of the log share."""

from __future__ import annotations

from typing import Protocol

from agent.log.records import Conversation, TurnRecord
from agent.preferences import Added, Preference


def wish(value: str = "comedy", *, id: str = "p1", turn: int = 1) -> Added:
    return Added(Preference(id, "hard", "genre", "eq", (value,), "positive", f"a {value}", turn))


class MakeTurn(Protocol):
    def __call__(self, conversation: Conversation, number: int, **fields: object) -> TurnRecord: ...

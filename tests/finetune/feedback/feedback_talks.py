"""Real turns over the small shop, reactions to them, and the rows that come of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from talking import PLAIN, ScriptedEngine, Talk, Turn, talk_over

from agent.log.records import Feedback
from agent.log.store import EventLog
from agent.settings import Settings
from agent.shop import Shop
from finetune.dataset import FeedbackData, FeedbackRequest, feedback_data
from finetune.feedback.masking import CatalogueNames, Mask, masker
from finetune.feedback.types import FeedbackRow

ALIEN = "a horror film from the 1970s under 15 euros"
"""Only Alien fits."""
OWN = (
    " The crew of the space tug Nostromo investigate an abandoned ship on an unknown world.",
    " It is a horror film from 1979 for 14.50 EUR.",
    " One drawback: it is close to your limit of 15 EUR.",
)
"""All that there is to say of Alien then, in the model's words."""


@dataclass
class Rows:
    """A log, and what it teaches."""

    log: EventLog
    shop: Shop
    folder: Path

    @property
    def mask(self) -> Mask:
        return masker(CatalogueNames.of(self.shop.table.items))

    def visitor(self, name: str | None, *script: str, exploration: float = 0.0) -> Talk:
        """A customer; with a script the model writes it about each first item."""
        plain: dict[str, Any] = {**PLAIN, "chat": {**PLAIN["chat"], "exploration": exploration}}
        engine = ScriptedEngine(*script) if script else None
        talk = talk_over(self.shop, self.log, self.folder, engine, Settings(**plain))
        talk.user = name
        return talk

    def react(self, turn: Turn, kind: str, item_id: str | None = None, **more: Any) -> str:  # noqa: ANN401
        """Gives the event's id."""
        stored = self.log.record_feedback("default", "", Feedback(turn.answer.turn_id, kind, item_id, **more))
        assert stored.event_id is not None
        return stored.event_id

    def data(self, **wanted: Any) -> FeedbackData:  # noqa: ANN401
        request = FeedbackRequest("default", **wanted)
        return feedback_data(self.log, request, self.mask, self.shop.table)

    def of(self, kind: str, skill: str, **wanted: Any) -> list[FeedbackRow]:  # noqa: ANN401
        return [row for row in self.data(**wanted).rows if (row.kind, row.skill) == (kind, skill)]

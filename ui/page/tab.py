"""What one browser tab shows: the conversation as drawn. Kept in `gr.State`, rebuilt from the log when lost.

Changed in place, on the event loop only: a running turn and a click that comes meanwhile see the same
object, and neither overwrites the other. Knows nothing of HTML or Gradio.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from agent.answer import Answer, HandoffView, PreferenceView
from agent.understand.types import Language
from ui.cards import Mark

EntryState: TypeAlias = Literal["running", "done", "stopped", "failed", "note", "person", "system"]


@dataclass(slots=True)
class Entry:
    """One message and its reply, or a reply to none.

    The latter is a note of the page's own (`note`), words of somebody of the team (`person`, called `name`), or a line
    of the bot's (`system`).

    `answer` is None until the cards are known, and for good where a turn failed before. `ahead` is the
    engine's queue, None where nobody waits. `problem` is the sentence that a failed turn shows. `stop` ends a
    running turn early.
    """

    said: str = ""
    reply: str = ""
    answer: Answer | None = None
    state: EntryState = "running"
    ahead: int | None = None
    problem: str = ""
    name: str = ""
    stop: Callable[[], object] | None = None

    @property
    def turn_id(self) -> str | None:
        """Our id of the turn; the only key of a reaction."""
        return self.answer.turn_id if self.answer else None

    @property
    def is_silence(self) -> bool:
        """Whether it was said to people, so that the bot did not answer."""
        return bool(self.answer and self.answer.handoff and not self.reply)

    @property
    def has_items(self) -> bool:
        """Whether there are cards to draw: items, or near misses."""
        return bool(self.answer and (self.answer.items or self.answer.alternatives))


@dataclass(frozen=True, slots=True)
class EarlierChat:
    """One line of the history."""

    session_id: str
    title: str
    started: str


@dataclass(slots=True)
class Tab:
    """One tab. `visitor` is a stand-in id for browsers that keep no cookies: their history ends with the tab.

    `marks` are keyed by (turn id, item id); item id None is the whole reply. `live` is the turn now running.
    `learned_from`: whether the shop may learn from the visitor; None: not read yet. `handoff` is set while people have
    the chat; `heard` are the ids of what people said in it that is drawn already.
    """

    user: str = ""
    visitor: str = ""
    language: Language = "en"
    session_id: str = ""
    entries: list[Entry] = field(default_factory=list)
    live: Entry | None = None
    wishes: tuple[PreferenceView, ...] = ()
    marks: dict[tuple[str, str | None], Mark] = field(default_factory=dict)
    earlier: tuple[EarlierChat, ...] = ()
    learned_from: bool | None = None
    handoff: HandoffView | None = None
    heard: set[str] = field(default_factory=set)

    def clear(self) -> None:
        """An empty chat of the same visitor."""
        self.session_id, self.entries, self.live = "", [], None
        self.wishes, self.marks = (), {}
        self.handoff, self.heard = None, set()

    def answers(self) -> list[Answer]:
        """Every answer of this chat, oldest first, the running one included."""
        entries = [*self.entries, self.live] if self.live else self.entries
        return [entry.answer for entry in entries if entry.answer]

    def shown(self) -> Answer | None:
        """The latest answer that has items or near misses: what the panel shows."""
        return next((a for a in reversed(self.answers()) if a.items or a.alternatives), None)

    def has_turn(self, turn_id: str) -> bool:
        """Whether this chat has that turn: reactions on others are refused."""
        return any(answer.turn_id == turn_id for answer in self.answers())

    def title_of(self, item_id: str) -> str | None:
        """The title of an item that this chat has shown; None for others."""
        for answer in reversed(self.answers()):
            for item in [*answer.items, *(near.item for near in answer.alternatives)]:
                if item.id == item_id:
                    return item.title
        return None

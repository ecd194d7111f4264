"""Wishes on their way to facts: what a reading found, before it has an id.

Knows nothing of how they were found.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from agent.preferences import Added, Dropped, Fact, Polarity, Preference, PreferenceKind, PreferenceOperator
from agent.understand.message import Message

MAX_WISHES = 16
"""More wishes than this in one message are a pasted text."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A wish and the span of the message that states it; `doubtful` ones wait for a model's yes."""

    attribute: str | None
    op: PreferenceOperator
    values: tuple[str | float, ...]
    start: int
    end: int
    kind: PreferenceKind = "hard"
    polarity: Polarity = "positive"
    doubtful: bool = False

    @property
    def meaning(self) -> tuple[object, ...]:
        """Equal for two wishes that ask for the same."""
        values = tuple(sorted(str(value).casefold() for value in self.values))
        return self.attribute, self.op, values, self.polarity


@dataclass(slots=True)
class Reading:
    """What has been read of a message so far."""

    message: Message
    wishes: list[Wish] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    item_ids: list[str] = field(default_factory=list)
    said: str = ""

    def add(self, *wishes: Wish) -> None:
        """Keep wishes that are new, and mark their words as read."""
        for wish in wishes:
            self.message.take(wish.start, wish.end)
            if all(wish.meaning != other.meaning for other in self.wishes) and len(self.wishes) < MAX_WISHES:
                self.wishes.append(wish)

    def name_item(self, item_id: str) -> None:
        """An item that the words point at."""
        if item_id not in self.item_ids:
            self.item_ids.append(item_id)

    def facts(self, turn: int) -> tuple[tuple[Fact, ...], tuple[Fact, ...]]:
        """(certain, doubtful) facts; what is taken back comes first, wishes in the order of the words."""
        certain: list[Fact] = list(self.dropped)
        doubtful: list[Fact] = []
        ordered = sorted(self.wishes, key=lambda wish: (wish.start, wish.attribute or ""))
        for n, wish in enumerate(ordered, start=1):
            evidence = self.message.quote(wish.start, wish.end)
            preference = Preference(
                f"t{turn}-{n}", wish.kind, wish.attribute, wish.op, wish.values, wish.polarity, evidence, turn
            )
            (doubtful if wish.doubtful else certain).append(Added(preference))
        return tuple(certain), tuple(doubtful)


def softened(wish: Wish) -> Wish:
    """The same wish, to rank by only."""
    return replace(wish, kind="soft")

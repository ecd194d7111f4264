"""What passes between the steps of a round: what the writer is given, what it wrote, what was made of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from retrieval.items import Item


@dataclass(frozen=True, slots=True)
class Task:
    """An item to be described, with what customers wrote about it."""

    item: Item
    reviews: tuple[str, ...] = ()

    @property
    def source(self) -> Item:
        """The item as everything that a claim may rest on: its text, and the reviews behind it."""
        if not self.reviews:
            return self.item
        return replace(self.item, text="\n".join(part for part in (self.item.text, *self.reviews) if part))


@dataclass(frozen=True, slots=True)
class Draft:
    """One text as the writer left it; the seed makes it again."""

    text: str
    seed: int


@dataclass(frozen=True, slots=True)
class Drafts:
    """All texts for one item."""

    item_id: str
    drafts: tuple[Draft, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """A sentence that was taken out, and why."""

    sentence: str
    reason: str


@dataclass(frozen=True, slots=True)
class Judged:
    """A draft after the judges.

    Attributes:
        draft: as it was written.
        text: what of it is backed by the item; "" where nothing is.
        refused: the sentences that are not.
        real: probability that it is one of the catalogue's own texts, by a discriminator that has not seen the item.
        gain: what `text`, added to the item's own, does to the item's place for its training queries.
    """

    draft: Draft
    text: str
    refused: tuple[Refused, ...]
    real: float
    gain: float


@dataclass(frozen=True, slots=True)
class Described:
    """An item when its round is over; `kept` is None where the original stays alone.

    `queries` is how many training queries told the gain; `made`: they were made of its attributes.
    """

    task: Task
    judged: tuple[Judged, ...]
    kept: Judged | None
    queries: int
    made: bool

    @property
    def item(self) -> Item:
        """The item with what was kept behind its own text."""
        if self.kept is None:
            return self.task.item
        return extended(self.task.item, self.kept.text)


def extended(item: Item, text: str) -> Item:
    """The item with another text behind its own."""
    return replace(item, text=" ".join(part for part in (item.text, text) if part))

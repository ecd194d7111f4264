"""What a customer sees in an answer: the `chatalogue` object, or, of a bot without one, the text and its list.

Knows nothing of needs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from agent.answer import Answer, Question
from agent.grounding import Grounding
from retrieval.items import Item
from retrieval.table import ItemTable
from retrieval.text import fold

_NUMBERED = re.compile(r"^\s*\d{1,2}[.)]\s+(.+)$", re.MULTILINE)
_MARKUP = re.compile(r"[*_`\[\]\"“”#]")
_NO_TITLE = re.compile(r"\s*(?:[(·|:,]|\s(?:[–—-]|is|by|from)\s).*$")
"""What follows the title in a line of a list: year, price, a remark. A title may have it, too."""
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


@dataclass(frozen=True, slots=True)
class Reply:
    """A bot's turn; `answer` is None where the bot sends no `chatalogue` object."""

    text: str
    answer: Answer | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """The reply as the customer takes it: `offered` ids in order, `invented` titles that the catalogue has not.

    `listed` False: the items stand for a question about them, they are not offered for a wish.
    """

    offered: tuple[str, ...]
    invented: tuple[str, ...]
    question: Question | None
    listed: bool = True


class Reader:
    """Reads the replies of bots over one catalogue."""

    def __init__(self, table: ItemTable) -> None:
        self.table = table
        self._by_title: dict[str, list[Item]] = {}
        for item in table.items:
            self._by_title.setdefault(_plain(item.title), []).append(item)
        shapes = table.shape.attributes.values()
        self._values = {_plain(value) for shape in shapes for value in shape.values or {}}

    def read(self, reply: Reply) -> Seen:
        """The items by the object, or else by the numbered lines; invented titles always by the lines."""
        lines = [(line, self._item_in(line)) for line in _NUMBERED.findall(reply.text)]
        invented = [
            line for line, item in lines if item is None and _plain(_NO_TITLE.sub("", line)) not in self._values
        ]
        answer = reply.answer
        if answer is None:
            named = tuple(item.id for _, item in lines if item is not None)
            return Seen(named, tuple(invented), None if lines else self._asked(reply.text))
        invented += [item.title for item in answer.items if item.id not in self.table]
        offered = tuple(item.id for item in answer.items if item.id in self.table)
        return Seen(offered, tuple(invented), answer.question, answer.action in ("recommend", "ask"))

    def _item_in(self, line: str) -> Item | None:
        """The item whose title begins the line, the longest that fits; of several the one whose year is there.

        No title that is a part of the line's: "Heat 2 (2030)" is not "Heat".
        """
        words = _plain(line).split()
        least = max(1, len(_plain(_NO_TITLE.sub("", line)).split()))
        for length in range(len(words), least - 1, -1):
            if items := self._by_title.get(" ".join(words[:length])):
                return next((one for one in items if str(one.attributes.get("year")) in words), items[0])
        return None

    def _asked(self, text: str) -> Question | None:
        """The last sentence if it is a question, about the attribute that it names."""
        last = _SENTENCE_END.split(text.strip())[-1]
        if not last.endswith("?"):
            return None
        named = (name for name in self.table.shape.attributes if f" {_plain(name)} " in f" {_plain(last)} ")
        return Question(attribute=next(named, ""), text=last, options=[])

    def unsupported(self, reply: Reply, offered: Sequence[str], wish_words: str) -> list[str]:
        """Sentences about an offered item, below the list, that the claim check objects to."""
        found = []
        items = [self.table.get(item_id) for item_id in offered]
        for paragraph in reply.text.split("\n\n"):
            if _NUMBERED.search(paragraph) or paragraph.strip().endswith("?"):
                continue
            about = max((one for one in items if one.title in paragraph), key=lambda one: len(one.title), default=None)
            if about is None:
                continue
            own = fold(about.text)
            claims = paragraph.rsplit(f"{about.title}:", 1)[-1].strip()
            check = Grounding(about, self.table.shape, wish_words)
            sentences = [one for one in _SENTENCE_END.split(claims) if one and fold(one) not in own]
            found += [one for one in sentences if check.objection(one)]
        return found


def _plain(text: str) -> str:
    """Words only, without case, accents and markup."""
    return " ".join(re.findall(r"[^\W_]+", fold(_MARKUP.sub(" ", text))))

"""What a customer sees in an answer: the `chatalogue` object, or, of a bot without one, the text and its list.

Knows nothing of needs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from agent.answer import Answer, Question
from agent.bench.dialogue.linking import Line, TitleLinker, plain, title_part
from retrieval.items import Item
from retrieval.table import ItemTable

NUMBERED = re.compile(r"^\s*\d{1,2}[.)]\s+(.+)$", re.MULTILINE)
_BULLETED = re.compile(r"^\s*(?:\d{1,2}[.)]|[-*•–])\s+(.+)$", re.MULTILINE)
_BOLD_START = re.compile(r"^\s*(?:\*\*|__|[\"“])(.+?)(?:\*\*|__|[\"”])")
SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


@dataclass(frozen=True, slots=True)
class Reply:
    """A bot's turn; `answer` is None where the bot sends no `chatalogue` object."""

    text: str
    answer: Answer | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """The reply as the customer takes it: `offered` ids in order, `invented` titles that the catalogue has not.

    `listed` False: the items stand for a question about them, they are not offered for a wish. `near`: ids that were
    named beside them, as near misses.
    """

    offered: tuple[str, ...]
    invented: tuple[str, ...]
    question: Question | None
    listed: bool = True
    near: tuple[str, ...] = ()


class Reader:
    """Reads the replies of bots over one catalogue."""

    def __init__(self, table: ItemTable) -> None:
        self.table = table
        self.titles = TitleLinker(table)
        shapes = table.shape.attributes.values()
        self._values = {plain(value) for shape in shapes for value in shape.values or {}}

    def read(self, reply: Reply) -> Seen:
        """The items by the object, or else by the titles in the text; invented titles always by the text."""
        if reply.answer is None:
            return self._read_text(reply.text)
        lines = self._lines(reply.text, NUMBERED)
        invented = [*self._invented(lines), *self._misdated(reply.text)]
        answer = reply.answer
        near = [one.item for one in answer.alternatives]
        invented += [item.title for item in (*answer.items, *near) if item.id not in self.table]
        return Seen(
            tuple(item.id for item in answer.items if item.id in self.table),
            tuple(dict.fromkeys(invented)),
            answer.question,
            answer.action in ("recommend", "ask"),
            tuple(item.id for item in near if item.id in self.table),
        )

    def _read_text(self, text: str) -> Seen:
        """The lines of a list, then what is named elsewhere; numbered lines without a title are invented ones.

        Of lines behind a dash only those that mark a title are, since many bots put remarks there.
        """
        lines = self._lines(text, _BULLETED)
        numbered = self._lines(text, NUMBERED)
        marked = [line for line in lines if line.item is None and _BOLD_START.match(line.text)]
        prose = _BULLETED.sub("", text)
        named: dict[str, Item] = {line.item.id: line.item for line in lines if line.item is not None}
        named |= {item.id: item for item in self.titles.mentions(prose)}
        invented = [*self._invented(numbered), *self._invented(marked), *self._misdated(text)]
        return Seen(tuple(named), tuple(dict.fromkeys(invented)), None if named or numbered else self._asked(text))

    def _lines(self, text: str, pattern: re.Pattern[str]) -> list[Line]:
        return [Line(line, self._in_line(line)) for line in pattern.findall(text)]

    def _in_line(self, line: str) -> Item | None:
        """The item that a line is about: its title stands at the start, or alone between marks there."""
        bold = _BOLD_START.match(line)
        return self.titles.at_start(line) or (self.titles.at_start(bold.group(1)) if bold else None)

    def _invented(self, lines: list[Line]) -> list[str]:
        return [line.text for line in lines if line.item is None and plain(title_part(line.text)) not in self._values]

    def _misdated(self, text: str) -> list[str]:
        """Titles with a year, outside of numbered lines, that the catalogue has not with that year."""
        return [said for said, known in self.titles.dated(NUMBERED.sub("", text)) if not known]

    def _asked(self, text: str) -> Question | None:
        """The last sentence if it is a question, about the attribute that it names."""
        last = SENTENCE_END.split(text.strip())[-1]
        if not last.endswith("?"):
            return None
        named = (name for name in self.table.shape.attributes if f" {plain(name)} " in f" {plain(last)} ")
        return Question(attribute=next(named, ""), text=last, options=[])

"""Titles in running text, linked to the catalogue: what a bot without the `chatalogue` object offers.

Knows nothing of replies. Not covered: titles in other words than the catalogue's ("the first Alien").
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from retrieval.items import Item
from retrieval.table import ItemTable
from retrieval.text import fold

_WORD = re.compile(r"[^\W_]+")
_MARKUP = re.compile(r"[*_`\[\]\"“”#]")
_NO_TITLE = re.compile(r"\s*(?:[(·|:,]|\s(?:[–—-]|is|by|from)\s).*$")
"""What follows the title in a line of a list: year, price, a remark. A title may have it, too."""
_DATED = re.compile(r"((?:[A-Z0-9][\w'’.:-]*)(?: (?:[\w'’.:&-]+)){0,7}) \(((?:18|19|20)\d\d)\)")
_MARKS = frozenset('"“*_')


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a list; `item` None: it begins with no title of the catalogue."""

    text: str
    item: Item | None


class TitleLinker:
    """Finds the items of one catalogue by their titles."""

    def __init__(self, table: ItemTable) -> None:
        self._by_title: dict[str, list[Item]] = {}
        for item in table.items:
            if words := plain(item.title):
                self._by_title.setdefault(words, []).append(item)
        self._longest = max((len(title.split()) for title in self._by_title), default=0)

    def has(self, title: str) -> bool:
        """Whether an item is called so, case and marks aside."""
        return plain(title) in self._by_title

    def at_start(self, line: str) -> Item | None:
        """The item whose title begins the line, the longest that fits; of several the one whose year is there.

        No title that is a part of the line's: "Heat 2 (2030)" is not "Heat".
        """
        words = plain(line).split()
        least = max(1, len(plain(_NO_TITLE.sub("", line)).split()))
        for length in range(len(words), least - 1, -1):
            if items := self._by_title.get(" ".join(words[:length])):
                return _of_year(items, words)
        return None

    def mentions(self, text: str) -> tuple[Item, ...]:
        """Items named within a text, in order, each once.

        A title of one word counts where it is marked as one ("*Heat*", "Heat (1995)"); the first and the last word of
        any title begin with a capital or a digit.
        """
        words = list(_WORD.finditer(text))
        found: dict[str, Item] = {}
        position = 0
        while position < len(words):
            item, length = self._longest_at(text, words, position)
            if item is not None:
                found.setdefault(item.id, item)
            position += length
        return tuple(found.values())

    def _longest_at(self, text: str, words: list[re.Match[str]], position: int) -> tuple[Item | None, int]:
        """The item whose title begins with that word, and how many words it takes (1 where there is none)."""
        for length in range(min(self._longest, len(words) - position), 0, -1):
            first, last = words[position], words[position + length - 1]
            if not (_is_name(first) and _is_name(last)):
                continue
            items = self._by_title.get(plain(text[first.start() : last.end()]))
            if items and (length > 1 or _is_marked(text, first.start(), last.end())):
                return _of_year(
                    items, [one.group(0) for one in words[position + length : position + length + 2]]
                ), length
        return None, 1

    def dated(self, text: str) -> Iterator[tuple[str, bool]]:
        """Every "Title (1999)" in a text, and whether the catalogue has that title with that year, or without any."""
        for match in _DATED.finditer(_MARKUP.sub("", text)):
            words, year = match.group(1).split(), match.group(2)
            tails = [" ".join(words[start:]) for start in range(len(words))]
            items = [item for tail in tails for item in self._by_title.get(plain(tail), ())]
            years = {str(item.attributes.get("year", "")).removesuffix(".0") for item in items}
            yield match.group(0), bool(years & {year, ""})


def title_part(line: str) -> str:
    """The beginning of a list's line, up to the year, the price or a remark."""
    return _NO_TITLE.sub("", line)


def plain(text: str) -> str:
    """Words only, without case, accents and markup."""
    return " ".join(_WORD.findall(fold(_MARKUP.sub(" ", text))))


def _of_year(items: list[Item], words: list[str]) -> Item:
    return next((one for one in items if str(one.attributes.get("year")).removesuffix(".0") in words), items[0])


def _is_name(word: re.Match[str]) -> bool:
    return word.group(0)[0].isupper() or word.group(0)[0].isdigit()


def _is_marked(text: str, start: int, end: int) -> bool:
    before, after = text[:start][-1:], text[end:]
    return before in _MARKS or re.match(r"[*_\"”]* ?\((?:18|19|20)\d\d\)", after) is not None

"""A page of HTML as its reader sees it: headings and paragraphs, without what is hidden, runs, or leads elsewhere.

What a browser would not show is not read: comments, scripts, styles, what is hidden by an attribute, by its own style
or by a simple rule (`.name {display: none}`) of the page's style sheet. Not covered: style sheets in other files, rules
with more than one name, words in the colour of the page.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser

from agent.support.knowledge.article import Part
from retrieval.text import visible

_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_VOID = frozenset("area base br col embed hr img input link meta param source track wbr".split())
_SILENT = frozenset(
    "script style template noscript svg math iframe object canvas audio video nav select textarea button datalist "
    "dialog".split()
)
"""Not the words of a page."""
_MAIN = frozenset({"main", "article"})
_BLOCKS = frozenset(
    "p div li dt dd tr table ul ol dl section article main header footer aside blockquote pre br hr figure figcaption "
    "details summary address form fieldset caption".split()
)
_ENDED_BY: Mapping[str, frozenset[str]] = {
    "p": _BLOCKS - {"br"} | _HEADINGS.keys(),
    "li": frozenset({"li"}),
    "dt": frozenset({"dt", "dd"}),
    "dd": frozenset({"dt", "dd"}),
    "tr": frozenset({"tr"}),
    "td": frozenset({"td", "th", "tr"}),
    "th": frozenset({"td", "th", "tr"}),
}
"""What ends without an end tag, and where."""
_UNSEEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|opacity\s*:\s*0*\.?0*\s*(?:[;}!]|$)"
    r"|font-size\s*:\s*0(?:px|em|rem|pt|%)?\s*(?:[;}!]|$)",
    re.IGNORECASE,
)
_STYLE = re.compile(r"<style\b[^>]*>(.*?)</style", re.DOTALL | re.IGNORECASE)
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_NAME = re.compile(r"[.#][\w-]+")
_DATES = ("updated", "last-modified", "article:modified_time", "dcterms.modified", "date", "article:published_time")


@dataclass(frozen=True, slots=True)
class Page:
    """What a page says; `meta` has the names in lower case."""

    title: str
    parts: tuple[Part, ...]
    url: str | None
    updated: str
    language: str
    meta: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Line:
    """A heading (`level` 1 to 6) or a paragraph (0). `main`: it stands where the page says its own words are."""

    text: str
    level: int = 0
    anchor: str = ""
    main: bool = False


@dataclass(slots=True)
class _Open:
    """An element that has not ended."""

    tag: str
    silent: bool


@dataclass(slots=True)
class _State:
    open: list[_Open] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    lines: list[_Line] = field(default_factory=list)
    level: int = 0
    anchor: str = ""


def read_page(text: str, title: str = "") -> Page:
    """Read HTML, however broken it is.

    Args:
        text: of the file.
        title: what is known of it otherwise; "" takes the page's own.
    """
    reader = _Reader(_unseen_names(text))
    reader.read(text)
    lines = reader.state.lines
    if any(line.main for line in lines):
        lines = [line for line in lines if line.main or line.level == 1]
    heading = next((line.text for line in lines if line.level), "")
    top = next((line.text for line in lines if line.level == 1), "")
    title = title or top or reader.title or heading
    updated = next((reader.meta[name] for name in _DATES if reader.meta.get(name)), "")
    return Page(title, parts_of(lines, title), reader.url, updated, reader.language, reader.meta)


def parts_of(lines: Sequence[_Line], title: str) -> tuple[Part, ...]:
    """The paragraphs under each heading; the heading that is the title is none of its own."""
    found: list[Part] = []
    way: list[_Line] = []
    paragraphs: list[str] = []

    def close() -> None:
        if paragraphs:
            anchor = next((line.anchor for line in reversed(way) if line.anchor), "")
            found.append(Part(tuple(line.text for line in way), "\n".join(paragraphs), anchor))
            paragraphs.clear()

    for line in lines:
        if not line.level:
            paragraphs.append(line.text)
            continue
        close()
        while way and way[-1].level >= line.level:
            way.pop()
        if line.text != title:
            way.append(line)
    close()
    return tuple(found)


class _Reader(HTMLParser):
    """Walks through a page; `state.lines` is what it shows."""

    def __init__(self, unseen: frozenset[str]) -> None:
        super().__init__(convert_charrefs=True)
        self.state = _State()
        self.meta: dict[str, str] = {}
        self.url: str | None = None
        self.title = ""
        self.language = ""
        self._unseen = unseen
        self._in_title = False

    def read(self, text: str) -> None:
        """All of it; a declaration that nobody understands ends the page there."""
        try:
            self.feed(text)
            self.close()
        except AssertionError:  # html.parser: a marked section of no known kind
            pass
        self._end_line()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See `HTMLParser`."""
        named = {name: value or "" for name, value in attrs}
        self._tell(tag, named)
        state = self.state
        while state.open and tag in _ENDED_BY.get(state.open[-1].tag, ()):
            if state.open.pop().tag not in ("td", "th"):  # the cells of a row stand on one line
                self._end_line()
        if tag in _BLOCKS or tag in _HEADINGS:
            self._end_line()
        if tag in ("td", "th") and state.words:
            state.words.append(" | ")
        if tag in _VOID:
            return
        silent = tag in _SILENT or (tag == "footer" and not self._in_main()) or self._is_hidden(named)
        state.open.append(_Open(tag, silent or self._is_silent()))
        self._in_title = tag == "title" and not self._is_silent()
        if tag in _HEADINGS and not self._is_silent():
            state.level, state.anchor = _HEADINGS[tag], named.get("id", "")
        elif state.level and not state.anchor:
            state.anchor = named.get("id", "") or (named.get("name", "") if tag == "a" else "")

    def handle_endtag(self, tag: str) -> None:
        """See `HTMLParser`."""
        self._in_title = False
        state = self.state
        if tag not in {one.tag for one in state.open}:
            return
        if tag in _BLOCKS or tag in _HEADINGS:
            self._end_line()
        while state.open.pop().tag != tag:
            pass

    def handle_data(self, data: str) -> None:
        """See `HTMLParser`."""
        if self._in_title:
            self.title = " ".join(visible(self.title + data).split())
        elif not self._is_silent():
            self.state.words.append(data)

    def _tell(self, tag: str, named: Mapping[str, str]) -> None:
        """What an element says of the whole page."""
        if tag == "html" and not self.language:
            self.language = named.get("lang", "")
        elif tag == "meta" and (name := named.get("name") or named.get("property") or named.get("http-equiv")):
            self.meta.setdefault(name.lower(), named.get("content", "").strip())
        elif tag == "link" and "canonical" in named.get("rel", "").lower().split():
            self.url = self.url or named.get("href", "").strip() or None

    def _is_silent(self) -> bool:
        return bool(self.state.open) and self.state.open[-1].silent

    def _in_main(self) -> bool:
        return any(one.tag in _MAIN for one in self.state.open)

    def _is_hidden(self, named: Mapping[str, str]) -> bool:
        if "hidden" in named or named.get("aria-hidden") == "true" or _UNSEEN.search(named.get("style", "")):
            return True
        names = {f".{name}" for name in named.get("class", "").split()} | {f"#{named.get('id', '')}"}
        return not names.isdisjoint(self._unseen)

    def _end_line(self) -> None:
        state = self.state
        if words := " ".join(visible("".join(state.words)).split()).strip("| "):
            state.lines.append(_Line(words, state.level, state.anchor, self._in_main()))
        state.words.clear()
        state.level, state.anchor = 0, ""


def _unseen_names(text: str) -> frozenset[str]:
    """Classes and ids that the page's own style sheet hides."""
    rules = (rule for sheet in _STYLE.findall(text) for rule in _RULE.findall(sheet))
    hidden = (selector for selectors, how in rules if _UNSEEN.search(how) for selector in selectors.split(","))
    return frozenset(name for one in hidden if _NAME.fullmatch(name := one.strip()))

"""A page of HTML as its reader sees it: headings and paragraphs, without what is hidden, runs, or leads elsewhere.

What a browser would not show is not read: comments, scripts, styles, what is hidden by an attribute, by its own style
or by a simple rule (`p.name {display: none}`) of the page's style sheet. Where end tags are in disorder what may be
hidden is. Not covered: style sheets in other files, rules for what stands in something else, words in the colour of the
page.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser

from agent.support.knowledge.article import Part
from agent.support.knowledge.problems import UnreadableFile
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
_RAW = frozenset({"textarea", "title", "iframe", "noscript"})
"""What is in them are no tags."""
_FORMATTING = frozenset("a b big code em font i nobr s small strike strong tt u".split())
"""What a browser goes on with behind the end of what it stands in, until its own end tag."""
_CELLS = frozenset({"td", "th", "caption"})
_TABLE = _CELLS | {"tr", "tbody", "thead", "tfoot", "colgroup"}
_END = r"\s*(?:[;}!]|$)"
_NOTHING = r"(?:0+(?:\.0\d*)?|\.0\d*)(?:[a-z]+|%)?"
_UNSEEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|content-visibility\s*:\s*hidden|clip\s*:\s*rect"
    r"|(?<![\w-])color\s*:\s*transparent|transform\s*:[^;]*scale[xy]?\(\s*0\s*[,)]"
    rf"|opacity\s*:\s*(?:{_NOTHING}|\d%){_END}"
    rf"|font-size\s*:\s*(?:{_NOTHING}|(?:[01]?\.\d+|1)(?:px|pt)){_END}"
    r"|(?:left|right|top|bottom|text-indent|margin(?:-left|-top)?|inset)\s*:\s*"
    r"-(?:\d{4,}|[5-9]\d\d|\d{2,}(?:\.\d+)?(?:r?em|v[wh])|\d{3,}%)",
    re.IGNORECASE,
)
_CUT_OFF = re.compile(r"overflow(?:-[xy])?\s*:\s*(?:hidden|clip)", re.IGNORECASE)
_NO_ROOM = re.compile(rf"(?<![\w-])(?:max-)?(?:height|width)\s*:\s*(?:{_NOTHING}|1px){_END}", re.IGNORECASE)
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_STYLE = re.compile(r"<style\b[^>]*>(.*?)</style", re.DOTALL | re.IGNORECASE)
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_SELECTOR = re.compile(r"(\*|[a-z][\w-]*)?((?:[.#][\w-]+)+)", re.IGNORECASE)
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
    """An element that has not ended; `hidden` by itself, or silent because of what it stands in, too."""

    tag: str
    hidden: bool
    silent: bool


@dataclass(frozen=True, slots=True)
class _Unseen:
    """Elements that a style sheet hides: of a kind ("" for any) and with all of the names."""

    tag: str
    names: frozenset[str]


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

    Raises:
        UnreadableFile: there is a declaration that nobody understands, and the rest of the page is behind it.
    """
    reader = _Reader(_unseen_rules(text))
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

    def __init__(self, unseen: Sequence[_Unseen]) -> None:
        super().__init__(convert_charrefs=True)
        self.state = _State()
        self.meta: dict[str, str] = {}
        self.url: str | None = None
        self.title = ""
        self.language = ""
        self._unseen = unseen
        self._in_title = False

    def read(self, text: str) -> None:
        """All of it."""
        try:
            self.feed(text)
            self.close()
        except AssertionError:  # html.parser: a marked section of no known kind
            raise UnreadableFile("it has a declaration of no known kind (<![...); take it out") from None
        self._end_line()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See `HTMLParser`."""
        state = self.state
        if state.open and state.open[-1].tag in _RAW:
            return
        named = {name: value or "" for name, value in attrs}
        self._tell(tag, named)
        while state.open and tag in _ENDED_BY.get(state.open[-1].tag, ()):
            if state.open.pop().tag not in ("td", "th"):  # the cells of a row stand on one line
                self._end_line()
        if tag in _BLOCKS or tag in _HEADINGS:
            self._end_line()
        if tag in ("td", "th") and state.words:
            state.words.append(" | ")
        if tag in _VOID:
            return
        hidden = tag in _SILENT or (tag == "footer" and not self._in_main()) or self._is_hidden(tag, named)
        state.open.append(_Open(tag, hidden, hidden or self._is_silent()))
        self._in_title = tag == "title" and not self._is_silent()
        if tag in _HEADINGS and not self._is_silent():
            state.level, state.anchor = _HEADINGS[tag], named.get("id", "")
        elif state.level and not state.anchor:
            state.anchor = named.get("id", "") or (named.get("name", "") if tag == "a" else "")

    def handle_endtag(self, tag: str) -> None:
        """See `HTMLParser`."""
        state = self.state
        place = _ended(tag, state.open)
        if place is None:
            return
        self._in_title = False
        if tag in _BLOCKS or tag in _HEADINGS:
            self._end_line()
        inner = state.open[place + 1 :]
        if tag in _FORMATTING:  # alone, whatever has begun in it
            state.open[place:] = inner
        else:
            goes_on = [one for one in inner if one.hidden and one.tag in _FORMATTING and tag not in _CELLS]
            state.open[place:] = [replace(one, silent=True) for one in goes_on]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See `HTMLParser`; the stroke in `<div/>` says nothing outside of a drawing."""
        self.handle_starttag(tag, attrs)
        if any(one.tag in ("svg", "math") for one in self.state.open):
            self.handle_endtag(tag)

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

    def _is_hidden(self, tag: str, named: Mapping[str, str]) -> bool:
        if "hidden" in named or named.get("aria-hidden", "").lower() == "true" or _hides(named.get("style", "")):
            return True
        names = {f".{name}" for name in named.get("class", "").split()} | {f"#{named.get('id', '')}"}
        return any(rule.tag in ("", tag) and rule.names <= names for rule in self._unseen)

    def _end_line(self) -> None:
        state = self.state
        if words := " ".join(visible("".join(state.words)).split()).strip("| "):
            state.lines.append(_Line(words, state.level, state.anchor, self._in_main()))
        state.words.clear()
        state.level, state.anchor = 0, ""


def _ended(tag: str, opened: Sequence[_Open]) -> int | None:
    """Where the element stands that an end tag is of; None where a browser would not take it for one's."""
    if tag in ("body", "html"):  # what follows is shown in them
        return None
    if opened and opened[-1].tag in _RAW and tag != opened[-1].tag:
        return None
    bounds = _bounds(tag)
    for place in reversed(range(len(opened))):
        if opened[place].tag == tag:
            return place
        if opened[place].tag in bounds:
            return None
    return None


def _bounds(tag: str) -> frozenset[str]:
    """The elements that an end tag does not reach over: `<span><div hidden></span>` is still in the div."""
    if tag in _SILENT or tag in _RAW:
        return frozenset()
    if tag in _TABLE or tag == "table":
        return frozenset({"table", "template"})
    cells = _CELLS | {"table", "template"}
    if tag == "li":
        return cells | {"ul", "ol"}
    if tag in _FORMATTING or (tag in _BLOCKS and tag != "p") or tag in _HEADINGS:
        return cells
    return cells | _BLOCKS | _HEADINGS.keys()


def _hides(style: str) -> bool:
    """Whether the declarations of a style leave nothing to be seen."""
    style = _COMMENT.sub("", style)
    return bool(_UNSEEN.search(style) or (_CUT_OFF.search(style) and _NO_ROOM.search(style)))


def _unseen_rules(text: str) -> tuple[_Unseen, ...]:
    """What the page's own style sheet hides by class or id."""
    rules = (rule for sheet in _STYLE.findall(text) for rule in _RULE.findall(_COMMENT.sub("", sheet)))
    hidden = (selector.strip() for selectors, how in rules if _hides(how) for selector in selectors.split(","))
    found = (match for one in hidden if (match := _SELECTOR.fullmatch(one)))
    return tuple(_Unseen((match[1] or "").lower().strip("*"), frozenset(_NAME.findall(match[2]))) for match in found)

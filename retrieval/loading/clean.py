"""Text as it may be shown, embedded and put before a model.

Item text is data written by strangers: control, zero-width and bidi override characters hide things from the
reader of a page and smuggle words into a prompt, so they go. Titles are never treated as HTML: a title such as
`<img onerror>` or `a < b` is text and must show as text later. Descriptions lose their tags only where they
really hold tags of HTML. Knows nothing of columns or items.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

MAX_TITLE_CHARS = 300
MAX_TEXT_CHARS = 20_000
MAX_HTML_CHARS = 400_000
"""More than this is cut before the HTML parser sees it: its time is not linear on hostile input."""

# C0 and C1 controls but not white space; soft hyphen; Arabic letter mark; Mongolian separator; zero-width and
# direction marks; embeddings and overrides; invisible operators and isolates; byte order mark; annotation marks;
# non-characters; tag characters (invisible ASCII); lone surrogates (they cannot be written as UTF-8).
_UNWANTED = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ufffe\uffff\U000e0000-\U000e007f\ud800-\udfff]"
)
_KNOWN_TAGS = (
    "a|abbr|article|b|big|blockquote|body|br|button|center|code|dd|div|dl|dt|em|figure|font|footer|form|h[1-6]|head"
    "|header|hr|html|i|iframe|img|input|label|li|link|main|meta|nav|object|ol|p|pre|script|section|small|span|strike"
    "|strong|style|sub|sup|svg|table|tbody|td|tfoot|th|thead|title|tr|tt|u|ul|video"
)
_TAG = re.compile(rf"</?(?:{_KNOWN_TAGS})(?:[\s/][^<>]*)?>", re.IGNORECASE)
_INLINE = frozenset("a abbr b big code em font i label small span strike strong sub sup tt u".split())
_SILENT = frozenset(("script", "style", "head", "title", "iframe", "object", "svg"))


def clean_line(text: str) -> str:
    """Without hidden characters, white space collapsed to single spaces; markup stays as it is written."""
    return " ".join(_UNWANTED.sub("", text).split())


def clean_description(text: str) -> str:
    """`clean_line`, and HTML turned into its text where the description really contains tags."""
    if _TAG.search(text):
        text = _html_to_text(text[:MAX_HTML_CHARS])
    return clean_line(text)


def has_hidden(text: str) -> bool:
    """Whether the text holds a character that `clean_line` removes, or a line break."""
    return _UNWANTED.search(text) is not None or any(mark in text for mark in "\n\r\t")


def truncate(text: str, limit: int) -> str:
    """At most `limit` characters, cut between words where there is a space near, and marked with an ellipsis."""
    if len(text) <= limit:
        return text
    head = text[: limit - 1]
    space = head.rfind(" ", limit - 50 if limit > 100 else limit // 2)
    return (head[:space] if space > 0 else head).rstrip() + "…"


class _TextOfHtml(HTMLParser):
    """Collects the text of a document; block elements part words, scripts and styles say nothing."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._silent: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SILENT:
            self._silent.append(tag)
        elif tag not in _INLINE:
            self.parts.append(" ")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _INLINE:
            self.parts.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._silent:
            while self._silent.pop() != tag:
                pass
        elif tag not in _INLINE:
            self.parts.append(" ")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(data)


def _html_to_text(text: str) -> str:
    parser = _TextOfHtml()
    parser.feed(text)
    parser.close()
    return "".join(parser.parts)

"""An article as it was read, whatever file it was in, and the chunks that it is searched by.

A chunk is an item of the search: its title is the article's with the headings that the words stand under, its text is
what may be quoted. Knows nothing of files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agent.support.knowledge.languages import language_of
from retrieval.items import MAX_DOCUMENT_CHARS, AttributeValue, Item

MAX_CHUNK_LETTERS = 900
"""What the default encoder reads of a text: 256 word pieces."""
_PIECES = 3
"""A Chinese, Japanese or Korean character is a word piece of its own: it takes the room of three letters more."""
_WIDE = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")
SENTENCE_END = re.compile(r"(?<=[.!?])[ ]+(?=[^\W\d_a-z]|[0-9\"“(])|(?<=[。！？])|\n+")
"""Between two sentences; the lines of a text are paragraphs and entries of lists."""


@dataclass(frozen=True, slots=True)
class Part:
    """The words under one heading.

    Attributes:
        headings: the way to it below the title, outermost first.
        text: a paragraph or an entry of a list on each line.
        anchor: what leads to it in the article's address ("costs", "page=3"); empty where nothing is known.
    """

    headings: tuple[str, ...]
    text: str
    anchor: str = ""


@dataclass(frozen=True, slots=True)
class Article:
    """One article.

    Attributes:
        id: the same as long as it is the same article: its file's path in the folder, of a table with the question.
        file: the path in the folder.
        title: of a table's row the question.
        parts: in their order, none empty.
        url: where it can be read.
        updated: its date as it is written there, "" where nothing is said.
        language: as it says itself, else by its letters ("en", "de", "zh"); "" where that does not tell.
        exact: its words are used as they are, all of them.
    """

    id: str
    file: str
    title: str
    parts: tuple[Part, ...]
    url: str | None = None
    updated: str = ""
    language: str = ""
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Chunk(Item):
    """An item whose document is its words alone: a new date or address changes no vector."""

    def document(self) -> str:
        """See `Item.document`."""
        return f"{self.title}\n{self.text}"[:MAX_DOCUMENT_CHARS]


def chunks_of(article: Article) -> Iterator[Chunk]:
    """What the article is searched by; one chunk where its words are used as they are."""
    language = article.language or language_of("\n".join([article.title, *(part.text for part in article.parts)]))
    attributes: dict[str, AttributeValue] = {
        "article": article.title, "of": article.id, "file": article.file, "updated": article.updated,
        "language": language,
    }  # fmt: skip
    if article.exact:
        text = "\n\n".join(part.text for part in article.parts)
        yield Chunk(f"{article.id}#1", article.title, text, attributes | {"exact": "yes"}, url=article.url)
        return
    number = 0
    for part in article.parts:
        title = ": ".join((article.title, *part.headings))
        for text in _pieces(part.text):
            number += 1
            url = f"{article.url}#{part.anchor}" if article.url and part.anchor else article.url
            named = attributes | {"headings": part.headings} if part.headings else attributes
            yield Chunk(f"{article.id}#{number}", title, text, named, url=url)


def sentences_of(text: str) -> list[tuple[int, int]]:
    """Where the sentences of `text` begin and end; without the spaces around them."""
    spans, start = [], 0
    for match in (*SENTENCE_END.finditer(text), None):
        end = len(text) if match is None else match.start()
        if words := text[start:end].strip():
            first = text.index(words, start)
            spans.append((first, first + len(words)))
        start = end if match is None else match.end()
    return spans


def _pieces(text: str) -> Iterator[str]:
    """`text` in pieces that the encoder can read, cut between sentences."""
    if _letters(text) <= MAX_CHUNK_LETTERS:
        yield text
        return
    spans = sentences_of(text)
    first = 0
    for last in range(1, len(spans) + 1):
        if last == len(spans) or _letters(text[spans[first][0] : spans[last][1]]) > MAX_CHUNK_LETTERS:
            yield from _cut(text[spans[first][0] : spans[last - 1][1]])
            first = last


def _cut(text: str) -> Sequence[str]:
    """A sentence that is too long by itself (a table without an end) in parts, cut between words where it has any."""
    room = MAX_CHUNK_LETTERS if _letters(text) == len(text) else MAX_CHUNK_LETTERS // (_PIECES + 1)
    found = []
    while len(text) > room:
        place = text.rfind(" ", room // 2, room)
        place = place if place > 0 else room
        found.append(text[:place].strip())
        text = text[place:].strip()
    return [*found, text] if text else found


def _letters(text: str) -> int:
    return len(text) + _PIECES * len(_WIDE.findall(text))

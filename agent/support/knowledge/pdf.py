"""The text of a PDF, page by page; its table of contents gives the headings.

Not covered: pages that are pictures, columns that the file itself does not keep apart, words that a reader does not see
(invisible, white, outside of the page): text recognition writes what it reads in a scan as invisible words, too.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.support.knowledge.article import Article, Part
from agent.support.knowledge.problems import UnreadableFile
from retrieval.errors import SettingsError
from retrieval.text import visible

if TYPE_CHECKING:
    from pypdf import PdfReader

MAX_PAGES = 500
_BROKEN_WORD = re.compile(r"(?<=[^\W\d_])-\n(?=[^\W\d_A-Z])")
_PARAGRAPH = re.compile(r"\n[ \t]*\n+")


def read_pdf(file: Path, name: str) -> Article:
    """Read one PDF.

    Raises:
        UnreadableFile: it is broken, has a password, too many pages, or no text.
        SettingsError: pypdf is not installed.
    """
    try:
        from pypdf import PdfReader
    except ModuleNotFoundError:
        raise SettingsError("PDF articles need 'pypdf': pip install 'chatalogue[serve]'.") from None
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it tells of each oddity in each file
    try:
        with file.open("rb") as data:
            reader = PdfReader(data, strict=False)
            if reader.is_encrypted and not reader.decrypt(""):
                raise UnreadableFile("it has a password; save it without one")
            if len(reader.pages) > MAX_PAGES:
                raise UnreadableFile(f"it has more than {MAX_PAGES} pages; divide it into smaller ones")
            return _article(reader, name)
    except (UnreadableFile, OSError):
        raise
    except Exception as error:  # what pypdf raises over a broken file has no common class
        raise UnreadableFile(f"it is no PDF that can be read ({type(error).__name__}); save it as PDF again") from None


def _article(reader: PdfReader, name: str) -> Article:
    headings = _headings(reader)
    parts, way = [], tuple[str, ...]()
    for number, page in enumerate(reader.pages, 1):
        way = headings.get(number, way)
        if text := _text_of(page.extract_text()):
            parts.append(Part(way, text, f"page={number}"))
    if not parts:
        raise UnreadableFile("it has no text, its pages are pictures; save it with text, or scan it with recognition")
    about = reader.metadata
    title = " ".join(visible(str(about.title or "")).split()) if about else ""
    moment = (about.modification_date or about.creation_date) if about else None
    return Article(
        id=name,
        file=name,
        title=title or Path(name).stem.replace("_", " ").replace("-", " ").strip(),
        parts=tuple(parts),
        updated=moment.date().isoformat() if moment else "",
    )


def _text_of(extracted: str) -> str:
    """Paragraphs on a line each, words that a line's end broke whole again."""
    text = _BROKEN_WORD.sub("", visible(extracted))
    paragraphs = (" ".join(paragraph.split()) for paragraph in _PARAGRAPH.split(text))
    return "\n".join(filter(None, paragraphs))


def _headings(reader: PdfReader) -> Mapping[int, tuple[str, ...]]:
    """The way to the last heading that begins on each page, by page number from 1; {} without a table of contents."""
    found: dict[int, tuple[str, ...]] = {}

    def walk(entries: Sequence[Any], way: tuple[str, ...]) -> None:
        last = way
        for entry in entries:
            if isinstance(entry, list):
                walk(entry, last)
                continue
            last = (*way, " ".join(visible(str(entry.title)).split()))
            page = reader.get_destination_page_number(entry)
            if page is not None and page >= 0:
                found.setdefault(page + 1, last)

    walk(reader.outline, ())
    return found

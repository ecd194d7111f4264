"""A folder of files into articles: Markdown, HTML, CSV and PDF. What cannot be read is said in one sentence each.

    ---                         Markdown: what it says of itself stands before it, all of it optional
    title: Returns
    url: https://shop.example/help/returns
    updated: 2026-10-05
    language: en
    exact: true                 its words are used as they are
    ---
    # Returns
    ...

HTML says the same in `<title>`, `<link rel="canonical">`, `<html lang>`, and `<meta name="updated">` or `"exact"`. CSV
has the columns question and answer, and may have url, language, updated and exact. PDF has its title, its date and its
table of contents. Links that lead out of the folder are not followed. Knows nothing of how articles are searched.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from agent.support.knowledge.article import Article
from agent.support.knowledge.marks import date_of, language_code, said_yes
from agent.support.knowledge.page import Page, read_page
from agent.support.knowledge.problems import Problem, UnreadableFile
from retrieval.errors import CatalogueError

MAX_FILE_MIB = 32
_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?)\n---[ \t]*(?:\n|\Z)", re.DOTALL)
_KEY = re.compile(r"([\w-]+)[ \t]*:[ \t]*(.*?)[ \t]*")
_ANCHOR = re.compile(r"\s*\{#([\w-]+)\}\s*$")


@dataclass(frozen=True, slots=True)
class Folder:
    """What is in a folder: its articles in the order of their ids, and what could not be read of it."""

    articles: tuple[Article, ...]
    problems: tuple[Problem, ...]


def read_folder(folder: Path) -> Folder:
    """Read every article below `folder`.

    Raises:
        CatalogueError: it is no folder or cannot be looked into, or there is no file of a kind that we read in it.
    """
    if not folder.is_dir():
        raise CatalogueError(f"There is no folder {str(folder)!r}; name the one that your articles are in.")
    articles: list[Article] = []
    problems: list[Problem] = []
    n_files = 0
    unseen: list[OSError] = []
    for file in _files(folder, unseen):
        n_files += 1
        name = file.relative_to(folder).as_posix()
        try:
            _check(file, folder)
            for found in _READERS[file.suffix.lower()](file, name):
                (problems if isinstance(found, Problem) else articles).append(found)  # type: ignore[arg-type]
        except UnreadableFile as error:
            problems.append(Problem(name, str(error), whole=True))
        except OSError as error:
            problems.append(Problem(name, _refused(error), whole=True))
    problems += _folder_problems(folder, unseen)
    if not n_files and not problems:
        raise CatalogueError(
            f"There are no articles in {str(folder)!r}; put Markdown (*.md), HTML, CSV or PDF files into it."
        )
    return Folder(tuple(sorted(articles, key=lambda one: one.id)), tuple(problems))


def text_of(file: Path) -> str:
    """The text of a file.

    Raises:
        UnreadableFile: it is not UTF-8.
    """
    try:
        return file.read_text(encoding="utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"it cannot be read ({error}); save it as UTF-8 text") from None


def _folder_problems(folder: Path, unseen: Iterable[OSError]) -> Iterator[Problem]:
    for error in unseen:
        where = Path(error.filename).relative_to(folder)
        if where == Path():
            raise CatalogueError(f"The folder {str(folder)!r} was not read: {_refused(error)}.")
        yield Problem(f"{where.as_posix()}/", _refused(error), whole=True)


def _refused(error: OSError) -> str:
    return f"it cannot be read ({error.strerror or type(error).__name__}); give this user the right to"


def _files(folder: Path, unseen: list[OSError]) -> Iterator[Path]:
    """The files of kinds that we read, by path; links to folders are not walked into, hidden ones are left out.

    `unseen` takes what kept us from looking into a folder.
    """
    for where, folders, names in os.walk(folder, onerror=unseen.append):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() in _READERS:
                yield Path(where, name)


def _check(file: Path, folder: Path) -> None:
    try:
        inside = file.resolve().is_relative_to(folder.resolve())
    except RuntimeError:  # pathlib's word for a loop of links
        raise UnreadableFile("it is a link that leads to itself; copy the file itself into the folder") from None
    if not inside:
        raise UnreadableFile("it is a link that leads out of the folder; copy the file itself into it")
    if not file.is_file():
        raise UnreadableFile("it is no file that can be read")
    if file.stat().st_size > MAX_FILE_MIB * 2**20:
        raise UnreadableFile(f"it has more than {MAX_FILE_MIB} MiB; divide it into smaller ones")


def _markdown(file: Path, name: str) -> Iterator[Article]:
    from markdown_it import MarkdownIt

    text = text_of(file)
    match = _FRONT_MATTER.match(text)
    meta = _meta(match[1]) if match else {}
    html = MarkdownIt("commonmark").enable("table").render(text[match.end() :] if match else text)
    page = read_page(html, meta.get("title", ""))
    if not page.title:
        raise UnreadableFile("it has no title; begin it with a line '# Title'")
    parts = tuple(
        replace(part, headings=tuple(_ANCHOR.sub("", one) for one in part.headings), anchor=_anchor(part.headings))
        for part in page.parts
    )
    page = replace(page, title=_ANCHOR.sub("", page.title), parts=parts)
    yield _article(name, page, meta)


def _html(file: Path, name: str) -> Iterator[Article]:
    page = read_page(text_of(file))
    if not page.title:
        raise UnreadableFile("it has no title; give it a <title> or a heading")
    yield _article(name, page, page.meta)


def _article(name: str, page: Page, meta: Mapping[str, str]) -> Article:
    if not page.parts:
        raise UnreadableFile("it has no text that a reader would see; write some, or take it out of the folder")
    return Article(
        id=name,
        file=name,
        title=page.title,
        parts=page.parts,
        url=meta.get("url") or page.url,
        updated=date_of(meta.get("updated") or page.updated),
        language=language_code(meta.get("language") or meta.get("lang") or page.language),
        exact=said_yes(meta.get("exact", "")),
    )


def _meta(block: str) -> dict[str, str]:
    """`key: value` lines; quotes around a value are not part of it."""
    found = (match for line in block.splitlines() if (match := _KEY.fullmatch(line)))
    return {match[1].lower(): match[2].strip("\"'") for match in found}


def _anchor(headings: tuple[str, ...]) -> str:
    """The innermost address that is written behind a heading: `## Costs {#costs}`."""
    found = (match[1] for one in reversed(headings) if (match := _ANCHOR.search(one)))
    return next(found, "")


def _csv(file: Path, name: str) -> Iterator[Article | Problem]:
    from agent.support.knowledge.table import read_table

    return read_table(text_of(file), name)


def _pdf(file: Path, name: str) -> Iterator[Article]:
    from agent.support.knowledge.pdf import read_pdf

    yield read_pdf(file, name)


_READERS: Mapping[str, Callable[[Path, str], Iterator[Article | Problem]]] = {
    ".md": _markdown,
    ".markdown": _markdown,
    ".html": _html,
    ".htm": _html,
    ".csv": _csv,
    ".pdf": _pdf,
}

"""Help articles: Markdown files in, quoted passages out, from a Chroma collection of their own.

An article is cut at its headings; each section is searched like an item, by the same index. The
answer is always the article's own words. Not covered: HTML, PDF and other languages' articles.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agent.support.overlap import WordWeights, subject_words
from retrieval.encoder import Encoder, FloatArray
from retrieval.errors import CatalogueError
from retrieval.index import Progress, build_index, open_index, with_source
from retrieval.items import Item
from retrieval.query import Query, WeightedText
from retrieval.search import Retriever
from retrieval.vectors import EMBEDDED, VectorStores

MIN_SCORE = 0.48
"""Cosine plus weighted words of the best section (heading and lead aside) below which the articles do not answer.

Picked on the half "dev" of the demo's questions: all 56 that an article answers are above it, 1 of the 26 others is.
"""
NEAR_BEST = 0.06
"""A second article is cited when its section scores nearly as much as the best one."""
MAX_CITED = 2
CANDIDATES = 24
"""Sections that are scored; the search gives them by vectors and words."""
TEXT_WEIGHT, HEADING_WEIGHT = 0.2, 0.1
"""What the share of the question's words in a section and in its heading adds to the cosine: names and
numbers ("Spain") weigh little in a sentence vector."""
LEAD_WEIGHT = 0.1
"""What the words before the first heading get ahead: a general question is answered there."""
QUOTE_SENTENCES = 3
MAX_QUOTE_CHARS = 330
RUN_WORD_WEIGHT = 0.2
SENTENCE_COST = 0.04
"""What a run of sentences loses for each one before it: a section says first what it is about."""
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9\"“])")
_NUMBER = re.compile(r"#?\b(?:[A-Za-z]{1,4}-?)?\d{4,}\b")
"""An order number finds the text about order numbers rather than the one about orders."""
_FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Passage:
    """Words of an article that answer a question; `score` says how well (cosine, plus what words add).

    `section` is the article's title with the heading that the words stand under.
    """

    title: str
    section: str
    url: str | None
    quote: str
    score: float


class HelpArticles:
    """The articles of one tenant, searchable."""

    def __init__(self, retriever: Retriever, encoder: Encoder) -> None:
        self._retriever = retriever
        self._encoder = encoder
        sections = retriever.table.items
        self._words = {one.id: subject_words(f"{one.title} {one.text}") for one in sections}
        self._weights = WordWeights(self._words.values())

    @classmethod
    def open(cls, folder: Path, encoder: Encoder, *, stores: VectorStores | None = EMBEDDED) -> HelpArticles:
        """Open an index made by `index_articles`; `stores` as in `open_index`."""
        return cls(open_index(folder, encoder, stores=stores), encoder)

    @property
    def problem(self) -> str:
        """As `Retriever.problem`."""
        return self._retriever.problem

    def close(self) -> None:
        """Give the index back; nothing may ask afterwards."""
        self._retriever.close()

    def answer(self, question: str) -> tuple[Passage, ...]:
        """The best passage of at most two articles, best first; () when the articles do not say."""
        question = _NUMBER.sub(" ", question).strip() or question
        found = self._retriever.search(Query(texts=(WeightedText(question),), k=CANDIDATES))
        sections = [self._retriever.table.get(hit.item_id) for hit in found.candidates]
        if not sections:
            return ()
        asked, words = self._encoder.encode([question])[0], subject_words(question)
        closeness = [self._closeness(section, asked, words) for section in sections]
        scores = [near + self._prior(section, words) for near, section in zip(closeness, sections, strict=True)]
        order = sorted(range(len(sections)), key=lambda index: -scores[index])
        if closeness[order[0]] < MIN_SCORE:
            return ()
        passages: list[Passage] = []
        for index in order:
            section, score = sections[index], scores[index]
            if score < scores[order[0]] - NEAR_BEST or len(passages) == MAX_CITED:
                break
            title = str(section.attributes["article"])
            if all((passage.title, passage.url) != (title, section.url) for passage in passages):
                quote = self._quote(section.text, asked, words)
                passages.append(Passage(title, section.title, section.url, quote, score))
        return tuple(passages)

    def _closeness(self, section: Item, asked: FloatArray, words: frozenset[str]) -> float:
        cosine = float(self._retriever.vector_of(section.id) @ asked)
        return cosine + TEXT_WEIGHT * self._weights.share(words, self._words[section.id])

    def _prior(self, section: Item, words: frozenset[str]) -> float:
        lead = LEAD_WEIGHT if section.title == section.attributes["article"] else 0.0
        return lead + HEADING_WEIGHT * self._weights.share(words, subject_words(section.title))

    def _quote(self, text: str, asked: FloatArray, words: frozenset[str]) -> str:
        """The run of at most three sentences that is closest to the question; the first ones in doubt."""
        runs = _runs(text)
        if len(runs) == 1:
            return runs[0]
        cosines = self._encoder.encode(runs) @ asked
        shares = np.array([self._weights.share(words, subject_words(run)) for run in runs])
        return runs[int(np.argmax(cosines + RUN_WORD_WEIGHT * shares - SENTENCE_COST * np.arange(len(runs))))]


def _runs(text: str) -> list[str]:
    """From each sentence on as many as a quote holds; the last run reaches the end of `text`."""
    sentences = [sentence.strip() for sentence in _SENTENCE.split(text) if sentence.strip()]
    runs: list[str] = []
    for start in range(len(sentences)):
        end = start + 1
        while end < min(start + QUOTE_SENTENCES, len(sentences)):
            if len(" ".join(sentences[start : end + 1])) > MAX_QUOTE_CHARS:
                break
            end += 1
        runs.append(" ".join(sentences[start:end]))
        if end == len(sentences):
            break
    return runs


def read_articles(folder: Path) -> tuple[Item, ...]:
    """Cut every `*.md` of `folder` into sections.

    Raises:
        CatalogueError: the folder has no article, or one is not UTF-8 or has no `# Title`.
    """
    files = sorted(folder.glob("*.md"))
    if not files:
        raise CatalogueError(f"There are no Markdown files in {str(folder)!r}; put one article in each *.md file.")
    return tuple(section for file in files for section in _sections(file))


def _sections(file: Path) -> Sequence[Item]:
    try:
        text = file.read_text(encoding="utf-8-sig").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogueError(f"The article {file.name!r} cannot be read ({error}); save it as UTF-8 text.") from None
    match = _FRONT_MATTER.match(text)
    lines = match.group(1).splitlines() if match else []
    meta = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    body = text[match.end() :] if match else text
    title_match = re.search(r"^# (.+)$", body, re.MULTILINE)
    if title_match is None:
        raise CatalogueError(f"The article {file.name!r} has no title; begin it with a line '# Title'.")
    title = title_match.group(1).strip()
    sections = []
    for number, part in enumerate(re.split(r"^#{1,3} ", body, flags=re.MULTILINE)):
        heading, _, content = part.partition("\n")
        content = _plain_markdown(content)
        if not content:
            continue
        name = title if heading.strip() == title else f"{title}: {heading.strip()}"
        attributes = {"article": title, "updated": meta.get("updated", "")}
        sections.append(Item(f"{file.stem}#{number}", name, content, attributes, url=meta.get("url")))
    return sections


def _plain_markdown(text: str) -> str:
    text = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"^\s*(?:[-*+]|\d+\.)\s+", "", text, flags=re.MULTILINE)
    return " ".join(re.sub(r"[*_`]{1,3}", "", text).split())


def index_articles(
    folder: Path,
    root: Path,
    encoder: Encoder,
    progress: Progress | None = None,
    *,
    belongs_to: str = "",
    stores: VectorStores = EMBEDDED,
) -> Path:
    """Index the articles of `folder` below `root`; the new index folder.

    `belongs_to` names the catalogue's index; `articles_of` finds the articles by it again. Only sections that the
    newest articles below `root` do not have are embedded.

    Raises:
        CatalogueError: as `read_articles`; else as `build_index`.
    """
    return build_index(read_articles(folder), root, encoder, progress=progress, source=belongs_to, stores=stores)


def articles_of(index_name: str, root: Path) -> Path | None:
    """The folder of the articles below `root` that went with an index, None where it has none."""
    return with_source(root, index_name)

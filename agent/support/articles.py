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

from retrieval.encoder import Encoder, FloatArray
from retrieval.errors import CatalogueError
from retrieval.index import Progress, build_index, open_index, with_source
from retrieval.items import Item
from retrieval.query import Query, WeightedText
from retrieval.search import Retriever
from retrieval.text import tokens

MIN_SIMILARITY = 0.42
"""Cosine of question and section below which the articles do not answer.

Picked on half of the demo's 98 questions: of all 70 that an article answers 67 are at or above it, of the 28 others
2 ("can I pay with bitcoin?", which the list of payment methods does answer, and a student discount).
"""
NEAR_BEST = 0.06
"""A second article is cited when its section is nearly as close as the best one."""
MAX_CITED = 2
QUOTE_SENTENCES = 2
WORD_OVERLAP_WEIGHT = 0.4
"""Names in a question ("Spain") weigh little in a sentence vector: shared words count beside the cosine."""
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9\"“])")
_FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Passage:
    """Words of an article that answer a question; `similarity` is the cosine of section and question.

    `section` is the article's title with the heading that the words stand under.
    """

    title: str
    section: str
    url: str | None
    quote: str
    similarity: float


class HelpArticles:
    """The articles of one tenant, searchable."""

    def __init__(self, retriever: Retriever, encoder: Encoder) -> None:
        self._retriever = retriever
        self._encoder = encoder

    @classmethod
    def open(cls, folder: Path, encoder: Encoder, *, exact_only: bool = False) -> HelpArticles:
        """Open an index made by `index_articles`; `exact_only` as in `open_index`."""
        return cls(open_index(folder, encoder, exact_only=exact_only), encoder)

    def close(self) -> None:
        """Give the index back; nothing may ask afterwards."""
        self._retriever.close()

    def answer(self, question: str) -> tuple[Passage, ...]:
        """The best passage of at most two articles, best first; () when the articles do not say."""
        found = self._retriever.search(Query(texts=(WeightedText(question),), k=8))
        sections = [self._retriever.table.get(hit.item_id) for hit in found.candidates]
        if not sections:
            return ()
        asked = self._encoder.encode([question])[0]
        similarities = np.array([self._retriever.vector_of(section.id) @ asked for section in sections])
        order = np.argsort(-similarities, kind="stable")
        best = float(similarities[order[0]])
        passages: list[Passage] = []
        for index in order:
            section, similarity = sections[index], float(similarities[index])
            if similarity < max(MIN_SIMILARITY, best - NEAR_BEST) or len(passages) == MAX_CITED:
                break
            title = str(section.attributes["article"])
            if all((passage.title, passage.url) != (title, section.url) for passage in passages):
                quote = self._quote(section.text, question, asked)
                passages.append(Passage(title, section.title, section.url, quote, similarity))
        return tuple(passages)

    def _quote(self, text: str, question: str, vector: FloatArray) -> str:
        """The run of at most two sentences that is closest to the question."""
        sentences = [sentence.strip() for sentence in _SENTENCE.split(text) if sentence.strip()]
        if len(sentences) <= QUOTE_SENTENCES:
            return " ".join(sentences)
        runs = [" ".join(sentences[i : i + QUOTE_SENTENCES]) for i in range(len(sentences) - QUOTE_SENTENCES + 1)]
        similarities = self._encoder.encode(runs) @ vector
        asked = set(tokens(question))
        overlap = np.array([len(asked & set(tokens(run))) / (len(asked) or 1) for run in runs])
        return runs[int(np.argmax(similarities + WORD_OVERLAP_WEIGHT * overlap))]


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
    folder: Path, root: Path, encoder: Encoder, progress: Progress | None = None, *, belongs_to: str = ""
) -> Path:
    """Index the articles of `folder` below `root`; the new index folder.

    `belongs_to` names the catalogue's index; `articles_of` finds the articles by it again. Only sections that the
    newest articles below `root` do not have are embedded.

    Raises:
        CatalogueError: as `read_articles`; else as `build_index`.
    """
    return build_index(read_articles(folder), root, encoder, progress=progress, source=belongs_to)


def articles_of(index_name: str, root: Path) -> Path | None:
    """The folder of the articles below `root` that went with an index, None where it has none."""
    return with_source(root, index_name)

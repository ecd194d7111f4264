"""The tenant's articles in the data directory: brought in from a folder, found again by whoever serves.

    <data_dir>/articles/<tenant>/000007/    an index as retrieval/index.py makes it, of chunks

Each import that changes something makes a new folder and deletes the older ones: what was taken out of the folder is
neither found nor stored any more. Only chunks that are new are embedded. The manifest's `source` says whose they are:
the tenant's own, which stay whatever catalogue goes live, or those of the demo, which go with the demo's catalogue.
Earlier versions wrote the name of the catalogue's index there: with that catalogue live they are the tenant's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from agent.support.knowledge.article import chunks_of
from agent.support.knowledge.problems import Problem
from agent.support.knowledge.reading import read_folder
from retrieval.encoder import Encoder, same_space
from retrieval.errors import CatalogueError, IndexUnavailable
from retrieval.index import (
    Progress,
    build_index,
    name_source,
    prune,
    prune_others,
    read_items,
    read_manifest,
    with_source,
)
from retrieval.items import Item
from retrieval.vectors import EMBEDDED, VectorStores

OWN: Final = "articles"
DEMO: Final = "demo articles"


@dataclass(frozen=True, slots=True)
class ArticleChanges:
    """What an import did, or would do: ids of articles.

    Attributes:
        added: were not there.
        changed: say something else now, or say it elsewhere.
        removed: are not in the folder any more.
        unchanged: are as they were.
        kept: files that cannot be read any more; what they said before stays.
        problems: what could not be read.
        chunks: there are now.
        folder: where they are; None where there is nothing.
    """

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: tuple[str, ...]
    kept: tuple[str, ...]
    problems: tuple[Problem, ...]
    chunks: int
    folder: Path | None = None

    @property
    def is_change(self) -> bool:
        """Whether anything is new."""
        return bool(self.added or self.changed or self.removed)


def import_articles(
    folder: Path,
    root: Path,
    encoder: Encoder,
    progress: Progress | None = None,
    *,
    source: str = OWN,
    live: str = "",
    stores: VectorStores = EMBEDDED,
    dry_run: bool = False,
) -> ArticleChanges:
    """Make the articles of `folder` the tenant's, whose indexes are below `root`.

    A file that cannot be read keeps the articles that it had; nothing is written where nothing changed, and nothing at
    all in a dry run. `live` is as in `articles_for`, "" where the demo is live. Whoever calls holds the tenant's
    publish lock.

    Raises:
        CatalogueError: there is no folder, nothing of a kind that we read in it, or nothing in it can be read.
        DataDirectoryError: the disk is full or read-only.
        IndexUnavailable: Chroma failed.
        ModelUnavailable: the encoder cannot be had.
    """
    read = read_folder(folder)
    before = _before(root, source, live)
    lost = [problem for problem in read.problems if problem.whole]
    kept = [chunk for chunk in before if any(problem.holds(_file_of(chunk)) for problem in lost)]
    chunks: list[Item] = [*(chunk for article in read.articles for chunk in chunks_of(article)), *kept]
    if not chunks:
        raise CatalogueError(" ".join(problem.sentence for problem in read.problems))
    was, now = _by_article(before), _by_article(chunks)
    changes = ArticleChanges(
        added=tuple(sorted(now.keys() - was.keys())),
        changed=tuple(sorted(one for one in now.keys() & was.keys() if now[one] != was[one])),
        removed=tuple(sorted(was.keys() - now.keys())),
        unchanged=tuple(sorted(one for one in now.keys() & was.keys() if now[one] == was[one])),
        kept=tuple(sorted({_file_of(chunk) for chunk in kept})),
        problems=read.problems,
        chunks=len(chunks),
    )
    return changes if dry_run else _written(changes, chunks, root, encoder, progress, source, stores)


def articles_for(root: Path, *, demo: bool, live: str = "") -> Path | None:
    """The folder of the articles that go with the tenant's catalogue, which is the demo's or not; None for none.

    `live` is the name of the catalogue's index: articles of an earlier version have it.
    """
    found = with_source(root, OWN) or (with_source(root, DEMO) if demo else None)
    return found or (with_source(root, live) if live else None)


def adopt(root: Path, live: str) -> None:
    """Let articles of an earlier version be the tenant's own before another catalogue than `live` goes live.

    Raises:
        DataDirectoryError: the disk is full or read-only.
    """
    made = None if with_source(root, OWN) else with_source(root, live)
    if made is not None:
        name_source(made, OWN)


def forget_demo(root: Path, stores: VectorStores = EMBEDDED) -> None:
    """Delete the demo's articles: another catalogue has gone live.

    Raises:
        DataDirectoryError: they cannot be deleted.
    """
    prune_others(root, [OWN], stores)


def _written(
    changes: ArticleChanges,
    chunks: Sequence[Item],
    root: Path,
    encoder: Encoder,
    progress: Progress | None,
    source: str,
    stores: VectorStores,
) -> ArticleChanges:
    made = with_source(root, source)
    if made is None or changes.is_change or not _fits(made, encoder):
        made = build_index(chunks, root, encoder, progress=progress, source=source, stores=stores)
    prune_others(root, [source], stores)
    prune(root, 1, stores)  # also after an import that broke off before this
    return replace(changes, folder=made)


def _before(root: Path, source: str, live: str) -> tuple[Item, ...]:
    """The chunks that are there now; none where they are damaged, of another version or somebody else's."""
    made = with_source(root, source) or (with_source(root, live) if live else None)
    try:
        return () if made is None else read_items(made)
    except IndexUnavailable:
        return ()


def _file_of(chunk: Item) -> str:
    """The file that a chunk is from; earlier versions, which read Markdown alone, had it in the id only."""
    return str(chunk.attributes.get("file") or f"{chunk.id.rpartition('#')[0]}.md")


def _fits(folder: Path, encoder: Encoder) -> bool:
    try:
        return same_space(read_manifest(folder).encoder, encoder.name)
    except IndexUnavailable:
        return False


def _by_article(chunks: Iterable[Item]) -> Mapping[str, tuple[str, ...]]:
    """What each article says: its chunks in their order, as they are stored."""
    found: dict[str, list[str]] = {}
    for chunk in chunks:
        found.setdefault(str(chunk.attributes.get("of") or _file_of(chunk)), []).append(chunk.to_json())
    return {name: tuple(lines) for name, lines in found.items()}

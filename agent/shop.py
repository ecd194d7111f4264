"""One tenant's live catalogue, ready to be talked about: search, rules and help articles.

Immutable: a new index makes a new `Shop`, and turns under way finish on the old one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.rank.axes import Axes
from agent.support.hours import OfficeHours
from agent.support.intent_store import Intents
from agent.support.knowledge.search import HelpArticles
from agent.understand.reading_evidence import lexicon_of
from agent.understand.rules import Rules
from retrieval.encoder import Encoder
from retrieval.index import open_index
from retrieval.search import Retriever
from retrieval.table import ItemTable
from retrieval.text import fold
from retrieval.unlearned import unlearned
from retrieval.vectors import EMBEDDED, VectorStores


@dataclass(frozen=True, slots=True)
class Shop:
    """An open catalogue.

    `index_name` is the folder that is live; `axes` are those along which conversations learn; `articles` is None where
    a tenant has none, and so are the help desk's `intents`. `name` greets the customers; empty for none. `paused`:
    lists are plain search. `hours` are those of the people, None where nobody has told them.
    """

    index_name: str
    retriever: Retriever
    rules: Rules
    ids_by_title: Mapping[str, tuple[str, ...]]
    axes: Axes
    articles: HelpArticles | None = None
    name: str = ""
    intents: Intents | None = None
    paused: bool = False
    hours: OfficeHours | None = None

    def close(self) -> None:
        """Give files and Chroma clients back; nothing may search afterwards."""
        self.retriever.close()
        if self.articles is not None:
            self.articles.close()

    @property
    def problem(self) -> str:
        """Why searches are degraded just now, one sentence for the operator; empty where all works."""
        return self.retriever.problem or (self.articles.problem if self.articles is not None else "")

    @property
    def table(self) -> ItemTable:
        """The catalogue in memory."""
        return self.retriever.table


def open_shop(
    folder: Path,
    encoder: Encoder,
    articles: HelpArticles | None,
    name: str = "",
    *,
    stores: VectorStores | None = EMBEDDED,
) -> Shop:
    """Open the index in `folder` (seconds for tens of thousands of items); `stores` as in `open_index`.

    Raises:
        IndexUnavailable: the folder has no complete index, or one made with another encoder.
    """
    retriever = open_index(folder, encoder, stores=stores)
    retriever.further = unlearned(retriever.table)
    rules = Rules(lexicon_of(retriever.table), retriever.table.get)
    axes = Axes.of(retriever.table, retriever.dense.vectors)
    return Shop(folder.name, retriever, rules, _ids_by_title(retriever.table), axes, articles, name)


def _ids_by_title(table: ItemTable) -> dict[str, tuple[str, ...]]:
    """Item ids by folded title, the most popular first."""
    found: dict[str, list[str]] = {}
    for row in table.by_popularity:
        found.setdefault(fold(table.items[row].title), []).append(table.ids[row])
    return {title: tuple(ids) for title, ids in found.items()}

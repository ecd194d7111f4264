"""One tenant's live catalogue, ready to be talked about: search, rules and help articles.

Immutable: a new index makes a new `Shop`, and turns under way finish on the old one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agent.support.articles import HelpArticles
from agent.understand import Lexicon, Rules
from retrieval.encoder import Encoder
from retrieval.index import open_index
from retrieval.search import Retriever
from retrieval.table import ItemTable


@dataclass(frozen=True, slots=True)
class Shop:
    """An open catalogue.

    `index_name` is the folder that is live; `articles` is None where a tenant has none. `name` greets the customers; empty for none.
    """

    index_name: str
    retriever: Retriever
    rules: Rules
    articles: HelpArticles | None = None
    name: str = ""

    @property
    def table(self) -> ItemTable:
        """The catalogue in memory."""
        return self.retriever.table


def open_shop(folder: Path, encoder: Encoder, articles: HelpArticles | None, name: str = "") -> Shop:
    """Open the index in `folder` (seconds for tens of thousands of items).

    Raises:
        IndexUnavailable: the folder has no complete index, or one made with another encoder.
    """
    retriever = open_index(folder, encoder)
    lexicon = Lexicon.of(retriever.table.items, retriever.table.shape)
    return Shop(folder.name, retriever, Rules(lexicon, retriever.table.get), articles, name)

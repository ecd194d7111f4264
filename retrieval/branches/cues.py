"""A query read once for all branches: its text, what it names, its seeds, its vector."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from retrieval.branches.base import Cues, Links
from retrieval.branches.corpus import all_seeds, context_of
from retrieval.branches.linker import EntityLinker
from retrieval.encoder import Encoder, FloatArray
from retrieval.errors import ModelUnavailable
from retrieval.query import Query
from retrieval.table import ItemTable

log = logging.getLogger(__name__)


def read_cues(query: Query, linker: EntityLinker, table: ItemTable, encoder: Encoder | None = None) -> Cues:
    """Read a query.

    `text` is the last turns, else the query's texts. `links` are those of the customer's own words, without what is
    unwanted. An item that is named and is no seed is a mild liking. `encoder` None, or one that fails, leaves `vector`
    None.
    """
    said: Sequence[str] = query.turns or tuple(one.text for one in query.texts)
    text = context_of(said) if query.turns else "\n".join(said)
    links = without(linker.link(said if query.own is None else query.own), query.unwanted, linker)
    return Cues(query, text, links, all_seeds(links, query.seeds, table), _vector(text, encoder))


def named_by(words: str, linker: EntityLinker) -> Links:
    """What words name that are nothing but a name, "It" and "heat" too: they are read as quoted."""
    return linker.link((f'"{words}"',))


def without(links: Links, unwanted: Sequence[str], linker: EntityLinker) -> Links:
    """The links without those to what other words name."""
    if not unwanted or not (links.items or links.values):
        return links
    against = [named_by(words, linker) for words in unwanted]
    items = {row for one in against for row in one.items}
    values = {value for one in against for value in one.values}
    return Links(
        {row: weight for row, weight in links.items.items() if row not in items},
        {value: weight for value, weight in links.values.items() if value not in values},
    )


def _vector(text: str, encoder: Encoder | None) -> FloatArray | None:
    if encoder is None or not text.strip():
        return None
    try:
        vector: FloatArray = encoder.encode([text])[0]
    except (ModelUnavailable, RuntimeError, OSError) as exc:  # RuntimeError: what torch raises
        log.warning("the encoder failed, branches go by words alone: %s", exc)
        return None
    return vector

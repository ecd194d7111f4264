"""A query read once for all branches: its text, what it names, its seeds, its vector."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from retrieval.branches.base import Cues
from retrieval.branches.corpus import all_seeds, context_of
from retrieval.branches.linker import EntityLinker
from retrieval.encoder import Encoder, FloatArray
from retrieval.errors import ModelUnavailable
from retrieval.query import Query
from retrieval.table import ItemTable

log = logging.getLogger(__name__)


def read_cues(query: Query, linker: EntityLinker, table: ItemTable, encoder: Encoder | None = None) -> Cues:
    """Read a query.

    `text` is the last turns, else the query's texts. An item that is named and is no seed is a mild liking. `encoder`
    None, or one that fails, leaves `vector` None.
    """
    said: Sequence[str] = query.turns or tuple(one.text for one in query.texts)
    text = context_of(said) if query.turns else "\n".join(said)
    links = linker.link(said)
    return Cues(query, text, links, all_seeds(links, query.seeds, table), _vector(text, encoder))


def _vector(text: str, encoder: Encoder | None) -> FloatArray | None:
    if encoder is None or not text.strip():
        return None
    try:
        vector: FloatArray = encoder.encode([text])[0]
    except (ModelUnavailable, RuntimeError, OSError) as exc:  # RuntimeError: what torch raises
        log.warning("the encoder failed, branches go by words alone: %s", exc)
        return None
    return vector

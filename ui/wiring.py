"""Puts the parts together from the settings; the only place that knows which class fills which role.

Imports of torch, chromadb and transformers happen when a part is made, not when this module is read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from agent.conversation import Conversations
from agent.datadir import DataDirectory
from agent.health import PartsHealth
from agent.llm.embedded import EmbeddedEngine
from agent.llm.off import NoEngine
from agent.llm.protocol import Engine
from agent.log.store import EventLog
from agent.services import Services
from agent.settings import Settings
from agent.shopkeeper import DEMO_SOURCE, ShopKeeper
from agent.support.articles import index_articles
from retrieval.demo import SHOP_NAME, demo_articles_dir, demo_films_path
from retrieval.encoder import Encoder, SentenceEncoder
from retrieval.index import build_index, prune
from retrieval.items import Item
from retrieval.loading import load_catalogue
from ui.progress import index_progress

KEPT_INDEXES = 2
"""The live index and the one before it, for a server that has not moved over yet."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a process works with; `engine` has been made but not started."""

    settings: Settings
    data: DataDirectory
    log: EventLog
    encoder: Encoder
    shops: ShopKeeper
    engine: Engine

    @property
    def conversations(self) -> Conversations:
        """The conversation over these parts."""
        return Conversations(self.settings, self.log, self.shops, self.engine)

    @property
    def services(self) -> Services:
        """The same, for the faces."""
        health = PartsHealth(self.settings.tenant, self.shops, self.log, self.engine)
        return Services(self.settings, self.conversations, health, self.log, self.engine)


def make_parts(settings: Settings) -> Parts:
    """Open the data directory and the log, make the rest.

    Raises:
        DataDirectoryError: the directory or the database cannot be used.
    """
    data = DataDirectory(settings.data_dir)
    data.create()
    log = EventLog.open(settings.database.url.get_secret_value(), settings.data_dir)
    encoder = SentenceEncoder(settings.retrieval.encoder, dtype=settings.retrieval.dtype)
    return Parts(settings, data, log, encoder, ShopKeeper(data, log, encoder, SHOP_NAME), make_engine(settings))


def make_engine(settings: Settings) -> Engine:
    """The engine that the settings name. "auto" is the embedded one: vLLM comes with its own extra."""
    llm = settings.llm
    if llm.engine == "off":
        return NoEngine()
    models = DataDirectory(settings.data_dir).models
    return EmbeddedEngine(llm.model, models, max_queue=llm.max_queue, threads=llm.threads)


@asynccontextmanager
async def started(engine: Engine) -> AsyncIterator[Engine]:
    """Start the engine (it loads in the background) and stop it at the end."""
    if isinstance(engine, EmbeddedEngine):
        await engine.start()
    try:
        yield engine
    finally:
        await engine.close()


def index_items(parts: Parts, items: Sequence[Item], source: str, articles: Path | None) -> str:
    """Index a catalogue and the articles that go with it, then make both live; the index's name.

    Raises:
        CatalogueError: there are no items or no articles, or an id occurs twice.
        DataDirectoryError: the disk is full or read-only, or another build runs.
    """
    tenant = parts.settings.tenant
    root = parts.data.index(tenant)
    with index_progress("Catalogue") as progress:
        folder = build_index(items, root, parts.encoder, progress=progress, source=source)
    if articles is not None:
        with index_progress("Help articles") as progress:
            index_articles(articles, parts.data.articles(tenant, folder.name), parts.encoder, progress)
    parts.log.activate_index(tenant, folder.name)
    prune(root, KEPT_INDEXES)
    return folder.name


def ensure_catalogue(parts: Parts) -> None:
    """Build the demo shop where the data directory holds no catalogue."""
    if parts.log.live_index(parts.settings.tenant) is None:
        films = load_catalogue(demo_films_path(), strict=True)
        index_items(parts, films.items, DEMO_SOURCE, demo_articles_dir())

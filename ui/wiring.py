"""Puts the parts together from the settings; the only place that knows which class fills which role.

Imports of torch, chromadb and transformers happen when a part is made, not when this module is read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
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
from agent.support.articles import index_articles, read_articles
from retrieval.demo import SHOP_NAME, demo_articles_dir, demo_films_path
from retrieval.encoder import Encoder, SentenceEncoder
from retrieval.index import build_index, prune, prune_others, remove
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


def make_parts(settings: Settings, *, exact_only: bool = False) -> Parts:
    """Open the data directory and the log, make the rest.

    `exact_only` opens indexes without Chroma, whose store belongs to one process: for every command beside the server.

    Raises:
        DataDirectoryError: the directory or the database cannot be used.
    """
    data = DataDirectory(settings.data_dir)
    data.create()
    log = EventLog.open(settings.database.url.get_secret_value(), settings.data_dir)
    encoder = SentenceEncoder(settings.retrieval.encoder, dtype=settings.retrieval.dtype)
    shops = ShopKeeper(data, log, encoder, SHOP_NAME, exact_only=exact_only)
    return Parts(settings, data, log, encoder, shops, make_engine(settings))


def make_engine(settings: Settings) -> Engine:
    """The engine that the settings name. "auto" is the embedded one, the only one so far."""
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


def index_items(parts: Parts, items: Iterable[Item], source: str, articles: Path | None) -> str:
    """Index a catalogue and the articles that go with it, then make both live; the index's name.

    Without `articles` the new catalogue has none. What fails leaves nothing behind; older pairs are deleted.

    Raises:
        CatalogueError: there are no items or no articles, or an id occurs twice.
        DataDirectoryError: the disk is full or read-only, or another process indexes.
    """
    tenant = parts.settings.tenant
    root, articles_root = parts.data.index(tenant), parts.data.articles(tenant)
    if articles is not None:
        read_articles(articles)  # what is wrong with them is said before the catalogue is embedded
    with parts.data.publish_lock(tenant):
        with index_progress("Catalogue") as progress:
            folder = build_index(items, root, parts.encoder, progress=progress, source=source)
        made = [folder]
        try:
            if articles is not None:
                with index_progress("Help articles") as progress:
                    made.append(
                        index_articles(articles, articles_root, parts.encoder, progress, belongs_to=folder.name)
                    )
            parts.log.activate_index(tenant, folder.name)
        except BaseException:
            for half in made:
                remove(half)
            raise
        prune(root, KEPT_INDEXES)
        prune_others(articles_root, sorted(one.name for one in root.iterdir() if one.is_dir()))
    return folder.name


def ensure_catalogue(parts: Parts) -> None:
    """Build the demo shop where the data directory holds no catalogue."""
    if parts.log.live_index(parts.settings.tenant) is None:
        films = load_catalogue(demo_films_path(), strict=True)
        index_items(parts, films.items, DEMO_SOURCE, demo_articles_dir())

"""Puts the parts together from the settings; the only place that knows which class fills which role.

Imports of torch, chromadb and transformers happen when a part is made, not when this module is read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from agent.adapters.live import LiveAdapters
from agent.adapters.registry import AdapterRegistry
from agent.adapters.sufficing import PromotionRules
from agent.adapters.voice import OneVoice, Voices
from agent.conversation import Conversations
from agent.datadir import DataDirectory
from agent.health import PartsHealth
from agent.learning.live import LiveLessons
from agent.learning.profile import Profiles
from agent.learning.ranker_live import LiveRankers
from agent.learning.reply_examples import AcceptedReplies, ExampleVoices
from agent.llm.embedded import EmbeddedEngine
from agent.llm.off import NoEngine
from agent.llm.protocol import Engine
from agent.llm.vllm.engine import VLLMEngine
from agent.llm.vllm.finding import use_vllm
from agent.llm.vllm.making import check_trials, make_vllm_engine
from agent.log.opening import open_log
from agent.log.store import EventLog
from agent.observe.chat import ObservedChat
from agent.observe.engine import ObservedEngine
from agent.observe.metrics import IndexFacts
from agent.observe.observer import Observer, Tracing
from agent.services import Services
from agent.settings import Settings
from agent.shopkeeper import DEMO_SOURCE, ShopKeeper
from agent.starter.keeping import AdapterKeeper
from agent.support.actions.desk import ActionDesk
from agent.support.actions.making import make_action_desk
from agent.support.handoff.keeping import Handoffs
from agent.support.handoff.part import HandoffPart
from agent.support.helpdesk import HelpDesk
from agent.support.hours import OfficeHours
from agent.support.knowledge.reading import read_folder
from agent.support.knowledge.store import DEMO, OWN, ArticleChanges, adopt, articles_for, forget_demo, import_articles
from retrieval.chroma_server import ServerStores
from retrieval.demo import SHOP_NAME, demo_articles_dir, demo_films_path
from retrieval.encoder import Encoder, SentenceEncoder
from retrieval.errors import IndexUnavailable
from retrieval.index import build_index, prune, read_manifest, remove
from retrieval.items import Item
from retrieval.loading import load_catalogue
from retrieval.vectors import EMBEDDED, VectorStores
from ui.progress import index_progress

if TYPE_CHECKING:
    from ui.schedule import Schedule

KEPT_INDEXES = 2
"""The live index and the one before it, for a server that has not moved over yet."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a process works with; `engine` has been made but not started, `stores` take the vectors of new indexes."""

    settings: Settings
    data: DataDirectory
    log: EventLog
    encoder: Encoder
    shops: ShopKeeper
    engine: Engine
    observer: Observer = field(default_factory=Observer)
    stores: VectorStores = EMBEDDED
    adapter: LiveAdapters | None = None
    schedule: Schedule | None = None
    orders: ActionDesk | None = None

    @property
    def conversations(self) -> Conversations:
        """The conversation over these parts."""
        kind = type(self.engine).__module__.removeprefix("agent.llm.").partition(".")[0]  # "embedded", "vllm", "off"
        engine = ObservedEngine(self.engine, self.observer, kind)
        voices: Voices = self.adapter or OneVoice()
        if self.settings.learning.examples:
            voices = ExampleVoices(voices, AcceptedReplies.by(self.log, self.settings), self.settings.tenant)
        orders = () if self.orders is None else (self.orders,)
        desk = HelpDesk((HandoffPart(self.handoffs), *orders))
        return Conversations(self.settings, self.log, self.shops, engine, voices=voices, desk=desk)

    @property
    def handoffs(self) -> Handoffs:
        """Conversations between bot and people."""
        support = self.settings.support
        hours = OfficeHours.of(support.hours, support.time_zone) if support.hours else None
        return Handoffs(self.log, self.settings, hours, self.observer.metrics.handed_over)

    @property
    def services(self) -> Services:
        """The same, for the faces."""
        schedule = self.schedule
        learning = None if schedule is None else lambda: schedule.problem
        health = PartsHealth(self.settings.tenant, self.shops, self.log, self.engine, self.adapter, learning)
        talks = self.conversations
        chat = ObservedChat(talks, self.observer)
        return Services(
            self.settings, chat, health, self.log, self.engine, self.observer, self.shops.current,
            handoffs=self.handoffs, again=talks.again,
        )  # fmt: skip


def make_parts(settings: Settings, *, exact_only: bool = False, tracing: Tracing | None = None) -> Parts:
    """Open the data directory and the log, make the rest.

    `exact_only` opens indexes without Chroma, whose store belongs to one process: for every command beside the server.

    Raises:
        DataDirectoryError: the directory or the database cannot be used.
        SettingsError: the address of the Chroma server is none.
    """
    data = DataDirectory(settings.data_dir)
    data.create()
    log = open_log(settings)
    encoder = SentenceEncoder(settings.retrieval.encoder, dtype=settings.retrieval.dtype)
    stores = make_stores(settings)
    consent = settings.learning.consent
    lessons = LiveLessons(log, customers=settings.retrieval.live_customers, consent=consent)
    profiles = Profiles(log, consent=consent)
    rankers = LiveRankers(data, log, customers=settings.retrieval.live_customers, consent=consent)
    shops = ShopKeeper(
        data,
        log,
        encoder,
        SHOP_NAME,
        stores=None if exact_only else stores,
        lessons=lessons,
        profiles=profiles,
        rankers=rankers,
        paused=settings.chat.paused,
        hours=OfficeHours.of(settings.support.hours, settings.support.time_zone) if settings.support.hours else None,
    )
    engine = make_engine(settings)
    url = settings.database.url.get_secret_value()
    observer = Observer(
        tracing=tracing,
        log_text=settings.telemetry.log_text,
        database="postgresql" if url.startswith("postgresql") else "sqlite",
    )
    observer.metrics.follow(engine, lambda: index_facts(data, shops, settings.tenant))
    log.watch(observer.metrics)
    adapters = make_adapters(settings, engine, data, log)
    orders = make_action_desk(settings, log, shops, observer.metrics.registry)
    return Parts(settings, data, log, encoder, shops, engine, observer, stores, adapters, orders=orders)


def make_stores(settings: Settings) -> VectorStores:
    """Where vectors lie for HNSW: on the Chroma server that the settings name, else in the index folders.

    Raises:
        SettingsError: the address is none.
    """
    if url := settings.retrieval.chroma_url:
        return ServerStores(url, settings.retrieval.chroma_token.get_secret_value())
    return EMBEDDED


def index_facts(data: DataDirectory, shops: ShopKeeper, tenant: str) -> IndexFacts | None:
    """What the operator wants to know of the index that is open; None where none is."""
    try:
        shop = shops.current(tenant)
        manifest = read_manifest(data.index(tenant) / shop.index_name)
    except IndexUnavailable:
        return None
    return IndexFacts(len(shop.table), datetime.fromisoformat(manifest.created).timestamp(), bool(shop.problem))


def make_engine(settings: Settings) -> Engine:
    """The engine that the settings name; "auto" is vLLM with a URL, or with a GPU where vLLM is installed.

    Raises:
        SettingsError: vLLM is asked for and cannot be had as it is set.
    """
    llm = settings.llm
    if llm.engine == "off" or settings.chat.paused:
        return NoEngine()
    models = DataDirectory(settings.data_dir).models
    if llm.engine == "vllm" or (llm.engine == "auto" and use_vllm(llm.vllm)):
        return make_vllm_engine(llm, models, settings.data_dir / "vllm")
    return EmbeddedEngine(llm.model, models, max_queue=llm.max_queue, threads=llm.threads)


def make_adapters(settings: Settings, engine: Engine, data: DataDirectory, log: EventLog) -> LiveAdapters:
    """What keeps `engine` with the tenant's adapters; the one of the settings is the first champion.

    Raises:
        SettingsError: adapters are tried on a share of the conversations, and the engine has one at a time.
    """
    llm, tenant = settings.llm, settings.tenant
    registry = AdapterRegistry(data, log, tenant)
    if settings.learning.promotion == "canary" or registry.standing().canary is not None:
        check_trials(llm)
    return LiveAdapters(
        engine, registry, log, tenant, setting=llm.adapter, model=llm.model, models_dir=data.models,
        rules=PromotionRules.of(settings.learning),
    )  # fmt: skip


def make_keeper(settings: Settings, engine: Engine) -> AdapterKeeper:
    """What brings the adapter of the settings into `engine`, for benchmarks: no tenant's."""
    llm = settings.llm
    return AdapterKeeper(engine, llm.adapter, llm.model, DataDirectory(settings.data_dir).models)


@asynccontextmanager
async def started(engine: Engine, adapter: AdapterKeeper | LiveAdapters | None = None) -> AsyncIterator[Engine]:
    """Start the engine (it loads in the background, then `adapter` does) and stop it at the end."""
    if isinstance(engine, EmbeddedEngine | VLLMEngine):
        await engine.start()
    try:
        async with adapter.at_work() if adapter else nullcontext():
            yield engine
    finally:
        await engine.close()


def index_items(parts: Parts, items: Iterable[Item], source: str, articles: Path | None) -> str:
    """Index a catalogue and make it live, the help articles in the folder `articles` before it; the index's name.

    Without `articles` the tenant's own articles stay; those of the demo go with its catalogue. What fails leaves the
    catalogue as it was.

    Raises:
        CatalogueError: there are no items or no articles, or an id occurs twice.
        DataDirectoryError: the disk is full or read-only, or another process indexes.
    """
    tenant, stores, root = parts.settings.tenant, parts.stores, parts.data.index(parts.settings.tenant)
    demo = source == DEMO_SOURCE
    if articles is not None:
        read_folder(articles)  # a folder without any is said before the catalogue is embedded
    with parts.data.publish_lock(tenant):
        with index_progress("Catalogue") as progress:
            folder = build_index(items, root, parts.encoder, progress=progress, source=source, stores=stores)
        try:
            if live := _live_of_own(parts):
                adopt(parts.data.articles(tenant), live)
            if articles is not None and not (demo and articles_for(parts.data.articles(tenant), demo=False)):
                _say(bring_articles(parts, articles, DEMO if demo else OWN))
        except BaseException:
            remove(folder, stores)
            raise
        # Outside: when this fails the row may be stored all the same. An index that never went live is pruned later.
        parts.log.activate_index(tenant, folder.name)
        prune(root, KEPT_INDEXES, stores)
        if not demo:
            forget_demo(parts.data.articles(tenant), stores)
    return folder.name


def bring_articles(parts: Parts, folder: Path, source: str = OWN, *, dry_run: bool = False) -> ArticleChanges:
    """Make the articles of `folder` the tenant's; whoever calls holds the publish lock.

    Raises:
        CatalogueError: as `import_articles`, like the rest.
    """
    root = parts.data.articles(parts.settings.tenant)
    with index_progress("Help articles") as progress:
        return import_articles(
            folder, root, parts.encoder, progress,
            source=source, live=_live_of_own(parts), stores=parts.stores, dry_run=dry_run,
        )  # fmt: skip


def ensure_catalogue(parts: Parts) -> None:
    """Build the demo shop where the data directory holds no catalogue, and its articles where it holds none."""
    tenant, live = parts.settings.tenant, parts.log.live_index(parts.settings.tenant)
    if live is None:
        films = load_catalogue(demo_films_path(), strict=True)
        index_items(parts, films.items, DEMO_SOURCE, demo_articles_dir())
        return
    folder = parts.data.index(tenant) / live
    if articles_for(parts.data.articles(tenant), demo=True) is None and _source_of(folder) == DEMO_SOURCE:
        with parts.data.publish_lock(tenant):  # of an earlier version, which kept articles with their catalogue
            bring_articles(parts, demo_articles_dir(), DEMO)


def _live_of_own(parts: Parts) -> str:
    """The name of the live index; "" where there is none, or the demo's."""
    tenant = parts.settings.tenant
    live = parts.log.live_index(tenant) or ""
    return live if live and _source_of(parts.data.index(tenant) / live) != DEMO_SOURCE else ""


def _source_of(folder: Path) -> str:
    """What an index was made of; "" for one that cannot be read, which whoever opens it tells of."""
    try:
        return read_manifest(folder).source
    except IndexUnavailable:
        return ""


def _say(changes: ArticleChanges) -> None:
    """What could not be read of the articles, on stderr."""
    for problem in changes.problems:
        Console(stderr=True, highlight=False).print(f"note: {problem.sentence}", markup=False, soft_wrap=True)

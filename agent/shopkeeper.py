"""Keeps the live catalogue of each tenant open and moves over when another index goes live.

The database names the live folder (`live_index`); this process looks every few seconds and opens a
new `Shop` beside the old one, so queries under way never miss an index. Knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection
from dataclasses import replace

import structlog

from agent.datadir import DataDirectory
from agent.learning.live import LiveLessons
from agent.learning.profile import Profiles
from agent.learning.ranker_live import LiveRankers
from agent.log.store import EventLog
from agent.shop import Shop, open_shop
from agent.support.hours import OfficeHours
from agent.support.intent_store import newest, open_intents
from agent.support.knowledge.search import HelpArticles
from agent.support.knowledge.store import articles_for
from retrieval.encoder import Encoder
from retrieval.errors import ChatalogueError, IndexUnavailable
from retrieval.index import read_manifest
from retrieval.vectors import EMBEDDED, VectorStores

POLL_SECONDS = 2.0
CLOSE_AFTER_SECONDS = 120.0
"""Longer than any turn: an index that was replaced is closed after so long."""
DEMO_SOURCE = "demo"
"""The `source` in the manifest of the demo shop's index."""

log = structlog.get_logger(__name__)


class ShopKeeper:
    """The open shops of one process.

    Chroma's embedded stores of live indexes belong to the server's process; any other one has `stores` None and scans.
    `lessons` are learned for each catalogue as it is opened; `profiles` are made when they are asked for; `rankers`
    follow the live ranker and the live catalogue. `paused` and `hours` are settings.
    """

    def __init__(
        self,
        data: DataDirectory,
        events: EventLog,
        encoder: Encoder,
        demo_name: str = "",
        *,
        stores: VectorStores | None = EMBEDDED,
        lessons: LiveLessons | None = None,
        profiles: Profiles | None = None,
        rankers: LiveRankers | None = None,
        paused: bool = False,
        hours: OfficeHours | None = None,
    ) -> None:
        self.lessons = lessons or LiveLessons(events)
        self.profiles = profiles or Profiles(events)
        self.rankers = rankers or LiveRankers(data, events)
        self._data = data
        self._events = events
        self._encoder = encoder
        self._demo_name = demo_name
        self._stores = stores
        self._paused, self._hours = paused, hours
        self._refused: dict[str, str] = {}
        self._bad_articles: set[tuple[str, str | None]] = set()
        self._shops: dict[str, Shop] = {}
        self._problems: dict[str, str] = {}

    def current(self, tenant: str) -> Shop:
        """The live shop.

        Raises:
            IndexUnavailable: none is open; the message says why.
        """
        shop = self._shops.get(tenant)
        if shop is None:
            raise IndexUnavailable(self._problems.get(tenant, "The catalogue is being opened; try again in a moment."))
        return shop

    def refresh(self, tenant: str) -> None:
        """Open the live index if it is not open yet; blocks for as long as that takes.

        A live index that cannot be opened leaves the old one in use. The live ranker is made ready in the background.
        """
        self._refresh_index(tenant)
        if tenant in self._shops:
            self._refresh_articles(tenant)
            self._refresh_intents(tenant)
            self.rankers.follow(tenant, self._shops[tenant])

    def _refresh_index(self, tenant: str) -> None:
        name = self._events.live_index(tenant)
        if name is None:
            self._problems[tenant] = "There is no catalogue yet; run `chatalogue index FILE` to add one."
            return
        if tenant in self._shops and self._shops[tenant].index_name == name:
            return
        old = self._shops.get(tenant)
        try:
            self._shops[tenant] = self._open(tenant, name)
        except ChatalogueError as error:
            if self._problems.get(tenant) != str(error):
                log.error("index_not_opened", tenant=tenant, index=name, reason=str(error))
            self._problems[tenant] = str(error)
        else:
            if old is not None:
                _close_later(old.retriever.close)
            log.info("index_opened", tenant=tenant, index=name, items=len(self._shops[tenant].table))

    def _refresh_articles(self, tenant: str) -> None:
        """The newest articles are in use; those that cannot be opened are told of once and leave the older ones."""
        shop = self._shops[tenant]
        demo = self._is_demo(tenant, shop.index_name)
        folder = articles_for(self._data.articles(tenant), demo=demo, live=shop.index_name)
        name = folder.name if folder is not None else None
        old = shop.articles
        if name == (old.name if old is not None else None) or (tenant, name) in self._bad_articles:
            return
        try:
            opened = None
            if folder is not None:
                opened = HelpArticles.open(folder, self._encoder, stores=self._stores)
        except ChatalogueError as error:
            self._bad_articles.add((tenant, name))
            log.error("articles_not_opened", tenant=tenant, articles=name, reason=str(error))
            return
        self._shops[tenant] = replace(shop, articles=opened)
        if old is not None:
            _close_later(old.close)
        log.info("articles_opened", tenant=tenant, articles=name, chunks=len(opened.chunks) if opened else 0)

    def _is_demo(self, tenant: str, name: str) -> bool:
        """Whether the catalogue that is open is the demo's, which articles of its own go with."""
        try:
            return read_manifest(self._data.index(tenant) / name).source == DEMO_SOURCE
        except IndexUnavailable:  # deleted under us: another one is live and is opened next
            return False

    def _refresh_intents(self, tenant: str) -> None:
        """The newest intents are in use; those that cannot be read are told of once and leave the older ones."""
        folder, shop = newest(self._data.intents(tenant)), self._shops[tenant]
        if folder is None or folder.name in (shop.intents.id if shop.intents else None, self._refused.get(tenant)):
            return
        try:
            self._shops[tenant] = replace(shop, intents=open_intents(folder, self._encoder))
        except ChatalogueError as error:
            self._refused[tenant] = folder.name
            log.error("intents_not_opened", tenant=tenant, intents=folder.name, reason=str(error))
        else:
            log.info("intents_opened", tenant=tenant, intents=folder.name)

    def _open(self, tenant: str, name: str) -> Shop:
        folder = self._data.index(tenant) / name
        shop_name = self._demo_name if read_manifest(folder).source == DEMO_SOURCE else ""
        shop = open_shop(folder, self._encoder, None, shop_name, stores=self._stores)
        self.lessons.follow(tenant, shop.table)
        before = self._shops.get(tenant)
        return replace(
            shop,
            articles=before.articles if before else None,
            intents=before.intents if before else None,
            paused=self._paused,
            hours=self._hours,
        )

    async def watch(self, tenant: str, others: Callable[[], Collection[str]] = tuple) -> None:
        """Refresh for ever; run as a task of the server. `others` gives further tenants that it serves at the moment.

        A tenant's catalogue is opened within seconds of its first key; it stays open when the last one is revoked.
        """
        while True:
            try:
                served = dict.fromkeys((tenant, *await asyncio.to_thread(others)))
            except ChatalogueError:  # the database is away: the refresh says so
                served = dict.fromkeys((tenant,))
            for one in served:
                await self._look_at(one)
            await asyncio.sleep(POLL_SECONDS)

    async def _look_at(self, tenant: str) -> None:
        try:
            await asyncio.to_thread(self.refresh, tenant)
        except ChatalogueError as error:  # the database is away: keep serving what is open
            log.error("live_index_unknown", tenant=tenant, reason=str(error))
        except Exception:  # whatever it was: a server that stopped looking would never move over again
            log.exception("live_index_not_watched", tenant=tenant)


def _close_later(close: Callable[[], None]) -> None:
    """Give the old files and their Chroma client back, once no turn can be using them any more."""
    timer = threading.Timer(CLOSE_AFTER_SECONDS, close)
    timer.daemon = True
    timer.start()

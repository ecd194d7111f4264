"""Keeps the live catalogue of each tenant open and moves over when another index goes live.

The database names the live folder (`live_index`); this process looks every few seconds and opens a
new `Shop` beside the old one, so queries under way never miss an index. Knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

import structlog

from agent.datadir import DataDirectory
from agent.learning.live import LiveLessons
from agent.learning.profile import Profiles
from agent.learning.ranker_live import LiveRankers
from agent.log.store import EventLog
from agent.shop import Shop, open_shop
from agent.support.articles import HelpArticles, articles_of
from agent.support.hours import OfficeHours
from agent.support.intent_store import newest, open_intents
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
                _close_later(old)
            log.info("index_opened", tenant=tenant, index=name, items=len(self._shops[tenant].table))

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
        articles_folder = articles_of(name, self._data.articles(tenant))
        articles = None
        if articles_folder is not None:
            articles = HelpArticles.open(articles_folder, self._encoder, stores=self._stores)
        try:
            shop = open_shop(folder, self._encoder, articles, shop_name, stores=self._stores)
        except BaseException:
            if articles is not None:
                articles.close()
            raise
        self.lessons.follow(tenant, shop.table)
        before = self._shops.get(tenant)
        return replace(shop, intents=before.intents if before else None, paused=self._paused, hours=self._hours)

    async def watch(self, tenant: str) -> None:
        """Refresh for ever; run as a task of the server."""
        while True:
            try:
                await asyncio.to_thread(self.refresh, tenant)
            except ChatalogueError as error:  # the database is away: keep serving what is open
                log.error("live_index_unknown", tenant=tenant, reason=str(error))
            except Exception:  # whatever it was: a server that stopped looking would never move over again
                log.exception("live_index_not_watched", tenant=tenant)
            await asyncio.sleep(POLL_SECONDS)


def _close_later(shop: Shop) -> None:
    """Give the old index's files and its Chroma client back, once no turn can be using them any more."""
    timer = threading.Timer(CLOSE_AFTER_SECONDS, shop.close)
    timer.daemon = True
    timer.start()

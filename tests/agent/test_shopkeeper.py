"""The live catalogue is opened, moved over, and kept when the next one cannot be opened."""

import asyncio
import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from small_shop import HashingEncoder

from agent import shopkeeper
from agent.datadir import DataDirectory
from agent.log.store import EventLog
from agent.shopkeeper import DEMO_SOURCE, ShopKeeper
from agent.support.articles import index_articles
from retrieval.errors import DataDirectoryError, IndexUnavailable
from retrieval.index import build_index
from retrieval.items import Item

ENCODER = HashingEncoder()


class Fixture:
    """A data directory with its log, and a way to index a catalogue of one item."""

    def __init__(self, root: Path) -> None:
        self.data = DataDirectory(root)
        self.data.create()
        self.log = EventLog.open(None, root)
        self.keeper = ShopKeeper(self.data, self.log, ENCODER, "The Demo")

    def index(self, title: str, source: str = "file.jsonl", *, live: bool = True) -> Path:
        folder = build_index([Item("i", title, "A text.")], self.data.index("default"), ENCODER, source=source)
        if live:
            self.log.activate_index("default", folder.name)
        return folder

    def title(self) -> str:
        return self.keeper.current("default").table.get("i").title


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Fixture]:
    fixture = Fixture(tmp_path / "var")
    yield fixture
    with suppress(IndexUnavailable):
        fixture.keeper.current("default").retriever.close()
    fixture.log.close()


def test_before_anything_is_opened_it_says_so(shop: Fixture) -> None:
    with pytest.raises(IndexUnavailable, match="being opened"):
        shop.keeper.current("default")
    shop.keeper.refresh("default")
    with pytest.raises(IndexUnavailable, match="chatalogue index FILE"):
        shop.keeper.current("default")


def test_an_index_that_is_not_live_is_not_opened(shop: Fixture) -> None:
    shop.index("Draft", live=False)
    shop.keeper.refresh("default")
    with pytest.raises(IndexUnavailable):
        shop.keeper.current("default")


def test_the_keeper_moves_over_to_the_index_that_went_live(shop: Fixture) -> None:
    shop.index("Old")
    shop.keeper.refresh("default")
    before = shop.keeper.current("default")
    shop.keeper.refresh("default")
    assert shop.keeper.current("default") is before
    shop.index("New")
    assert shop.title() == "Old"
    shop.keeper.refresh("default")
    assert shop.title() == "New"
    assert before.table.get("i").title == "Old"  # turns under way finish on it
    before.retriever.close()


def test_a_live_index_that_cannot_be_opened_leaves_the_old_one(shop: Fixture) -> None:
    shop.index("Old")
    shop.keeper.refresh("default")
    broken = shop.index("New")
    (broken / "manifest.json").write_text("{", encoding="utf-8")
    shop.keeper.refresh("default")
    assert shop.title() == "Old"


def test_a_first_index_that_cannot_be_opened_says_why(shop: Fixture) -> None:
    folder = shop.index("New")
    manifest = folder / "manifest.json"
    manifest.write_text(
        json.dumps(json.loads(manifest.read_text(encoding="utf-8")) | {"encoder": "another"}), encoding="utf-8"
    )
    shop.keeper.refresh("default")
    with pytest.raises(IndexUnavailable, match="'another'"):
        shop.keeper.current("default")


def test_only_the_demo_has_the_demos_name(shop: Fixture) -> None:
    shop.index("Film", source=DEMO_SOURCE)
    shop.keeper.refresh("default")
    demo = shop.keeper.current("default")
    assert demo.name == "The Demo"
    demo.retriever.close()
    shop.index("Lamp")
    shop.keeper.refresh("default")
    assert shop.keeper.current("default").name == ""


def test_articles_go_with_their_index(shop: Fixture, tmp_path: Path) -> None:
    (tmp_path / "help").mkdir()
    (tmp_path / "help" / "a.md").write_text("# Returns\n\nThirty days.\n", encoding="utf-8")
    folder = shop.index("Film")
    index_articles(tmp_path / "help", shop.data.articles("default"), ENCODER, belongs_to=folder.name)
    shop.keeper.refresh("default")
    first = shop.keeper.current("default")
    assert first.articles is not None
    first.articles._retriever.close()
    first.retriever.close()
    shop.index("Film 2")
    shop.keeper.refresh("default")
    assert shop.keeper.current("default").articles is None


def test_beside_the_server_no_chroma_store_is_opened(shop: Fixture, tmp_path: Path) -> None:
    (tmp_path / "help").mkdir()
    (tmp_path / "help" / "a.md").write_text("# Returns\n\nThirty days.\n", encoding="utf-8")
    folder = shop.index("Film")
    articles = index_articles(tmp_path / "help", shop.data.articles("default"), ENCODER, belongs_to=folder.name)
    for store in (folder, articles):
        shutil.rmtree(store / "chroma")
    keeper = ShopKeeper(shop.data, shop.log, ENCODER, exact_only=True)
    keeper.refresh("default")
    opened = keeper.current("default")
    assert opened.articles is not None
    assert opened.articles.answer("Returns: thirty days?")
    opened.close()


async def test_watching_goes_on_whatever_happens(shop: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shopkeeper, "POLL_SECONDS", 0.0)
    calls: list[str] = []

    def fails(tenant: str) -> None:
        calls.append(tenant)
        raise RuntimeError("nobody thought of this")

    monkeypatch.setattr(shop.keeper, "refresh", fails)
    watching = asyncio.create_task(shop.keeper.watch("default"))
    async with asyncio.timeout(20):
        while len(calls) < 3 and not watching.done():
            await asyncio.sleep(0.01)
    assert not watching.done()
    watching.cancel()


async def test_watching_goes_on_when_the_database_is_away(shop: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.index("Film")
    monkeypatch.setattr(shopkeeper, "POLL_SECONDS", 0.0)
    calls: list[str] = []
    live = shop.log.live_index

    def sometimes(tenant: str) -> str | None:
        calls.append(tenant)
        if len(calls) < 3:
            raise DataDirectoryError("The database is away.")
        return live(tenant)

    monkeypatch.setattr(shop.log, "live_index", sometimes)
    watching = asyncio.create_task(shop.keeper.watch("default"))
    async with asyncio.timeout(20):
        while not shop.keeper._shops:
            await asyncio.sleep(0.01)
    watching.cancel()
    assert shop.title() == "Film"

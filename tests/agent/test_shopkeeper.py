"""The live catalogue is opened, moved over, and kept when the next one cannot be opened."""

import asyncio
import json
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from small_shop import HashingEncoder, read_films
from talking import PLAIN, Talk

from agent import shopkeeper
from agent.conversation import Conversations
from agent.datadir import DataDirectory
from agent.health import PartsHealth
from agent.llm.off import NoEngine
from agent.log.store import EventLog
from agent.messages import messages
from agent.services import PartHealth
from agent.settings import Settings
from agent.shopkeeper import DEMO_SOURCE, ShopKeeper
from agent.support.knowledge.store import DEMO, import_articles
from retrieval.errors import DataDirectoryError, IndexUnavailable
from retrieval.index import build_index, prune
from retrieval.items import Item
from retrieval.query import Query, WeightedText
from retrieval.vectors import EMBEDDED, VectorStores
from tests.chroma_process import ChromaProcess

ENCODER = HashingEncoder()


class Fixture:
    """A data directory with its log, and a way to index a catalogue of one item."""

    def __init__(self, root: Path, stores: VectorStores = EMBEDDED) -> None:
        self.data = DataDirectory(root)
        self.data.create()
        self.log = EventLog.open(None, root)
        self.stores = stores
        self.keeper = ShopKeeper(self.data, self.log, ENCODER, "The Demo", stores=stores)

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


def help_folder(path: Path, text: str = "Thirty days.") -> Path:
    path.mkdir(exist_ok=True)
    (path / "a.md").write_text(f"# Returns\n\n{text}\n", encoding="utf-8")
    return path


def test_the_demos_articles_go_with_the_demos_catalogue(shop: Fixture, tmp_path: Path) -> None:
    shop.index("Film", source=DEMO_SOURCE)
    import_articles(help_folder(tmp_path / "help"), shop.data.articles("default"), ENCODER, source=DEMO)
    shop.keeper.refresh("default")
    first = shop.keeper.current("default")
    assert first.articles is not None
    shop.index("Lamp")
    shop.keeper.refresh("default")
    assert shop.keeper.current("default").articles is None
    first.close()


def test_new_articles_are_taken_over_beside_the_same_catalogue(
    shop: Fixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, folder = shop.data.articles("default"), tmp_path / "help"
    shop.index("Lamp")
    shop.keeper.refresh("default")
    before = shop.keeper.current("default")
    assert before.articles is None
    import_articles(help_folder(folder), root, ENCODER)
    shop.keeper.refresh("default")
    first = shop.keeper.current("default")
    assert first.retriever is before.retriever
    assert first.articles is not None
    assert [passage.quote for passage in first.articles.answer("Returns: thirty days?")] == ["Thirty days."]
    import_articles(help_folder(folder, "Sixty days."), root, ENCODER)
    shop.keeper.refresh("default")
    second = shop.keeper.current("default").articles
    assert second is not None
    assert [passage.quote for passage in second.answer("Returns: sixty days?")] == ["Sixty days."]
    assert first.articles.answer("Returns: thirty days?")  # a turn that is still under way
    shop.index("Lamp 2")
    shop.keeper.refresh("default")
    assert shop.keeper.current("default").articles is second  # another catalogue, the same articles
    first.close()
    second.close()


def test_articles_that_cannot_be_opened_leave_those_before(shop: Fixture, tmp_path: Path) -> None:
    root = shop.data.articles("default")
    shop.index("Lamp")
    import_articles(help_folder(tmp_path / "help"), root, ENCODER)
    shop.keeper.refresh("default")
    before = shop.keeper.current("default").articles
    made = import_articles(help_folder(tmp_path / "help", "Sixty days."), root, ENCODER).folder
    assert made is not None
    (made / "items.jsonl.gz").write_bytes(b"")
    shop.keeper.refresh("default")
    assert shop.keeper.current("default").articles is before is not None
    before.close()


def test_beside_the_server_no_chroma_store_is_opened(shop: Fixture, tmp_path: Path) -> None:
    folder = shop.index("Film")
    articles = import_articles(help_folder(tmp_path / "help"), shop.data.articles("default"), ENCODER).folder
    assert articles is not None
    for store in (folder, articles):
        shutil.rmtree(store / "chroma")
    keeper = ShopKeeper(shop.data, shop.log, ENCODER, stores=None)
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
    async with asyncio.timeout(120):
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
    async with asyncio.timeout(120):
        while not shop.keeper._shops:
            await asyncio.sleep(0.01)
    watching.cancel()
    assert shop.title() == "Film"


@pytest.fixture(scope="module")
def chroma(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChromaProcess]:
    with ChromaProcess(tmp_path_factory.mktemp("chroma")) as server:
        yield server


@pytest.fixture(params=["embedded", "server"])
def stores(request: pytest.FixtureRequest) -> VectorStores:
    server: VectorStores = EMBEDDED if request.param == "embedded" else request.getfixturevalue("chroma").stores
    return server


def index_films(shop: Fixture, articles: Path, mark: str) -> str:
    """The films with `mark` in their ids, and articles, live; older ones are pruned as `chatalogue index` does it."""
    films = [Item(f"{mark}:{film.id}", film.title, film.text, film.attributes) for film in read_films()]
    root = shop.data.index("default")
    folder = build_index(films, root, ENCODER, stores=shop.stores)
    import_articles(
        help_folder(articles, f"Thirty days, says rule {mark}."),
        shop.data.articles("default"),
        ENCODER,
        stores=shop.stores,
    )
    shop.log.activate_index("default", folder.name)
    prune(root, 2, shop.stores)
    return folder.name


def test_queries_run_on_while_indexes_go_live_one_after_another(
    tmp_path: Path, stores: VectorStores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrieval.chroma_server.QUERY_SECONDS", 30.0)  # this is about moving over, not about waiting
    monkeypatch.setattr("retrieval.chroma_server.OPEN_SECONDS", 60.0)
    shop = Fixture(tmp_path / "var", stores)
    articles = tmp_path / "help"
    index_films(shop, articles, "0")
    shop.keeper.refresh("default")
    opened = [shop.keeper.current("default")]
    stop, query = threading.Event(), Query((WeightedText("a ship in space"),), k=20)
    said: list[list[str]] = [[] for _ in range(4)]  # the marks of all answers of each thread, in order

    def ask(marks: list[str]) -> None:
        while not stop.is_set():
            now = shop.keeper.current("default")
            found = now.retriever.search(query)
            assert not found.degraded
            assert len(found.candidates) == 20
            (mark,) = {one.item_id.partition(":")[0] for one in found.candidates}
            marks.append(mark)
            assert now.articles is not None
            now.articles.answer("Returns: thirty days?")
            assert now.problem == ""
            time.sleep(0.002)

    def until_all_hear(mark: str) -> None:
        while not all(marks and marks[-1] == mark for marks in said) and not any(one.done() for one in asking):
            time.sleep(0.01)

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask, marks) for marks in said]
        try:
            until_all_hear("0")
            for mark in "123":  # the first index is pruned while it is open
                index_films(shop, articles, mark)
                shop.keeper.refresh("default")
                opened.append(shop.keeper.current("default"))
                assert opened[-1] is not opened[-2]
            old = opened[0].retriever.search(query)  # a turn that is still under way on the one deleted long ago
            assert (old.degraded, len(old.candidates)) == (False, 20)
            until_all_hear("3")
        finally:
            stop.set()
        for one in asking:
            one.result(120)
        for marks in said:
            assert marks == sorted(marks)
            assert marks[0] == "0"
            assert marks[-1] == "3"
    for one in opened:
        one.close()
    shop.log.close()


async def test_with_chroma_gone_the_chat_goes_on_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retrieval.chroma_server.RETRY_SECONDS", 0.1)
    monkeypatch.setattr("retrieval.chroma_server.QUERY_SECONDS", 30.0)  # one that is there may take its time
    monkeypatch.setattr("retrieval.chroma_server.OPEN_SECONDS", 60.0)
    articles = tmp_path / "help"
    with ChromaProcess(tmp_path / "chroma") as chroma:
        shop = Fixture(tmp_path / "var", chroma.stores)
        index_films(shop, articles, "0")
        shop.keeper.refresh("default")
        health = PartsHealth("default", shop.keeper, shop.log, NoEngine())
        talk = Talk(Conversations(Settings(**PLAIN), shop.log, shop.keeper, NoEngine()), shop.log)
        told = messages("en").text("reply.search_degraded")
        before = await talk.say("something about a ship in space")
        assert (told in before.reply, (await health.check())[0]) == (False, PartHealth("index", "ok"))
        chroma.kill()
        gone = await talk.say("start over: something about a ship in space")
        assert told in gone.reply
        assert gone.answer.degraded
        assert gone.ids
        index = (await health.check())[0]
        assert (index.state, chroma.url in index.detail) == ("degraded", True)

        # A server of ours that starts now serves, too: what the folder holds is enough.
        late = ShopKeeper(shop.data, shop.log, ENCODER, stores=chroma.stores)
        late.refresh("default")
        assert "cannot be reached" in late.current("default").problem
        late.current("default").close()

        chroma.start()
        async with asyncio.timeout(120):
            while (await health.check())[0].state != "ok":
                await asyncio.sleep(0.05)
        back = await talk.say("show me more")
        assert told not in back.reply
        shop.keeper.current("default").close()
        shop.log.close()

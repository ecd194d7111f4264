"""Vectors on a real Chroma server: built, killed, hung, emptied, refused, deleted; searches go on through all of it."""

from __future__ import annotations

import http.client
import http.server
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from retrieval_doubles import HashingEncoder, made_up_films, shop_items

import retrieval.chroma_server
from retrieval.chroma_server import QUERY_SECONDS, ServerStores
from retrieval.errors import IndexUnavailable, SettingsError
from retrieval.index import build_index, open_index, prune, prune_others, remove
from retrieval.query import Query, WeightedText
from retrieval.search import Retriever, SearchResult
from retrieval.vectors import DOOMED_FILE, SERVER_NAME_FILE
from tests.chroma_process import ChromaProcess
from tests.ports import free_port

ENCODER = HashingEncoder()
WHALES = Query((WeightedText("whales"),))
DEADLINE = 60.0


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[ChromaProcess]:
    """A server that a test may harm."""
    with ChromaProcess(tmp_path / "chroma") as server:
        yield server


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks often whether a server is back; one that is there may take its time, as on a machine that pauses."""
    monkeypatch.setattr(retrieval.chroma_server, "RETRY_SECONDS", 0.1)
    monkeypatch.setattr(retrieval.chroma_server, "QUERY_SECONDS", DEADLINE)
    monkeypatch.setattr(retrieval.chroma_server, "OPEN_SECONDS", DEADLINE)


@contextmanager
def serving(folder: Path, stores: ServerStores) -> Iterator[Retriever]:
    retriever = open_index(folder, ENCODER, stores=stores)
    try:
        yield retriever
    finally:
        retriever.close()


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def ids(result: SearchResult) -> list[str]:
    return [one.item_id for one in result.candidates]


def name_of(folder: Path) -> str:
    return (folder / SERVER_NAME_FILE).read_text(encoding="utf-8").strip()


def test_each_index_is_a_collection_of_its_tenant_and_kind(chroma: ChromaProcess, tmp_path: Path) -> None:
    made = [
        build_index(shop_items(), tmp_path / data / kind / "acme", ENCODER, stores=chroma.stores)
        for data in ("var", "var2")
        for kind in ("index", "articles")
        for _ in range(2)
    ]
    names = [name_of(folder) for folder in made]
    assert len(set(names)) == 8
    assert all(name.startswith(f"acme-{f.parents[1].name}-{f.name}-") for name, f in zip(names, made, strict=True))
    rows = chroma.collections()
    assert [rows[name] for name in names] == [6] * 8
    assert not any((folder / "chroma").exists() for folder in made)


def test_a_batch_beyond_what_the_server_takes_is_divided(chroma: ChromaProcess, tmp_path: Path) -> None:
    vectors = np.eye(4, dtype=np.float32)[np.arange(6_000) % 4]  # chroma run takes 5,461 rows a call
    writer = chroma.stores.create(tmp_path)
    writer.add([str(row) for row in range(6_000)], [""] * 6_000, vectors)
    writer.close()
    assert chroma.collections()[name_of(tmp_path)] == 6_000


def test_a_server_that_is_killed_and_comes_back(mortal: ChromaProcess, tmp_path: Path) -> None:
    folder = build_index(shop_items(), tmp_path / "index", ENCODER, stores=mortal.stores)
    with serving(folder, mortal.stores) as retriever:
        whole = retriever.search(WHALES)
        assert (whole.degraded, retriever.problem) == (False, "")
        mortal.kill()
        gone = retriever.search(WHALES)
        assert gone.degraded
        assert ids(gone) == ids(whole)
        assert "cannot be reached" in retriever.problem
        assert mortal.url in retriever.problem
        mortal.start()
        until(lambda: not retriever.problem)
        assert retriever.search(WHALES) == whole


def test_a_server_that_hangs_costs_one_wait_and_no_more(
    mortal: ChromaProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrieval.chroma_server, "QUERY_SECONDS", QUERY_SECONDS)
    folder = build_index(shop_items(), tmp_path / "index", ENCODER, stores=mortal.stores)
    with serving(folder, mortal.stores) as retriever:
        until(lambda: not retriever.search(WHALES).degraded)
        whole = retriever.search(WHALES)
        mortal.hang()
        started = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _: retriever.search(WHALES), range(200)))
        # Eight may be on their way together and wait a second. The bound of writing is 30 s, one wait each 25 s.
        assert time.monotonic() - started < 20
        assert all(one.degraded and ids(one) == ids(whole) for one in found)
        assert "does not answer in time" in retriever.problem
        mortal.go_on()
        until(lambda: not retriever.search(WHALES).degraded)
        assert not retriever.problem


def test_a_server_that_lost_its_data_is_filled_again(mortal: ChromaProcess, tmp_path: Path) -> None:
    folder = build_index(made_up_films(1_200), tmp_path / "index", ENCODER, stores=mortal.stores)
    with serving(folder, mortal.stores) as retriever:
        probe = retriever.vector_of("m7")
        before = retriever.dense.nearest(probe, k=20, id_rank=retriever.table.id_rank)
        mortal.kill()
        assert retriever.search(WHALES).degraded
        mortal.start(tmp_path / "empty")
        until(lambda: not retriever.problem)
        assert mortal.collections() == {name_of(folder): 1_200}
        assert retriever.dense.nearest(probe, k=20, id_rank=retriever.table.id_rank) == before
        assert not retriever.search(WHALES).degraded


def test_while_it_is_filled_the_operator_hears_so(
    chroma: ChromaProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrieval.chroma_server, "OPEN_SECONDS", 0.3)
    may_write = threading.Event()
    write = retrieval.chroma_server._Link.write

    def slow(*args: object) -> None:
        assert may_write.wait(DEADLINE)
        write(*args)  # type: ignore[arg-type]

    folder = build_index(shop_items(), tmp_path, ENCODER)  # embedded: moving to a server needs no new index
    monkeypatch.setattr(retrieval.chroma_server._Link, "write", slow)
    with serving(folder, chroma.stores) as retriever:
        until(lambda: "lacks vectors" in retriever.problem)
        assert "chatalogue index FILE" in retriever.problem
        assert retriever.search(WHALES).degraded
        may_write.set()
        until(lambda: not retriever.problem)
        assert chroma.collections()[name_of(folder)] == 6


def test_back_to_the_embedded_store_says_what_to_do(chroma: ChromaProcess, tmp_path: Path) -> None:
    folder = build_index(shop_items(), tmp_path, ENCODER, stores=chroma.stores)
    with pytest.raises(IndexUnavailable, match=r"on a Chroma server: set CHATALOGUE_RETRIEVAL__CHROMA_URL"):
        open_index(folder, ENCODER)
    exact = open_index(folder, ENCODER, stores=None)
    assert not exact.search(WHALES).degraded
    exact.close()


def test_without_a_server_what_is_there_serves_and_nothing_is_built(chroma: ChromaProcess, tmp_path: Path) -> None:
    folder = build_index(shop_items(), tmp_path, ENCODER, stores=chroma.stores)
    nobody = ServerStores(f"http://127.0.0.1:{free_port()}")
    started = time.monotonic()
    with serving(folder, nobody) as retriever:
        assert time.monotonic() - started < DEADLINE  # a refusal is not waited for
        assert "cannot be reached" in retriever.problem
        found = retriever.search(WHALES)
        assert found.degraded
        assert ids(found)[:2] == ["e", "a"]
    embedded = len(ENCODER.asked)
    with pytest.raises(IndexUnavailable, match=r"cannot be reached .* start it, or correct CHATALOGUE_RETRIEVAL__"):
        build_index(made_up_films(50), tmp_path, ENCODER, stores=nobody)
    assert len(ENCODER.asked) == embedded  # said before anything was embedded
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["000001"]


@pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://chroma:8000", "http://"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(SettingsError, match="http://host:port"):
        ServerStores(url)


def test_a_password_in_the_address_is_not_shown() -> None:
    assert str(ServerStores("https://me:secret@chroma:8000/path")) == "https://chroma:8000"


class _Door(http.server.BaseHTTPRequestHandler):
    """Lets those through to Chroma who know the token; to others it answers as some web server."""

    protocol_version = "HTTP/1.1"
    target = 0

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Authorization") != "Bearer open sesame":
            self.reply(401, b"<html>who are you?</html>")
            return
        link = http.client.HTTPConnection("127.0.0.1", self.target, timeout=10)
        link.request(self.command, self.path, body, {"Content-Type": "application/json"})
        response = link.getresponse()
        self.reply(response.status, response.read())
        link.close()

    do_GET = do_POST = do_DELETE = do_PUT = answer

    def reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class _Other(_Door):
    """A web server that is no Chroma."""

    def answer(self) -> None:
        self.reply(404, b"<html>no such page</html>")

    do_GET = do_POST = do_DELETE = do_PUT = answer


@contextmanager
def listening(handler: type[_Door], target: int) -> Iterator[str]:
    kind = type("Handler", (handler,), {"target": target})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_the_token_opens_the_door_and_a_wrong_one_is_one_sentence(chroma: ChromaProcess, tmp_path: Path) -> None:
    with listening(_Door, chroma.port) as url:
        right = ServerStores(url + "/", "open sesame")
        folder = build_index(shop_items(), tmp_path, ENCODER, stores=right)
        with serving(folder, right) as retriever:
            assert (retriever.problem, retriever.search(WHALES).degraded) == ("", False)
        with serving(folder, ServerStores(url, "wrong")) as retriever:
            assert "refuses the token: set CHATALOGUE_RETRIEVAL__CHROMA_TOKEN" in retriever.problem
            assert ids(retriever.search(WHALES))[:2] == ["e", "a"]
        with pytest.raises(IndexUnavailable, match="refuses the token"):
            build_index(shop_items(), tmp_path, ENCODER, stores=ServerStores(url))


def test_another_program_at_the_address_is_one_sentence(tmp_path: Path) -> None:
    with listening(_Other, 0) as url, pytest.raises(IndexUnavailable, match="is no Chroma server of version 1"):
        ServerStores(url).version()


def test_the_version_is_told(chroma: ChromaProcess) -> None:
    assert chroma.stores.version().startswith("1.")


KILLED = """
import sys, time
sys.path[:0] = [{tests!r}]
import retrieval.index
from pathlib import Path
from retrieval.chroma_server import ServerStores
from retrieval_doubles import HashingEncoder, made_up_films

retrieval.index.BATCH_ITEMS = 10
def report(stage, done, total):
    print(done, flush=True)
    if done >= 50:
        time.sleep(600)  # it is killed here
retrieval.index.build_index(made_up_films(400), Path({root!r}), HashingEncoder(), progress=report,
                            stores=ServerStores({url!r}))
"""


def test_a_killed_build_is_never_live_and_its_collection_goes_with_the_next(
    chroma: ChromaProcess, tmp_path: Path
) -> None:
    root = tmp_path / "index"
    live = build_index(shop_items(), root, ENCODER, stores=chroma.stores)
    script = KILLED.format(tests=str(Path(__file__).parent), root=str(root), url=chroma.url)
    with subprocess.Popen(  # noqa: S603 - our own script
        [sys.executable, "-c", script], cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= 50:
                break
        process.send_signal(signal.SIGKILL)
        process.wait()
    half = name_of(root / "000002")
    assert 0 < chroma.collections()[half] < 400
    with pytest.raises(IndexUnavailable, match="no complete index"):
        open_index(root / "000002", ENCODER, stores=chroma.stores)
    folder = build_index(shop_items()[:3], root, ENCODER, stores=chroma.stores)
    assert folder == root / "000002"
    rows = chroma.collections()
    assert half not in rows
    assert (rows[name_of(live)], rows[name_of(folder)]) == (6, 3)
    assert not (root / DOOMED_FILE).exists()


def test_a_build_that_fails_leaves_no_collection(chroma: ChromaProcess, tmp_path: Path) -> None:
    before = set(chroma.collections())
    with pytest.raises(Exception, match="occurs twice"):
        build_index([*shop_items(), *shop_items()], tmp_path, ENCODER, stores=chroma.stores)
    assert set(chroma.collections()) == before


def test_pruned_indexes_take_their_collections_along(chroma: ChromaProcess, tmp_path: Path) -> None:
    root = tmp_path / "index"
    folders = [build_index(shop_items(), root, ENCODER, source=s, stores=chroma.stores) for s in "abcd"]
    names = [name_of(folder) for folder in folders]
    prune(root, 3, chroma.stores)
    assert [name in chroma.collections() for name in names] == [False, True, True, True]
    prune_others(root, ["c", "d"], chroma.stores)
    assert [name in chroma.collections() for name in names] == [False, False, True, True]
    remove(folders[2], chroma.stores)
    assert [name in chroma.collections() for name in names] == [False, False, False, True]


@pytest.mark.parametrize("away", ["gone", "switched off"])
def test_what_cannot_be_deleted_now_is_deleted_later(mortal: ChromaProcess, tmp_path: Path, away: str) -> None:
    root = tmp_path / "index"
    folders = [build_index(shop_items(), root, ENCODER, stores=mortal.stores) for _ in range(2)]
    name = name_of(folders[0])
    if away == "gone":
        mortal.kill()
        prune(root, 1, mortal.stores)
        mortal.start()
    else:
        prune(root, 1)
    assert not folders[0].exists()
    assert name in mortal.collections()
    newest = build_index(shop_items(), root, ENCODER, stores=mortal.stores)
    assert set(mortal.collections()) == {name_of(folders[1]), name_of(newest)}


def test_an_index_that_is_deleted_while_it_is_open_answers_on_and_stays_deleted(
    chroma: ChromaProcess, tmp_path: Path
) -> None:
    folder = build_index(shop_items(), tmp_path, ENCODER, stores=chroma.stores)
    name = name_of(folder)
    with serving(folder, chroma.stores) as retriever:
        whole = retriever.search(WHALES)
        remove(folder, chroma.stores)
        after = [retriever.search(WHALES) for _ in range(3)]
        assert after == [whole] * 3  # the scan, and nothing is degraded: nothing is wrong
        assert retriever.problem == ""
        assert not folder.exists()
    assert name not in chroma.collections()


def test_two_servers_of_ours_fill_one_collection_together(chroma: ChromaProcess, tmp_path: Path) -> None:
    """Replicas see the loss at the same time: rows are written again by id, never twice."""
    folder = build_index(made_up_films(600), tmp_path, ENCODER)
    with ThreadPoolExecutor(2) as pool:
        opened = list(pool.map(lambda _: open_index(folder, ENCODER, stores=chroma.stores), range(2)))
    until(lambda: not any(one.problem for one in opened))
    assert chroma.collections()[name_of(folder)] == 600
    for one in opened:
        assert len(one.search(WHALES).candidates) == 200
        one.close()


def test_a_copied_data_directory_has_collections_of_its_own(chroma: ChromaProcess, tmp_path: Path) -> None:
    first, copy = tmp_path / "var", tmp_path / "copy"
    build_index(shop_items(), first, ENCODER, stores=chroma.stores)
    shutil.copytree(first, copy)
    ours, theirs = (build_index(shop_items(), root, ENCODER, stores=chroma.stores) for root in (first, copy))
    assert ours.name == theirs.name
    prune(copy, 1, chroma.stores)
    rows = chroma.collections()
    assert (rows[name_of(ours)], rows[name_of(theirs)]) == (6, 6)
    with serving(first / "000001", chroma.stores) as retriever:  # the one that they shared heals
        until(lambda: not retriever.problem)
        assert not retriever.search(WHALES).degraded

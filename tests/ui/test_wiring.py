"""A catalogue and its help articles go live, grow old and fail together."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from agent.datadir import DataDirectory
from agent.llm.off import NoEngine
from agent.log.store import EventLog
from agent.settings import Settings
from agent.shopkeeper import ShopKeeper
from agent.support.articles import articles_of
from retrieval.encoder import FloatArray
from retrieval.errors import CatalogueError, DataDirectoryError
from retrieval.items import Item
from ui.wiring import KEPT_INDEXES, Parts, index_items

FILMS = [Item("i", "Film", "A text.")]


class LengthEncoder:
    """Vectors by the number of letters; counts what it embeds."""

    name = "length"
    dim = 8

    def __init__(self) -> None:
        self.embedded: list[str] = []

    def encode(self, texts: Sequence[str]) -> FloatArray:
        self.embedded += texts
        angles = np.array([[len(text) * (column + 1) % 7 + 1.0 for column in range(self.dim)] for text in texts])
        unit: FloatArray = (angles / np.linalg.norm(angles, axis=1, keepdims=True)).astype(np.float32)
        return unit


@pytest.fixture
def encoder() -> LengthEncoder:
    return LengthEncoder()


@pytest.fixture
def parts(tmp_path: Path, encoder: LengthEncoder) -> Iterator[Parts]:
    root = tmp_path / "var"
    data = DataDirectory(root)
    data.create()
    log = EventLog.open(None, root)
    settings = Settings().model_copy(update={"data_dir": root})
    yield Parts(settings, data, log, encoder, ShopKeeper(data, log, encoder, stores=None), NoEngine())
    log.close()


@pytest.fixture
def help_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "help"
    folder.mkdir()
    (folder / "returns.md").write_text("# Returns\n\nThirty days.\n", encoding="utf-8")
    (folder / "paying.md").write_text("# Paying\n\nBy invoice alone.\n", encoding="utf-8")
    return folder


def folders(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir() if path.is_dir()) if root.is_dir() else []


def live_articles(parts: Parts) -> int:
    """How many sections of help the live shop has."""
    parts.shops.refresh("default")
    shop = parts.shops.current("default")
    return 0 if shop.articles is None else len(shop.articles._retriever.table)


def test_only_articles_that_changed_are_embedded_again(parts: Parts, encoder: LengthEncoder, help_folder: Path) -> None:
    index_items(parts, FILMS, "films", help_folder)
    assert len(encoder.embedded) == 3
    (help_folder / "paying.md").write_text("# Paying\n\nBy card.\n", encoding="utf-8")
    encoder.embedded.clear()
    index_items(parts, FILMS, "films", help_folder)
    assert len(encoder.embedded) == 1
    assert "By card." in encoder.embedded[0]


def test_without_articles_a_catalogue_has_none(parts: Parts, help_folder: Path) -> None:
    index_items(parts, FILMS, "demo", help_folder)
    assert live_articles(parts) == 2
    index_items(parts, FILMS, "films", None)
    assert live_articles(parts) == 0


def test_articles_are_deleted_with_their_index(parts: Parts, help_folder: Path) -> None:
    root = parts.data.articles("default")
    first = index_items(parts, FILMS, "films", help_folder)
    (help_folder / "paying.md").unlink()
    second = index_items(parts, FILMS, "films", help_folder)
    assert (articles_of(first, root), articles_of(second, root)) == (root / "000001", root / "000002")
    third = index_items(parts, FILMS, "films", help_folder)
    assert folders(root) == ["000002", "000003"]
    assert folders(parts.data.index("default")) == [second, third]
    for _ in range(KEPT_INDEXES):
        index_items(parts, FILMS, "films", None)
    assert folders(root) == []
    assert not (root / "embeddings.sqlite").exists()  # nor anything that was made of their words


def test_an_article_that_is_wrong_is_said_before_anything_is_embedded(
    parts: Parts, encoder: LengthEncoder, help_folder: Path
) -> None:
    (help_folder / "odd.md").write_text("No title.", encoding="utf-8")
    with pytest.raises(CatalogueError, match=r"odd\.md"):
        index_items(parts, FILMS, "films", help_folder)
    assert encoder.embedded == []
    assert folders(parts.data.index("default")) == []


@pytest.mark.parametrize("step", ["articles", "activation"])
def test_half_a_pair_is_removed_and_a_whole_one_stays(
    parts: Parts, encoder: LengthEncoder, help_folder: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """An activation that fails may have been stored all the same: what it names must not be deleted."""
    before = index_items(parts, FILMS, "films", help_folder)

    def fail(*texts: object) -> FloatArray:
        raise DataDirectoryError("The disk is full.")

    new = [Item("j", "Other", "Another text.")]
    if step == "articles":
        monkeypatch.setattr("ui.wiring.index_articles", lambda *args, **named: fail())
    else:
        monkeypatch.setattr(parts.log, "activate_index", fail)
    with pytest.raises(DataDirectoryError, match="is full"):
        index_items(parts, new, "films", help_folder)
    left = [before] if step == "articles" else [before, "000002"]
    assert folders(parts.data.index("default")) == left
    assert folders(parts.data.articles("default")) == left
    assert parts.log.live_index("default") == before


def test_the_source_of_a_catalogue_is_kept(parts: Parts) -> None:
    name = index_items(parts, iter(FILMS), "films.csv", None)
    manifest = json.loads((parts.data.index("default") / name / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["source"] == "films.csv"

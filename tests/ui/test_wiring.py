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
from agent.support.knowledge.store import articles_for
from retrieval.demo import demo_articles_dir
from retrieval.encoder import FloatArray
from retrieval.errors import CatalogueError, DataDirectoryError
from retrieval.index import build_index, remove
from retrieval.items import Item
from ui.wiring import Parts, bring_articles, ensure_catalogue, index_items

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
    return 0 if shop.articles is None else len(shop.articles.chunks)


def test_only_articles_that_changed_are_embedded_again(parts: Parts, encoder: LengthEncoder, help_folder: Path) -> None:
    index_items(parts, FILMS, "films", help_folder)
    assert len(encoder.embedded) == 3
    (help_folder / "paying.md").write_text("# Paying\n\nBy card.\n", encoding="utf-8")
    encoder.embedded.clear()
    index_items(parts, FILMS, "films", help_folder)
    assert len(encoder.embedded) == 1
    assert "By card." in encoder.embedded[0]


def test_the_demos_articles_go_when_another_catalogue_comes(parts: Parts, help_folder: Path) -> None:
    index_items(parts, FILMS, "demo", help_folder)
    assert live_articles(parts) == 2
    index_items(parts, FILMS, "films", None)
    assert live_articles(parts) == 0
    root = parts.data.articles("default")
    assert folders(root) == []
    assert not (root / "embeddings.sqlite").exists()  # nor anything that was made of their words


def test_a_teams_own_articles_outlive_its_catalogue(parts: Parts, help_folder: Path) -> None:
    index_items(parts, FILMS, "films", help_folder)
    index_items(parts, FILMS, "films", None)
    assert live_articles(parts) == 2
    (help_folder / "paying.md").unlink()
    index_items(parts, FILMS, "films", help_folder)
    assert live_articles(parts) == 1
    root = parts.data.articles("default")
    assert [root / name for name in folders(root)] == [articles_for(root, demo=False)]


def test_the_demos_articles_do_not_take_the_place_of_a_teams_own(parts: Parts, help_folder: Path) -> None:
    bring_articles(parts, help_folder)
    index_items(parts, FILMS, "demo", demo_articles_dir())
    assert live_articles(parts) == 2


def earlier_version(parts: Parts, help_folder: Path, source: str) -> Path:
    """A catalogue and articles as an earlier version stored them; the articles' folder."""
    live = index_items(parts, FILMS, source, help_folder)
    root = parts.data.articles("default")
    (made,) = (root / name for name in folders(root))
    sections = [
        Item("paying#1", "Paying", "By invoice alone.", {"article": "Paying", "updated": ""}),
        Item("returns#1", "Returns", "Thirty days.", {"article": "Returns", "updated": ""}),
    ]
    remove(made)
    return build_index(sections, root, parts.encoder, source=live)


def test_own_articles_of_an_earlier_version_stay(parts: Parts, help_folder: Path) -> None:
    made = earlier_version(parts, help_folder, "films")
    ensure_catalogue(parts)
    assert live_articles(parts) == 2
    index_items(parts, FILMS, "films", None)
    assert live_articles(parts) == 2
    assert folders(made.parent) == [made.name]


def test_an_import_replaces_the_articles_of_an_earlier_version(parts: Parts, help_folder: Path) -> None:
    made = earlier_version(parts, help_folder, "films")
    (help_folder / "paying.md").write_text("No title any more.", encoding="utf-8")
    (help_folder / "returns.md").write_text("# Returns\n\nSixty days.\n", encoding="utf-8")
    dry = bring_articles(parts, help_folder, dry_run=True)
    assert (dry.changed, dry.removed, dry.kept) == (("returns.md",), (), ("paying.md",))
    assert folders(made.parent) == [made.name]
    assert live_articles(parts) == 2
    index_items(parts, FILMS, "films", help_folder)
    assert folders(made.parent) == [articles_for(made.parent, demo=False).name]  # type: ignore[union-attr]
    parts.shops.refresh("default")
    articles = parts.shops.current("default").articles
    assert articles is not None
    assert {chunk.text for chunk in articles.chunks} == {"By invoice alone.", "Sixty days."}


def test_the_demos_articles_of_an_earlier_version_are_made_anew(parts: Parts, help_folder: Path) -> None:
    made = earlier_version(parts, help_folder, "demo")
    ensure_catalogue(parts)
    assert live_articles(parts) > 30
    assert articles_for(made.parent, demo=False) is None
    assert articles_for(made.parent, demo=True) != made
    assert len(folders(made.parent)) == 1


def test_an_article_that_cannot_be_read_is_said_and_the_others_go_live(
    parts: Parts, help_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (help_folder / "odd.md").write_text("No title.", encoding="utf-8")
    index_items(parts, FILMS, "films", help_folder)
    assert live_articles(parts) == 2
    assert "'odd.md' was left out: it has no title" in capsys.readouterr().err


def test_a_folder_without_articles_is_said_before_anything_is_embedded(
    parts: Parts, encoder: LengthEncoder, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CatalogueError, match="no articles in"):
        index_items(parts, FILMS, "films", tmp_path / "empty")
    assert encoder.embedded == []
    assert folders(parts.data.index("default")) == []


@pytest.mark.parametrize("step", ["articles", "activation"])
def test_what_fails_leaves_the_catalogue_that_was_live(
    parts: Parts, help_folder: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """An activation that fails may have been stored all the same: what it names must not be deleted."""
    before = index_items(parts, FILMS, "films", help_folder)

    def fail(*texts: object, **named: object) -> None:
        raise DataDirectoryError("The disk is full.")

    new = [Item("j", "Other", "Another text.")]
    if step == "articles":
        monkeypatch.setattr("ui.wiring.import_articles", fail)
    else:
        monkeypatch.setattr(parts.log, "activate_index", fail)
    with pytest.raises(DataDirectoryError, match="is full"):
        index_items(parts, new, "films", help_folder)
    left = [before] if step == "articles" else [before, "000002"]
    assert folders(parts.data.index("default")) == left
    assert folders(parts.data.articles("default")) == ["000001"]
    assert parts.log.live_index("default") == before


def test_the_source_of_a_catalogue_is_kept(parts: Parts) -> None:
    name = index_items(parts, iter(FILMS), "films.csv", None)
    manifest = json.loads((parts.data.index("default") / name / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["source"] == "films.csv"

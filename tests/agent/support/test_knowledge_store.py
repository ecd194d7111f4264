"""Articles come into the data directory and go out of it again: only what is new is embedded, what is gone is gone."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest
from small_shop import HashingEncoder

from agent.support.knowledge.search import HelpArticles
from agent.support.knowledge.store import DEMO, articles_for, import_articles
from retrieval.encoder import FloatArray
from retrieval.errors import CatalogueError


class CountingEncoder(HashingEncoder):
    """Remembers what it embedded."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def encode(self, texts: Sequence[str]) -> FloatArray:
        self.texts += texts
        return super().encode(texts)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "help"
    (folder / "deep").mkdir(parents=True)
    (folder / "bread.md").write_text("# Bread\n\nDaily bread.\n\n## Hours\n\nFrom six.\n", encoding="utf-8")
    (folder / "deep" / "cake.html").write_text("<title>Cake</title><p>Marzipan cake on Fridays.", encoding="utf-8")
    (folder / "faq.csv").write_text("question,answer\nRolls?,Yes.\nTarts?,Plum tarts.\n", encoding="utf-8")
    return folder


def test_an_import_says_what_it_changed(folder: Path, tmp_path: Path) -> None:
    encoder, root = CountingEncoder(), tmp_path / "index"
    first = import_articles(folder, root, encoder)
    rolls, tarts = sorted(one for one in first.added if one.startswith("faq.csv#"))
    assert set(first.added) == {"bread.md", "deep/cake.html", rolls, tarts}
    assert (first.changed, first.removed, first.unchanged, first.chunks) == ((), (), (), 5)
    assert len(encoder.texts) == 5

    encoder.texts.clear()
    again = import_articles(folder, root, encoder)
    assert (again.added, again.changed, again.removed, len(again.unchanged)) == ((), (), (), 4)
    assert again.folder == first.folder
    assert encoder.texts == []

    (folder / "bread.md").write_text("# Bread\n\nDaily bread.\n\n## Hours\n\nFrom seven.\n", encoding="utf-8")
    (folder / "deep" / "cake.html").unlink()
    (folder / "new.md").write_text("# New\n\nNews.\n", encoding="utf-8")
    dry = import_articles(folder, root, encoder, dry_run=True)
    assert (dry.added, dry.changed, dry.removed) == (("new.md",), ("bread.md",), ("deep/cake.html",))
    assert [one.name for one in root.iterdir() if one.is_dir()] == ["000001"]
    assert encoder.texts == []

    second = import_articles(folder, root, encoder)
    assert (second.added, second.changed, second.removed) == (dry.added, dry.changed, dry.removed)
    assert sorted(encoder.texts) == ["Bread: Hours\nFrom seven.", "New\nNews."]
    assert articles_for(root, demo=False) == second.folder


def test_what_was_removed_is_neither_found_nor_stored(folder: Path, tmp_path: Path) -> None:
    encoder, root = HashingEncoder(), tmp_path / "index"
    import_articles(folder, root, encoder)
    (folder / "deep" / "cake.html").unlink()
    made = import_articles(folder, root, encoder).folder
    assert made is not None
    desk = HelpArticles.open(made, encoder)
    assert all("Cake" not in chunk.title for chunk in desk.chunks)
    desk.close()
    assert [one.name for one in root.iterdir() if one.is_dir()] == [made.name]
    for file in root.rglob("*"):
        assert file.is_dir() or b"arzipan" not in file.read_bytes(), file
    with sqlite3.connect(root / "embeddings.sqlite") as cache:
        assert cache.execute("SELECT count(*) FROM vectors").fetchone() == (4,)
    cache.close()


def test_a_file_that_cannot_be_read_any_more_keeps_what_it_said(folder: Path, tmp_path: Path) -> None:
    root = tmp_path / "index"
    import_articles(folder, root, HashingEncoder())
    (folder / "faq.csv").write_text("frage,antwort\n", encoding="utf-8")
    changes = import_articles(folder, root, HashingEncoder())
    assert changes.kept == ("faq.csv",)
    assert [problem.file for problem in changes.problems] == ["faq.csv"]
    assert (changes.removed, len(changes.unchanged)) == ((), 4)


def test_a_folder_that_cannot_be_looked_into_keeps_what_it_said(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, look = tmp_path / "index", os.scandir

    def refuse(where: Path | str) -> object:
        if str(where) == closed:
            raise PermissionError(errno.EACCES, "Permission denied", str(where))
        return look(where)

    import_articles(folder, root, HashingEncoder())
    monkeypatch.setattr(os, "scandir", refuse)
    closed = str(folder / "deep")
    changes = import_articles(folder, root, HashingEncoder())
    assert (changes.removed, changes.kept, len(changes.unchanged)) == ((), ("deep/cake.html",), 4)
    (problem,) = changes.problems
    assert problem.sentence.startswith("The articles in 'deep/' were left out: it cannot be read (Permission denied)")
    closed = str(folder)
    with pytest.raises(CatalogueError, match="was not read: it cannot be read"):
        import_articles(folder, root, HashingEncoder())


def test_where_nothing_can_be_read_nothing_changes(folder: Path, tmp_path: Path) -> None:
    root, empty = tmp_path / "index", tmp_path / "empty"
    made = import_articles(folder, root, HashingEncoder()).folder
    empty.mkdir()
    with pytest.raises(CatalogueError, match="no articles in"):
        import_articles(empty, root, HashingEncoder())
    (tmp_path / "fresh").mkdir()
    (empty / "a.md").write_text("Nothing.", encoding="utf-8")
    with pytest.raises(CatalogueError, match="'a.md' was left out: it has no title"):
        import_articles(empty, tmp_path / "fresh", HashingEncoder())
    assert articles_for(root, demo=False) == made


def test_a_tenants_own_articles_come_before_the_demos(folder: Path, tmp_path: Path) -> None:
    root = tmp_path / "index"
    demo = import_articles(folder, root, HashingEncoder(), source=DEMO).folder
    assert (articles_for(root, demo=True), articles_for(root, demo=False)) == (demo, None)
    own = import_articles(folder, root, HashingEncoder())
    assert len(own.added) == 4
    assert articles_for(root, demo=True) == articles_for(root, demo=False) == own.folder


def test_another_encoder_makes_them_anew(folder: Path, tmp_path: Path) -> None:
    root, other = tmp_path / "index", CountingEncoder()
    first = import_articles(folder, root, HashingEncoder()).folder
    other.name = "other"
    again = import_articles(folder, root, other)
    assert not again.is_change
    assert again.folder != first
    assert len(other.texts) == 5

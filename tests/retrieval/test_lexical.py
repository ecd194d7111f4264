"""BM25: what counts as a word, what an index answers, what an empty or damaged one does."""

import logging
from pathlib import Path

import numpy as np
import pytest

from retrieval.errors import IndexUnavailable
from retrieval.lexical import LexicalBuilder, LexicalIndex, terms


def built(folder: Path, *documents: tuple[str, str]) -> LexicalIndex:
    builder = LexicalBuilder()
    for title, text in documents:
        builder.add(title, f"{title}\n{text}")
    builder.save(folder)
    return LexicalIndex.load(folder, len(documents))


def found(index: LexicalIndex, text: str, *, k: int = 10, allowed: list[bool] | None = None) -> list[int]:
    n = index.n_rows
    mask = np.ones(n, dtype=np.bool_) if allowed is None else np.array(allowed)
    return [row for row, _ in index.search(text, k=k, allowed=mask, id_rank=np.arange(n, dtype=np.int32))]


def test_terms() -> None:
    assert terms("The Whales of Zoë's Cities") == ["whale", "zoe", "city"]
    assert terms("glass bus does movies") == ["glass", "bus", "movy"]
    assert terms("movies") == terms("MOVIES")
    assert terms("") == terms("of the and") == []


def test_a_word_in_the_title_counts_more(tmp_path: Path) -> None:
    index = built(
        tmp_path / "w", ("Boats", "a whale and a captain"), ("Whale", "boats and a captain"), ("Cars", "roads")
    )
    assert found(index, "whales") == [1, 0]
    assert found(index, "captain") == [0, 1]  # equal scores: by id
    assert found(index, "captain", k=1, allowed=[False, True, True]) == [1]
    assert found(index, "submarine") == found(index, "") == found(index, "the of") == []


def test_chinese_markup_and_emoji(tmp_path: Path) -> None:
    index = built(tmp_path / "w", ("活着", "一部关于家庭的电影"), ("Lamp", "<b>warm</b> light"), ("🎬", "🎉"))
    assert found(index, "家庭电影") == [0]
    assert found(index, "warm") == [1]
    assert found(index, "b") == []
    assert found(index, "🎉") == []


@pytest.mark.parametrize("documents", [[("", "")], [("🎬", "..."), ("the", "of")]])
def test_a_catalogue_without_a_word(tmp_path: Path, documents: list[tuple[str, str]]) -> None:
    assert found(built(tmp_path / "w", *documents), "whale") == []


def test_no_pickle_on_disk_and_arrays_are_mapped(tmp_path: Path) -> None:
    index = built(tmp_path / "w", ("Whale", "boats"))
    assert {path.suffix for path in (tmp_path / "w").iterdir()} == {".npy", ".json"}
    assert isinstance(index._index.scores["data"], np.memmap)
    assert logging.getLogger("bm25s").level == logging.WARNING


def test_damage_is_one_sentence(tmp_path: Path) -> None:
    built(tmp_path / "w", ("Whale", "boats"))
    with pytest.raises(IndexUnavailable, match="1 documents, the catalogue 2 items"):
        LexicalIndex.load(tmp_path / "w", 2)
    (tmp_path / "w" / "data.csc.index.npy").write_bytes(b"junk")
    with pytest.raises(IndexUnavailable, match="chatalogue index"):
        LexicalIndex.load(tmp_path / "w", 1)
    with pytest.raises(IndexUnavailable, match="cannot be read"):
        LexicalIndex.load(tmp_path / "nowhere", 1)

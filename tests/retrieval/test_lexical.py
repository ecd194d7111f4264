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
    assert terms("Men's mens men women children boxes shoes") == ["man"] * 3 + ["woman", "child", "boxe", "shoe"]
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


def test_a_word_said_again_counts_more(tmp_path: Path) -> None:
    index = built(tmp_path / "w", ("X", "whale captain"), ("Y", "boat captain"), ("Z", "whale boat"))
    assert np.allclose(index.scores("the whale and the boat"), index._index.get_scores(["whale", "boat"]))
    once, twice = index.scores("whale boat"), index.scores("whale boat and the boats")
    assert once[0] == once[1] > 0
    assert twice[1] == pytest.approx(twice[0] * 2**0.5)
    assert twice[2] == pytest.approx(twice[0] + twice[1])


def test_rarity_is_counted_among_the_rows_that_may_be_chosen(tmp_path: Path) -> None:
    shoes = [("Runner", "shoe red"), ("Walker", "shoe blue"), ("Hiker", "shoe blue")]
    lamps = [(f"Lamp {number}", "light red") for number in range(9)]
    index = built(tmp_path / "w", *shoes, *lamps)
    assert found(index, "a red shoe or a blue shoe")[0] == 1  # among lamps "shoe" says a lot, "blue" even more
    allowed = np.array([True] * 3 + [False] * 9)
    alone = built(tmp_path / "alone", *shoes)
    for words in ("red", "blue shoe", "shoe shoe red"):
        here, there = index.scores(words, allowed)[:3], alone.scores(words)
        # The mean length of a document is that of the whole catalogue, so only the order of weights is the same.
        assert np.argsort(-here).tolist() == np.argsort(-there).tolist()
    assert found(index, "red shoe", allowed=allowed.tolist())[0] == 0
    everything = np.ones(12, dtype=np.bool_)
    assert np.array_equal(index.scores("red shoe", everything), index.scores("red shoe"))


@pytest.mark.parametrize("share", [1.0, 0.4, 0.01])
def test_search_gives_the_best_of_all_scores(tmp_path: Path, share: float) -> None:
    rng = np.random.default_rng(5)
    words = [f"w{number}" for number in range(300)]
    odds = 1 / np.arange(1, 301)  # as in any language: a few words are in most documents
    documents = [(f"t{n}", " ".join(rng.choice(words, rng.integers(3, 40), p=odds / odds.sum()))) for n in range(3_000)]
    index = built(tmp_path / "w", *documents)
    id_rank = rng.permutation(3_000).astype(np.int32)
    allowed = rng.random(3_000) < share
    for _ in range(60):
        text = " ".join(rng.choice(words, 9, p=odds / odds.sum()))
        scores = index.scores(text, None if share == 1 else allowed)
        for k in (1, 20, 5_000):
            rows = sorted(np.flatnonzero(allowed & (scores > 0)), key=lambda row: (-scores[row], id_rank[row]))[:k]
            expected = [(int(row), float(scores[row])) for row in rows]
            assert list(index.search(text, k=k, allowed=allowed, id_rank=id_rank)) == expected


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

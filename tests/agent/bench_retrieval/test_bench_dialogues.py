"""Files of a benchmark: read with tolerance, refused with the line that is wrong, written whole."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from agent.bench.retrieval.dialogues import (
    Like,
    Ranked,
    Said,
    read_items,
    read_likes,
    read_ranked,
    read_rows,
    write_ranked,
)
from retrieval.errors import BadRequest

ROW: dict[str, Any] = {
    "id": "r1",
    "dialogue_id": "d1",
    "turns": [{"role": "user", "text": "Hi"}, {"role": "assistant", "text": "Hello"}],
    "mentioned": ["a"],
    "targets": ["a", "b"],
    "response": "Try b.",
}


def write(file: Path, *rows: object) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def test_a_row_has_what_the_file_says(tmp_path: Path) -> None:
    (row,) = read_rows(write(tmp_path / "rows.jsonl", ROW))
    assert row.turns == (Said("user", "Hi"), Said("assistant", "Hello"))
    assert (row.id, row.dialogue_id, row.response, row.candidates) == ("r1", "d1", "Try b.", None)
    assert row.targets == ("a", "b")
    assert row.novel == ("b",), "a was mentioned before"


def test_missing_answers_unknown_keys_and_empty_lines_are_tolerated(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl.gz"
    bare = {"id": "r1", "turns": [], "later": 1, "candidates": []}
    file.write_bytes(gzip.compress(f"\n{json.dumps(bare)}\n\n".encode()))
    (row,) = read_rows(file)
    assert (row.dialogue_id, row.targets, row.response, row.candidates) == ("r1", (), "", ())


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "is not an object"),
        ('{"turns": []}', "needs 'id'"),
        ('{"id": 7, "turns": []}', "it has '7'"),
        ('{"id": "r1"}', 'needs "turns"'),
        ('{"id": "r1", "turns": ["Hi"]}', 'needs "turns"'),
        ('{"id": "r1", "turns": [], "targets": "a"}', "needs 'targets', a list of texts"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, said: str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(ROW) + "\n" + line + "\n", encoding="utf-8")
    with pytest.raises(BadRequest) as caught:
        read_rows(file)
    assert f"line 2 of {str(file)!r}" in str(caught.value)
    assert said in str(caught.value)


def test_a_file_that_is_missing_or_broken_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="There is no file"):
        read_rows(tmp_path / "none.jsonl")
    broken = tmp_path / "broken.jsonl.gz"
    broken.write_bytes(gzip.compress(b"x" * 1_000)[:20])
    with pytest.raises(BadRequest, match="cannot be read"):
        read_rows(broken)


def test_items_keep_their_attributes_and_get_a_name(tmp_path: Path) -> None:
    file = write(
        tmp_path / "items.jsonl",
        {"id": "a", "title": "Heat", "year": 1995, "text": "A film.", "attributes": {"genre": ["crime", " "], "x": []}},
        {"id": "b", "title": "", "year": None, "text": None},
    )
    heat, nameless = read_items(file)
    assert heat.attributes == {"genre": ("crime",), "year": 1995.0}
    assert (nameless.title, nameless.text, nameless.attributes) == ("b", "", {})


def test_likes(tmp_path: Path) -> None:
    file = write(tmp_path / "likes.jsonl", {"user": "u", "item": "a", "liked": True}, {"user": "u", "item": "b"})
    assert read_likes(file) == (Like("u", "a", True), Like("u", "b", False))


def test_lists_come_back_as_written_and_appear_whole(tmp_path: Path) -> None:
    file = tmp_path / "out.jsonl"
    lists = (Ranked("r1", ("b", "a"), 1.25), Ranked("r2", (), 0.5))
    write_ranked(file, lists)
    assert read_ranked(file) == lists

    def fails() -> Any:  # noqa: ANN401
        yield lists[0]
        raise RuntimeError("in the middle")

    before = file.read_bytes()
    with pytest.raises(RuntimeError):
        write_ranked(file, fails())
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]
    with pytest.raises(BadRequest, match="cannot be written"):
        write_ranked(tmp_path / "no" / "out.jsonl", lists)


def test_a_row_is_answered_once(tmp_path: Path) -> None:
    file = write(tmp_path / "out.jsonl", {"id": "r1", "ranked": []}, {"id": "r1", "ranked": []})
    with pytest.raises(BadRequest, match="answers a row twice"):
        read_ranked(file)

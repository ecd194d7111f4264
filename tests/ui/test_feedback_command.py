"""`chatalogue feedback ...` over a real log: files that are whole, one sentence for bad input, a human's word."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from agent.log.records import Feedback, ShownRow, TurnRecord
from agent.log.store import EventLog
from finetune.dataset import read_rows
from retrieval.encoder import FloatArray
from retrieval.errors import BadRequest, IndexUnavailable, NotFound
from retrieval.index import build_index
from retrieval.items import Item
from ui.cli import app

FILMS = tuple(Item(f"f{number}", f"Film Number {number}", attributes={"genre": ("comedy",)}) for number in range(3))


class Ones:
    name, dim = "ones", 4

    def encode(self, texts: Sequence[str]) -> FloatArray:
        return np.full((len(texts), self.dim), 0.5, dtype=np.float32)


@pytest.fixture
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory with a catalogue, a turn, an accepted and a corrected item."""
    root = tmp_path / "var"
    monkeypatch.setenv("CHATALOGUE_DATA_DIR", str(root))
    monkeypatch.setattr("ui.commands.feedback.presidio_finder", lambda: lambda text: [])  # tests/finetune has the real
    build = build_index(FILMS, root / "index" / "default", Ones())
    log = EventLog.open(None, root)
    log.activate_index("default", build.name)
    talk = log.start_conversation("default", "", "ann")
    turn_id = log.new_turn_id("default")
    cards = [{"id": film.id, "title": film.title, "attributes": {"genre": ["comedy"]}} for film in FILMS]
    pitch = {"item_id": "f0", "asked": "<item>\nFilm\n</item>", "prefill": "Film Number 0:", "own": True}
    log.record_turn(
        TurnRecord(
            "default",
            talk.id,
            turn_id,
            1,
            "a comedy for jo@example.com",
            "Here you are.",
            "recommend",
            "recommend",
            "en",
            "",
            shown=tuple(ShownRow(film.id, place) for place, film in enumerate(FILMS, 1)),
            answer={"items": cards},
            trace={"pitch": {**pitch, "said": "To begin with Film Number 0: it is dull."}},
        )
    )
    log.record_feedback("default", "", Feedback(turn_id, "accept", "f1"))
    log.record_feedback("default", "", Feedback(turn_id, "correct", text="Film Number 0: it is funny."))
    log.close()
    return root


def said(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["feedback", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_export_writes_whole_files_of_the_kinds_that_were_asked_for(var: Path, tmp_path: Path) -> None:
    out = tmp_path / "rows.jsonl"
    told = json.loads(said("export", "--out", str(out), "--json"))
    rows = read_rows(out)
    assert told["rows"] == {"sft": 1, "kto": 1, "dpo": 0, "rank": 1}
    assert (told["customers"], told["held"]) == (1, {"edit": 2})
    assert "jo@example.com" not in out.read_text()
    assert {row.kind for row in rows} == {"sft", "kto", "rank"}
    words = said("export", "--out", str(out), "--kind", "kto", "--kind", "dpo", "--since", "1h")
    assert words.startswith("1 rows (0 sft, 1 kto, 0 dpo, 0 rank) of 1 customers")
    assert "Held back for a human (2 edit)" in words
    assert [row.kind for row in read_rows(out)] == ["kto"]
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["rows.jsonl"]


def test_a_human_reads_the_queue_and_has_a_word(var: Path, tmp_path: Path) -> None:
    (waiting,) = json.loads(said("queue", "--json"))
    assert (waiting["why"], waiting["proposed"]) == ("edit", "it is funny.")
    assert "jo@example.com" not in waiting["message"]
    assert "1 wait" in said("queue")
    assert "proposed: it is funny." in said("queue")
    said("label", waiting["id"], "good")
    out = tmp_path / "rows.jsonl"
    said("export", "--out", str(out), "--kind", "dpo")
    assert [row.answers for row in read_rows(out)] == [(" it is funny.", " it is dull.")]
    assert said("queue").startswith("0 wait")
    said("label", waiting["id"], "bad")
    assert "Found bad by a human: 2." in said("export", "--out", str(out))


def test_consent_is_a_setting(var: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATALOGUE_LEARNING__CONSENT", "opt_in")
    assert said("export", "--out", str(tmp_path / "rows.jsonl")).startswith("0 rows")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--out", "{}/no/rows.jsonl"], "name a file in a folder that is there"),
        (["--out", "{}/rows.json"], "does not end in .jsonl, so no erasure would find it"),
        (["--out", "{}"], "name a file in a folder that is there"),
        (["--out", "{}/rows.jsonl", "--since", "yesterday"], "The span 'yesterday' cannot be read"),
    ],
)
def test_bad_input_is_one_sentence_and_no_file(var: Path, tmp_path: Path, arguments: list[str], sentence: str) -> None:
    filled = [one.format(tmp_path) for one in arguments]
    with pytest.raises(BadRequest, match=sentence):
        CliRunner().invoke(app, ["feedback", "export", *filled], catch_exceptions=False)
    assert not list(tmp_path.glob("rows.*"))


def test_without_a_catalogue_or_with_an_unknown_id(var: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFound, match="'e_nothing' is unknown"):
        said("label", "e_nothing", "good")
    monkeypatch.setenv("CHATALOGUE_DATA_DIR", str(tmp_path / "empty"))
    with pytest.raises(IndexUnavailable, match="There is no catalogue yet"):
        said("export", "--out", str(tmp_path / "rows.jsonl"))

"""The commands with a model of a few thousand weights: nonsense is written, judged and not kept."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from describe_doubles import FILMS, HashingEncoder
from typer.testing import CliRunner

from retrieval.errors import BadRequest
from retrieval.loading import load_catalogue
from ui.cli import app
from ui.commands import describe
from ui.commands.bench_describe import DescribeBenchCall, task_of
from ui.commands.describe import DescribeCall, settings_for


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    file = tmp_path / "films.jsonl"
    file.write_text("".join(item.to_json() + "\n" for item in FILMS))
    return file


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATALOGUE_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("CHATALOGUE_LLM__ENGINE", "embedded")
    monkeypatch.setattr(describe, "encoder_of", lambda settings: HashingEncoder())
    monkeypatch.setattr(describe, "configure_logs", lambda level: None)  # other tests of this process read the log


def test_the_command_describes_with_a_real_engine(catalogue: Path, tiny_base: Path, tmp_path: Path) -> None:
    out = tmp_path / "texts.jsonl"
    options = ["describe", "--items", str(catalogue), "--model", str(tiny_base), "--n-best", "2", "--limit", "3"]
    options += ["--out", str(out), "--json"]
    result = CliRunner().invoke(app, options)
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout.splitlines()[-1])
    assert (report["items"], report["drafts"], report["kept"], report["unbacked"]) == (3, 6, 0, 0)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert all(draft["text"].startswith("Film") for row in rows for draft in row["drafts"])
    assert len({draft["text"] for draft in rows[0]["drafts"]}) == 2, "each draft has a seed of its own"
    assert tuple(load_catalogue(tmp_path / "texts.items.jsonl").items) == FILMS
    kept = out.read_bytes()
    assert CliRunner().invoke(app, options).exit_code == 0
    assert out.read_bytes() == kept


def test_one_of_two_jobs_is_asked_for(catalogue: Path, tmp_path: Path) -> None:
    for given in (DescribeCall(tmp_path / "x"), DescribeCall(tmp_path / "x", catalogue, train_writer=catalogue)):
        with pytest.raises(BadRequest, match="either --items"):
            describe.run(given)


def gzipped(file: Path, rows: Sequence[Mapping[str, object]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(file, "wt", encoding="utf-8") as out:
        out.writelines(json.dumps(row) + "\n" for row in rows)


def test_the_benchmark_chooses_by_train_and_measures_on_valid(catalogue: Path, tmp_path: Path) -> None:
    sets = tmp_path / "sets"
    theirs = [
        {"id": f"t{n}", "title": FILMS[n].title, "year": 1980 + n, "text": "", "attributes": {}} for n in range(6)
    ]
    gzipped(sets / "one" / "items.jsonl.gz", theirs)

    def turn(part: str, n: int, target: str) -> Mapping[str, object]:
        turns = [{"role": "user", "text": f"{part} words {n}"}]
        return {"id": f"{part}{n}", "dialogue_id": f"{part}{n}", "turns": turns, "targets": [target]}

    gzipped(sets / "one" / "train.jsonl.gz", [turn("train", n, "t1") for n in range(3)])
    gzipped(sets / "one" / "valid.jsonl.gz", [turn("valid", 0, "t1"), turn("valid", 1, "t2"), turn("valid", 2, "gone")])
    gzipped(sets / "questions" / "train.jsonl.gz", [{"text": "no dialogue"}])
    call = DescribeBenchCall(catalogue, sets, tmp_path / "work", tmp_path / "bench.json", limit=5)
    task = task_of(call, settings_for(DescribeCall(call.out)))
    assert task.plan.only == {"f1", "f2"}
    assert [one.item.id for one in task.plan.tasks()] == ["f1", "f2"]
    assert {item_id: len(texts) for item_id, texts in task.plan.queries.items()} == {"f1": 3}
    assert all("valid" not in text for texts in task.plan.queries.values() for text in texts)
    assert {(one.item_id, one.text) for one in task.wanted} == {("f1", "valid words 0"), ("f2", "valid words 1")}
    (sets / "one" / "valid.jsonl.gz").unlink()
    with pytest.raises(BadRequest, match="No held-out dialogue"):
        task_of(call, settings_for(DescribeCall(call.out)))

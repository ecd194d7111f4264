"""The commands with a model of a few thousand weights: nonsense is written, judged and not kept."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from describe_doubles import FILMS, HashingEncoder, ScriptedWriter
from typer.testing import CliRunner

from agent.llm.protocol import Limits, Prompt
from agent.settings import Settings
from finetune.describe.files import Journal
from finetune.describe.measuring import SCORES, DescribeFigures
from finetune.describe.rounds import Plan, Told, write_round
from retrieval.errors import BadRequest
from retrieval.loading import load_catalogue
from ui.bench.render import render
from ui.bench.render_describe import describe_lines
from ui.bench.report import read_report
from ui.cli import app
from ui.commands import bench_describe, bench_others, describe
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


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    """Dialogues that lead to films f1 and f2, and once to one that nobody has; a folder of another kind beside them."""
    folder = tmp_path / "sets"
    theirs = [
        {"id": f"t{n}", "title": FILMS[n].title, "year": 1980 + n, "text": "", "attributes": {}} for n in range(6)
    ]
    gzipped(folder / "one" / "items.jsonl.gz", theirs)

    def turn(part: str, n: int, target: str) -> Mapping[str, object]:
        turns = [{"role": "user", "text": f"{part} words {n}"}]
        return {"id": f"{part}{n}", "dialogue_id": f"{part}{n}", "turns": turns, "targets": [target]}

    valid = [turn("valid", 0, "t1"), turn("valid", 1, "t2"), turn("valid", 2, "gone")]
    gzipped(folder / "one" / "train.jsonl.gz", [turn("train", n, "t1") for n in range(3)])
    gzipped(folder / "one" / "valid.jsonl.gz", valid)
    gzipped(folder / "questions" / "train.jsonl.gz", [{"text": "no dialogue"}])
    return folder


@pytest.fixture
def call(catalogue: Path, sets: Path, tmp_path: Path) -> DescribeBenchCall:
    return DescribeBenchCall(catalogue, sets, tmp_path / "work", tmp_path / "bench.json", limit=5)


def test_the_benchmark_chooses_by_train_and_measures_on_valid(call: DescribeBenchCall) -> None:
    settings = settings_for(DescribeCall(call.out))
    task = task_of(call, settings)
    assert set(task.plan.only) == {"f1", "f2"}
    assert [one.item.id for one in task.plan.tasks()] == list(task.plan.only)
    assert {item_id: len(texts) for item_id, texts in task.plan.queries.items()} == {"f1": 3}
    assert all("valid" not in text for texts in task.plan.queries.values() for text in texts)
    assert {(one.item_id, one.text) for one in task.wanted} == {("f1", "valid words 0"), ("f2", "valid words 1")}
    parts = [task_of(replace(call, limit=1, skip=skip), settings).plan.only for skip in (0, 1)]
    assert (*parts[0], *parts[1]) == task.plan.only
    assert task_of(replace(call, evaluation_only=True), settings).plan.queries == {}
    with pytest.raises(BadRequest, match="2 are skipped"):
        task_of(replace(call, skip=2), settings)
    (call.dialogues / "one" / "valid.jsonl.gz").unlink()
    with pytest.raises(BadRequest, match="lead to 0 items"):
        task_of(call, settings)


def test_a_writer_is_not_measured_on_what_it_learned_from(call: DescribeBenchCall, tmp_path: Path) -> None:
    (tmp_path / "adapter_model.safetensors").write_bytes(b"weights")
    (tmp_path / "recipe.json").write_text('{"items": ["f2", "f9"]}')
    with pytest.raises(BadRequest, match="learned from 1 of these items"):
        task_of(replace(call, adapter=tmp_path), settings_for(DescribeCall(call.out)))


def written_by_script(
    plan: Plan, settings: Settings, adapter: Path | None, journal: Journal, told: Told, minutes: float | None = None
) -> None:
    """In place of an engine: the untuned writer lies in every draft, the tuned one says what the item says."""

    def answer(prompt: Prompt, limits: Limits) -> str:
        own = prompt.messages[-1].text.partition("text: ")[2].partition(".")[0]
        return f" a film. {own}." if adapter else f" a film. {own}. It won an award in 1955."

    asyncio.run(write_round(plan, ScriptedWriter(answer), journal, told, minutes))


def test_the_benchmark_sets_a_tuned_writer_beside_the_untuned_one(
    call: DescribeBenchCall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_describe, "encoder_of", lambda settings: HashingEncoder())
    monkeypatch.setattr(bench_describe, "written_round", written_by_script)
    monkeypatch.setattr(bench_others, "configure_logs", lambda level: None)
    bench_describe.run_describe(replace(call, name="films", limit=1, minutes=5))
    pairs = tmp_path / "work" / "films.pairs.jsonl"
    before = pairs.read_bytes()
    adapter = tmp_path / "writer"
    adapter.mkdir()
    (adapter / "adapter_model.safetensors").write_bytes(b"weights")
    bench_describe.run_describe(replace(call, name="films", adapter=adapter))
    assert pairs.read_bytes() == before, "the pairs that a writer learns from stay"
    sections = read_report(call.out).others
    assert set(sections) == {"describe, films", "describe, films, tuned writer"}
    assert "--minutes 5" in sections["describe, films"].command
    section = sections["describe, films, tuned writer"]
    assert "--adapter writer" in section.command
    figures = DescribeFigures.model_validate(section.result)
    assert (figures.n_items, figures.n_queries, figures.round.drafts, figures.round.unbacked) == (2, 2, 8, 0)
    by = {one.figure: one for one in figures.tuned}
    passed = by[SCORES["passed"]]
    assert (passed.n, passed.before.value, passed.after.value, passed.more.value) == (2, 0.0, 1.0, 1.0)
    assert by[SCORES["refused"]].after.value == 0 < by[SCORES["refused"]].before.value
    page = render(read_report(call.out), "bench.json")
    assert "Item descriptions that the model writes: films, tuned writer" in page
    assert f"| {SCORES['passed']} | 2 | 0.000 [0.000 – 0.000] | 1.000 [1.000 – 1.000] | +1.0000" in page
    assert "item descriptions that the model writes: not in this file" not in page
    made = describe_lines(figures.model_copy(update={"evaluation_only": True, "tuned": ()}).model_dump(mode="json"))
    assert "nothing may be learned" in made[0]
    assert not any("untuned | tuned" in line for line in made)

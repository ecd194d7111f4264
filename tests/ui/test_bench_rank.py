"""`chatalogue bench rank-skill` and `bench retrieval --llm on`: files in, an engine that knows, table and lists out."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import structlog
from bench_bundle import Made, make_bundle, write_rows

from agent.bench.retrieval import pipeline
from agent.llm.protocol import Prompt
from agent.settings import Settings
from retrieval.errors import EngineError
from tests.agent.judging_engine import JudgingEngine
from tests.retrieval.retrieval_doubles import HashingEncoder
from ui.bench import engines
from ui.bench.render import render
from ui.bench.report import read_report
from ui.cli import main
from ui.commands import bench_retrieval


class Result(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Result]


class Engine(JudgingEngine):
    """Takes adapters, too."""

    def __init__(self, rule: Callable[[Prompt, str], float]) -> None:
        super().__init__(rule)
        self.loaded: dict[str, Path] = {}

    async def load_adapter(self, name: str, path: Path) -> None:
        self.loaded[name] = path

    async def list_adapters(self) -> tuple[str, ...]:
        return tuple(self.loaded)


def knows(prompt: Prompt, text: str) -> float:
    """Ten for the film that is asked for last: "today I want a comedy in a harbour, please"."""
    said = prompt.messages[1].text
    wanted = re.findall(r"today I want a (\w+) in a (\w+), please", said)
    if len(text) < 3:  # a label: what stands behind it, and a liking for the first of them
        line = next(line for line in said.splitlines() if line.startswith(f"{text.strip()}. "))
        return knows(prompt, line + " behind the label") + 4.0 * (text == " A")
    return 10.0 * any(f"The {place.title()} {genre.title()}" in text for genre, place in wanted[-1:])


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    made = Engine(knows)
    monkeypatch.setattr(engines, "make_engine", lambda settings: made)
    return made


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Iterator[Run]:
    monkeypatch.setattr(pipeline, "OPTIONS", replace(pipeline.OPTIONS, trees=20, threads=1))
    monkeypatch.setattr(bench_retrieval, "SentenceEncoder", lambda *_, **__: HashingEncoder())
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Result:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["chatalogue", "bench", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return Result(int(ended.value.code or 0), said.out, said.err)

    yield call
    structlog.reset_defaults()


@pytest.fixture
def made(tmp_path: Path) -> Made:
    (tmp_path / "films").mkdir()
    return make_bundle(tmp_path / "films")


@pytest.fixture
def listed(made: Made, tmp_path: Path) -> Path:
    """Lists of the test rows in which what is wanted stands on place 3."""
    others = ["f1", "f2", "f3", "f4", "f5", "f6"]
    ranked = [(row["id"], row["targets"][0], row["mentioned"]) for row in lines(made.test)]
    rows = []
    for name, wanted, mentioned in ranked:
        rest = [one for one in others if one not in (wanted, *mentioned)]
        rows.append({"id": name, "ranked": [*rest[:2], wanted, *rest[2:]], "ms": 2.0})
    return write_rows(tmp_path / "own.jsonl", rows)


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A training's folder, as far as the benchmark looks into it."""
    folder = tmp_path / "rank-films"
    (folder / "adapter").mkdir(parents=True)
    (folder / "adapter" / "adapter_model.safetensors").write_bytes(b"weights")
    (folder / "recipe.json").write_text(json.dumps({"prior": 0.5}), encoding="utf-8")
    return folder


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def sentence(result: Result) -> str:
    assert result.code == 1, result
    assert result.out == ""
    assert "Traceback" not in result.err
    return result.err.strip().splitlines()[-1]


class TestRankSkill:
    """The three ways on lists that are there."""

    def asked(self, made: Made, listed: Path, *more: object) -> tuple[object, ...]:
        return ("rank-skill", "--items", made.items, "--rows", made.test, "--lists", listed, *more)

    def test_table_section_and_page(self, run: Run, made: Made, listed: Path, engine: Engine, tmp_path: Path) -> None:
        report = tmp_path / "bench.json"
        result = run(*self.asked(made, listed, "--out", report))
        assert result.code == 0, result.err
        assert "| the ranker's order | 0.000 [0.000 – 0.000] | 1.000 [1.000 – 1.000] | 0.333" in result.out
        for way in ("labels", "titles", "verdicts"):
            assert f"| {way} alone | 1.000 [1.000 – 1.000]" in result.out
            assert f"| {way} weighed in | 1.000 [1.000 – 1.000]" in result.out
            assert (f"- {way}: kept" in result.out) is (way != "verdicts")
        assert "- verdicts: off (judged with the weight 0.1, as an untuned model serves); R@1 +" in result.out
        assert "as trained |" not in result.out
        assert "untuned" in result.out
        section = read_report(report).rank_skill["films"]
        assert section.command.startswith("chatalogue bench rank-skill --items films/items.jsonl.gz --rows films/test")
        assert str(tmp_path) not in section.command
        assert section.result.rows == 12
        assert "## The language model over ranked lists: films" in render(read_report(report), "bench.json")
        assert "rank-skill: verdicts" in result.err
        assert engine.state == "off", "it is stopped at the end"

    def test_the_liking_for_a_label_is_shown_before_and_after(
        self, run: Run, made: Made, listed: Path, engine: Engine
    ) -> None:
        engine.rule = lambda prompt, text: knows(prompt, text) + 20.0 * (text == " A")  # twice what it knows
        result = run(*self.asked(made, listed, "--way", "labels", "--json"))
        bias = json.loads(result.out)["ways"][0]["bias"]
        assert bias["readings"] == 12 * 3
        assert bias["before"][0] == 1.0
        assert sum(bias["after"]) == pytest.approx(1.0, abs=0.01)
        assert bias["after"][0] < 0.6
        engine.state = "ready"
        said = run(*self.asked(made, listed, "--way", "labels")).out
        assert "| as read | 1.000 | 0.000 |" in said
        assert "| even | 0." in said

    def test_an_adapter_is_used_and_weighed_as_it_was_trained(
        self, run: Run, made: Made, listed: Path, trained: Path, engine: Engine
    ) -> None:
        result = run(*self.asked(made, listed, "--adapter", trained, "--json"))
        report = json.loads(result.out)
        (name,) = engine.loaded
        assert report["adapter"] == engine.adapter == name
        assert report["prior"] == 0.5
        by_way = {way["way"]: way for way in report["ways"]}
        assert by_way["verdicts"]["trained"]["scores"]["recall"]["1"]["value"] == 1.0
        assert by_way["labels"]["trained"] is None
        engine.state = "ready"
        again = run(*self.asked(made, listed, "--adapter", trained / "adapter", "--way", "verdicts"))
        assert f"with the adapter {name}" in again.out
        assert "| verdicts as trained | 1.000" in again.out
        assert "number - 0.50 x ln(place)" in again.out

    def test_a_way_that_finds_nothing_is_off(self, run: Run, made: Made, listed: Path, engine: Engine) -> None:
        engine.rule = lambda prompt, text: 0.0
        result = run(*self.asked(made, listed, "--way", "verdicts", "--limit", "5"))
        assert "- verdicts: off" in result.out
        assert ": 5 rows, 5 novel labels" in result.out

    def test_what_cannot_be_compared_is_one_sentence(
        self, run: Run, made: Made, listed: Path, trained: Path, engine: Engine, tmp_path: Path
    ) -> None:
        strange = write_rows(tmp_path / "strange.jsonl", [{"id": "x", "ranked": ["f1"]}])
        assert "has no list for a row" in sentence(run(*self.asked(made, strange)))
        assert "no folder" in sentence(run(*self.asked(made, listed, "--adapter", "nowhere")))
        (trained / "recipe.json").unlink()
        assert "--export" in sentence(run(*self.asked(made, listed, "--adapter", trained)))
        assert "no way 'guessing'" in sentence(run(*self.asked(made, listed, "--way", "guessing")))
        engine.state = "failed"
        assert run(*self.asked(made, listed)).code == 1
        assert not (tmp_path / "bench.json").exists()


class TestRetrieval:
    """The lists of a run, with the model's part."""

    def test_the_first_of_each_list_follow_the_model(
        self, run: Run, made: Made, trained: Path, engine: Engine, tmp_path: Path
    ) -> None:
        engine.rule = lambda prompt, text: knows(prompt, text) - 5.0 * ("Harbour" in text)
        out, own, report = tmp_path / "lists.jsonl", tmp_path / "own.jsonl", tmp_path / "bench.json"
        assert run("retrieval", *made.quick, "--out", own).code == 0
        options = ["--llm", "on", "--llm-adapter", trained, "--report", report]
        result = run("retrieval", *made.quick, "--out", out, *options)
        assert result.code == 0, result.err
        for before, after, row in zip(lines(own), lines(out), lines(made.test), strict=True):
            assert sorted(before["ranked"][:20]) == sorted(after["ranked"][:20])
            assert before["ranked"][20:] == after["ranked"][20:]
            if row["targets"][0] in before["ranked"][:20]:
                assert after["ranked"][0] == row["targets"][0]
        assert "ordered by judge, with the adapter rank-" in result.out
        assert "(prior 0.50); 0 of 12 lists it did not answer" in result.out
        assert "note:" not in result.err
        section = read_report(report).retrieval["films"]
        assert section.command.endswith("--llm on --llm-adapter rank-films --out lists.jsonl --report bench.json")
        assert section.result.llm is not None
        assert section.result.llm.unanswered == 0

    def test_its_time_is_counted(self, run: Run, made: Made, engine: Engine, tmp_path: Path) -> None:
        engine.seconds = 0.1
        out = tmp_path / "lists.jsonl"
        assert run("retrieval", *made.quick, "--out", out, "--llm", "on").code == 0
        assert all(row["ms"] > 100 for row in lines(out))

    @pytest.mark.parametrize("state", ["failed", "off", "ready"])
    def test_without_the_model_the_lists_are_the_ranker_s_and_it_is_said_once(
        self, run: Run, made: Made, engine: Engine, tmp_path: Path, state: str
    ) -> None:
        engine.state = state  # type: ignore[assignment]
        engine.error = EngineError("gone")
        out, own = tmp_path / "lists.jsonl", tmp_path / "own.jsonl"
        assert run("retrieval", *made.quick, "--out", own).code == 0
        result = run("retrieval", *made.quick, "--out", out, "--llm", "on")
        assert result.code == 0, result.err
        assert [row["ranked"] for row in lines(out)] == [row["ranked"] for row in lines(own)]
        assert result.err.count("note:") == 1
        assert "the ranker's" in result.err
        assert "12 of 12 lists it did not answer" in result.out

    def test_an_adapter_without_the_model_is_a_slip(self, run: Run, made: Made, trained: Path) -> None:
        said = sentence(run("retrieval", *made.quick, "--out", "lists.jsonl", "--llm-adapter", trained))
        assert "needs --llm on" in said


def test_an_engine_that_loads_for_ever_is_given_up(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "ENGINE_SECONDS", 0.1)
    engine.state = "starting"

    async def opened() -> None:
        async with engines.engine_with(Settings(), None):
            pytest.fail("opened")

    with pytest.raises(EngineError, match="not ready within"):
        asyncio.run(opened())

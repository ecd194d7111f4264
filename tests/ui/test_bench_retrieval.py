"""`chatalogue bench retrieval`, `compare` and `ablation` on a made-up bundle: formats, tolerance, whole files."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import structlog
from bench_bundle import N_ITEMS, Made, film, make_bundle, turn, write_rows
from rich.console import Console

from agent.bench.retrieval import ablation, pipeline
from agent.settings import Settings
from retrieval.errors import BadRequest
from tests.retrieval.retrieval_doubles import HashingEncoder
from ui.bench.machine import this_machine
from ui.bench.render import render
from ui.bench.report import Report, read_report
from ui.cli import main
from ui.commands import bench, bench_retrieval

COMMAND = (sys.executable, "-c", "from ui.cli import main; main()", "bench", "retrieval")
ROOT = Path(__file__).resolve().parents[2]
HELD = """
import sys, time
from agent.bench.retrieval import run
each = run._each
def held(values, stage, progress):
    for number, value in enumerate(each(values, stage, progress)):
        if stage == "ranking" and number == 1:
            print("held", file=sys.stderr, flush=True)
            time.sleep(600)
        yield value
run._each = held
"""
"""Holds a run while it ranks: a quick machine would be done before anybody could tell it to end."""


class Result(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Iterator[Run]:
    """The program in this process, with a small encoder and few trees."""
    monkeypatch.setattr(pipeline, "OPTIONS", replace(pipeline.OPTIONS, trees=20, threads=1))
    for module in (bench, bench_retrieval):
        monkeypatch.setattr(module, "SentenceEncoder", lambda *_, **__: HashingEncoder())
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
    folder = tmp_path / "films"
    folder.mkdir()
    return make_bundle(folder)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "lists.jsonl"


def lists(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def sentence(result: Result) -> str:
    """An error is exit code 1, one line that begins with the program's name, nothing on stdout."""
    assert result.code == 1, result
    assert result.out == ""
    assert "Traceback" not in result.err
    said = result.err.strip().splitlines()[-1]
    assert said.startswith("chatalogue: ")
    return said.removeprefix("chatalogue: ")


def test_a_list_for_each_row_in_the_format_of_the_contract(run: Run, made: Made, out: Path) -> None:
    result = run("retrieval", *made.options, "--valid", made.valid, "--likes", made.likes, "--out", out)
    assert result.code == 0, result.err
    rows = lists(made.test)
    answers = lists(out)
    assert [one["id"] for one in answers] == [row["id"] for row in rows]
    known = {film(number)["id"] for number in range(N_ITEMS)}
    for row, one in zip(rows, answers, strict=True):
        assert list(one) == ["id", "ranked", "ms"]
        assert len(one["ranked"]) == len(set(one["ranked"])) == 50
        assert set(one["ranked"]) <= known
        assert not set(one["ranked"]) & set(row["mentioned"])
        assert one["ms"] > 0
    assert sorted(path.name for path in out.parent.iterdir()) == ["films", "lists.jsonl"]


def test_what_is_asked_for_in_plain_words_is_found(run: Run, made: Made, out: Path) -> None:
    figures = json.loads(run("retrieval", *made.options, "--out", out, "--json").out)
    assert figures["novel"]["n"] == 12
    assert figures["novel"]["recall"]["10"]["value"] >= 0.75
    assert figures["novel"]["recall"]["50"]["value"] <= figures["in_catalogue"]["value"] == 1.0
    assert figures["ms"]["n"] == 12
    assert {"lexical", "union", "candidates"} <= {one["branch"] for one in figures["ceilings"]}


def test_the_lists_do_not_know_the_answers(run: Run, made: Made, out: Path, tmp_path: Path) -> None:
    """Without targets and responses the lists are the same: nothing of a test row but its input is read."""
    blind = write_rows(
        tmp_path / "blind.jsonl",
        [{key: row[key] for key in ("id", "turns", "mentioned")} for row in lists(made.test)],
    )
    run("retrieval", *made.quick, "--out", out)
    again = tmp_path / "blind-lists.jsonl"
    options = ["--items", made.items, "--train", made.train, "--test", blind, "--out", again, "--without", "ranker"]
    result = run("retrieval", *options)
    assert result.code == 0, result.err
    assert [one["ranked"] for one in lists(again)] == [one["ranked"] for one in lists(out)]
    assert "R@10" not in result.out
    assert "lists are in" in result.out


def test_unknown_ids_missing_fields_and_closed_pools_are_tolerated(run: Run, made: Made, out: Path) -> None:
    pool = ["f3", "f9", "nobody", "f20", "f9"]
    write_rows(
        made.test,
        [
            {"id": "bare", "turns": []},
            {"id": "strange", "turns": [{"role": "narrator"}], "mentioned": ["nobody"], "targets": ["nobody"], "x": 1},
            turn(3, dialogue=1, id="pool", candidates=pool, mentioned=["f9"]),
            turn(4, dialogue=1, id="empty pool", candidates=[]),
        ],
    )
    write_rows(made.train, [{"id": "t", "turns": []}, turn(5, dialogue=2, targets=["nobody"]), turn(6, dialogue=3)])
    write_rows(made.likes, [{"user": "u", "item": "nobody", "liked": True}])
    result = run("retrieval", *made.options, "--likes", made.likes, "--out", out)
    assert result.code == 0, result.err
    answers = {one["id"]: one["ranked"] for one in lists(out)}
    assert len(answers["bare"]) == len(answers["strange"]) == 50
    assert sorted(answers["pool"]) == ["f20", "f3"]
    assert answers["empty pool"] == []


def test_it_works_without_train(run: Run, made: Made, out: Path) -> None:
    result = run("retrieval", "--items", made.items, "--test", made.test, "--out", out, "--json")
    assert result.code == 0, result.err
    assert json.loads(result.out)["n_train"] == 0
    assert len(lists(out)) == 12


def test_a_test_file_without_rows_is_answered_with_a_file_without_rows(run: Run, made: Made, out: Path) -> None:
    write_rows(made.test, [])
    assert run("retrieval", *made.quick, "--out", out).code == 0
    assert out.read_bytes() == b""


def test_items_that_stand_twice_are_ranked_once(run: Run, made: Made, out: Path) -> None:
    write_rows(made.items, [film(number % N_ITEMS) for number in range(N_ITEMS + 5)])
    result = run("retrieval", *made.quick, "--out", out)
    assert "5 items have an id that another has" in result.err
    assert all(len(set(one["ranked"])) == len(one["ranked"]) for one in lists(out))


def test_the_table_has_recall_ceilings_exposure_diversity_and_times(run: Run, made: Made, out: Path) -> None:
    result = run("retrieval", *made.options, "--out", out, "--provider", "director")
    said = result.out
    assert "| novel | 12 | 12 | " in said
    assert "| all labels | 12 | 12 | " in said
    assert "| the whole catalogue | 60 | 1.000 [1.000 – 1.000] |" in said
    assert "| union | " in said
    assert "Exposure in the first 10 places of 12 lists" in said
    assert "By director: 7 providers, Gini 0." in said
    assert "| way | knob | distance |" in said
    assert "ms at the 95th percentile (n = 12)" in said
    assert "leak check: nothing found" in result.err
    assert "bench retrieval: ranking" in result.err


def test_leaks_are_said_and_are_no_error(run: Run, made: Made, out: Path) -> None:
    write_rows(made.train, lists(made.test))
    result = run("retrieval", *made.quick, "--out", out, "--json")
    assert result.code == 0
    assert "leak check: 12 dialogues stand in test and train, under the same id" in result.err
    assert [one["kind"] for one in json.loads(result.out)["leaks"]] == ["dialogue_in_two_files"]
    assert len(lists(out)) == 12


def test_a_part_that_is_left_out_changes_the_lists(run: Run, made: Made, out: Path) -> None:
    figures = json.loads(run("retrieval", *made.quick, "--out", out, "--without", "dense", "--json").out)
    assert figures["without"] == ["dense", "ranker"]
    assert figures["diversity"] == []


def test_diversity_has_a_price_list_that_begins_with_the_lists_themselves(run: Run, made: Made, out: Path) -> None:
    figures = json.loads(run("retrieval", *made.quick, "--out", out, "--json").out)
    off, *turned = figures["diversity"]
    assert off["knob"] == 0
    assert off["novel"] == figures["novel"]
    assert [(one["way"], one["knob"]) for one in turned] == [
        (way, knob) for way in ("likeness", "calibration") for knob in (0.25, 0.5, 0.75, 1.0)
    ]
    likeness, calibration = turned[3], turned[7]
    assert likeness["distance"] > off["distance"]
    assert calibration["miscalibration"] < off["miscalibration"]
    for one in turned:
        assert one["novel"]["recall"]["50"] == off["novel"]["recall"]["50"], "a reordering of the same fifty"


def test_a_provider_is_any_attribute_that_an_item_has(run: Run, made: Made, out: Path) -> None:
    result = run("retrieval", *made.quick, "--out", out, "--provider", "year", "--json")
    assert json.loads(result.out)["exposure"]["provider"]["n"] == N_ITEMS
    said = sentence(run("retrieval", *made.quick, "--out", out, "--provider", "brand"))
    assert said == "No item has the attribute 'brand'; --provider is one of director, genre, year."


def test_figures_go_into_the_benchmark_file_and_onto_the_page(run: Run, made: Made, out: Path, tmp_path: Path) -> None:
    report, page = tmp_path / "bench.json", tmp_path / "PAGE.md"
    for name in ("made up", None):
        options = ["--report", report, *(["--name", name] if name else [])]
        assert run("retrieval", *made.quick, "--out", out, *options).code == 0
    assert list(read_report(report).retrieval) == ["made up", "films"], "named after its folder"
    assert run("render", report, "--to", page).code == 0
    text = page.read_text(encoding="utf-8")
    assert "## Recommendation dialogues: made up" in text
    assert "chatalogue bench retrieval --items films/items.jsonl.gz --test films/test.jsonl --train" in text
    assert str(tmp_path) not in text
    assert "- the quality of recommendations: not in this file" not in text


def test_a_file_compared_with_itself_is_nothing_in_a_zero_interval(run: Run, made: Made, out: Path) -> None:
    run("retrieval", *made.quick, "--out", out)
    result = run("compare", "--test", made.test, out, out, "--json")
    compared = json.loads(result.out)
    nothing = {"value": 0.0, "low": 0.0, "high": 0.0}
    assert compared["missing"] == [0, 0]
    for labels in ("novel", "everything"):
        assert compared[labels]["mrr"] == nothing
        assert compared[labels]["recall"] == {"1": nothing, "10": nothing, "50": nothing}


def test_a_comparison_has_its_direction_and_says_what_was_not_answered(
    run: Run, made: Made, out: Path, tmp_path: Path
) -> None:
    rows = lists(made.test)
    write_rows(out, [{"id": row["id"], "ranked": ["f59"]} for row in rows[:4]])
    better = write_rows(tmp_path / "better.jsonl", [{"id": row["id"], "ranked": row["targets"]} for row in rows])
    result = run("compare", "--test", made.test, out, better)
    assert result.code == 0
    assert "better.jsonl minus lists.jsonl" in result.out
    assert "| novel | 12 | +1.000 [+1.000 to +1.000]" in result.out
    assert "- lists.jsonl has no list for 8 rows" in result.out
    write_rows(made.test, [{"id": "r", "turns": []}])
    assert "has targets" in sentence(run("compare", "--test", made.test, out, better))


def test_the_ablation_stands_in_the_benchmark_file(run: Run, made: Made, tmp_path: Path) -> None:
    report = tmp_path / "bench.json"
    more = write_rows(tmp_path / "more.jsonl", [{"id": row["id"], "ranked": []} for row in lists(made.test)])
    result = run("ablation", *made.options, "--out", report, "--part", "ranker", "--also", f"judge={more}")
    assert result.code == 0, result.err
    ablation = read_report(report).ablation["films"].result
    without, added = ablation.rows
    assert (without.part, without.change, without.difference.n) == ("ranker", "left out", 12)
    assert (added.part, added.change) == ("judge", "added")
    assert added.difference.recall[50].value == -ablation.full.recall[50].value < 0
    assert "## What each part is worth: films" in render(read_report(report), "bench.json")
    assert "| without ranker | " in result.out
    assert "no part 'rancor'" in sentence(run("ablation", *made.options, "--out", report, "--part", "rancor"))
    blind = write_rows(tmp_path / "blind.jsonl", [{"id": "r", "turns": []}])
    options = ["--items", made.items, "--test", blind, "--out", report]
    assert "No test row has a novel target" in sentence(run("ablation", *options))


def test_an_ablation_goes_on_where_it_was_stopped(
    run: Run, made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report, kept = tmp_path / "bench.json", tmp_path / "kept"
    options = [*made.options, "--out", report, "--lists", kept]
    parts = ["--part", "ranker", "--part", "names", "--part", "user-based-cf"]

    def stopped(self: object, part: str) -> None:
        assert part == "names"
        raise BadRequest("stopped.")

    with monkeypatch.context() as patch:
        made_by = ablation.Ablater._made
        patch.setattr(
            ablation.Ablater, "_made", lambda self, part: (stopped if part == "names" else made_by)(self, part)
        )
        assert run("ablation", *options, *parts).code == 1
    assert [row.part for row in read_report(report).ablation["films"].result.rows] == ["ranker"]
    before = (kept / "full.jsonl").stat().st_mtime_ns
    assert run("ablation", *options, *parts).code == 0
    result = read_report(report).ablation["films"].result
    assert [(row.part, row.change) for row in result.rows] == [
        ("ranker", "left out"), ("names", "left out"), ("user-based-cf", "added"),
    ]  # fmt: skip
    assert (kept / "full.jsonl").stat().st_mtime_ns == before
    again = run("ablation", *options, "--part", "dense")
    assert "| with user-based-cf | " in again.out, "the rows of an earlier run stay"
    assert [row.part for row in read_report(report).ablation["films"].result.rows][-1] == "dense"


def test_all_sets_of_a_folder_are_measured_on_valid_without_learning_from_it(
    run: Run, made: Made, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()  # no set of dialogues
    sets = bench_retrieval.sets_in(tmp_path)
    assert list(sets) == ["films"]
    files = sets["films"]
    assert (files.test, files.valid, files.train) == (made.valid, None, made.train)
    call = bench.BenchCall(tmp_path / "bench.json", work=tmp_path, dialogues=tmp_path)
    this = bench.Bench(call, Settings(), tmp_path, Console(stderr=True))
    report = bench.recommendation(this, Report(machine=this_machine()))
    assert report.retrieval["films"].result.n_rows == 8
    with pytest.raises(BadRequest, match="No folder in"):
        bench.run_all(bench.BenchCall(tmp_path / "new.json", dialogues=tmp_path / "other"))


class TestBadInput:
    """One sentence, exit code 1, no file."""

    def test_a_file_that_is_missing(self, run: Run, made: Made, out: Path) -> None:
        for option in ("--items", "--train", "--test", "--valid", "--likes"):
            assert "no-such.jsonl" in sentence(run("retrieval", *made.quick, option, "no-such.jsonl", "--out", out))
        assert "no-such" in sentence(run("retrieval", *made.quick, "--ratings", "no-such", "--out", out))
        assert not out.exists()

    def test_no_gzip_and_no_json(self, run: Run, made: Made, out: Path) -> None:
        made.train.write_bytes(b"plain words")
        assert "train.jsonl.gz" in sentence(run("retrieval", *made.quick, "--out", out))
        write_rows(made.train, [])
        made.test.write_text('{"id": "r", "turns": []}\n{"id": \n', encoding="utf-8")
        assert "line 2 of" in sentence(run("retrieval", *made.quick, "--out", out))
        assert not out.exists()

    def test_no_item(self, run: Run, made: Made, out: Path) -> None:
        write_rows(made.items, [])
        assert "has no item" in sentence(run("retrieval", *made.quick, "--out", out))

    def test_a_place_that_cannot_be_written_is_refused_before_anything_is_read(
        self, run: Run, made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bench_retrieval, "read_inputs", lambda *_: pytest.fail("read"))
        said = {
            "no/lists.jsonl": "does not exist",
            ".": "is no file",
            "/dev/full": "is no file",
            "x" * 300: "cannot be written",
            str(made.train): "is read by this run",
        }
        for place, words in said.items():
            assert words in sentence(run("retrieval", *made.quick, "--out", place))
        report = tmp_path / "bench.json"
        report.write_text("{}", encoding="utf-8")
        options = ["--out", tmp_path / "lists.jsonl", "--report", report]
        assert "not a benchmark file" in sentence(run("retrieval", *made.quick, *options))
        assert lists(made.test), "nothing was overwritten"

    def test_options_that_are_none(self, run: Run, made: Made, out: Path) -> None:
        assert run("retrieval", *made.quick, "--llm", "perhaps", "--out", out).code == 2
        assert run("retrieval", "--items", made.items, "--out", out).code == 2

    def test_ctrl_c_ends_it_without_a_file(
        self, run: Run, made: Made, out: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupted(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(bench_retrieval, "answer", interrupted)
        assert run("retrieval", *made.quick, "--out", out).code == 130
        assert not out.exists()


class TestProcess:
    """As a process of its own, without vectors so that no model is loaded."""

    def test_results_on_stdout_and_the_rest_on_stderr(self, made: Made, out: Path) -> None:
        ended = subprocess.run(  # noqa: S603
            [*COMMAND, *made.quick, "--out", str(out), "--without", "dense", "--json"],
            cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        assert json.loads(ended.stdout)["n_rows"] == len(lists(out)) == 12
        assert "leak check" in ended.stderr

    def test_a_run_that_is_told_to_end_leaves_nothing(self, made: Made, tmp_path: Path) -> None:
        folder = tmp_path / "out"
        folder.mkdir()
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", HELD + COMMAND[2], *COMMAND[3:], *made.quick, "--out", str(folder / "lists.jsonl"),
             "--without", "dense"],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stderr is not None
        for line in process.stderr:
            if "held" in line:
                process.send_signal(signal.SIGTERM)
                break
        said, more = process.communicate(timeout=120)
        assert process.returncode == bench_retrieval.TERMINATED, more
        assert said == ""
        assert "Traceback" not in more
        assert list(folder.iterdir()) == []

    def test_a_full_disk_is_one_sentence_and_no_file(self, made: Made, out: Path) -> None:
        limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500));"
        ended = subprocess.run(  # noqa: S603
            [sys.executable, "-c", limit + COMMAND[2], *COMMAND[3:], *made.quick, "--out", str(out),
             "--without", "dense"],
            cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert ended.returncode == 1
        assert "Traceback" not in ended.stderr
        assert ended.stderr.strip().splitlines()[-1].startswith("chatalogue: ")
        assert [path.name for path in out.parent.iterdir()] == ["films"]

"""The benchmark file and the page that is made of it, from a small fixed file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from retrieval.errors import BadRequest, SettingsError
from ui.bench.ci import read_times
from ui.bench.machine import commit, this_machine
from ui.bench.render import render
from ui.bench.render_talk import escaped, quoted, talk_lines
from ui.bench.report import Report, Stamp, open_report, read_report, write_report
from ui.cli import app
from ui.commands import bench


def spread(p50: float, n: int = 3) -> dict[str, float]:
    return {
        "n": n, "low": p50 - 1, "high": p50 + 2, "p50": p50, "p50_low": p50 - 0.5, "p50_high": p50 + 0.5,
        "p95": p50 + 1.5,
    }  # fmt: skip


def section(command: str, result: dict[str, Any]) -> dict[str, Any]:
    return {
        "at": "2026-11-22T10:30:00Z", "commit": "0123456789ab", "load_1m": 0.1, "seconds": 12.4, "command": command,
        "result": result,
    }  # fmt: skip


def starts(first: float, n: int) -> dict[str, Any]:
    marks = {"healthz": spread(first, n), "ready": spread(first + 1, n), "first_answer": spread(first + 2, n)}
    return {**marks, "stop": spread(1.2, n), "exit_codes": [0] * n}


def side(name: str, *, asked: int) -> dict[str, Any]:
    return {
        "side": name, "n": 40, "cards": spread(41, 40), "first_word": spread(42, 40),
        "sentence": spread(900, asked) if asked else None, "total": spread(1500, 40),
        "model_asked": asked, "refused": 2 if asked else 0, "degraded": 0,
    }  # fmt: skip


def load(chats: int, first: float) -> dict[str, Any]:
    return {
        "chats": chats, "first_token": spread(first, 16), "tokens_per_s": spread(26.25, 4), "turn": spread(900, 16),
        "turns_without_model": 1,
    }  # fmt: skip


WISH = {
    "id": "w1", "kind": "hard", "attribute": "year", "op": "ge", "value": 1990, "polarity": "positive",
    "evidence": "1990s", "turn": 1,
}  # fmt: skip
FILM = {"id": "film-heat-1995", "title": "Heat"}
TALK = {
    "title": "The Reel Shop",
    "n_items": 552,
    "model": "smollm2-135m-instruct",
    "adapter": None,
    "turns": [
        {
            "shows": "hard wishes", "said": "a *thriller* <now>",
            "reply": "Here:\n1. Heat\n2. Alien_3\n\nHeat is a film.",
            "intent": "recommend", "action": "recommend", "items": [FILM], "alternatives": [], "wishes": [WISH],
            "model_asked": True, "refused": [{"sentence": "Heat won.", "objection": "not in its fields"}],
            "degraded": False, "times": {"cards": 40.2, "first_word": 41.0, "sentence": 812.5, "total": 1400.0},
        },
        {"shows": "error", "said": "more", "error": "There is nothing to search."},
    ],
}  # fmt: skip
COST = {"seconds": 110.0, "cpu_seconds": 190.0, "peak_rss_gib": 1.42}
REPORT: dict[str, Any] = {
    "v": 1,
    "machine": {
        "cpu": "A Processor", "cores": 2, "memory_gib": 7.8, "os": "Linux 6 x86_64", "python": "3.11.9",
        "packages": {"torch": "2.13.0"},
    },
    "start": section("chatalogue bench start", {"cold": starts(20.0, 2), "warm": starts(7.0, 3)}),
    "index": section("chatalogue bench index", {
        "catalogue": "movies.jsonl.gz", "n_items": 34509, "n_rejected": 7, "first": COST,
        "again": {**COST, "seconds": 21.0},
        "queries": {
            "n_queries": 200, "encode_ms": {"p50": 9.1, "p95": 12.0}, "unfiltered_ms": {"p50": 31.5, "p95": 40.0},
            "filtered_ms": {"1.00%": {"p50": 20.0, "p95": 25.0}}, "hnsw_recall_at_200": 0.987,
            "serving_peak_rss_gib": 1.9, "first_day_ms": {"p50": 33.0, "p95": 44.0},
        },
    }),
    "turns": section("chatalogue bench turns", {
        "n_items": 552, "model": "smollm2-135m-instruct", "sides": [side("on", asked=30), side("off", asked=0)],
    }),
    "engines": section("chatalogue bench engines", {
        "model": "smollm2-135m-instruct", "tokens": 48, "prompt_tokens": spread(310, 16), "engines": [
            {"engine": name, "levels": [load(1, first), load(16, 5 * first)]}
            for name, first in (("embedded", 200.0), ("vLLM", 150.0))
        ],
    }),
    "ci": section(".ci/run", {"parts": [{"name": "make test", "seconds": 600.4}]}),
    "talk_shop": section("chatalogue bench talk", TALK),
}  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "bench.json"
    path.write_text(json.dumps(REPORT), encoding="utf-8")
    return path


def test_the_file_comes_back_as_it_was_written(file: Path) -> None:
    report = read_report(file)
    write_report(file, report)
    assert read_report(file) == report
    assert list(file.parent.iterdir()) == [file]  # nothing left beside it


def test_the_page_has_every_figure_with_its_n_and_range(file: Path) -> None:
    page = render(read_report(file), "bench.json")
    for row in (
        "| n | 2 | 3 |",
        "| `/healthz` answers | 20.0 [19.0 – 22.0] | 7.0 [6.0 – 9.0] |",
        "| first chat answer has come over HTTP | 22.0 [21.0 – 24.0] | 9.0 [8.0 – 11.0] |",
        "| exit codes | 0, 0 | 0, 0, 0 |",
        "| from nothing | 110.0 | 190.0 | 1.42 | 1 |",
        "| filter that leaves 1.00% | 20 | 25 | 200 |",
        "| no filter, with names and shared values, as shops search | 33 | 44 | 200 |",
        "| cards on screen | 41 [40 – 42] | 42 | 40 | 41 [40 – 42] | 42 | 40 |",
        "| processor | A Processor |",
    ):
        assert row in page.splitlines()
    assert "34,509 items, 7 rows left out" in page
    assert "the same, naming an item" not in page  # not measured yet
    assert (
        "| first sentence after the list, where the model was asked | 900 [900 – 900] | 902 | 30 | - | - | 0 |" in page
    )
    assert "asked in 30 of 40 turns; a sentence of it refused by the grounding check in 2; degraded in 0" in page
    assert "`chatalogue bench start` · 2026-11-22 10:30 UTC · commit 0123456789ab · 12 s · load 0.1 before" in page


def test_the_page_has_both_engines_side_by_side(file: Path) -> None:
    page = render(read_report(file), "bench.json").splitlines()
    assert "| 1 | first token, ms | 200 [200 – 200] | 202 | 16 | 150 [150 – 150] | 152 | 16 |" in page
    assert "| 16 | first token, ms | 1000 [1000 – 1000] | 1002 | 16 | 750 [750 – 750] | 752 | 16 |" in page
    assert "| 1 | tokens/s of all chats | 26.2 [25.8 – 26.8] | 27.8 | 4 | 26.2 [25.8 – 26.8] | 27.8 | 4 |" in page
    assert "Turns in which the model was not asked, or failed: embedded 2, vLLM 2." in page


def test_the_times_of_ci_come_from_its_own_file(file: Path) -> None:
    assert "| make test | 600 |" in render(read_report(file), "bench.json")
    times, out = file.with_name("times.tsv"), file.with_name("new.json")
    times.write_text("12\tsystem packages\n300.5\ttests/agent\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["bench", "ci", str(times), "--out", str(out)])
    assert result.exit_code == 0, result.output
    ci = read_report(out).ci
    assert ci is not None
    assert [(part.name, part.seconds) for part in ci.result.parts] == [("system packages", 12), ("tests/agent", 300.5)]
    times.write_text("no number\n", encoding="utf-8")
    with pytest.raises(BadRequest, match="holds no times"):
        read_times(times)
    with pytest.raises(BadRequest, match=r"`\.ci/run` writes it"):
        read_times(file.with_name("none.tsv"))


def test_the_page_has_the_talk_letter_by_letter(file: Path) -> None:
    page = render(read_report(file), "bench.json")
    assert r"**1. a \*thriller\* \<now\>** *(hard wishes)*" in page
    assert "> Here:\n> 1. Heat\n> 2. Alien\\_3\n>\n> Heat is a film.\n" in page
    assert "| 1 | hard wishes | recommend | 40 | 41 | 812 | 1400 |" in page
    assert "- read as recommend · 1 item · 1 wish in force · the model was asked" in page
    assert "- new wishes: hard: year ge 1990 (“1990s”)" in page
    assert "- refused: “Heat won.” (not in its fields)" in page
    assert "No answer: There is nothing to search." in page


def test_only_changes_of_the_wishes_are_printed(file: Path) -> None:
    report = read_report(file)
    assert report.talk_shop is not None
    first, failed = report.talk_shop.result.turns
    kept = first.model_copy(update={"said": "kept"})
    dropped = first.model_copy(update={"wishes": ()})
    lines = talk_lines(report.talk_shop.result.model_copy(update={"turns": (first, failed, kept, dropped)}))
    assert sum("new wishes" in line for line in lines) == 1
    assert lines[-2:] == ["- no longer wished: hard: year ge 1990 (“1990s”)", lines[-1]]


def test_the_page_says_what_was_not_measured(file: Path) -> None:
    page = render(read_report(file), "bench.json")
    assert "- the conversation over the films: not in this file" in page
    assert "## Ten turns over the films" not in page
    assert "- start and stop: not in this file" not in page


def test_lines_of_a_paragraph_stay_apart() -> None:
    assert list(quoted("one\ntwo\n\nthree\n1. four")) == ["> one\\", "> two", ">", "> three", "> 1. four"]
    assert escaped("a_b [c](d) `e` 5*5") == r"a\_b \[c\](d) \`e\` 5\*5"


def test_another_machine_is_refused_and_the_file_is_left_alone(file: Path) -> None:
    before = file.read_bytes()
    with pytest.raises(BadRequest, match="another machine"):
        open_report(file, this_machine())
    assert file.read_bytes() == before
    assert open_report(file, read_report(file).machine) == read_report(file)


def test_no_file_is_the_start_of_one(tmp_path: Path) -> None:
    machine = this_machine()
    assert open_report(tmp_path / "new.json", machine) == Report(machine=machine)
    with pytest.raises(BadRequest, match="bench all"):
        read_report(tmp_path / "new.json")


@pytest.mark.parametrize("text", ["", "{}", '{"v": 2}', "nothing"])
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadRequest, match="not a benchmark file"):
        read_report(path)


def test_one_section_is_replaced_and_the_others_stay(file: Path) -> None:
    report = read_report(file)
    assert report.turns is not None
    stamp = Stamp("chatalogue bench turns --out bench.json")
    again = report.model_copy(update={"turns": stamp.section(report.turns.result)})
    write_report(file, again)
    read = read_report(file)
    assert read == again
    assert read.start == report.start
    assert read.turns is not None
    assert read.turns.commit == commit()


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path, file: Path) -> None:
    with pytest.raises(BadRequest, match="cannot be written"):
        write_report(tmp_path / "no" / "bench.json", read_report(file))


def test_render_writes_the_page(file: Path) -> None:
    page = file.with_name("PAGE.md")
    result = CliRunner().invoke(app, ["bench", "render", str(file), "--to", str(page)])
    assert result.exit_code == 0, result.output
    assert page.read_text(encoding="utf-8") == render(read_report(file), "bench.json")


def test_a_benchmark_writes_into_no_database_of_the_operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHATALOGUE_DATABASE__URL", "postgresql://shop")
    out = tmp_path / "bench.json"
    result = CliRunner().invoke(app, ["bench", "turns", "--out", str(out)])
    assert isinstance(result.exception, SettingsError)
    assert not out.exists()


def test_everything_is_measured_into_a_new_file_that_appears_when_complete(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    monkeypatch.setattr(bench, "configure_logs", lambda: None)  # it would keep this test's stderr
    old, done = file.read_bytes(), read_report(file)

    def works(run: bench.Bench, report: Report) -> Report:
        assert report.start is None  # nothing of the old file, which is of another machine
        return report.model_copy(update={"turns": done.turns})

    def fails(run: bench.Bench, report: Report) -> Report:
        raise BadRequest("no films")

    monkeypatch.setattr(bench, "ALL", (("one", works), ("other", fails)))
    with pytest.raises(BadRequest, match="no films"):
        bench.run_all(bench.BenchCall(file))
    assert file.read_bytes() == old
    assert read_report(file.with_name("bench.json.part")).turns == done.turns
    monkeypatch.setattr(bench, "ALL", (("one", works),))
    bench.run_all(bench.BenchCall(file))
    assert read_report(file) == Report(machine=this_machine(), turns=done.turns)
    assert not file.with_name("bench.json.part").exists()


def test_a_folder_that_is_missing_is_said_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadRequest, match="does not exist"):
        bench.run(bench.BenchCall(tmp_path / "no" / "bench.json"), (("never", lambda *_: pytest.fail("measured")),))

"""The section of the bandits: its tables, its picture, and the command's refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from agent.bench.bandits.contest import ARMS
from agent.offpolicy.estimators import ESTIMATORS
from retrieval.errors import BadRequest
from ui.bench.curves import Curve, Panel, picture
from ui.bench.machine import this_machine
from ui.bench.render_offpolicy import NAMES, PICTURE, SECTION, offpolicy_lines, pictures
from ui.bench.report import Report
from ui.cli import app
from ui.commands.bench_offpolicy import BanditCall, bandits_of


def interval(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.01, "high": value + 0.01}


def stream(name: str) -> dict[str, Any]:
    arms = [
        {
            "arm": arm,
            "regret": [interval(10.0 + n), interval(20.0 + n)],
            "liked": interval(0.5),
            "saved": interval(0.25 - n / 10),
            "saved_early": interval(0.125),
        }
        for n, arm in enumerate(ARMS)
    ]
    return {
        "name": name, "visitors": 120, "rounds": 5, "options": 8, "seeds": 20, "model": "Small|Model", "asked": 100,
        "model_seconds": 33.0, "opinion_auc": interval(0.55), "best": 0.9, "points": [300, 600], "arms": arms,
    }  # fmt: skip


def result(*, proof: bool = True) -> dict[str, Any]:
    estimators = [{"estimator": name, "bias": 0.001, "rmse": 0.05, "covered": 0.95} for name in ESTIMATORS]
    one = {
        "candidate": "surer", "lists": 1500, "logs": 40, "refused": 3, "effective": 321.4, "truth": 0.6, "logged": 0.5,
        "estimators": estimators,
    }  # fmt: skip
    hopeless = {**one, "candidate": "far off", "refused": 38}
    replayed = {
        "arm": "bandit", "kept": 187.5, "replayed": interval(0.6), "played": interval(0.61),
        "difference": interval(-0.01),
    }  # fmt: skip
    whole = {"candidates": [one, hopeless], "replays": [replayed]}
    return {"streams": [stream("real <ratings>"), stream("simulated")], "proof": whole if proof else None}


def file_with(folder: Path) -> Path:
    section = {
        "at": "2026-11-22T10:30:00Z", "commit": "0123456789ab", "load_1m": 0.1, "seconds": 12.4,
        "command": "chatalogue bench offpolicy", "result": result(),
    }  # fmt: skip
    report = Report.model_validate({"machine": this_machine().model_dump(mode="json"), "others": {SECTION: section}})
    path = folder / "bench.json"
    path.write_text(report.model_dump_json())
    return path


def test_every_figure_stands_on_the_page() -> None:
    page = "\n".join(offpolicy_lines(result()))
    assert f"]({PICTURE})" in page
    for name in NAMES.values():
        assert f"| {name} | 0.500 [0.490 – 0.510] |" in page
    assert "Small\\|Model" in page
    assert "| surer | 1,500 | 321 | 3 of 40 | 0.600 | doubly robust | +0.001 | 0.050 | 0.95 |" in page
    assert "| far off | 1,500 | 321 | 38 of 40 | 0.600 | nearly always refused | - | - | - |" in page
    assert "| bandit, Thompson sampling | 188 | 0.600" in page
    assert "Are the estimates right" not in "\n".join(offpolicy_lines(result(proof=False)))


def test_the_picture_is_whole() -> None:
    drawn = picture([Panel("a & b", "rounds", (Curve("one <", [0, 10], [0, 5], [0, 4], [0, 6]),)), Panel("", "x", ())])
    root = ElementTree.fromstring(drawn)  # noqa: S314 - our own
    space = "{http://www.w3.org/2000/svg}"
    lines = [one.get("points") for one in root.iter(f"{space}polyline")]
    assert len(lines) == 1
    first, last = (lines[0] or "").split()
    assert first.startswith("46.0,206.0")  # the axes begin at 0
    assert float(last.split(",")[1]) == pytest.approx(26 + 180 / 6, abs=0.1)  # 5 of the band's 6
    texts = [one.text for one in root.iter(f"{space}text")]
    assert {"a & b", "one <", "10", "6"} <= set(texts)


def test_the_page_and_its_picture_are_written_together(tmp_path: Path) -> None:
    path = file_with(tmp_path)
    done = CliRunner().invoke(app, ["bench", "render", str(path), "--to", str(tmp_path / "page" / "B.md")])
    assert done.exit_code != 0  # as before: there is no folder for the page
    done = CliRunner().invoke(app, ["bench", "render", str(path), "--to", str(tmp_path / "B.md")])
    assert done.exit_code == 0, done.output
    assert "## Language model or reinforcement learning" in (tmp_path / "B.md").read_text()
    root = ElementTree.fromstring((tmp_path / PICTURE).read_text())  # noqa: S314 - our own
    assert len(list(root.iter("{http://www.w3.org/2000/svg}polyline"))) == 2 * len(ARMS)
    assert pictures(Report.model_validate({"machine": json.loads(path.read_text())["machine"]})) == {}


def test_what_is_typed_is_what_measures_again(tmp_path: Path) -> None:
    call = BanditCall(tmp_path / "b.json", ratings=tmp_path, visitors=50, keep=Path("a/opinions.jsonl"))
    assert bandits_of(call).command == f"offpolicy --ratings {tmp_path.name} --visitors 50 --keep opinions.jsonl"
    with pytest.raises(BadRequest, match="--ratings is a MovieLens folder"):
        bandits_of(BanditCall(tmp_path / "b.json", ratings=tmp_path / "nowhere"))

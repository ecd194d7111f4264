"""`chatalogue bench intents` and `chatalogue import intents`: files in, answers out, one sentence where it is wrong."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
import structlog

from agent.bench.intents import Answered, score
from ui.bench.render_intents import intents_lines
from ui.cli import main

TRAIN = {
    "cancel": ("cancel my order", "please cancel the parcel", "i want to stop my purchase", "do not send my order"),
    "refund": ("give me my money back", "i want a refund", "when is my refund paid", "refund the price please"),
    "oos": ("will it rain tomorrow", "sing me a song", "who wrote hamlet", "what is seven times six"),
}
TEST = [("please cancel my order", "cancel"), ("i want my money refunded", "refund"), ("will it snow", "oos")]


@pytest.fixture(autouse=True)
def files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.upper().startswith("CHATALOGUE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("CHATALOGUE_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("COLUMNS", "200")
    rows = [{"text": text, "intent": name} for name, texts in TRAIN.items() for text in texts]
    (tmp_path / "train.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    tested = [{"text": text, "intent": name} for text, name in TEST] + [{"text": "cancel it"}]
    (tmp_path / "test.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in tested), encoding="utf-8")
    monkeypatch.chdir(tmp_path)


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["chatalogue", *arguments.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    structlog.reset_defaults()
    out = capsys.readouterr()
    return int(ended.value.code or 0), out.out, out.err


def test_one_answer_for_each_row_in_order(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    files = "--train train.jsonl --test test.jsonl --out answers.jsonl --report bench.json --name tiny"
    code, out, err = run(monkeypatch, capsys, f"bench intents {files} --oos-label oos")
    assert code == 0, err
    answers = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [one["intent"] for one in answers] == ["cancel", "refund", "oos", "cancel"]
    assert all(set(one) == {"intent", "score"} and 0 <= one["score"] <= 1 for one in answers)
    assert "accuracy" in out
    assert "1.0000" in out
    section = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))["others"]["intents,tiny"]
    assert section["result"]["scores"]["labelled"] == 3
    assert section["result"]["scores"]["n_outside"] == 1
    code, _, _ = run(monkeypatch, capsys, "bench render bench.json --to page.md")
    assert code == 0
    assert "Intents of the help desk: tiny" in (tmp_path / "page.md").read_text(encoding="utf-8")


def test_whole_numbers_as_classes_are_answered_as_given_and_a_lone_one_of_the_outside_is_no_hindrance(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    rows = [{"text": text, "intent": n} for n, name in enumerate(("cancel", "refund")) for text in TRAIN[name]]
    rows.append({"text": TRAIN["oos"][0], "intent": 7})
    (tmp_path / "train.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    asked = [{"text": TEST[0][0], "intent": 0}, {"text": "", "intent": []}, {"text": TRAIN["oos"][0]}]
    (tmp_path / "test.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in asked), encoding="utf-8")
    code, _, err = run(
        monkeypatch, capsys, "bench intents --train train.jsonl --test test.jsonl --out answers.jsonl --oos-label 7"
    )
    assert code == 0, err
    answers = [json.loads(line)["intent"] for line in (tmp_path / "answers.jsonl").read_text("utf-8").splitlines()]
    assert (answers[0], answers[2]) == (0, 7)
    assert answers[1] in (0, 1, 7)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--train none.jsonl --test test.jsonl --out a.jsonl", "There is no file 'none.jsonl'"),
        ("--train train.jsonl --test bad.jsonl --out a.jsonl", "Line 1 of 'bad.jsonl' has no 'text'"),
        ("--train empty.jsonl --test test.jsonl --out a.jsonl", "two or more intents"),
        ("--train train.jsonl --test test.jsonl --out none/a.jsonl", "folder"),
        ("--train train.jsonl --test test.jsonl --out train.jsonl", "--out"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_no_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: str, said: str
) -> None:
    (tmp_path / "bad.jsonl").write_text('{"intent": "a"}\n', encoding="utf-8")
    (tmp_path / "empty.jsonl").write_text("", encoding="utf-8")
    before = (tmp_path / "train.jsonl").read_bytes()
    code, _, err = run(monkeypatch, capsys, f"bench intents {arguments}")
    assert code == 1
    assert said in err
    assert "Traceback" not in err
    assert not (tmp_path / "a.jsonl").exists()
    assert (tmp_path / "train.jsonl").read_bytes() == before


def test_figures_count_rows_that_tell_their_intent() -> None:
    answered = Answered(("a", "oos", "b", "a"), (0.9, 0.8, 0.7, 0.6), 1.0, 1.0, 1.0)
    scores = score(answered, ["a", "oos", "a", None], "oos")
    assert (scores.rows, scores.labelled, scores.n_inside, scores.n_outside) == (4, 3, 2, 1)
    assert scores.accuracy is not None
    assert round(scores.accuracy.value, 3) == 0.667
    assert scores.inside is not None
    assert scores.inside.value == 0.5
    assert scores.outside is not None
    assert scores.outside.value == 1.0
    none = score(answered, [None] * 4, "oos")
    assert (none.accuracy, none.ece) == (None, None)
    told = {"set": "s", "train": 9, "intents": 2, "train_seconds": 1.0, "p50_ms": 1.0, "p95_ms": 2.0}
    assert not [line for line in intents_lines({**told, "scores": none.model_dump(mode="json")}) if "accuracy" in line]


def test_intents_are_imported_into_the_data_directory(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lines = ['outside = ["will it rain", "sing a song"]']
    for name in ("cancel", "refund"):
        lines += [f"[intent.{name}]", f"examples = {json.dumps(TRAIN[name])}", f'action = "{name}_order"']
    (tmp_path / "intents.toml").write_text("\n".join(lines), encoding="utf-8")
    code, out, err = run(monkeypatch, capsys, "import intents intents.toml --json")
    assert code == 0, err
    assert json.loads(out) == {"intents": "int-000001", "known": 2, "examples": 10}
    assert (tmp_path / "var" / "intents" / "default" / "int-000001" / "manifest.json").is_file()
    (tmp_path / "intents.toml").write_text("[intent.a]\n", encoding="utf-8")
    code, _, err = run(monkeypatch, capsys, "import intents intents.toml")
    assert code == 1
    assert "intent.a.examples" in err


def test_two_intents_alone_are_not_imported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lines = [f"[intent.{name}]\nexamples = {json.dumps(TRAIN[name])}\n" for name in ("cancel", "refund")]
    (tmp_path / "intents.toml").write_text("\n".join(lines), encoding="utf-8")
    code, _, err = run(monkeypatch, capsys, "import intents intents.toml")
    assert code == 1
    assert "the list 'outside'" in err
    assert not (tmp_path / "var" / "intents").exists()

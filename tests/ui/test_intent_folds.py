"""`chatalogue bench intent-folds`: every example is told once, by what did not learn it; thin intents are refused."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import structlog

from agent.bench.intent_folds import measure_folds
from agent.support.intents import IntentExample
from retrieval.encoder import FloatArray
from ui.cli import main

WORDS = {"cancel": "cancel the order", "refund": "money back", "track": "where is the parcel"}
EXAMPLES = [IntentExample(f"{words} please {n}", name) for name, words in WORDS.items() for n in range(6)]


class Counting:
    """Sentence vectors that say the intent, and how often a text was read."""

    name, dim = "counting", 3

    def __init__(self) -> None:
        self.read: list[str] = []

    def encode(self, texts: list[str]) -> FloatArray:
        self.read += texts
        rows = [[float(words in text) + 0.01 for words in WORDS.values()] for text in texts]
        found = np.array(rows, dtype=np.float32)
        return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), dtype=np.float32)


def test_each_example_is_encoded_and_told_once() -> None:
    encoder = Counting()
    report = measure_folds("tiny", EXAMPLES, encoder, folds=3)
    assert sorted(encoder.read) == sorted(one.text for one in EXAMPLES)
    assert (report.told, report.learned, report.intents) == (18, 12, 3)
    assert report.parts == (1.0, 1.0, 1.0)
    assert report.accuracy.value == report.even.value == report.svm.value == 1
    assert report.gain.value == 0


def test_what_was_learned_is_not_asked() -> None:
    """Labels by lot: who could look them up would tell them, who learned from others cannot."""
    drawn = np.random.default_rng(0).permutation(np.repeat(["a", "b"], 40))
    examples = [IntentExample(f"message {n}", str(intent)) for n, intent in enumerate(drawn)]
    report = measure_folds("by lot", examples, Counting(), folds=4)
    assert report.accuracy.value < 0.75
    assert report.svm.value < 0.75


def test_draws_learn_a_few_of_each_and_tell_the_rest() -> None:
    report = measure_folds("tiny", EXAMPLES, Counting(), folds=2, each=2)
    assert (report.told, report.learned) == (2 * 12, 6)


def test_every_intent_counts_alike_in_one_of_the_figures() -> None:
    """A frequent intent that is told right and a rare one that never is: most are right, half of the intents are."""
    examples = [IntentExample(f"cancel the order {n}", "cancel") for n in range(40)]
    examples += [IntentExample(f"cancel the order {n} {n}", "rare") for n in range(40, 44)]
    report = measure_folds("skewed", examples, Counting(), folds=4)
    assert report.accuracy.value > 0.85
    assert report.even.value < 0.65


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in os.environ:
        if name.upper().startswith("CHATALOGUE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("CHATALOGUE_DATA_DIR", str(tmp_path / "var"))
    rows = [json.dumps({"text": one.text, "intent": one.intent}) for one in EXAMPLES]
    (tmp_path / "train.jsonl").write_text("\n".join(rows), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["chatalogue", "bench", "intent-folds", *arguments.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    structlog.reset_defaults()
    return int(ended.value.code or 0)


def test_the_command_writes_a_section(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shop: Path
) -> None:
    assert run(monkeypatch, "--train train.jsonl --folds 3 --name tiny") == 0
    section = json.loads((shop / "bench.json").read_text(encoding="utf-8"))["others"]["intent_folds,tiny"]
    assert section["result"]["told"] == 18
    assert f"intent-folds --train {shop.name}/train.jsonl --folds 3 --name tiny" in section["command"]
    assert "TF-IDF + linear SVM" in capsys.readouterr().out


@pytest.mark.parametrize("options", ["--folds 7", "--folds 2 --each 6"])
def test_too_few_examples_are_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shop: Path, options: str
) -> None:
    assert run(monkeypatch, f"--train train.jsonl {options}") != 0
    told = capsys.readouterr().err
    assert "The intent 'cancel' has 6 examples and 7 are needed" in told
    assert "Traceback" not in told
    assert not (shop / "bench.json").exists()

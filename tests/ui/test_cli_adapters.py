"""`chatalogue adapters`: what is there, what differs, and who answers."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog

from agent.adapters import AdapterManifest, BaseIdentity, GateVerdict, Measured
from agent.adapters.registry import AdapterRegistry
from agent.datadir import DataDirectory
from agent.log.adapters import Source
from agent.log.store import EventLog
from ui.cli import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.upper().startswith("CHATALOGUE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("CHATALOGUE_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["chatalogue", "adapters", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        structlog.reset_defaults()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return call


@pytest.fixture
def two(tmp_path: Path) -> tuple[str, str]:
    """A good adapter and one that the gate refused, its child; one customer of both was erased since."""
    log = EventLog.open(None, tmp_path / "var")
    registry = AdapterRegistry(DataDirectory(tmp_path / "var"), log, "default")
    gone = log.start_conversation("default", "key", None)
    source = tmp_path / "trained"
    source.mkdir()
    parent: str | None = "starter-abc"
    made = []
    for number, passed in ((1, True), (2, False)):
        (source / "adapter_config.json").write_text(json.dumps({"r": 8 * number}))
        (source / "adapter_model.safetensors").write_bytes(b"%d" % number)
        adapter = registry.reserve()
        registry.record_training(adapter, [Source(gone.id, gone.id), Source("p_1", "s_1"), Source("p_2")])
        told = AdapterManifest(
            adapter, parent, BaseIdentity("smollm2-135m-instruct", "gguf:0"), f"{number}" * 64, {"rate": number / 10},
            {"train": number}, {"accuracy": Measured(0.5 + number / 10, 0.4, 0.9, 120)},
            GateVerdict(passed, "Better." if passed else "It forgot how to chat."), ("reply",), 300, 3, "opt_out",
            "c0ffee", "2026-11-23T01:00:00+00:00",
        )  # fmt: skip
        parent = registry.publish(told, source).id
        made.append(parent)
    log.delete_session("default", gone.id)
    log.close()
    return made[0], made[1]


def test_without_any_the_one_of_the_settings_is_the_champion(run: Run) -> None:
    assert run("list") == (0, "the adapter of the settings (starter)  champion\n", "")
    assert json.loads(run("list", "--json")[1]) == {"champion": None, "canary": None, "adapters": []}
    code, out, err = run("rollback")
    assert (code, out) == (1, "")
    assert "there is none before it" in err
    assert "no adapter 'ada-000001'" in run("show", "ada-000001")[2]
    assert run("prune")[1] == "Deleted: none.\n"


def test_list_and_show_say_what_an_adapter_is(run: Run, two: tuple[str, str]) -> None:
    good, bad = two
    lines = run("list")[1].splitlines()
    assert lines[0].endswith("champion")
    assert lines[1].startswith(
        f"{good}  candidate  2026-11-23T01:00  from starter-abc  300 examples of 3 customers, 1 of"
    )
    assert lines[2].startswith(f"{bad}  rejected")
    out = run("show", bad)[1]
    for word in (
        f"Lineage: {bad} <- {good} <- starter-abc", "Data " + "2" * 64, "300 examples of 3 customers (opt_out)",
        "commit c0ffee", "accuracy: 0.7 [0.4, 0.9] over 120", "Gate: refused. It forgot how to chat.", "Skills: reply",
        "1 of its 3 customers (1 of 2 conversations)", "what the weights learned from them stays",
    ):  # fmt: skip
        assert word in out
    told = json.loads(run("show", bad, "--json")[1])
    assert (told["state"], told["lineage"], told["trial"]) == ("rejected", [bad, good, "starter-abc"], None)
    assert told["sources"] == {
        "customers": 3, "conversations": 2, "erased_customers": 1, "erased_conversations": 1
    }  # fmt: skip
    assert told["weight_hash"] == told["files"]["adapter_model.safetensors"]


def test_diff_names_what_differs_and_nothing_else(run: Run, two: tuple[str, str]) -> None:
    told = json.loads(run("diff", *two, "--json")[1])
    assert told["peft r"] == {two[0]: "8", two[1]: "16"}
    assert told["metric accuracy"] == {two[0]: "0.6 [0.4, 0.9] over 120", two[1]: "0.7 [0.4, 0.9] over 120"}
    assert {"state", "parent", "data", "weights", "verdict", "config rate", "seed train"} < set(told)
    assert not {"base", "examples", "customers", "consent", "commit", "skills"} & set(told)
    assert f"peft r\n  {two[0]}: 8\n  {two[1]}: 16\n" in run("diff", *two)[1]
    assert run("diff", two[0], two[0])[1] == "They do not differ.\n"


def test_canary_champion_and_back(run: Run, two: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = two
    assert "answers 20% of the conversations" in run("promote", good, "--canary", "0.2")[1]
    out = run("list")[1]
    assert f"{good} answers 20% of the conversations." in out
    assert "Trial: 0 conversations of the canary, 0 of the champion" in out
    assert "It is promoted when it is surely less than 0.1 worse on each, from 100 conversations on" in out
    assert "thumbs down: 0, champion 0" in run("show", good)[1]
    assert json.loads(run("list", "--json")[1])["canary"]["adapter"] == good
    assert f"{good} is the champion" in run("promote", good, "--reason", "it is better")[1]
    assert json.loads(run("list", "--json")[1])["champion"] == good
    assert run("rollback", "--reason", "it swears")[1] == (
        f"{good} is taken back; the adapter of the settings (starter) answers.\n"
    )
    done = [(move["kind"], move["reason"]) for move in json.loads(run("show", good, "--json")[1])["moves"]]
    assert done == [("begun", ""), ("canary", ""), ("promoted", "it is better")]
    code, _, err = run("promote", bad)
    assert code == 1
    assert "It forgot how to chat" in err
    assert "up to 0.5" in run("promote", good, "--canary", "0.9")[2]
    monkeypatch.setenv("CHATALOGUE_LLM__ENGINE", "vllm")
    monkeypatch.setenv("CHATALOGUE_LLM__VLLM__ADAPTERS", "merged")
    assert "none can be on trial" in run("promote", good, "--canary", "0.2")[2]
    assert run("prune", "--keep", "0")[1] == f"Deleted: {good}, {bad}.\n"


def test_a_replay_with_an_adapter_that_is_not_there_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["chatalogue", "replay", "--since", "1d", "--adapter", "ada-000009"])
    with pytest.raises(SystemExit) as ended:
        main()
    structlog.reset_defaults()
    assert ended.value.code == 1
    assert "no adapter 'ada-000009'" in capsys.readouterr().err

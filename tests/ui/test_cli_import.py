"""`chatalogue import interactions`: into the log once, with an account of what was left out."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
import structlog

from agent.api.auth import key_id_of
from agent.log.records import Deed
from agent.log.store import EventLog
from ui.cli import main

ROWS = """user,item,kind,value,time
ann,film-a,buy,9.90,2024-01-31
ann,film-b,rating,4,2024-01-31
bob,film-a,danced,,2024-01-31
bob,film-a,view,,2024-01-31
bob,film-a,view,,2024-01-31
"""


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.upper().startswith("CHATALOGUE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("CHATALOGUE_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "history.csv").write_text(ROWS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["chatalogue", "import", "interactions", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    structlog.reset_defaults()
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


def deeds(tmp_path: Path) -> tuple[Deed, ...]:
    log = EventLog.open(None, tmp_path / "var")
    try:
        return log.deeds("default", "opt_out")
    finally:
        log.close()


def test_rows_are_stored_once_and_accounted_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, out, err = run(monkeypatch, capsys, "history.csv", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["rejected"][0]["line"] == 4
    assert "'danced'" in found["rejected"][0]["reason"]
    assert {name: found[name] for name in ("rows", "stored", "known_before")} == {
        "rows": 5,
        "stored": 3,
        "known_before": 1,
    }
    assert found["unknown"] == {"items": 0, "rows": 0}  # there is no catalogue yet
    assert "user from 'user'" in err
    assert [(deed.item_id, deed.kind, deed.value) for deed in deeds(tmp_path)] == [
        ("film-a", "buy", 9.9),
        ("film-b", "rating", 4.0),
        ("film-a", "view", None),
    ]
    code, out, err = run(monkeypatch, capsys, "history.csv")
    assert out == "0 of 5 rows were stored; 4 were there already, 1 were left out.\n"
    assert "line 4: " in err
    assert len(deeds(tmp_path)) == 3


def test_items_that_the_catalogue_lacks_are_counted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("ui.commands.importing._catalogue", lambda settings, log: frozenset({"film-b"}))
    code, out, _ = run(monkeypatch, capsys, "history.csv", "--json")
    assert code == 0
    assert json.loads(out)["unknown"] == {"items": 1, "rows": 3}
    assert len(deeds(tmp_path)) == 3


def test_users_are_those_of_the_one_api_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("CHATALOGUE_SERVER__API_KEYS", '["open-sesame"]')
    assert run(monkeypatch, capsys, "history.csv")[0] == 0
    log = EventLog.open(None, tmp_path / "var")
    try:
        ann = log.start_conversation("default", key_id_of("open-sesame"), "ann").person_id
        assert {deed.item_id for deed in log.deeds("default", "opt_out", ann)} == {"film-a", "film-b"}
    finally:
        log.close()


def test_with_several_keys_it_asks_for_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("CHATALOGUE_SERVER__API_KEYS", '["one", "two"]')
    code, out, err = run(monkeypatch, capsys, "history.csv")
    assert (code, out) == (1, "")
    assert "several API keys" in err


def test_a_missing_file_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, out, err = run(monkeypatch, capsys, "nothing.csv")
    assert (code, out) == (1, "")
    assert "nothing.csv" in err
    assert not (tmp_path / "var").exists()

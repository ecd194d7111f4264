"""`chatalogue privacy sweep`: what would go, what went, and where nothing says how old words may get."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.log.store import EventLog
from retrieval.errors import BadRequest
from ui.commands.privacy import run_sweep


def test_a_sweep_says_what_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CHATALOGUE_DATA_DIR", str(tmp_path / "var"))
    log = EventLog.open(None, tmp_path / "var")
    log.start_conversation("default", "", "ann")
    log.close()
    with pytest.raises(BadRequest, match="kept for ever"):
        run_sweep(None, dry_run=False, as_json=False, config=None)
    run_sweep(30, dry_run=True, as_json=True, config=None)
    told = json.loads(capsys.readouterr().out)
    assert told == {"days": 30, "dry_run": True, "conversations": 0, "events": 0, "names": 0}
    monkeypatch.setenv("CHATALOGUE_PRIVACY__RETENTION_DAYS", "30")
    run_sweep(None, dry_run=False, as_json=False, config=None)
    assert "the words of 0 conversations" in capsys.readouterr().out

"""`chatalogue import articles` and `import tickets`: what changed, what was left out, and nothing twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_encoder import SmallEncoder
from typer.testing import CliRunner

from agent.log.store import EventLog
from agent.log.tickets import read_tickets
from finetune.dataset import read_rows
from retrieval.errors import CatalogueError
from retrieval.index import build_index
from retrieval.items import Item
from ui.cli import app


@pytest.fixture
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "var"
    monkeypatch.setenv("CHATALOGUE_DATA_DIR", str(root))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("ui.wiring.SentenceEncoder", lambda *args, **named: SmallEncoder())
    monkeypatch.setattr("ui.commands.importing_tickets.presidio_finder", lambda: lambda text: [])
    monkeypatch.setattr("ui.commands.feedback.presidio_finder", lambda: lambda text: [])
    return root


def run(*arguments: str) -> tuple[str, str]:
    done = CliRunner().invoke(app, ["import", *arguments], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout, done.stderr


def test_articles_come_in_once_and_go_with_their_files(var: Path, tmp_path: Path) -> None:
    folder = tmp_path / "help"
    folder.mkdir()
    (folder / "a.md").write_text("# A\n\nWords.\n", encoding="utf-8")
    (folder / "b.html").write_text("<title>B</title>More words.", encoding="utf-8")
    (folder / "c.pdf").write_bytes(b"%PDF nothing")
    out, err = run("articles", str(folder), "--dry-run")
    assert "2 added, 0 changed, 0 removed, 0 unchanged (nothing was written)." in out
    assert "The article 'c.pdf' was left out: it is no PDF that can be read" in err
    assert not list((var / "articles").rglob("manifest.json"))

    out, _ = run("articles", str(folder))
    assert out.splitlines() == [
        "added: a.md, b.html",
        "2 added, 0 changed, 0 removed, 0 unchanged; 2 passages are live as 000001.",
    ]
    (folder / "a.md").unlink()
    told = json.loads(run("articles", str(folder), "--json")[0])
    assert (told["removed"], told["unchanged"], told["articles"], told["chunks"]) == (["a.md"], ["b.html"], "000002", 1)
    assert told["problems"][0]["file"] == "c.pdf"
    again = json.loads(run("articles", str(folder), "--json")[0])
    assert (again["added"], again["changed"], again["removed"], again["articles"]) == ([], [], [], "000002")

    with pytest.raises(CatalogueError, match="no folder"):
        run("articles", str(tmp_path / "nowhere"))


def test_tickets_are_masked_stored_once_and_exported(var: Path, tmp_path: Path) -> None:
    file, rows = tmp_path / "tickets.jsonl", tmp_path / "rows.jsonl"
    lines = [
        {"id": 1, "question": "Where is my parcel? Mail me at ann@example.com", "answer": "On its way.", "user": "ann"},
        {"id": 2, "question": "Do you ship to Spain?", "answer": "Yes, in 4 to 7 working days."},
        {"id": 3, "question": "No answer"},
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    out, err = run("tickets", str(file), "--dry-run")
    assert out.startswith("2 of 3 rows can be stored; personal data was replaced in 1 of them, 1 rows were left out")
    assert "line 3: no answer" in err
    told = json.loads(run("tickets", str(file), "--json")[0])
    assert (told["stored"], told["known_before"], told["masked"], len(told["rejected"])) == (2, 0, 1, 1)
    told = json.loads(run("tickets", str(file), "--json")[0])
    assert (told["stored"], told["known_before"]) == (0, 2)

    log = EventLog.open(None, var)
    first, second = read_tickets(log, "default", "opt_out")
    assert first.question == "Where is my parcel? Mail me at"
    assert (first.person_id, second.person_id) == (log.person_id("default", "", "ann"), None)
    build = build_index([Item("i", "Film")], var / "index" / "default", SmallEncoder())
    log.activate_index("default", build.name)
    log.close()
    done = CliRunner().invoke(app, ["feedback", "export", "--out", str(rows), "--json"], catch_exceptions=False)
    assert json.loads(done.stdout)["rows"]["sft"] == 2
    assert [row.signal for row in read_rows(rows)] == ["ticket", "ticket"]
    for found in var.rglob("*"):
        assert found.is_dir() or b"ann@example.com" not in found.read_bytes(), found

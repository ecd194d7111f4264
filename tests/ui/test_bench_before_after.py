"""`chatalogue bench talk`: the scripted conversation by rules alone and with the model, side by side on the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.bench.scripts import Script
from agent.bench.transcripts import NamedItem, RecordedTurn, Transcript
from agent.settings import Settings
from ui.bench import talks
from ui.bench.render import render
from ui.bench.render_talk import talk_lines
from ui.bench.report import read_report
from ui.commands import bench
from ui.commands.bench import TALK, BenchCall

HEAT, ALIEN = NamedItem(id="heat", title="Heat"), NamedItem(id="alien", title="Alien")


def talk_of(model: str, *turns: RecordedTurn) -> Transcript:
    return Transcript(title="The Reel Shop", n_items=552, model=model, adapter=None, turns=turns)


def turn(reply: str, *items: NamedItem, error: str = "") -> RecordedTurn:
    return RecordedTurn(shows="a wish", said="a thriller", reply=reply, items=items, error=error)


def test_where_rules_alone_say_something_else_it_stands_below() -> None:
    model = talk_of("small", turn("Heat fits.", HEAT), turn("Same."), turn("Yes.", HEAT))
    rules = talk_of("none", turn("Here is Heat.", HEAT), turn("Same."), turn("", error="It *fell* over."))
    lines = talk_lines(model, rules)
    assert (
        "Against the same conversation by rules and templates alone: 2 of 3 replies differ, 1 lists of items, "
        "0 sets of wishes." in lines
    )
    assert lines.count("By rules and templates alone:") == 2
    assert lines.index("> Heat fits.") < lines.index("> Here is Heat.")
    assert lines.count("> Same.") == 1
    assert lines[-1] == r"No answer: It \*fell\* over."
    assert "By rules and templates alone:" not in talk_lines(model)


def test_one_command_records_both(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    engines: list[str] = []

    def talk(settings: Settings, script: Script, films: Path | None, say: object) -> Transcript:
        engines.append(settings.llm.engine)
        items = () if films is None else (ALIEN,)
        return talk_of(settings.llm.engine, turn(f"by {settings.llm.engine}", *items))

    monkeypatch.setattr(talks, "talk", talk)
    monkeypatch.setattr(bench, "configure_logs", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    films = tmp_path / "films.jsonl"
    films.write_text("")
    bench.run(BenchCall(Path("bench.json"), films=films), TALK)
    assert engines == ["off", "auto", "off", "auto"]
    report = read_report(Path("bench.json"))
    assert report.talk_shop is not None
    assert report.talk_shop_rules is not None
    assert report.talk_films_rules is not None
    assert (report.talk_shop.result.model, report.talk_shop_rules.result.model) == ("auto", "off")
    assert report.talk_films_rules.result.turns[0].items == (ALIEN,)
    page = render(report, "bench.json")
    assert page.count("By rules and templates alone:") == 2
    assert page.index("> by auto") < page.index("> by off")

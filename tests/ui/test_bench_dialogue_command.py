"""`chatalogue bench dialogue`: cells, options, and the figures in the file and on the page."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.bench.dialogue.figures import (
    UNKNOWN_WITHOUT_OBJECT,
    Cell,
    DialogueReport,
    difference,
    drawn_of,
    figures_of,
)
from agent.bench.dialogue.keeping import Kept
from agent.bench.dialogue.measure import Plan
from agent.bench.dialogue.needs import Need, Wish
from agent.bench.dialogue.runner import Dialogue
from agent.settings import LLMSettings, Settings
from agent.starter.choosing import NO_ADAPTER
from retrieval.errors import BadRequest
from ui.bench import customers
from ui.bench.customers import Bots, Listeners, cell_settings, known_cells, served_cells
from ui.bench.render import render
from ui.bench.render_dialogue import dialogue_lines
from ui.bench.report import read_report
from ui.cli import app
from ui.commands import bench_others
from ui.commands.bench_dialogue import DialogueCall, dialogue_of, run_dialogue

GOOD = [Dialogue(0, 0, 1, 1, turn_ms=(30.0,), acts=("opens",)), Dialogue(0, 1, 5, 5, acts=("opens", "adds"))]
BAD = [
    Dialogue(0, 0, 1, 1),
    Dialogue(0, 1, 5, None, {"hard wish broken": ("Heat is not genre eq Horror",)}, linked=True),
]
FILMS = Path(__file__).parent.parent / "agent" / "data" / "films30.jsonl"


def report_of(plan: Plan) -> DialogueReport:
    cells = [
        Cell(cell="rules", bot="rules only", figures=figures_of(GOOD, 2), full_text=None, unknown=[]),
        Cell(
            cell="http",
            bot="another over HTTP",
            figures=figures_of(BAD, 2),
            full_text=figures_of(BAD[:1], 1),
            unknown=list(UNKNOWN_WITHOUT_OBJECT),
        ),
    ]
    need = Need(0, (Wish("genre", "eq", "Horror"),), frozenset({"alien"}), 10)
    return DialogueReport(
        catalogue=plan.catalogue, items=552, needs=1, runs=2, seed=plan.seed, customer=plan.customer,
        drawn=drawn_of([need]), cells=cells, differences=[difference("http", BAD, "rules", GOOD, 2)],
    )  # fmt: skip


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bench_others, "configure_logs", lambda *_: None)  # it would keep this test's stderr


def test_figures_stand_on_the_page(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[tuple[Bots, Path | None, Plan]] = []

    async def measure(bots: Bots, items: Path | None, plan: Plan, kept: Kept, to: Listeners) -> DialogueReport:
        asked.append((bots, items, plan))
        return report_of(plan)

    monkeypatch.setattr(customers, "measure", measure)
    out = Path("bench.json")
    run_dialogue(DialogueCall(out, n=1, k=2, seed=7))
    run_dialogue(DialogueCall(out, items=FILMS, n=1, k=2, cells="adapter, rules", adapter=Path("lora"), full_text=5))
    (first, no_items, plan), (second, items, other) = asked
    assert (no_items, plan) == (None, Plan(1, 2, 7, "the demo shop", 30, "templates"))
    assert (first.cells, first.settings.chat.exploration) == (("rules",), 0.0)
    assert (items, other.catalogue, other.full_text) == (FILMS, "films30.jsonl", 5)
    assert (second.cells, second.adapter) == (("rules", "adapter"), Path("lora"))
    assert "| hard wish broken (must be 0) | 0 | 1 in 1 [1 – 1] of needs |" in capsys.readouterr().out
    page = render(read_report(out), "bench.json")
    assert "## Simulated customers who pursue a need\n" in page
    assert "## Simulated customers who pursue a need: films30.jsonl\n" in page
    assert "`chatalogue bench dialogue --n 1 --k 2 --seed 7 --out bench.json`" in page
    assert "--items films30.jsonl --n 1 --k 2 --cells adapter, rules --full-text 5 --adapter lora --out" in page
    assert "|  | rules | http |" in page
    assert "| success in all runs (pass^2) | 1 [1 – 1] | 0 [0 – 0] |" in page
    assert "| success within 5 | -0.5 [-0.5 – -0.5] |" in page
    assert "- not sure of http: hard wish broken" in page
    assert "- simulated customers who pursue a need: not in this file" not in page


def test_how_many_phrasings_were_kept_is_told_where_a_model_phrased() -> None:
    row = "| messages with values that kept the model's words | 0 of 0 | 0 of 0 |"
    said = report_of(Plan(1, 2, 7, "the demo shop", customer="llm, small")).model_dump(mode="json")
    assert row in dialogue_lines(said)
    assert row not in dialogue_lines(report_of(Plan(1, 2, 7, "the demo shop")).model_dump(mode="json"))


def test_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[DialogueCall] = []
    monkeypatch.setattr("ui.commands.bench_dialogue.run_dialogue", calls.append)
    given = "bench dialogue --cells rules,base --full-text 3 --keep kept.jsonl --customer llm --n 2 --url http://x/v1"
    assert CliRunner().invoke(app, given.split()).exit_code == 0
    (call,) = calls
    assert (call.cells, call.full_text, call.keep, call.customer) == ("rules,base", 3, Path("kept.jsonl"), "llm")
    assert (call.n, call.k, call.url, call.items, call.adapter) == (2, 4, "http://x/v1", None, None)


def test_cells_are_settings() -> None:
    llm = LLMSettings(engine="auto", understand="off", adapter="mine")
    bots = Bots(Settings(llm=llm), adapter=None)
    assert cell_settings("rules", bots).llm.engine == "off"
    base = cell_settings("base", bots).llm
    assert (base.engine, base.adapter, base.understand, base.reply) == ("embedded", NO_ADAPTER, "off", "on")
    assert cell_settings("adapter", bots).llm.adapter == "mine"
    named = Bots(bots.settings, adapter=Path("/lora"))
    assert cell_settings("adapter", named).llm.adapter == "/lora"
    assert cell_settings("vllm", named).llm.engine == "vllm"


def test_what_is_served_is_measured() -> None:
    def cells(**llm: object) -> tuple[str, ...]:
        return served_cells(Settings(llm=LLMSettings(**llm)))  # type: ignore[arg-type]  # as a settings file has it

    assert cells(engine="off") == ("rules",)
    assert cells(engine="vllm") == ("rules", "vllm")
    assert cells(adapter=NO_ADAPTER) == ("rules", "base")
    assert cells(adapter="/somewhere") == ("rules", "adapter")
    assert cells(model="another") == ("rules", "base")


def test_names_of_cells() -> None:
    assert known_cells("vllm,rules,rules") == ("rules", "vllm")
    assert known_cells("") == ()
    with pytest.raises(BadRequest, match="no cell 'gpt'"):
        known_cells("rules,gpt")


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="no file 'no-such'"):
        dialogue_of(DialogueCall(Path("bench.json"), items=Path("no-such")))
    with pytest.raises(BadRequest, match="no cell"):
        dialogue_of(DialogueCall(Path("bench.json"), cells="no-such"))
    nowhere = DialogueCall(tmp_path / "bench.json", n=1, k=1, url="http://127.0.0.1:9/v1")
    with pytest.raises(BadRequest, match="lists no models"):
        run_dialogue(nowhere)
    assert not (tmp_path / "bench.json").exists()


async def test_the_rules_of_this_process(tmp_path: Path) -> None:
    """The whole way on a catalogue of our own: index, needs, conversations, figures."""
    settings = Settings(data_dir=tmp_path / "data", chat={"exploration": 0.0})  # type: ignore[arg-type]
    said: list[str] = []
    bars: list[tuple[str, int, int]] = []
    listeners = Listeners(lambda *bar: bars.append(bar), said.append)
    report = await customers.measure(
        Bots(settings, ("rules",)), FILMS, Plan(3, 1, 1, "films30", 3), Kept(None), listeners
    )
    (cell,) = report.cells
    assert (cell.cell, cell.bot, cell.full_text, cell.unknown) == ("rules", "rules only", None, [])
    assert cell.figures.success[-1].success.value > 0
    assert bars[-1] == ("rules", 3, 3)
    assert said[0].startswith("rules (rules only):")

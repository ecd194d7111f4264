"""`chatalogue bench loop`: what is done is not done again, what is written down has no paths, and the page tells it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

from agent.bench.dialogue.needs import Need, Wish
from agent.bench.dialogue.runner import Dialogue
from agent.bench.loop.figures import arm, exposure, gain
from agent.bench.loop.town import Townsperson
from agent.bench.loop.visits import Visit
from retrieval.errors import BadRequest
from ui.bench import loop_notes
from ui.bench.loop_notes import Folder, Notes, Serving
from ui.bench.loop_page import GATE, MAX_LINES, PAGE, write_page
from ui.bench.loop_report import Chat, Command, Learned, LoopReport, Memory, Poison, Rollback, Taught, Trial
from ui.bench.processes import CommandFailed
from ui.bench.render import OTHERS
from ui.bench.render_loop import SECTION, loop_lines
from ui.cli import app

PEOPLE = [
    Townsperson(Need(n, (Wish("genre", "eq", "War"),), frozenset("a"), 3), tuple("abcd"), n == 1) for n in range(4)
]
BEFORE = [Visit(n, Dialogue(n, 0, 2, None), (("d",),), ("starter",), "linear") for n in range(4)]
AFTER = [Visit(n, Dialogue(n, 0, 1, 1), (("a", "p"),), ("ada-000001",), "ranker-000001") for n in range(4)]


class Outcome(BaseModel):
    number: int


def report_of(*, passed: bool = True, gate: str = "# Gate\n\nPassed.") -> LoopReport:
    learned = Learned(
        parts={"ranker": "live", "adapter": "canary" if passed else "refused"},
        report="# What was learned", gate=gate, adapter="ada-000001", passed=passed,
    )  # fmt: skip
    names = ("before", "index", "after")
    visits = {"before": BEFORE, "index": BEFORE, "after": AFTER}
    printed = "\n".join(f"line {n}" for n in range(MAX_LINES + 5))
    return LoopReport(
        catalogue="The Reel Shop",
        items=552,
        seeds={"taught": 1, "new": 2},
        slang={"melancholy": "a weepie"},
        taught=Taught(people=300, full_text=30, turns=800, reactions={"accept": 200, "thumb_up": 50}, seconds=100),
        learned=learned,
        trial=Trial(share=0.5, people=40, answers={"ada-000001": 60, "starter": 50}, sticky=True) if passed else None,
        arms=[arm(name, visits[name], PEOPLE) for name in names],
        gains=[gain(name, visits[name], "before", BEFORE, PEOPLE) for name in names[1:]],
        chat=Chat(messages=24, same_action=24, same_text=23),
        poison=Poison(
            item="Heat",
            people=200,
            campaigners=10,
            reactions={"accept": 30},
            learned=learned.model_copy(update={"passed": False, "gate": "# Gate\n\nRefused."}),
            exposure=exposure("p", BEFORE, AFTER, PEOPLE),
            bound=0.02,
            served_anyway=False,
        ),
        rollback=Rollback(
            before_adapters={"ada-000001": 4},
            before_rankers={"ranker-000001": 4},
            after_adapters={"starter": 4},
            after_rankers={"ranker-000001": 4},
            linear_rankers={"linear": 4},
        ),
        commands=[Command(step="learn", line="chatalogue learn", stdout=printed, seconds=300.4, peak_rss_gib=1.234)],
        memory=[Memory(step="before", server=0.9, model=0.7)],
    )


def test_a_step_is_done_once(tmp_path: Path) -> None:
    done: list[int] = []

    def do(notes: Notes) -> Outcome:
        done.append(1)
        notes.commands.append(Command(step="one", line="chatalogue learn", seconds=2.0))
        return Outcome(number=7)

    for _ in range(2):
        folder = Folder(tmp_path / "run", lambda line: None)
        assert folder.step("one", Outcome, do) == Outcome(number=7)
        assert [one.line for one in folder.commands] == ["chatalogue learn"]
    assert len(done) == 1
    (tmp_path / "run" / "steps" / "one.json").write_text('{"number": 7}')
    with pytest.raises(BadRequest, match="another version"):
        Folder(tmp_path / "run", lambda line: None).step("one", Outcome, do)


def test_a_step_that_failed_is_done_again(tmp_path: Path) -> None:
    folder = Folder(tmp_path, lambda line: None)

    def fail(notes: Notes) -> Outcome:
        raise CommandFailed("no")

    with pytest.raises(CommandFailed):
        folder.step("one", Outcome, fail)
    assert folder.step("one", Outcome, lambda notes: Outcome(number=1)).number == 1


def test_visits_are_kept_and_a_line_that_was_cut_off_is_not(tmp_path: Path) -> None:
    folder = Folder(tmp_path, lambda line: None)
    for one in AFTER[:3]:
        folder.add("after", one)
    file = tmp_path / "visits" / "after.jsonl"
    file.write_text(file.read_text()[:-40])
    assert list(folder.visits("after")) == [0, 1]
    folder.add("after", AFTER[2])
    assert folder.in_order("after", [2, 0]) == [AFTER[2], AFTER[0]]
    folder.forget("after")
    assert folder.visits("after") == {}


def test_commands_are_written_down_without_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = (
        "import os, sys; print(os.environ['CHATALOGUE_DATA_DIR'] + '/adapters', os.environ['X'], *sys.argv[1:]);"
        "sys.exit(sys.argv[1] == 'fail')"
    )
    monkeypatch.setattr(loop_notes, "CHATALOGUE", (sys.executable, "-c", script))
    shop = tmp_path / "shop"
    notes = Notes("learn")
    said = notes.run(f"index {shop}/items.jsonl", shop, {"X": f"{shop}/adapters/ada-000001"})
    assert said.startswith(str(shop)), "the run itself gets what was printed"
    (command,) = notes.commands
    assert command.line == "X=ada-000001 chatalogue index shop/items.jsonl"
    assert str(tmp_path) not in command.stdout
    assert command.peak_rss_gib is not None
    with pytest.raises(CommandFailed):
        notes.run("fail", shop, {"X": ""})


def test_what_a_server_is_told() -> None:
    assert Serving(Path("shop")).more == {"CHATALOGUE_LLM__REPLY": "off"}
    teaching = Serving(Path("shop"), explores=True, writes=True, adapter=Path("ada"), variables={"A": "1"}).more
    assert teaching == {"CHATALOGUE_CHAT__EXPLORATION": "0.05", "CHATALOGUE_LLM__ADAPTER": "ada", "A": "1"}


def test_the_section_tells_who_helped_and_what_it_cost() -> None:
    page = "\n".join(loop_lines(report_of().model_dump(mode="json")))
    assert "| before | 0.000 [0.000, 0.000] |" in page
    assert "| all that went live | 1.000 [1.000, 1.000] |" in page
    assert "Surely better than before: all that went live." in page
    assert "ada-000001 passed the gate" in page
    assert "rise 1.000 [1.000, 1.000], NOT surely within the bound of 0.02" in page
    assert "| learn: `chatalogue learn` | 300 | 1.23 |" in page
    assert SECTION in OTHERS


def test_the_record_has_the_gates_page_and_the_commands(tmp_path: Path) -> None:
    write_page(report_of(), tmp_path / "loop")
    text = (tmp_path / "loop" / PAGE).read_text()
    assert "$ chatalogue learn    # 300 s, 1.23 GiB\nline 0\n" in text
    assert f"line {MAX_LINES - 1}\n... (5 lines more)" in text
    assert "40 people, 50% for the canary" not in text, "a step without commands is not told"
    assert (tmp_path / "loop" / GATE).read_text().startswith("# Gate")
    assert f"({GATE})" in text
    refused = report_of(passed=False, gate="")
    write_page(refused, tmp_path / "other")
    assert not (tmp_path / "other" / GATE).exists()
    assert "was refused by the gate" in (tmp_path / "other" / PAGE).read_text()


def test_the_command_says_what_it_takes() -> None:
    shown = CliRunner().invoke(app, ["bench", "loop", "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    assert "--keep" in shown.output

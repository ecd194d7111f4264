"""Runs that go on where they were, and customers whose words are a language model's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from talking import ScriptedEngine

from agent.bench.dialogue.keeping import Kept
from agent.bench.dialogue.measure import Plan, Side, Simulation
from agent.bench.dialogue.phrasing import AsWritten, ByModel, keeps
from agent.bench.dialogue.reading import Reply
from agent.bench.dialogue.words import Act
from agent.llm.protocol import Chunk
from agent.services import PastMessage
from retrieval.errors import BadRequest, EngineError
from retrieval.table import ItemTable

ACT = Act("adds", "And no more than 20 EUR.", ("no more than 20 EUR",))
SWAP = Act("changes", "Sorry, I meant jazz, not rock.", ("jazz, not rock",))


class Counting:
    """A bot that never helps and counts its replies; it is gone after `lasts` of them."""

    def __init__(self, lasts: int = 10_000) -> None:
        self.replies = 0
        self._lasts = lasts

    async def reply(self, text: str, history: Sequence[PastMessage], session_id: str | None) -> Reply:
        if self.replies == self._lasts:
            raise BadRequest("The bot does not answer any more.")
        self.replies += 1
        return Reply(f"No, for the {self.replies}. time.")


def simulation(table: ItemTable, file: Path | None, n: int = 3, seed: int = 1, full: int = 0) -> Simulation:
    return Simulation(table, Plan(n, 2, seed, "films30", full), AsWritten(), Kept(file))


async def test_a_stopped_run_goes_on(film_table: ItemTable, tmp_path: Path) -> None:
    file = tmp_path / "kept.jsonl"
    whole, gone, rest = Counting(), Counting(9), Counting()
    expected = await simulation(film_table, None).hold(Side("a", "bot", whole), lambda *_: None)
    with pytest.raises(BadRequest, match="any more"):
        await simulation(film_table, file).hold(Side("a", "bot", gone), lambda *_: None)
    kept = len(file.read_text().splitlines())
    assert 0 < kept < 6
    with file.open("a") as broken:
        broken.write('{"where": {"ce')  # the process was killed
    seen: list[tuple[str, int, int]] = []
    held = await simulation(film_table, file).hold(Side("a", "bot", rest), lambda *said: seen.append(said))
    assert rest.replies == whole.replies - sum(one.turns for one in held.dialogues[:kept])
    assert [one.acts for one in held.dialogues] == [one.acts for one in expected.dialogues]
    assert seen[-1] == ("a", 6, 6)
    assert len(file.read_text().splitlines()) == 6


async def test_what_differs_is_held_again(film_table: ItemTable, tmp_path: Path) -> None:
    file = tmp_path / "kept.jsonl"
    await simulation(film_table, file).hold(Side("a", "bot", Counting()), lambda *_: None)
    again = Counting()
    await simulation(film_table, file).hold(Side("a", "bot", again), lambda *_: None)
    assert again.replies == 0
    for other, side in (
        (simulation(film_table, file, seed=2), Side("a", "bot", again)),
        (simulation(film_table, file), Side("b", "bot", again)),
        (simulation(film_table, file), Side("a", "bot with an adapter", again)),
        (simulation(ItemTable(film_table.items[1:]), file), Side("a", "bot", again)),
    ):
        before = again.replies
        await other.hold(side, lambda *_: None)
        assert again.replies > before


async def test_full_text_is_asked_of_the_other_bot(film_table: ItemTable, tmp_path: Path) -> None:
    file = tmp_path / "kept.jsonl"
    for _ in range(2):
        dull, full = Counting(), Counting()
        of = simulation(film_table, file, full=2)
        held = await of.hold(Side("a", "bot", dull, full), lambda *_: None)
    assert (dull.replies, full.replies) == (0, 0)
    assert [(one.need, one.run) for one in held.full] == [(0, 0), (1, 0)]
    report = of.report([held])
    assert report.cells[0].full_text is not None
    assert (report.cells[0].full_text.needs, report.cells[0].figures.needs) == (2, 3)
    assert any("hard wish broken" in one for one in report.cells[0].unknown)  # the bot has no object


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "kept.jsonl"
    file.write_text('{"id": 1}\n')
    with pytest.raises(BadRequest, match="Line 1 .* no conversation of this version"):
        Kept(file)


@pytest.mark.parametrize(
    ("act", "said", "kept"),
    [
        (ACT, "Oh, and it should cost no more than 20 EUR.", True),
        (ACT, "Please keep it to no more than 20 EUR!", True),
        (ACT, "It may cost about 20 EUR.", False),
        (ACT, "No more than 20 EUR, or 25 EUR.", False),
        (ACT, "No more than 20 EUR, and some jazz.", False),
        (ACT, "Ideally no more than 20 EUR.", False),
        (ACT, "It is not no more than 20 EUR.", False),
        (ACT, "No more than 20 EUR, since " + "my aunt who lives in town told me so " * 2, False),
        (ACT, "", False),
        (ACT, "We offer no more than 20 EUR.", False),
        (SWAP, "Oh sorry! I wanted jazz, not rock.", True),
        (SWAP, "Oh sorry! I wanted rock, not jazz.", False),
        (Act("adds", "Preferably jazz.", ("jazz",)), "It should be jazz.", False),
        (Act("adds", "Preferably jazz.", ("jazz",)), "Preferably some jazz.", True),
        (Act("adds", "And jazz.", ("jazz",)), "And jazzy things.", False),
    ],
)
def test_a_phrasing_keeps_the_act(act: Act, said: str, kept: bool) -> None:
    assert keeps(said, act, {"jazz", "rock"}) == kept


async def test_customers_in_a_models_words(film_table: ItemTable) -> None:
    engine = ScriptedEngine(" Oh, and it should cost ", "no more than 20 EUR.")
    phraser = ByModel(engine, film_table)
    assert await phraser.phrase(ACT) == "Oh, and it should cost no more than 20 EUR."
    assert await phraser.phrase(ACT) == "Oh, and it should cost no more than 20 EUR."
    assert len(engine.prompts) == 1  # every bot hears the same
    assert "no more than 20 EUR" in engine.prompts[0].messages[-1].text
    assert await phraser.phrase(SWAP) == SWAP.text  # it lost both values
    assert await phraser.phrase(Act("wants others", "Show me more.")) == "Show me more."
    assert len(engine.prompts) == 2


async def test_how_many_phrasings_are_kept_is_told(film_table: ItemTable) -> None:
    class Polite:
        async def phrase(self, act: Act) -> str:
            return f"{act.text} Thank you." if act.kind == "opens" else act.text

    simulation = Simulation(film_table, Plan(3, 2, 1, "films30", customer="llm"), Polite(), Kept(None))
    held = await simulation.hold(Side("a", "bot", Counting()), lambda *_: None)
    figures = simulation.report([held]).cells[0].figures
    assert figures.phrased == 6
    assert figures.phrasable == sum(n for act, n in figures.acts.items() if act not in ("wants others",)) > 6
    assert all(one.lines[0].text.endswith("Thank you.") for one in held.dialogues)


@pytest.mark.parametrize("ends", [EngineError("It fell over."), Chunk("no more than 20 EUR", finish="length")])
async def test_a_model_that_fails_leaves_the_template(film_table: ItemTable, ends: Chunk | EngineError) -> None:
    assert await ByModel(ScriptedEngine(ends), film_table).phrase(ACT) == ACT.text

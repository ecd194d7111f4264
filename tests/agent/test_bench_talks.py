"""The scripted conversations and the turn times of agent/bench, on the small shop."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from pathlib import Path

import pytest
from small_shop import HashingEncoder

from agent.bench.scripts import Script, ScriptedTurn, films_script, load_script, reel_shop_script, single_messages
from agent.bench.spread import Spread
from agent.bench.transcripts import Transcript, run_script
from agent.bench.turn import WatchedEngine, timed_turn
from agent.bench.turn_times import Side, time_turns
from agent.conversation import Conversations
from agent.datadir import DataDirectory
from agent.llm.off import NoEngine
from agent.llm.protocol import CURRENT, Chunk, Engine, EngineStatus, Limits, Prompt
from agent.log.store import EventLog
from agent.services import TurnRequest
from agent.settings import Settings
from agent.shopkeeper import ShopKeeper
from retrieval.errors import BadRequest
from retrieval.index import build_index
from retrieval.items import Item

REFUSED = " won nine Oscars and was directed by Nobody Atall."


class SayingEngine(NoEngine):
    """Ready, and continues every prompt with the same words."""

    def __init__(self, *pieces: str) -> None:
        self.pieces = pieces
        self.closed = 0

    async def stream(
        self, prompt: Prompt, limits: Limits, adapter: str | None = CURRENT
    ) -> AsyncGenerator[Chunk, None]:
        try:
            for piece in self.pieces:
                yield Chunk(piece)
            yield Chunk(finish="stop", prompt_tokens=10, completion_tokens=len(self.pieces))
        finally:
            self.closed += 1

    def status(self) -> EngineStatus:
        return EngineStatus("ready", "saying")


class House:
    """A log, a shop that is open, and settings without exploration."""

    def __init__(self, root: Path, films: Sequence[Item]) -> None:
        data, encoder = DataDirectory(root), HashingEncoder()
        self.log = EventLog.open(None, root)
        self.log.activate_index("default", build_index(films, data.index("default"), encoder).name)
        self.shops = ShopKeeper(data, self.log, encoder)
        self.shops.refresh("default")
        settings = Settings()
        chat = settings.chat.model_copy(update={"exploration": 0.0})
        self.settings = settings.model_copy(update={"data_dir": root, "chat": chat})

    def side(self, engine: Engine) -> tuple[Conversations, WatchedEngine]:
        watched = WatchedEngine(engine)
        return Conversations(self.settings, self.log, self.shops, watched), watched

    async def talk(self, script: Script, engine: Engine) -> Transcript:
        return await run_script(*self.side(engine), self.log, script, n_items=30)

    def close(self) -> None:
        self.shops.current("default").retriever.close()
        self.log.close()


@pytest.fixture(scope="module")
def house(films: tuple[Item, ...], tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("bench"), films)
    yield house
    house.close()


def script(*lines: str) -> Script:
    return Script(title="test", turns=tuple(ScriptedTurn(shows="test", say=line) for line in lines))


async def test_a_talk_is_one_conversation_and_is_written_down(house: House) -> None:
    talk = await house.talk(script("a thriller", "from the 1990s"), NoEngine())
    first, second = talk.turns
    assert [turn.said for turn in talk.turns] == ["a thriller", "from the 1990s"]
    assert first.action == "recommend"
    assert len(first.items) == 5
    assert all(item.title in first.reply for item in first.items)
    # The second turn still knows the wish of the first: one conversation, not two.
    assert {wish.attribute for wish in second.wishes} >= {"genre", "year"}
    assert {wish.turn for wish in second.wishes} == {1, 2}
    assert second.times is not None
    assert 0 < second.times.cards <= second.times.total
    assert not any(turn.model_asked for turn in talk.turns)
    assert talk.n_items == 30


async def test_a_talk_repeats(house: House) -> None:
    lines = script("something scary", "not from the 1970s")
    one, other = [await house.talk(lines, NoEngine()) for _ in range(2)]
    assert [turn.reply for turn in one.turns] == [turn.reply for turn in other.turns]


async def test_what_the_model_said_and_what_was_refused_is_written_down(house: House) -> None:
    talk = await house.talk(script("a thriller from the 1990s"), SayingEngine(REFUSED))
    (turn,) = talk.turns
    assert talk.model == "saying"
    assert turn.model_asked
    (refused,) = turn.refused
    assert refused.sentence.endswith(REFUSED)
    assert refused.objection
    assert REFUSED not in turn.reply
    assert turn.times is not None
    assert turn.times.sentence is not None
    assert turn.times.first_word is not None
    assert turn.times.first_word <= turn.times.sentence <= turn.times.total


async def test_a_turn_that_ends_in_an_error_stands_in_the_record(house: House) -> None:
    broken = await run_script(
        *house.side(NoEngine()), house.log, script("a comedy", "another"), tenant="nobody", n_items=0
    )
    assert [bool(turn.error) for turn in broken.turns] == [True, True]
    assert not broken.turns[0].reply


async def test_the_watched_stream_is_closed_with_its_listener() -> None:
    engine = SayingEngine("one", "two")
    watched = WatchedEngine(engine)
    async with aclosing(watched.stream(Prompt(()), Limits())) as chunks:
        assert (await anext(chunks)).text == "one"
    assert (watched.asked, engine.closed) == (1, 1)


async def test_a_timed_turn_counts_a_model_that_was_asked_only_for_its_own_turn(house: House) -> None:
    chat, watched = house.side(SayingEngine(" is a film."))
    asked = await timed_turn(chat, watched, TurnRequest("a thriller"))
    thanked = await timed_turn(chat, watched, TurnRequest("thanks"))
    assert (asked.model_asked, thanked.model_asked) == (True, False)
    assert thanked.times.sentence is None


async def test_both_sides_answer_every_message(house: House) -> None:
    sides = [Side("on", *house.side(SayingEngine(" is a film."))), Side("off", *house.side(NoEngine()))]
    messages = ("a thriller", "a comedy", "hello", "a drama")
    times = await time_turns(sides, house.log, messages, n_items=30)
    on, off = times.sides
    assert (on.side, off.side) == ("on", "off")
    assert on.n == off.n == len(messages)  # the warm-up is not counted
    assert on.total is not None
    assert on.total.n == len(messages)
    assert on.model_asked > off.model_asked == 0
    assert off.sentence is None
    assert (on.degraded, off.degraded) == (0, len(messages))
    assert times.model == "saying"


def test_a_spread_is_exact_where_it_can_be() -> None:
    spread = Spread.of([float(n) for n in range(1, 102)])
    assert spread is not None
    assert (spread.n, spread.low, spread.high, spread.p50, spread.p95) == (101, 1, 101, 51, 96)
    assert spread.p50_low < 51 < spread.p50_high
    assert Spread.of([]) is None
    assert Spread.of([2.0]) == Spread(n=1, low=2, high=2, p50=2, p50_low=2, p50_high=2, p95=2)


def test_the_shipped_scripts_have_what_they_must_show() -> None:
    must = {
        "hard wishes", "negation", "reference", "why not", "correction", "like X but", "a question about delivery",
        "superlative", "no match",
    }  # fmt: skip
    for shipped in (reel_shop_script(), films_script()):
        assert len(shipped.turns) == 10
        assert must <= {turn.shows for turn in shipped.turns}
    assert len(set(single_messages())) == 40


def test_a_script_that_is_none_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "script.toml"
    file.write_text('title = "no turns"\n', encoding="utf-8")
    with pytest.raises(BadRequest, match="turns"):
        load_script(file)

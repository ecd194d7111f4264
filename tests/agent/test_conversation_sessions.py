"""How turns find their conversation, follow each other, are stopped, stored and run again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_shop import HashingEncoder
from talking import PLAIN, ScriptedEngine, Talk, cards_of, heard, keeper_of, talk_over, texts_of

from agent.adapters.voice import PinnedEngine, Voice
from agent.answer import Cards, Finished, Text, Waiting
from agent.conversation import Conversations
from agent.datadir import DataDirectory
from agent.llm.off import NoEngine
from agent.llm.protocol import Engine
from agent.log.records import Feedback, TurnRecord
from agent.log.store import EventLog
from agent.services import PastMessage, TurnRequest
from agent.settings import Settings
from agent.shop import Shop
from agent.shopkeeper import ShopKeeper
from agent.support.helpdesk import HelpDesk
from agent.turn import Outcome, Situation, Visit
from retrieval.errors import IndexUnavailable, NotFound
from retrieval.index import build_index
from retrieval.items import Item
from tests.postgres import PostgresServer


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def log(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventLog]:
    """One for all tests of a database, which they share as customers do."""
    url = None
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        url = server.url(server.create())
    opened = EventLog.open(url, tmp_path_factory.mktemp("log"))
    yield opened
    opened.close()


@pytest.fixture
def talk(film_shop: Shop, log: EventLog, tmp_path: Path) -> Talk:
    """A talk of a customer who is new: the log is shared, and the same words of another are not to be found."""
    talk = talk_over(film_shop, log, tmp_path)
    talk.user = tmp_path.name
    return talk


# --- whose conversation ---


async def test_a_stateless_history_is_found_again(talk: Talk) -> None:
    await talk.say("a comedy")
    second = await talk.say("under 10 euros", history=talk.messages())
    third = await talk.say("how many is that?", history=talk.messages())
    assert {turn.answer.session_id for turn in talk.turns} == {second.answer.session_id}
    assert second.wishes == third.wishes == {("genre", "eq", "Comedy", "positive"), ("price", "lt", 10.0, "positive")}
    numbers = [turn.number for turn in talk.log.state("default", second.answer.session_id).turns]
    assert numbers == [1, 2, 3]


async def test_system_messages_and_outer_spaces_do_not_count(talk: Talk) -> None:
    first = await talk.say("a comedy")
    sent = (
        PastMessage("system", "Be brief."),
        *(PastMessage(m.role, f" {m.text}\n") for m in talk.messages()),
    )
    assert (await talk.say("more", history=sent)).answer.session_id == first.answer.session_id


async def test_going_back_with_other_words_begins_a_conversation_of_its_own(talk: Talk) -> None:
    first = await talk.say("a comedy")
    one_turn = talk.messages()
    await talk.say("under 10 euros", history=one_turn)
    before = talk.log.state("default", first.answer.session_id)
    branch = await talk.say("from the 1980s", history=one_turn)
    assert branch.answer.session_id != first.answer.session_id
    assert branch.wishes == {  # what was wished up to there, and nothing that came after
        ("genre", "eq", "Comedy", "positive"),
        ("year", "ge", 1980.0, "positive"),
        ("year", "le", 1989.0, "positive"),
    }
    assert talk.log.state("default", first.answer.session_id) == before
    goes_on = (*one_turn, PastMessage("user", "from the 1980s"), PastMessage("assistant", branch.reply))
    following = await talk.say("how long is the first one?", history=goes_on)
    assert following.answer.session_id == branch.answer.session_id
    assert following.reply.startswith(f"{branch.titles[0]}: runtime ")
    assert following.wishes == branch.wishes


async def test_the_same_message_again_is_answered_again(talk: Talk) -> None:
    first = await talk.say("a comedy")
    one_turn = talk.messages()
    second = await talk.say("under 10 euros", history=one_turn)
    again = await talk.say("under 10 euros", history=one_turn)
    assert {turn.answer.session_id for turn in talk.turns} == {first.answer.session_id}
    assert (again.wishes, again.ids) == (second.wishes, second.ids)
    turns = talk.log.state("default", first.answer.session_id).turns
    assert [(turn.number, turn.undone) for turn in turns] == [(1, False), (2, True), (3, False)]


async def test_the_same_words_of_two_customers_do_not_say_who_is_who(talk: Talk) -> None:
    first = await talk.say("a comedy")
    history = talk.messages()
    talk.session_id = None
    second = await talk.say("a comedy")
    assert second.reply == first.reply
    third = await talk.say("how long is the second one?", history=history)
    assert third.answer.session_id not in (first.answer.session_id, second.answer.session_id)
    assert third.wishes == first.wishes
    assert third.reply.startswith(f"{first.titles[1]}: runtime ")


async def test_a_history_of_another_key_or_user_is_not_continued(talk: Talk) -> None:
    first = await talk.say("a comedy")
    history = talk.messages()
    other_key = await talk.say("more", history=history, key_id="k2")
    talk.user = "somebody else"
    other_user = await talk.say("more", history=history)
    assert len({first.answer.session_id, other_key.answer.session_id, other_user.answer.session_id}) == 3


async def test_a_history_that_is_not_ours_is_read_by_rules(talk: Talk, by_title: dict[str, Item]) -> None:
    history = (
        PastMessage("user", "a comedy please"),
        PastMessage("assistant", "1. Airplane! (1980)\n2. The Sting (1973)\n3. Unheard Of (1999)"),
        PastMessage("user", "under 15 euros"),
        PastMessage("assistant", "Sure."),
    )
    turn = await talk.say("how long is the second one?", history=history)
    assert turn.reply == "The Sting: runtime 129 min."
    assert turn.wishes == {("genre", "eq", "Comedy", "positive"), ("price", "lt", 15.0, "positive")}
    known = (*history, PastMessage("user", "how long is the second one?"), PastMessage("assistant", turn.reply))
    following = await talk.say("how much is the first one?", history=known)
    assert following.answer.session_id == turn.answer.session_id
    assert following.reply == "Airplane! costs 6.50 EUR."  # their list can still be pointed at
    known = (*known, PastMessage("user", "how much is the first one?"), PastMessage("assistant", following.reply))
    last = await talk.say("from the 1970s", history=known)
    assert last.answer.session_id == turn.answer.session_id
    assert last.ids == [by_title["The Sting"].id]


@pytest.mark.parametrize("session_id", ["", "nonsense", "s_" + "a" * 22, "\x00", "s_'; drop table turn; --"])
async def test_an_unknown_session_is_not_found(talk: Talk, session_id: str) -> None:
    with pytest.raises(NotFound):
        await heard(talk.chat, TurnRequest("a comedy", session_id=session_id))


async def test_the_session_of_another_is_not_found(talk: Talk) -> None:
    first = await talk.say("a comedy")
    mine = first.answer.session_id
    for request in (
        TurnRequest("more", session_id=mine, user="another"),
        TurnRequest("more", session_id=mine, user=talk.user, key_id="k2"),
    ):
        with pytest.raises(NotFound):
            await heard(talk.chat, request)
    talk.chat._shops._shops["b"] = talk.chat._shops.current("default")
    with pytest.raises(NotFound):
        await heard(talk.chat, TurnRequest("more", session_id=mine, tenant="b"))
    with pytest.raises(NotFound):
        await talk.chat.edit("b", mine, ())


async def test_without_an_index_the_operator_is_told(log: EventLog, tmp_path: Path) -> None:
    keeper = ShopKeeper(DataDirectory(tmp_path), log, HashingEncoder())
    chat = Conversations(Settings(**PLAIN), log, keeper, NoEngine())
    with pytest.raises(IndexUnavailable, match="being opened"):
        await heard(chat, TurnRequest("a comedy", tenant="empty"))
    keeper.refresh("empty")
    with pytest.raises(IndexUnavailable, match="run `chatalogue index FILE`"):
        await heard(chat, TurnRequest("a comedy", tenant="empty"))


# --- one after the other ---


async def test_two_turns_at_once_are_read_one_after_the_other(film_shop: Shop, log: EventLog, tmp_path: Path) -> None:
    gate = asyncio.Event()
    talk = talk_over(film_shop, log, tmp_path, ScriptedEngine(" is one to see.", gate=gate))
    talk.session_id = log.start_conversation("default", "", None).id
    both = asyncio.gather(talk.say("a comedy"), talk.say("under 10 euros"))
    await asyncio.sleep(0.2)
    assert log.state("default", talk.session_id).turns == ()  # the first waits for its model, the second for the first
    gate.set()
    first, second = await both
    assert isinstance(second.updates[0], Waiting)
    assert [turn.message for turn in log.state("default", talk.session_id).turns] == ["a comedy", "under 10 euros"]
    assert second.wishes == first.wishes | {("price", "lt", 10.0, "positive")}


async def test_conversations_do_not_wait_for_each_other(film_shop: Shop, log: EventLog, tmp_path: Path) -> None:
    gate = asyncio.Event()
    talk = talk_over(film_shop, log, tmp_path, ScriptedEngine(" is one to see.", gate=gate))
    blocked = asyncio.create_task(talk.say("a comedy"))
    await asyncio.sleep(0.1)
    other = Talk(talk.chat, log)
    async with asyncio.timeout(60):
        assert (await other.say("hello")).answer.action == "chat"
    assert not blocked.done()
    gate.set()
    await blocked


async def test_a_number_that_another_process_took_is_passed_over(talk: Talk) -> None:
    started = talk.log.start_conversation("default", "", None)
    request = TurnRequest("a comedy", session_id=started.id)
    async with aclosing(talk.chat.turn(request)) as updates:
        async for update in updates:
            if isinstance(update, Cards):
                talk.log.record_turn(plain_turn(talk.log, started.id, 1))
    assert isinstance(update, Finished)
    turns = talk.log.state("default", started.id).turns
    assert [(turn.number, turn.message) for turn in turns] == [(1, "elsewhere"), (2, "a comedy")]


def plain_turn(log: EventLog, session_id: str, number: int) -> TurnRecord:
    return TurnRecord(
        tenant="default",
        session_id=session_id,
        turn_id=log.new_turn_id("default"),
        number=number,
        message="elsewhere",
        reply="r",
        intent="recommend",
        action="recommend",
        language="en",
        model="none",
    )


# --- stopped in the middle ---


async def test_a_reply_that_is_closed_early_is_logged_as_far_as_it_went(talk: Talk) -> None:
    heard_so_far = []
    async with aclosing(talk.chat.turn(TurnRequest("a comedy under 20 euros"))) as updates:
        async for update in updates:
            heard_so_far.append(update)
            if isinstance(update, Text):
                break
    answer = cards_of(heard_so_far)
    record = talk.log.trace("default", answer.turn_id).record
    assert record.reply == texts_of(heard_so_far)
    assert [row.item_id for row in record.shown] == [item.id for item in answer.items]
    talk.session_id = answer.session_id
    assert (await talk.say("more")).wishes == {("genre", "eq", "Comedy", "positive"), ("price", "lt", 20.0, "positive")}


async def test_a_reply_that_is_closed_at_the_cards_is_logged_too(talk: Talk) -> None:
    async with aclosing(talk.chat.turn(TurnRequest("a comedy"))) as updates:
        cards = await anext(updates)
    assert isinstance(cards, Cards)
    assert talk.log.trace("default", cards.answer.turn_id).record.reply == ""


async def test_a_cancelled_turn_stops_the_model_and_is_logged(film_shop: Shop, log: EventLog, tmp_path: Path) -> None:
    engine = ScriptedEngine(" is one to see.", gate=asyncio.Event())
    talk = talk_over(film_shop, log, tmp_path, engine)
    talk.session_id = log.start_conversation("default", "", None).id
    task = asyncio.create_task(talk.say("a comedy"))
    while not engine.prompts:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert engine.closed == 1
    (turn,) = log.state("default", talk.session_id).turns
    assert turn.reply.startswith("9 items fit your wishes (Comedy).")
    assert len(turn.shown) == 5


# --- run again ---


async def test_the_same_seed_gives_the_same_list(film_shop: Shop, log: EventLog, tmp_path: Path) -> None:
    talk = talk_over(film_shop, log, tmp_path, settings=Settings(chat={"exploration": 0.5}))  # type: ignore[arg-type]
    for text in ("a thriller", "not the first one", "more", "how many thrillers?", "the longest thriller", "undo"):
        turn = await talk.say(text)
        before = len(talk.log.state("default", turn.answer.session_id).turns)
        replayed = await talk.chat.again(talk.log.turn_input("default", turn.answer.turn_id))
        assert [item.id for item in replayed.answer.items] == turn.ids
        assert replayed.reply == turn.reply
        assert replayed.intent == talk.logged(turn).record.intent
        assert replayed.answer.turn_id == turn.answer.turn_id
        assert len(talk.log.state("default", turn.answer.session_id).turns) == before  # nothing is stored


async def test_why_something_was_not_shown_is_told_again(film_shop: Shop, log: EventLog, tmp_path: Path) -> None:
    """Of the list that was shown, whatever its customer's reactions would make of it by now."""
    talk = talk_over(film_shop, log, tmp_path)
    shown = await talk.say("a thriller")
    missed = talk.logged(shown).record.trace["considered"][8]["item_id"]
    talk.log.record_feedback("default", "", *(Feedback(shown.answer.turn_id, "accept", one) for one in shown.ids[3:]))
    turn = await talk.say(f"why not {film_shop.table.get(missed).title}?")
    assert "it came at place 9 of 16" in turn.reply
    replayed = await talk.chat.again(talk.log.turn_input("default", turn.answer.turn_id))
    assert replayed.reply == turn.reply


class Desk:
    """A part of the help desk that answers everything, and remembers whom."""

    def __init__(self) -> None:
        self.visits: list[Visit | None] = []

    def before(self, view: Situation) -> Outcome | None:
        self.visits.append(view.visit)
        return Outcome("answer", opening="The desk has it.")

    def after(self, view: Situation, outcome: Outcome) -> Outcome:
        return outcome


async def test_what_is_run_again_asks_the_help_desk_and_does_nothing(
    film_shop: Shop, log: EventLog, tmp_path: Path
) -> None:
    desk = Desk()
    chat = Conversations(
        Settings(**PLAIN), log, keeper_of(film_shop, log, tmp_path), NoEngine(), desk=HelpDesk((desk,))
    )  # fmt: skip
    turn = await Talk(chat, log).say("where is my parcel?")
    replayed = await chat.again(log.turn_input("default", turn.answer.turn_id))
    assert replayed.reply == turn.reply == "The desk has it."
    now, again = desk.visits
    assert now is not None
    assert again is None, "parts do nothing without a visit"


class Taught:
    """Implements `Voices`: strangers get the rules alone."""

    def voice(self, engine: Engine, session_id: str) -> Voice:
        return Voice(PinnedEngine(engine, "taught", "taught"))

    def strangers(self, engine: Engine) -> Voice:
        return Voice(NoEngine())


@pytest.mark.parametrize(("tenant", "adapter"), [("default", "taught"), ("another", None)])
async def test_what_is_run_again_for_another_tenant_is_said_without_what_was_learned_here(
    film_shop: Shop, log: EventLog, tmp_path: Path, tenant: str, adapter: str | None
) -> None:
    chat = Conversations(
        Settings(**PLAIN), log, keeper_of(film_shop, log, tmp_path, tenant), ScriptedEngine("."), voices=Taught()
    )  # fmt: skip
    turn = await heard(chat, TurnRequest("a comedy", tenant=tenant))
    replayed = await chat.again(log.turn_input(tenant, turn.answer.turn_id))
    assert replayed.answer.adapter == turn.answer.adapter == adapter


# --- the catalogue changes meanwhile ---


async def test_a_list_outlives_the_index_that_it_came_from(
    films: tuple[Item, ...], log: EventLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, encoder = DataDirectory(tmp_path), HashingEncoder()
    keeper = ShopKeeper(data, log, encoder)
    few = [film for film in films if "Comedy" in film.attributes["genre"]]  # type: ignore[operator]
    log.activate_index("moving", build_index(few, data.index("moving"), encoder).name)
    keeper.refresh("moving")
    old = keeper.current("moving")
    chat = Conversations(Settings(**PLAIN), log, keeper, NoEngine())
    first = await heard(chat, TurnRequest("a comedy", tenant="moving"))
    same = {"tenant": "moving", "session_id": first.answer.session_id}
    liked = await heard(chat, TurnRequest("something like the first one", **same))  # type: ignore[arg-type]
    log.record_feedback("moving", "", Feedback(liked.answer.turn_id, "accept", liked.ids[0]))

    gone = {first.ids[0], liked.ids[0]}
    left = [replace(film, price=None, currency=None) for film in few if film.id not in gone]
    log.activate_index("moving", build_index(left, data.index("moving"), encoder).name)
    keeper.refresh("moving")
    assert keeper.current("moving") is not old
    try:
        for text in (
            "how long is the first one?",
            "not the first one",
            "compare the first and the second one",
            "i'll take the first one",
            f"why not {liked.titles[0]}?",
            "cheaper than the first one",
            "something like the first one",
            "more",
            "under 10 euros",
            "forget the price",
            "undo",
            "what is the cheapest?",
        ):
            turn = await heard(chat, TurnRequest(text, **same))  # type: ignore[arg-type]
            assert not gone & set(turn.ids), text
            assert turn.reply
    finally:
        old.retriever.close()
        keeper.current("moving").retriever.close()


async def test_a_turn_under_way_ends_on_the_shop_that_it_began_with(
    film_shop: Shop, log: EventLog, tmp_path: Path
) -> None:
    keeper = keeper_of(film_shop, log, tmp_path)
    chat = Conversations(Settings(**PLAIN), log, keeper, NoEngine())
    async with aclosing(chat.turn(TurnRequest("a comedy"))) as updates:
        got: list[Any] = [await anext(updates)]
        keeper._shops["default"] = replace(film_shop, index_name="another")
        got += [update async for update in updates]
    assert log.trace("default", cards_of(got).turn_id).record.index_name == film_shop.index_name

"""Who answers, with the real conversation: wishes are no anger, words take a handoff back, no client gets around it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from order_talks import EMAILS, PLACED, Clock, Counted, demo_orders
from talking import PLAIN, Talk, Turn, heard, keeper_of

from agent.conversation import Conversations
from agent.llm.off import NoEngine
from agent.log.actions import ActionLog
from agent.log.outbox import Outbox
from agent.log.store import EventLog
from agent.services import PastMessage, TurnRequest
from agent.settings import Settings
from agent.shop import Shop
from agent.support.actions.desk import ActionDesk
from agent.support.actions.policy import REEL_SHOP
from agent.support.handoff.keeping import Handoffs, Words
from agent.support.handoff.machine import Happening
from agent.support.handoff.part import HandoffPart
from agent.support.helpdesk import HelpDesk


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    opened = EventLog.open(None, tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def handoffs(log: EventLog, tmp_path: Path) -> Handoffs:
    return Handoffs(log, Settings(data_dir=tmp_path, **PLAIN))


@pytest.fixture
def orders(tmp_path: Path) -> Counted:
    return Counted(demo_orders(tmp_path, Clock()))


@pytest.fixture
def talk(film_shop: Shop, log: EventLog, handoffs: Handoffs, orders: Counted, tmp_path: Path) -> Talk:
    desk = HelpDesk(
        (HandoffPart(handoffs), ActionDesk(orders, REEL_SHOP, ActionLog(log), number=r"RS-\d{5}", clock=Clock()))
    )
    shops = keeper_of(film_shop, log, tmp_path)
    return Talk(Conversations(handoffs.settings, log, shops, NoEngine(), desk=desk), log)


async def sent(talk: Talk, text: str, *history: str) -> Turn:
    """A call without a session: customer and assistant take turns in its history."""
    roles = ("user", "assistant")
    past = tuple(PastMessage(roles[n % 2], said) for n, said in enumerate(history))  # type: ignore[arg-type]
    return await heard(talk.chat, TurnRequest(text, history=past))


@pytest.mark.parametrize("text", [
    "摇滚电影", "关于骗子的电影", "坑人的电影", "tired of being alone", "I am tired of this, something else",
    "i'm sick of this decade, show me newer ones", "a movie where they go to hell", "a story: bullshit jobs",
    "you stupid bot, something like Casablanca", "有没有人工智能的电影", "i want a human drama",
])  # fmt: skip
async def test_a_wish_is_never_handed_over(talk: Talk, text: str) -> None:
    assert (await talk.say(text)).answer.handoff is None


async def test_words_take_it_back_where_nobody_has_taken_it(talk: Talk, handoffs: Handoffs) -> None:
    closing = await talk.say("talk to a human")
    assert "back to the bot" in closing.reply
    assert (await talk.say("back to the future")).reply == ""
    back = await talk.say("never mind, go on with the assistant")
    assert back.reply.startswith("All right, you do not wait")
    assert back.answer.handoff is None
    assert (await talk.say("a comedy")).ids
    assert "回到机器人" in (await talk.say("转人工")).reply
    assert (await talk.say("“回到机器人”")).answer.handoff is None
    await talk.say("talk to a human")
    assert talk.session_id is not None
    handoffs.apply("default", talk.session_id, Happening("taken", "1", by="local"))
    silent = await talk.say("back to the bot")
    assert (silent.reply, silent.answer.handoff is None) == ("", False)


async def test_two_customers_with_the_same_words_are_both_with_the_team(talk: Talk, handoffs: Handoffs) -> None:
    ask = "talk to a human"
    first, second = await sent(talk, ask), await sent(talk, ask)
    assert first.reply == second.reply
    third = await sent(talk, "my parcel is broken", ask, first.reply)
    assert third.reply == ""
    assert third.answer.handoff is not None
    assert third.answer.session_id not in (first.answer.session_id, second.answer.session_id)
    waiting = {one.session_id: one for one in handoffs.waiting("default")}
    assert waiting[third.answer.session_id].reason == "asked"
    assert "my parcel is broken" in str(waiting[third.answer.session_id].data)
    fourth = await sent(talk, "hello?", ask, first.reply, "my parcel is broken")
    assert (fourth.reply, fourth.answer.session_id) == ("", third.answer.session_id)


async def test_who_asked_for_nobody_is_answered_though_the_same_words_led_others_to_the_team(talk: Talk) -> None:
    first = await sent(talk, "a comedy")
    await sent(talk, "a comedy")
    await sent(talk, "talk to a human", "a comedy", first.reply)
    assert (await sent(talk, "a western", "a comedy", first.reply)).answer.handoff is None


async def test_a_history_with_the_teams_reply_is_the_same_conversation(talk: Talk, handoffs: Handoffs) -> None:
    closing = await sent(talk, "let me talk to a real person")
    session_id = closing.answer.session_id
    past: tuple[str, ...] = ("let me talk to a real person", closing.reply)
    assert (await sent(talk, "my disc is broken", *past)).reply == ""
    handoffs.apply("default", session_id, Happening("replied", "1", by="local"), Words("Maria here. Which order?"))
    past += ("my disc is broken", "Maria here. Which order?")
    for text in (PLACED, "thanks"):
        answered = await sent(talk, text, *past)
        assert (answered.reply, answered.answer.session_id) == ("", session_id)
        past += (text, "One moment.")


async def test_taken_over_while_it_waits_nothing_is_said_twice(talk: Talk, handoffs: Handoffs, log: EventLog) -> None:
    outbox = Outbox(log.database)
    outbox.add_endpoint("default", "https://desk.example/hook", "desk.example", "s" * 32, ["handoff.requested"])
    closing = await talk.say("talk to a human")
    session_id = closing.answer.session_id
    handoffs.hand_over("default", session_id, Happening("taken_over", "1", by="local"), "en")
    trail, turns = handoffs.trail("default", session_id), log.session_view("default", session_id).turns
    assert trail.state.phase == "human"
    assert handoffs.thread(trail, turns) == []
    packet, view = handoffs.packet(trail, turns), handoffs.view(trail)
    assert packet is not None
    assert view is not None
    assert (packet.number, packet.reason, view.reason) == (1, "asked", "asked")
    assert [one.data is not None for one in handoffs.waiting("default")] == [True]
    assert len(outbox.claim(20)) == 1


async def test_a_change_whose_answer_is_silenced_is_told_to_the_team(
    talk: Talk, handoffs: Handoffs, orders: Counted
) -> None:
    proposed = await talk.say(f"cancel my order {PLACED}, {EMAILS[PLACED]}")
    session_id = proposed.answer.session_id

    def forced() -> None:
        handoffs.hand_over("default", session_id, Happening("taken_over", "forced", by="local"), "en")

    orders.after_change = forced
    silent = await talk.say("yes")
    assert (len(orders.changes), silent.reply) == (1, "")
    noted = [entry for entry in handoffs.trail("default", session_id).entries if entry.kind == "noted"]
    assert [entry.by for entry in noted] == ["bot"]
    assert f"order {PLACED} is cancelled" in (noted[0].text or "")

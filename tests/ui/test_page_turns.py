from __future__ import annotations

import asyncio

import pytest
from page_doubles import HOSTILE, ScriptedChat

from agent.llm.off import NO_MODEL
from agent.preferences import Dropped
from agent.services import Services
from ui.cards import Mark
from ui.page import turns
from ui.page.draw import draw_items, draw_live, draw_log, draw_wishes
from ui.page.history import list_earlier, open_chat, set_mark
from ui.page.tab import Tab
from ui.page.turns import drop_wish, run_turn
from ui.words import words_in

USER = "visitor:me"


async def say(services: Services, tab: Tab, text: str) -> list[str]:
    return [changed async for changed in run_turn(services, tab, text)]


@pytest.fixture
def tab() -> Tab:
    return Tab(user=USER)


class TestTurn:
    async def test_cards_come_before_text(self, services: Services, tab: Tab) -> None:
        seen: list[str] = []
        async for changed in run_turn(services, tab, "funny"):
            if changed == "cards":
                assert "Playtime" in draw_items(tab)
                assert tab.live is not None
                assert tab.live.reply == ""
            seen.append(changed)
        assert seen[:2] == ["text", "cards"]
        assert seen[-1] == "end"
        assert tab.live is None
        assert tab.entries[0].reply.startswith("12 items fit")
        assert [wish.id for wish in tab.wishes] == ["p1", "p2"]

    async def test_the_visitor_is_named_and_the_chat_goes_on(
        self, services: Services, chat: ScriptedChat, tab: Tab
    ) -> None:
        await say(services, tab, "funny")
        await say(services, tab, "delivery")
        assert [request.user for request in chat.asked] == [USER, USER]
        assert [request.session_id for request in chat.asked] == [None, tab.session_id]

    async def test_the_panel_keeps_the_latest_items(self, services: Services, tab: Tab) -> None:
        await say(services, tab, "funny")
        await say(services, tab, "delivery")
        assert "Playtime" in draw_items(tab)

    async def test_waiting_says_how_many_are_ahead(self, services: Services, tab: Tab) -> None:
        turn = run_turn(services, tab, "slow")
        await anext(turn)
        await anext(turn)
        assert "2 ahead of you" in draw_live(tab)
        await turn.aclose()

    async def test_stop_ends_a_turn_that_waits(self, services: Services, chat: ScriptedChat, tab: Tab) -> None:
        turn = run_turn(services, tab, "slow")
        await anext(turn)
        await anext(turn)
        assert tab.live is not None
        assert tab.live.stop is not None
        tab.live.stop()
        assert [changed async for changed in turn][-1] == "end"
        assert chat.closed_early == 1
        assert tab.entries[0].state == "stopped"
        assert "Stopped." in draw_log(tab, demo=False)

    async def test_a_closed_tab_closes_the_turn(self, services: Services, chat: ScriptedChat, tab: Tab) -> None:
        turn = run_turn(services, tab, "slow")
        await anext(turn)
        await anext(turn)
        await turn.aclose()
        assert chat.closed_early == 1
        assert tab.live is None

    async def test_another_chat_opened_meanwhile_stays_as_it_is(
        self, services: Services, chat: ScriptedChat, tab: Tab
    ) -> None:
        turn = run_turn(services, tab, "slow")
        await anext(turn)
        await anext(turn)
        tab.clear()
        async with asyncio.timeout(60):
            assert [changed async for changed in turn] == ["end"]
        assert (tab.session_id, tab.entries, tab.wishes) == ("", [], ())
        assert chat.closed_early == 1


class TestFailure:
    async def test_one_friendly_sentence_and_nothing_lost(
        self, services: Services, tab: Tab, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        logged: list[object] = []
        monkeypatch.setattr(turns.log, "error", lambda message, *, exc_info: logged.append(exc_info))
        await say(services, tab, "break <b>it</b>")
        html = draw_log(tab, demo=False)
        assert "secret detail" not in html
        assert "secret detail" in str(logged[0])
        assert 'data-say="break &lt;b&gt;it&lt;/b&gt;"' in html
        assert words_in("en")("log.failed") in html
        await say(services, tab, "funny")
        assert tab.entries[-1].state == "done"

    async def test_a_lost_chat_is_begun_anew(self, services: Services, chat: ScriptedChat, tab: Tab) -> None:
        tab.session_id = "s_0000000000000000000000"
        await say(services, tab, "funny")
        assert tab.entries[0].problem == words_in("en")("log.gone")
        await say(services, tab, "funny")
        assert tab.entries[1].state == "done"


class TestDrawing:
    async def test_hostile_text_is_text_in_every_part(self, services: Services, tab: Tab) -> None:
        await say(services, tab, "hostile <script>alert(1)</script> ${x} {{y}} `z`")
        for html in (draw_log(tab, demo=False), draw_items(tab), draw_wishes(tab)):
            assert "<script" not in html
            assert "<b>" not in html
            assert 'onerror="' not in html
            assert not set("{}$`") & set(html)
        assert len(HOSTILE) == draw_items(tab).count("<article")

    async def test_citations_and_the_degraded_notice(self, services: Services, tab: Tab) -> None:
        await say(services, tab, "delivery")
        html = draw_log(tab, demo=False)
        assert "Delivery &lt;i&gt;times&lt;/i&gt;" in html
        assert "Two to four days." in html
        assert words_in("en")("log.degraded") in html
        answer = tab.entries[-1].answer
        assert answer is not None
        tab.entries[-1].answer = answer.model_copy(update={"model": NO_MODEL})  # switched off on purpose
        assert words_in("en")("log.degraded") not in draw_log(tab, demo=False)

    async def test_question_with_a_way_out_only_while_it_is_the_last(self, services: Services, tab: Tab) -> None:
        await say(services, tab, "which")
        html = draw_log(tab, demo=False)
        assert all(f'data-say="{said}"' in html for said in ("Something light", "Something dark", "Show me anyway"))
        await say(services, tab, "funny")
        assert "Something light" not in draw_log(tab, demo=False)

    async def test_no_match_offers_what_to_drop_and_how_many_there_would_be(self, services: Services, tab: Tab) -> None:
        await say(services, tab, "impossible")
        html = draw_log(tab, demo=False)
        assert 'data-drop="p1"' in html
        assert "Without “comedy” (12)" in html
        assert "Not: comedy" in draw_items(tab)

    async def test_chips_tell_musts_from_preferences_and_quote(self, services: Services, tab: Tab) -> None:
        await say(services, tab, "funny")
        html = draw_wishes(tab)
        assert "cg-wish-hard" in html
        assert "cg-wish-soft" in html
        assert "You said: “a funny one”" in html
        assert 'aria-label="Remove the wish: comedy"' in html

    async def test_starters_on_an_empty_chat_only(self, services: Services, tab: Tab) -> None:
        assert "cg-starter" in draw_log(tab, demo=False)
        assert "Groundhog Day" not in draw_log(tab, demo=False)
        assert "Groundhog Day" in draw_log(tab, demo=True)
        await say(services, tab, "delivery")
        assert "cg-starter" not in draw_log(tab, demo=False)


class TestHistory:
    async def test_everything_comes_back(self, services: Services, tab: Tab) -> None:
        await say(services, tab, "funny")
        await say(services, tab, "hostile")
        answer = tab.entries[1].answer
        assert answer is not None
        await set_mark(services, tab, (answer.turn_id, None), Mark("thumb_down"))
        await set_mark(services, tab, (answer.turn_id, None), Mark("thumb_down", "not_asked"), "my words")
        await set_mark(services, tab, (answer.turn_id, "film-2"), Mark("reject", "taste"))
        await drop_wish(services, tab, "p1")
        again = Tab(user=USER)
        assert await open_chat(services, again, tab.session_id)
        assert [entry.said for entry in again.entries] == ["funny", "hostile"]
        assert [wish.id for wish in again.wishes] == ["p2"]
        assert again.marks == tab.marks
        assert draw_items(again) == draw_items(tab)

    async def test_a_mark_is_taken_back(self, services: Services, tab: Tab) -> None:
        await say(services, tab, "funny")
        turn_id = str(tab.entries[0].turn_id)
        await set_mark(services, tab, (turn_id, "film-1"), Mark("accept"))
        await set_mark(services, tab, (turn_id, "film-1"), None)
        again = Tab(user=USER)
        await open_chat(services, again, tab.session_id)
        assert again.marks == {} == tab.marks

    async def test_nobody_elses(self, services: Services, tab: Tab) -> None:
        await say(services, tab, "funny")
        other = Tab(user="visitor:other")
        assert not await open_chat(services, other, tab.session_id)
        await list_earlier(services, other)
        assert other.earlier == ()
        assert other.entries == []
        await list_earlier(services, tab)
        assert [chat.title for chat in tab.earlier] == ["funny"]


class TestDrop:
    async def test_a_chip_goes_without_a_turn_and_the_chat_says_so(
        self, services: Services, chat: ScriptedChat, tab: Tab
    ) -> None:
        await say(services, tab, "funny")
        assert await drop_wish(services, tab, "p1")
        ((session_id, (fact,)),) = chat.edits
        assert session_id == tab.session_id
        assert isinstance(fact, Dropped)
        assert fact.preference_ids == ("p1",)
        assert len(chat.asked) == 1
        assert "I no longer look for: comedy." in draw_log(tab, demo=False)

    async def test_an_unknown_one_is_no_edit(self, services: Services, chat: ScriptedChat, tab: Tab) -> None:
        await say(services, tab, "funny")
        assert not await drop_wish(services, tab, "p9")
        assert chat.edits == []

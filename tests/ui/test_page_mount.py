"""The page as a browser meets it: over HTTP, with Gradio's own queue between."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, TypeAlias

import httpx
import pytest
from fastapi import FastAPI
from page_doubles import ScriptedChat, running

from agent.services import Services
from agent.support.handoff.keeping import Words, handoffs_of
from agent.support.handoff.machine import Happening
from retrieval.errors import NotFound
from ui.page import mount_page
from ui.page.visitor import COOKIE
from ui.words import words_in


class Browser:
    """One browser with one tab: keeps cookies, sends events, keeps what each component shows."""

    def __init__(self, address: str, language: str = "en") -> None:
        self.http = httpx.Client(
            base_url=address, trust_env=False, timeout=30, headers={"accept-language": language, "origin": address}
        )
        self.page = self.http.get("/")
        self.config: dict[str, Any] = self.http.get("/config").json()
        self.session_hash = uuid.uuid4().hex
        self.ids = {c["props"].get("elem_id"): c["id"] for c in self.config["components"]}
        self.shown: dict[int, Any] = {c["id"]: c["props"].get("value") for c in self.config["components"]}
        self.drawn: list[dict[int, Any]] = []
        self.looks: bool | None = None
        """Whether its timer runs."""

    def event(self, target: str | None, name: str, data: object = None) -> None:
        """Fire the event and take in everything that it draws."""
        wanted = [None if target is None else self.ids[target], name]
        dependency = next(
            d for d in self.config["dependencies"] if d["backend_fn"] and any(_matches(t, wanted) for t in d["targets"])
        )
        body = {
            "data": [self.shown.get(i) for i in dependency["inputs"]],
            "event_data": data,
            "fn_index": dependency["id"],
            "trigger_id": wanted[0],
            "session_hash": self.session_hash,
        }
        self.http.post("/gradio_api/queue/join", json=body).raise_for_status()
        outputs: list[Any] = [None] * len(dependency["outputs"])
        with self.http.stream("GET", "/gradio_api/queue/data", params={"session_hash": self.session_hash}) as stream:
            for line in stream.iter_lines():
                if line.startswith("data:"):
                    message = json.loads(line[5:])
                    if self._take(message, dependency, outputs):
                        return

    def _take(self, message: dict[str, Any], dependency: dict[str, Any], outputs: list[Any]) -> bool:
        if message["msg"] in ("process_generating", "process_completed"):
            assert message["success"], message
            for i, value in enumerate(message["output"].get("data", [])):
                outputs[i] = _patched(outputs[i], value) if message["msg"] == "process_generating" else value
                new = outputs[i]
                if isinstance(new, dict) and "active" in new:
                    self.looks = new["active"]
                if not (isinstance(new, dict) and new.get("__type__") == "update" and "value" not in new):
                    self.shown[dependency["outputs"][i]] = new
            self.drawn.append(dict(self.shown))
        return message["msg"] in ("process_completed", "close_stream")

    def html(self, elem_id: str) -> str:
        value = self.shown[self.ids[elem_id]]
        return str(value.get("value") if isinstance(value, dict) else value)

    def load(self) -> None:
        self.event(None, "load")

    def say(self, text: str) -> None:
        self.shown[self.ids["cg-box"]] = text
        self.event("cg-box", "submit")

    def press(self, panel: str, event: str, **data: str) -> None:
        self.event(panel, event, data)


Opener: TypeAlias = Callable[..., Browser]


def _matches(target: list[Any], wanted: list[Any]) -> bool:
    return target[1] == wanted[1] and (wanted[0] is None or target[0] == wanted[0])


def _patched(old: Any, value: Any) -> Any:  # noqa: ANN401 - JSON of any shape
    """Gradio streams each further value as a list of edits of the one before."""
    if not (isinstance(value, list) and all(isinstance(edit, list) and len(edit) == 3 for edit in value)):
        return value
    for action, path, new in value:
        if path:  # of an update
            (name,) = path
            old = {**old, name: new}
        else:
            old = new if action == "replace" else (old or "") + new
    return old


@pytest.fixture
def open_browser() -> Iterator[Callable[..., Browser]]:
    """Opens browsers and closes them all at the end."""
    with ExitStack() as stack:

        def opened(address: str, language: str = "en") -> Browser:
            browser = Browser(address, language)
            stack.callback(browser.http.close)
            return browser

        yield opened


@pytest.fixture
def address(services: Services) -> Iterator[str]:
    app = FastAPI()
    app.get("/healthz")(lambda: {"status": "ok"})
    mount_page(app, services, demo=True)
    with running(app) as url:
        yield url


class TestServing:
    def test_quiet_page(self, open_browser: Opener, address: str) -> None:
        browser = open_browser(address)
        config = browser.config
        assert browser.page.status_code == 200
        assert COOKIE in browser.page.headers["set-cookie"]
        assert {d["api_visibility"] for d in config["dependencies"]} == {"private"}
        assert config["footer_links"] == []
        assert not config["run_history"]
        assert not config["show_error"]
        assert browser.http.get("/healthz").json() == {"status": "ok"}
        # The address of a preview image for other sites is all that names another host (as a `content`, not fetched).
        fetched = re.findall(r'<(?:script|link|img|iframe)[^>]+(?:src|href)="(https?:)?//', browser.page.text)
        assert fetched == []

    def test_nothing_of_one_tab_is_in_the_page_of_another(self, open_browser: Opener, address: str) -> None:
        first = open_browser(address)
        first.load()
        first.say("funny")
        assert "Playtime" not in open_browser(address).page.text + open_browser(address).http.get("/config").text

    def test_no_uploads_and_no_doors_that_the_page_does_not_use(self, open_browser: Opener, address: str) -> None:
        http = open_browser(address).http
        file = {"files": ("big.bin", b"x" * 1000)}
        read = (f"file={__file__}", "file/etc/passwd", "proxy=http://localhost", "token", "user", "call/x/y")
        read += ("upload_progress?upload_id=1", "stream/a/0/1/playlist.m3u8", "custom_component/1/client/x/y")
        written = ("component_server", "call/x", "run/x", "api/x", "process_recording", "stream/x", "login")
        for prefix in ("", "/gradio_api"):
            assert http.post(f"{prefix}/upload", files=file).status_code == 404
            for closed in read:
                assert http.get(f"{prefix}/{closed}").status_code == 404, closed
            for closed in written:
                assert http.post(f"{prefix}/{closed}", json={}).status_code == 404, closed
        for closed in ("monitoring", "monitoring/summary", "gradio_api/upload/", "gradio_api/openapi.json"):
            assert http.get(f"/{closed}").status_code == 404, closed
        assert http.put("/config").status_code == 404
        # Everything that the page in the browser asks for is answered.
        assert http.get("/gradio_api/info").json() == {"named_endpoints": {}, "unnamed_endpoints": {}}
        for wanted in ("theme.css", "gradio_api/startup-events"):
            assert http.get(f"/{wanted}").status_code == 200, wanted
        page = http.get("/").text
        for asset in set(re.findall(r'(?:src|href)="\.?(/(?:assets|static)/[^"]+)"', page)):
            assert http.get(asset).status_code == 200, asset
        assert http.head("/").status_code == 200


class TestChat:
    def test_a_turn_is_drawn_as_it_comes(self, open_browser: Opener, address: str) -> None:
        browser = open_browser(address)
        browser.load()
        assert "The Reel Shop" in browser.html("cg-top")
        assert "cg-starter" in browser.html("cg-log")
        browser.say("funny <b>one</b>")
        items, live = browser.ids["cg-items-panel"], browser.ids["cg-live"]
        first_cards = next(shown for shown in browser.drawn if "Playtime" in str(shown[items]))
        assert "12 items fit" not in str(first_cards[live])
        assert "12 items fit comedy" in browser.html("cg-log")
        assert "funny &lt;b&gt;one&lt;/b&gt;" in browser.html("cg-log")
        assert "comedy" in browser.html("cg-wishes")
        assert "cg-turn" not in browser.html("cg-live")
        assert browser.html("cg-box") == ""

    def test_buttons_post_words_and_reactions_are_noted(
        self, open_browser: Opener, address: str, chat: ScriptedChat
    ) -> None:
        browser = open_browser(address)
        browser.load()
        browser.say("funny")
        turn_id = re.findall(r'data-turn-id="(t_\w+)"', browser.html("cg-items-panel"))[0]
        browser.press("cg-items-panel", "click", action="mark", kind="reject", turnId=turn_id, itemId="film-2")
        assert "cg-card-rejected" in browser.html("cg-items-panel")
        browser.press(
            "cg-items-panel", "submit", say="I'll take “Alien”", mark="accept", turnId=turn_id, itemId="film-1"
        )
        assert chat.asked[-1].text == "I'll take “Alien”"
        browser.press("cg-log", "click", action="mark", kind="thumb_up", turnId=turn_id)
        assert 'aria-pressed="true"' in browser.html("cg-log")
        again = words_in("en")("say.again")
        browser.press("cg-wishes", "submit", say=again, drop="p1", wish="p1")
        assert chat.asked[-1].text == again
        assert "Stalker" in browser.html("cg-items-panel")  # the cards are those of the wishes that are left
        assert "Alien" not in browser.html("cg-items-panel")
        ((_, (fact,)),) = chat.edits
        assert fact.preference_ids == ("p1",)
        browser.load()
        state = {(r.item_id, r.kind) for turn in chat.log.session_view("default", browser.html("cg-session")).turns
                 for r in turn.reactions}  # fmt: skip
        assert state == {("film-2", "reject"), ("film-1", "accept"), (None, "thumb_up")}
        assert "comedy" not in browser.html("cg-wishes")

    def test_made_up_ids_change_nothing(self, open_browser: Opener, address: str, chat: ScriptedChat) -> None:
        victim, other = open_browser(address), open_browser(address)
        victim.load()
        victim.say("funny")
        session_id = victim.html("cg-session")
        turn_id = re.findall(r'data-turn-id="(t_\w+)"', victim.html("cg-log"))[0]
        other.load()
        other.shown[other.ids["cg-session"]] = session_id
        other.press("cg-log", "click", action="open", session=session_id)
        other.press("cg-log", "click", action="mark", kind="thumb_down", turnId=turn_id)
        other.press("cg-log", "click", action="nonsense")
        assert "12 items fit" not in other.html("cg-log")
        assert chat.edits == []
        assert chat.log.session_view("default", session_id).turns[0].reactions == ()
        other.press("cg-wishes", "submit", say="delivery", drop="p1", wish="p1")
        assert chat.edits == []
        assert chat.asked[-1].session_id is None
        assert "funny" not in other.html("cg-top")


class TestHistory:
    def test_restart_reload_and_new_chat(self, open_browser: Opener, address: str, services: Services) -> None:
        browser = open_browser(address)
        browser.load()
        browser.say("funny")
        remembered = browser.html("cg-session")
        app = FastAPI()
        mount_page(app, services)
        with running(app) as elsewhere:
            again = open_browser(elsewhere)
            again.http.cookies.set(COOKIE, browser.http.cookies[COOKIE])
            again.shown[again.ids["cg-session"]] = remembered
            again.load()
            assert "12 items fit comedy" in again.html("cg-log")
            assert "Playtime" in again.html("cg-items-panel")
            # A page that stayed open over the restart goes on where it was, without being loaded again.
            still_open = open_browser(elsewhere)
            still_open.http.cookies.set(COOKIE, browser.http.cookies[COOKIE])
            still_open.shown[still_open.ids["cg-session"]] = remembered
            still_open.say("delivery")
            assert "12 items fit comedy" in still_open.html("cg-log")
            again.press("cg-top", "click", action="new")
            assert "cg-starter" in again.html("cg-log")
            assert again.html("cg-session") == "new"
            again.load()
            assert "cg-starter" in again.html("cg-log")
            again.press("cg-top", "click", action="open", session=remembered)
            assert "12 items fit comedy" in again.html("cg-log")

    def test_a_stolen_tab_id_does_not_open_the_tab(self, open_browser: Opener, address: str) -> None:
        browser, thief = open_browser(address), open_browser(address)
        browser.load()
        browser.say("funny")
        thief.session_hash = browser.session_hash
        thief.press("cg-log", "click", action="nonsense")
        assert "12 items fit" not in thief.html("cg-log")


def test_a_visitor_sees_and_changes_whether_the_shop_learns_from_them(
    open_browser: Opener, address: str, chat: ScriptedChat
) -> None:
    browser, words = open_browser(address), words_in("en")
    browser.load()
    assert words("top.learned_from") in browser.html("cg-top")
    browser.say("funny")
    session = browser.html("cg-session")
    assert chat.log.talks("default", [session], "opt_out")
    browser.press("cg-top", "click", action="consent", value="no")
    assert words("top.not_learned_from") in browser.html("cg-top")
    assert chat.log.talks("default", [session], "opt_out") == []
    browser.load()
    assert words("top.do_learn") in browser.html("cg-top")
    browser.press("cg-top", "click", action="consent", value="yes")
    assert chat.log.talks("default", [session], "opt_in")


def test_a_visitor_erases_their_chats(open_browser: Opener, address: str, chat: ScriptedChat) -> None:
    browser, other, words = open_browser(address), open_browser(address), words_in("en")
    for one in (browser, other):
        one.load()
        one.say("funny")
    session, kept = browser.html("cg-session"), other.html("cg-session")
    browser.press("cg-top", "click", action="consent", value="no")
    assert words("top.erase_sure") in browser.html("cg-top"), "asked before it is done"
    browser.press("cg-top", "click", action="erase")
    with pytest.raises(NotFound):
        chat.log.conversation("default", session)
    assert chat.log.conversation("default", kept).id == kept
    assert "cg-starter" in browser.html("cg-log")
    assert words("top.earlier_none") in browser.html("cg-top")
    assert words("top.learned_from") in browser.html("cg-top"), "somebody new, of whom the shop's rule decides"


def test_chinese_interface(open_browser: Opener, address: str) -> None:
    browser = open_browser(address, "zh-CN,zh;q=0.9")
    browser.load()
    assert "您在找什么" in browser.html("cg-log")
    assert browser.shown[browser.ids["cg-send"]]["value"] == "发送"


class TestPeople:
    def test_a_person_answers_and_the_visitor_goes_on_with_the_assistant(
        self, open_browser: Opener, address: str, services: Services
    ) -> None:
        """The button works before anything was said; what the team says comes by itself and is there after a reload."""
        handoffs, browser = handoffs_of(services), open_browser(address)
        browser.load()
        assert 'data-action="person"' in browser.html("cg-top")
        browser.press("cg-top", "click", action="person")
        session_id = browser.html("cg-session")
        assert "handing this conversation over" in browser.html("cg-log")
        assert 'data-action="go_on"' in browser.html("cg-log")
        assert 'data-action="person"' not in browser.html("cg-top")
        assert browser.looks is True
        said = Happening("replied", "1", by="key:a")
        handoffs.apply("default", session_id, said, Words("Hello, <b>Maria</b> here.", {"agent": "Maria"}))
        browser.event(None, "tick")
        assert "Hello, &lt;b&gt;Maria&lt;/b&gt; here." in browser.html("cg-log")
        assert browser.html("cg-log").count("cg-handoff") == 1
        again = open_browser(address)
        again.http.cookies.update(browser.http.cookies)
        again.shown[again.ids["cg-session"]] = session_id  # what the browser's tab remembers
        again.load()
        for text in ("handing this conversation over", "Hello, &lt;b&gt;Maria"):
            assert again.html("cg-log").count(text) == 1
        handoffs.apply("default", session_id, Happening("returned", "2", by="key:a"))
        browser.event(None, "tick")
        assert "cg-handoff" not in browser.html("cg-log")
        assert browser.looks is False
        assert 'data-action="person"' in browser.html("cg-top")

    def test_the_visitor_does_not_wait_any_more(self, open_browser: Opener, address: str, services: Services) -> None:
        browser = open_browser(address)
        browser.load()
        browser.say("funny")
        browser.press("cg-top", "click", action="person")
        browser.press("cg-log", "click", action="go_on")
        assert handoffs_of(services).trail("default", browser.html("cg-session")).state.ended == "withdrawn"
        assert "cg-handoff" not in browser.html("cg-log")

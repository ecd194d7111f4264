"""The page as a Gradio app on the API's server: components, events, and what each event draws again.

Knows nothing of how answers are made; every change goes through `Services`.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from importlib.resources import files
from typing import Any, TypeAlias

import gradio as gr
import structlog
from fastapi import FastAPI
from starlette.routing import Mount

from agent.log.records import Feedback
from agent.services import Services
from retrieval.demo import SHOP_NAME
from retrieval.errors import ChatalogueError
from ui.cards import CARD_REASONS, Mark, MarkKind
from ui.page import handoff
from ui.page.doors import PageDoors
from ui.page.draw import THUMB_REASONS, draw_items, draw_live, draw_log, draw_top, draw_wishes
from ui.page.history import erase_visitor, list_earlier, open_chat, react, read_consent, set_consent, set_mark
from ui.page.tab import Tab
from ui.page.turns import drop_wish, run_turn
from ui.page.visitor import PageHeaders, new_visitor_id, user_of, visitor_id
from ui.words import choose_language, words_in

log = logging.getLogger(__name__)

CHATS_AT_ONCE = 8
"""Turns that run beside each other; Gradio's own default of 1 would let one visitor stop all others.
The engine queues what it cannot batch and tells how many are ahead."""

HANDOFF_LOOK_SECONDS = 4.0
"""How often a page looks for what people said, while they have its chat and only then."""

NEW_CHAT = "new"
"""What the browser tab remembers instead of a conversation's id when the visitor asked for an empty one."""

MAX_TEXT_CHARS = 100_000
"""More than this is cut before it is looked at; the conversation has its own, smaller limit and says so."""

_MARK_KINDS: Mapping[str, MarkKind] = {kind: kind for kind in ("thumb_up", "thumb_down", "accept", "reject")}

Drawing: TypeAlias = dict[Any, Any]
"""New values by Gradio component; components that are not in it stay as they are."""


def mount_page(app: FastAPI, services: Services, *, demo: bool = False) -> FastAPI:
    """Mount the shopper's page at "/" of `app`; call it last, because it takes every path that is left.

    Nothing of the page leaves the server: no telemetry, no foreign font or script (a security policy
    forbids them too), no share button, no run history, no public API of its own.

    Args:
        app: the API's application.
        services: everything that the server has.
        demo: the catalogue is the demo shop's: its name where none is set, and starters about films.
    """

    async def in_a_loop() -> None:
        _mount(app, services, demo=demo)

    # Outside a running loop Gradio opens one for each of its locks and never closes it (`utils.safe_get_lock`).
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(in_a_loop())
    else:
        _mount(app, services, demo=demo)
    return app


def _mount(app: FastAPI, services: Services, *, demo: bool) -> None:
    page = Page(services, demo=demo)
    blocks = page.build()
    app.add_middleware(PageHeaders, root_path=services.settings.server.root_path)
    gr.mount_gradio_app(
        app,
        blocks,
        path="/",
        footer_links=[],
        run_history=False,
        show_error=False,
        ssr_mode=False,
        mcp_server=False,
        enable_monitoring=False,
        pwa=False,
        root_path=services.settings.server.root_path or None,
        theme=_theme(),
        head=f"<style>{_static('page.css')}</style>{_static('head.html')}",
        js=_static("page.js"),
    )
    mounted = app.routes[-1]
    assert isinstance(mounted, Mount)  # noqa: S101 - it is what `mount_gradio_app` has just added
    mounted.app = PageDoors(mounted.app)


def _static(name: str) -> str:
    return files("ui").joinpath("static", name).read_text(encoding="utf-8")


def _theme() -> gr.themes.Base:
    """Gradio's plain theme in our colours, in the reader's own system font: no font is fetched."""
    return gr.themes.Base(
        primary_hue=gr.themes.colors.teal,
        secondary_hue=gr.themes.colors.teal,
        neutral_hue=gr.themes.colors.stone,
        font=["system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
        radius_size=gr.themes.sizes.radius_lg,
    )


class Page:
    """The components of the page and the handlers of its events; one for all visitors, without their data."""

    def __init__(self, services: Services, *, demo: bool = False) -> None:
        self._services = services
        self._demo = demo
        self._shop_name = services.settings.chat.shop_name or (SHOP_NAME if demo else "")

    def build(self) -> gr.Blocks:
        """Make components and wire their events."""
        events_js = _static("events.js")
        blocks: gr.Blocks
        with gr.Blocks(
            title=self._shop_name or "Chatalogue", analytics_enabled=False, fill_width=True, delete_cache=None
        ) as blocks:
            self.tab = gr.State(Tab())
            # The browser carries the conversation's id, so that a restarted server can find it again.
            self.session = gr.Textbox(visible="hidden", elem_id="cg-session", label="session")
            self.timer = gr.Timer(HANDOFF_LOOK_SECONDS, active=False)
            self.top = gr.HTML(elem_id="cg-top", js_on_load=events_js, apply_default_css=False)
            with gr.Row(elem_id="cg-main", equal_height=False):
                with gr.Column(scale=6, min_width=300, elem_id="cg-chat"):
                    with gr.Column(elem_id="cg-conversation"):
                        self.log = gr.HTML(elem_id="cg-log", js_on_load=events_js, apply_default_css=False)
                        self.live = gr.HTML(elem_id="cg-live", js_on_load=events_js, apply_default_css=False)
                    self.wishes = gr.HTML(elem_id="cg-wishes", js_on_load=events_js, apply_default_css=False)
                    self._build_input()
                with gr.Column(scale=4, min_width=300, elem_id="cg-side"):
                    self.items = gr.HTML(elem_id="cg-items-panel", js_on_load=events_js, apply_default_css=False)
            self._wire(blocks)
        blocks.queue(default_concurrency_limit=None, api_open=False)
        # After each event Gradio sums up its last 10,000 in a pandas table that nobody sees (monitoring is off),
        # with calls that pandas 3 has deprecated. Never again before so many events; the name is theirs.
        blocks._queue.ANAYLTICS_CACHE_FREQUENCY = sys.maxsize
        return blocks

    def _build_input(self) -> None:
        words = words_in(choose_language(self._services.settings.language, ""))
        with gr.Row(elem_id="cg-input", equal_height=False):
            # One line that grows: Enter sends, Shift+Enter makes a new line.
            self.box = gr.Textbox(
                elem_id="cg-box",
                label=words("input.label"),
                placeholder=words("input.placeholder"),
                show_label=False,
                container=False,
                lines=1,
                max_lines=6,
                scale=1,
                autofocus=True,
            )
            self.send = gr.Button(words("input.send"), variant="primary", elem_id="cg-send", scale=0, min_width=88)
            self.stop = gr.Button(words("input.stop"), elem_id="cg-stop", scale=0, min_width=88)

    def _wire(self, blocks: gr.Blocks) -> None:
        drawn = [self.top, self.log, self.live, self.wishes, self.items, self.session, self.timer]
        common: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        panels = (self.top, self.log, self.live, self.wishes, self.items)
        # `gr.on` takes only events that Gradio knows: our panels send "submit" for words to post, "click" for
        # the rest; events.js decides which. One dependency for all keeps a second turn of a tab from starting.
        gr.on(
            [self.box.submit, self.send.click, *(panel.submit for panel in panels)],
            self.on_say,
            [self.box, self.session, self.tab],
            [*drawn, self.box],
            trigger_mode="once",
            concurrency_limit=CHATS_AT_ONCE,
            **common,
        )
        self.stop.click(self.on_stop, [self.tab], None, **common)
        gr.on(
            [panel.click for panel in panels],
            self.on_act,
            [self.session, self.tab],
            drawn,
            trigger_mode="multiple",
            **common,
        )
        self.timer.tick(self.on_tick, [self.session, self.tab], drawn, **common)
        remember = "(id) => { if (id) sessionStorage.setItem('chatalogue.chat', id); }"
        self.session.change(None, [self.session], js=remember, **common)
        blocks.load(
            self.on_load,
            [self.session, self.tab],
            [*drawn, self.box, self.send, self.stop],
            js="(id, tab) => [sessionStorage.getItem('chatalogue.chat') || '', tab]",
            **common,
        )

    # --- events ---

    async def on_load(self, session_id: str, tab: Tab, request: gr.Request) -> Drawing:
        """Show the chat that this tab had, else the visitor's latest, else an empty one."""
        self._greet(tab, request)
        words = words_in(tab.language)
        drawing: Drawing = {
            self.box: gr.update(label=words("input.label"), placeholder=words("input.placeholder")),
            self.send: gr.update(value=words("input.send")),
            self.stop: gr.update(value=words("input.stop")),
        }
        try:
            await list_earlier(self._services, tab)
            await read_consent(self._services, tab)
            if session_id != NEW_CHAT:
                latest = tab.earlier[0].session_id if tab.earlier else ""
                found = bool(session_id) and await open_chat(self._services, tab, session_id)
                if not found and latest:
                    await open_chat(self._services, tab, latest)
        except ChatalogueError:
            log.exception("The page could not read a visitor's chats")
            gr.Warning(words("log.not_noted"))
        return drawing | self._everything(tab)

    async def on_say(
        self, text: str, session_id: str, tab: Tab, event: gr.EventData, request: gr.Request
    ) -> AsyncIterator[Drawing]:
        """Send the box's words, or those of a button (`data-say`), and draw what comes back."""
        await self._resume(tab, session_id, request)
        data = _data(event)
        posted = data.get("say")
        said = str(posted if posted is not None else text or "")[:MAX_TEXT_CHARS]
        if tab.live or not said.strip():
            return
        if posted is None:
            yield {self.box: ""}
        await self._before_saying(tab, data)
        async with aclosing(run_turn(self._services, tab, said)) as changes:
            async for changed in changes:
                if changed == "end":
                    await self._refresh_earlier(tab)
                    yield self._everything(tab)
                elif changed == "cards":
                    yield {
                        self.live: draw_live(tab),
                        self.items: draw_items(tab),
                        self.wishes: draw_wishes(tab),
                        self.session: tab.session_id,
                    }
                elif tab.live and not tab.live.reply and tab.live.ahead is None:
                    yield {self.live: draw_live(tab), self.log: draw_log(tab, demo=self._demo)}
                else:
                    yield {self.live: draw_live(tab)}

    async def on_stop(self, tab: Tab) -> None:
        """End the running turn; its own handler draws what was said so far."""
        if tab.live and tab.live.stop:
            tab.live.stop()

    async def on_act(self, session_id: str, tab: Tab, event: gr.EventData, request: gr.Request) -> Drawing:
        """Everything that needs no turn: reactions, another chat, clicked links."""
        await self._resume(tab, session_id, request)
        data = _data(event)
        try:
            await self._act(tab, str(data.get("action")), data)
        except ChatalogueError:
            log.exception("The page could not do what a button asked for")
            gr.Warning(words_in(tab.language)("log.not_noted"))
        return self._everything(tab)

    async def on_tick(self, session_id: str, tab: Tab, request: gr.Request) -> Drawing:
        """Draw what people said meanwhile; asked only while they have the chat."""
        await self._resume(tab, session_id, request)
        try:
            changed = tab.live is None and await handoff.look(self._services, tab)
        except ChatalogueError:
            log.exception("The page could not read what people said")
            changed = False
        return self._everything(tab) if changed else {self.timer: gr.update()}

    async def _act(self, tab: Tab, action: str, data: Mapping[str, Any]) -> None:
        if action in ("mark", "unmark"):
            await self._mark(tab, action, data)
        elif action == "open":
            await open_chat(self._services, tab, str(data.get("session")))
        elif action == "new":
            tab.clear()
            await list_earlier(self._services, tab)
        elif action == "person":
            await handoff.call_person(self._services, tab)
        elif action == "go_on":
            await handoff.go_on(self._services, tab)
        elif action == "consent":
            await set_consent(self._services, tab, consent=data.get("value") == "yes")
        elif action == "erase":
            await erase_visitor(self._services, tab)
        elif action == "click" and (key := _target(tab, data)):
            await react(self._services, Feedback(key[0], "click", key[1]))

    async def _mark(self, tab: Tab, action: str, data: Mapping[str, Any]) -> None:
        key, kind = _target(tab, data), _MARK_KINDS.get(str(data.get("kind")))
        if key is None or kind is None:
            return
        reason = data.get("reason")
        known = reason if reason in (*THUMB_REASONS, *CARD_REASONS) else None
        comment = str(data.get("text") or "").strip()[:500] or None
        mark = Mark(kind, known) if action == "mark" else None
        await set_mark(self._services, tab, key, mark, comment)

    async def _before_saying(self, tab: Tab, data: Mapping[str, Any]) -> None:
        """What goes with a button's words: the reaction of "I'll take it", the wish that a way out drops."""
        try:
            if data.get("mark") == "accept":
                await self._mark(tab, "mark", {**data, "kind": "accept"})
            if data.get("drop"):
                await drop_wish(self._services, tab, str(data["drop"]))
        except ChatalogueError:
            # The words still go out, and the conversation understands them without the button's help.
            log.exception("The page could not note what goes with a button's words")

    # --- the tab ---

    def _greet(self, tab: Tab, request: gr.Request) -> None:
        """Make sure that the tab belongs to whoever sends the request, and speaks their language."""
        # Gradio works off its queue in tasks that were begun by the first request of all: their lines had its id.
        state = getattr(request.request, "state", None)
        structlog.contextvars.bind_contextvars(request_id=getattr(state, "request_id", None))
        visitor = visitor_id(request.headers.get("cookie", ""))
        if visitor is None:
            visitor = tab.visitor = tab.visitor or new_visitor_id()
        user = user_of(visitor)
        if tab.user != user:
            tab.clear()
            tab.earlier, tab.learned_from = (), None
            tab.user = user
        tab.language = choose_language(self._services.settings.language, request.headers.get("accept-language", ""))

    async def _resume(self, tab: Tab, session_id: str, request: gr.Request) -> None:
        """Find the tab's chat again where this server does not have it: it was restarted, or is another one."""
        self._greet(tab, request)
        if session_id and session_id != NEW_CHAT and not tab.entries and not tab.live:
            try:
                await open_chat(self._services, tab, session_id)
            except ChatalogueError:
                log.exception("The page could not read a visitor's chat")

    async def _refresh_earlier(self, tab: Tab) -> None:
        try:
            await list_earlier(self._services, tab)
        except ChatalogueError:
            # An old list is no reason to lose the answer that is about to be drawn.
            log.exception("The page could not list a visitor's chats")

    def _everything(self, tab: Tab) -> Drawing:
        return {
            self.top: draw_top(tab, self._shop_name, person=handoff.is_offered(self._services)),
            self.log: draw_log(tab, demo=self._demo),
            self.live: draw_live(tab),
            self.wishes: draw_wishes(tab),
            self.items: draw_items(tab),
            self.session: tab.session_id or NEW_CHAT,
            self.timer: gr.update(active=tab.handoff is not None),
        }


def _data(event: gr.EventData) -> Mapping[str, Any]:
    """What a button of ours sent along; nothing for Gradio's own events."""
    return event._data if isinstance(event._data, Mapping) else {}


def _target(tab: Tab, data: Mapping[str, Any]) -> tuple[str, str | None] | None:
    """The reply or item that a button belongs to; None for a turn that is not of this chat."""
    turn_id = str(data.get("turnId"))
    item_id = data.get("itemId")
    return (turn_id, None if item_id is None else str(item_id)) if tab.has_turn(turn_id) else None

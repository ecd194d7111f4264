"""One message of the visitor, from the words to the finished entry: the tab is changed, the caller draws.

Knows nothing of Gradio or HTML.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Literal, TypeAlias

from agent.answer import Cards, Finished, Text, Update, Waiting
from agent.preferences import Dropped
from agent.services import Services, TurnRequest
from retrieval.errors import NotFound
from ui.page.draw import say_wish
from ui.page.tab import Entry, Tab
from ui.words import words_in

log = logging.getLogger(__name__)

REDRAW_SECONDS = 0.05
"""Text that comes faster than this is drawn together."""

Changed: TypeAlias = Literal["text", "cards", "end"]
"""What the page draws again: the running reply; it and the cards; everything."""


async def run_turn(services: Services, tab: Tab, text: str) -> AsyncGenerator[Changed, None]:
    """Say `text` in the tab's conversation, and tell after each change what to draw again.

    The stop button (`entry.stop`), closing this generator and another chat opened in the tab all close the
    conversation's own iterator, which logs what was said so far. The entry stays, marked as stopped; that
    of a failed turn stays too, with a sentence.
    """
    entry = Entry(said=text)
    tab.live = entry
    request = TurnRequest(text, tenant=services.settings.tenant, user=tab.user, session_id=tab.session_id or None)
    yield "text"
    updates: asyncio.Queue[Update | None] = asyncio.Queue()
    # A task of its own, so that a stop reaches a turn that waits for the engine. Gradio's `cancels` would not
    # do: the page sends it only after the handlers of the same button have returned.
    task = asyncio.create_task(_read(services.chat.turn(request), updates))
    entry.stop = task.cancel
    drawn_at = 0.0
    try:
        while (update := await updates.get()) is not None and tab.live is entry:
            changed = _take(tab, entry, update)
            now = time.monotonic()
            if changed == "cards" or (changed == "text" and now - drawn_at >= REDRAW_SECONDS):
                drawn_at = now
                yield changed
    finally:
        task.cancel()  # changes nothing where it has come to its end
        await asyncio.wait({task})
        _finish(tab, entry, task)
    yield "end"


async def _read(turn: AsyncGenerator[Update, None], updates: asyncio.Queue[Update | None]) -> None:
    try:
        async with aclosing(turn) as coming:
            async for update in coming:
                updates.put_nowait(update)
    finally:
        updates.put_nowait(None)


def _finish(tab: Tab, entry: Entry, task: asyncio.Task[None]) -> None:
    entry.stop, entry.ahead = None, None
    if task.cancelled():
        entry.state = "stopped"
    elif error := task.exception():
        # The visitor hears one friendly sentence, whatever broke; the operator finds the cause here.
        log.error("A turn of the page failed", exc_info=error)
        _fail(tab, entry, error)
    else:
        entry.state = "done"
    # Not so where the visitor has opened another chat: then this entry is in the log only.
    if tab.live is entry:
        tab.live = None
        tab.entries.append(entry)


def _take(tab: Tab, entry: Entry, update: Update) -> Changed | None:
    if isinstance(update, Waiting):
        entry.ahead = update.ahead
        return "text"
    if isinstance(update, Text):
        entry.reply += update.delta
        entry.ahead = None
        return "text"
    entry.answer = update.answer
    tab.session_id = update.answer.session_id
    if isinstance(update, Cards):
        tab.wishes = tuple(update.answer.preferences)
        return "cards"
    assert isinstance(update, Finished)  # noqa: S101 - narrows for mypy: the union has no other member
    entry.reply = update.reply
    tab.handoff = update.answer.handoff
    tab.wishes = tuple(update.answer.preferences)
    return None


def _fail(tab: Tab, entry: Entry, error: BaseException) -> None:
    words = words_in(tab.language)
    entry.state = "failed"
    if isinstance(error, NotFound):
        if tab.live is entry:
            tab.session_id = ""
        entry.problem = words("log.gone")
    else:
        entry.problem = words("log.failed")


async def drop_wish(services: Services, tab: Tab, wish_id: str) -> bool:
    """Take a chip away, in the conversation and in the tab; False where there is no such wish."""
    wish = next((wish for wish in tab.wishes if wish.id == wish_id), None)
    if wish is None or not tab.session_id:
        return False
    said = words_in(tab.language)("log.dropped", wish=say_wish(tab, wish))
    fact = Dropped(turn=wish.turn, evidence=said, preference_ids=(wish_id,))
    await services.chat.edit(services.settings.tenant, tab.session_id, (fact,))
    tab.wishes = tuple(other for other in tab.wishes if other.id != wish_id)
    tab.entries.append(Entry(reply=said, state="note"))
    return True

"""The page's side of a handoff: the button for a person, what the team says, and the way back to the assistant.

The log is synchronous: its calls run in threads. Knows nothing of HTML.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence

from agent.answer import HandoffView
from agent.log.people import PAGE_KEY
from agent.log.records import TurnView
from agent.messages import messages
from agent.services import Services
from agent.support.handoff.keeping import CUSTOMER, ThreadMessage, handoffs_of
from agent.support.handoff.machine import Happening
from ui.page.tab import Entry, Tab


def is_offered(services: Services) -> bool:
    """Whether there is a button for a person at all."""
    return services.settings.support.handoff != "off"


async def call_person(services: Services, tab: Tab) -> None:
    """Hand the tab's chat over; one in which nothing has been said yet is begun for it."""
    handoffs, tenant = handoffs_of(services), services.settings.tenant
    if tab.handoff is None and not handoffs.possible:
        tab.entries.append(Entry(reply=handoffs.impossible_line(messages(tab.language)), state="system"))
        return

    def begin() -> str:
        session_id = tab.session_id or log.start_conversation(tenant, PAGE_KEY, tab.user, tab.language).id
        return log.conversation(tenant, session_id, key_id=PAGE_KEY, user=tab.user).id

    log, event = services.log, Happening("asked", secrets.token_hex(12), reason="button")
    session_id = await asyncio.to_thread(begin)
    async with handoffs.between_turns(tenant, session_id):
        await asyncio.to_thread(handoffs.hand_over, tenant, session_id, event, tab.language)
    tab.session_id = session_id
    await look(services, tab)


async def go_on(services: Services, tab: Tab) -> None:
    """The visitor does not wait for a person any more; where one is there already nothing changes."""
    if not tab.session_id:
        return
    handoffs, tenant, session_id = handoffs_of(services), services.settings.tenant, tab.session_id

    event = Happening("withdrawn", secrets.token_hex(12), by=CUSTOMER)
    await asyncio.to_thread(services.log.conversation, tenant, session_id, key_id=PAGE_KEY, user=tab.user)
    async with handoffs.between_turns(tenant, session_id):
        await asyncio.to_thread(handoffs.apply, tenant, session_id, event)
    await look(services, tab)


async def look(services: Services, tab: Tab) -> bool:
    """Read what is new of people in the tab's chat; whether there was anything."""
    if not tab.session_id:
        return False
    handoffs, tenant, session_id = handoffs_of(services), services.settings.tenant, tab.session_id

    def read() -> tuple[list[ThreadMessage], HandoffView | None]:
        view = services.log.session_view(tenant, session_id, key_id=PAGE_KEY, user=tab.user)
        trail = handoffs.trail(tenant, session_id)
        return handoffs.thread(trail, view.turns), handoffs.view(trail)

    thread, now = await asyncio.to_thread(read)
    if tab.session_id != session_id:
        return False  # another chat was opened meanwhile
    new = [one for one in thread if one.id not in tab.heard]
    changed = bool(new) or tab.handoff != now
    tab.handoff = now
    for one in new:
        tab.entries.append(entry_of(one))
        tab.heard.add(one.id)
    return changed


def woven(turns: Sequence[tuple[TurnView, Entry]], thread: Sequence[ThreadMessage]) -> list[Entry]:
    """Turns and what people said between them, in order."""
    numbered = [(turn.number, 0, entry) for turn, entry in turns]
    numbered += [(one.after_turn, 1 + place, entry_of(one)) for place, one in enumerate(thread)]
    return [entry for _, _, entry in sorted(numbered, key=lambda one: one[:2])]


def entry_of(message: ThreadMessage) -> Entry:
    """What the team said, or a line of ours, as an entry."""
    if message.role == "system":
        return Entry(reply=message.text, state="system")
    return Entry(reply=message.text, state="person", name=message.name or "")

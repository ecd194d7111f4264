"""A tab rebuilt from the event log, and reactions written to it. Every read asks for the visitor's own.

The log is synchronous: its calls run in threads. Knows nothing of HTML.
"""

from __future__ import annotations

import asyncio

from pydantic import ValidationError

from agent.answer import Answer, PreferenceView
from agent.datadir import DataDirectory
from agent.history import facts_in_force
from agent.learning.forgetting import erase_customer, learned_from, note_consent
from agent.log.people import PAGE_KEY
from agent.log.records import ConversationState, Feedback, SessionView, TurnView
from agent.preferences import fold
from agent.services import Services
from agent.support.handoff.keeping import Trail, handoffs_of
from retrieval.errors import NotFound
from ui.cards import Mark
from ui.page.handoff import woven
from ui.page.tab import EarlierChat, Entry, Tab

EARLIER_CHATS = 30
"""Listed at most."""


async def list_earlier(services: Services, tab: Tab) -> None:
    """Read the visitor's conversations, the last used first."""
    found = await asyncio.to_thread(
        services.log.list_conversations, services.settings.tenant, PAGE_KEY, tab.user, EARLIER_CHATS
    )
    tab.earlier = tuple(EarlierChat(chat.session_id, chat.title, chat.last_at.strftime("%Y-%m-%d")) for chat in found)


async def read_consent(services: Services, tab: Tab) -> None:
    """Whether the shop learns from this visitor."""
    said = await asyncio.to_thread(services.log.consent, services.settings.tenant, PAGE_KEY, tab.user)
    tab.learned_from = learned_from(said, services.settings.learning.consent)


async def set_consent(services: Services, tab: Tab, *, consent: bool) -> None:
    """Let the shop learn from this visitor, or not any more."""
    settings = services.settings
    data = DataDirectory(settings.data_dir)
    await asyncio.to_thread(note_consent, data, services.log, settings.tenant, PAGE_KEY, tab.user, consent=consent)
    tab.learned_from = consent


async def erase_visitor(services: Services, tab: Tab) -> None:
    """Erase everything of this visitor; they are somebody new then, of whom nothing is known."""
    settings = services.settings
    data = DataDirectory(settings.data_dir)
    if tab.live and tab.live.stop:
        tab.live.stop()
    await asyncio.to_thread(erase_customer, data, services.log, settings.tenant, PAGE_KEY, tab.user)
    tab.clear()
    await list_earlier(services, tab)
    await read_consent(services, tab)


async def open_chat(services: Services, tab: Tab, session_id: str) -> bool:
    """Fill the tab with a stored conversation; False where this visitor has none of that id."""

    def read() -> tuple[SessionView, ConversationState, Trail]:
        tenant = services.settings.tenant
        view = services.log.session_view(tenant, session_id, key_id=PAGE_KEY, user=tab.user)
        return view, services.log.state(tenant, session_id), handoffs_of(services).trail(tenant, session_id)

    try:
        view, state, trail = await asyncio.to_thread(read)
    except NotFound:
        return False
    tab.clear()
    tab.session_id = session_id
    standing = [turn for turn in view.turns if not turn.undone]
    for turn in standing:
        _restore_marks(tab, turn)
    handoffs = handoffs_of(services)
    thread = handoffs.thread(trail, view.turns)
    tab.entries = woven([(turn, _entry(turn)) for turn in standing], thread)
    tab.handoff, tab.heard = handoffs.view(trail), {one.id for one in thread}
    tab.wishes = tuple(PreferenceView.of(wish) for wish in fold(facts_in_force(state)))
    return True


def _entry(turn: TurnView) -> Entry:
    try:
        answer = Answer.model_validate(turn.answer)
    except ValidationError:
        # Written by another version: the words are still worth showing, the cards cannot be.
        answer = None
    return Entry(said=turn.message, reply=turn.reply, answer=answer, state="done")


def _restore_marks(tab: Tab, turn: TurnView) -> None:
    for reaction in turn.reactions:
        if reaction.kind in ("thumb_up", "thumb_down", "accept", "reject"):
            tab.marks[(turn.turn_id, reaction.item_id)] = Mark(reaction.kind, reaction.reason)


async def react(services: Services, *given: Feedback) -> None:
    """Store a reaction, or several together.

    Raises:
        NotFound, BadRequest: as `EventLog.record_feedback`.
    """
    await asyncio.to_thread(services.log.record_feedback, services.settings.tenant, PAGE_KEY, *given)


async def set_mark(
    services: Services, tab: Tab, key: tuple[str, str | None], mark: Mark | None, text: str | None = None
) -> None:
    """Make `mark` the visitor's reaction on a reply or an item; None takes back what was there.

    The log keeps one reaction of a kind, so a reason given later is a withdrawal and a new reaction.
    """
    turn_id, item_id = key
    old = tab.marks.get(key)
    given = [Feedback(turn_id, "withdraw", item_id, of=old.kind)] if old else []
    if mark:
        given.append(Feedback(turn_id, mark.kind, item_id, reason=mark.reason, text=text))
    if given:
        await react(services, *given)
    tab.marks.pop(key, None)
    if mark:
        tab.marks[key] = mark

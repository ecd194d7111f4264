"""Where a message belongs: the conversation that it continues or begins, and what its own history adds to that.

Knows nothing of what is answered.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Final, cast

from agent.answer import HandoffReason
from agent.history import carried_over, later_than, lists_in, prefix_hash, read_by_rules
from agent.log import handoffs
from agent.log.records import Conversation, ConversationState, PrefixMatch, TurnConflict
from agent.log.store import EventLog
from agent.preferences import Fact, fold
from agent.services import TurnRequest
from agent.settings import Settings
from agent.shop import Shop
from agent.shopkeeper import ShopKeeper
from agent.support.handoff.keeping import Handoffs
from agent.support.handoff.machine import ENDS, Happening
from agent.understand.types import DialogueContext

MOST_REPLIES: Final = 8
"""So many replies of people are looked for behind the last turn of a history."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message belongs. `repeated`: the turn that it asks to answer again. `carried`: wishes of the past.

    `after`: the turn that its history ends with, where that found the conversation.
    """

    session_id: str
    after: int | None = None
    repeated: str | None = None
    carried: tuple[Fact, ...] | None = None


async def find_place(request: TurnRequest, log: EventLog, shops: ShopKeeper, settings: Settings) -> Place:
    """The conversation that the caller names or that their messages continue, or a new one.

    Words alone do not say who somebody is. So a stateless call continues a conversation only at its
    end, and only where no other one ended with the same words; else it begins a conversation of its
    own, with the wishes of the one it branches from; where people had that one by then, they get the new one, too.
    """
    if request.session_id is not None:  # nothing is awaited: messages are locked in the order in which they came
        return Place(request.session_id)
    tenant, key, user = request.tenant, request.key_id, request.user
    carried: tuple[Fact, ...] | None = None
    reason: HandoffReason | None = None
    match = await asyncio.to_thread(_match, request, log) if request.history else None
    if match is not None:
        state = await asyncio.to_thread(log.state, tenant, match.session_id)
        later = later_than(state, match.turn_number)
        again = len(later) == 1 and later[0].message == request.text
        if not match.shared and (not later or again):
            repeated = later[0].turn_id if again else None
            return Place(match.session_id, match.turn_number, repeated)
        carried = carried_over(state, match.turn_number)
        if match.held is not None:
            reason = await asyncio.to_thread(_handed_over, tenant, *match.held, log)
    started = await asyncio.to_thread(log.start_conversation, tenant, key, user)
    if started.person_id is not None and carried is None:
        await asyncio.to_thread(_recall, tenant, started.id, log, shops)
    if reason is not None:
        await asyncio.to_thread(_hand_over, request, started, reason, log, settings)
    return Place(started.id, carried=carried)


def _match(request: TurnRequest, log: EventLog) -> PrefixMatch | None:
    """The turn that the history ends with; behind it may stand what people said, which no turn has."""
    history = request.history
    for end in range(len(history), 0, -1):
        match = log.find_by_prefix(request.tenant, request.key_id, request.user, prefix_hash(history[:end]))
        whole = end == len(history)
        if match is not None and (
            whole or _handed_over(request.tenant, match.session_id, match.turn_number, log) is not None
        ):
            return match
        if history[end - 1].role != "assistant" or len(history) - end == MOST_REPLIES:
            break
    return None


def _handed_over(tenant: str, session_id: str, number: int, log: EventLog) -> HandoffReason | None:
    """Why people had a conversation when turn `number` was over; None where it was the bot's up to then."""
    trail = log.database.read(lambda session: handoffs.trail(session, tenant, session_id))
    by_then = [entry for entry in trail if entry.after_turn < number and (entry.reason or entry.kind in ENDS)]
    return cast("HandoffReason | None", by_then[-1].reason) if by_then else None


def _hand_over(
    request: TurnRequest, started: Conversation, reason: HandoffReason, log: EventLog, settings: Settings
) -> None:
    """Give the new conversation to people as well: its customer was told that the bot is silent."""
    said = " / ".join(message.text for message in request.history if message.role == "user")
    event = Happening("asked", f"continued/{started.id}", reason=reason)
    message = f"{said} / {request.text}"
    Handoffs(log, settings).hand_over(request.tenant, started.id, event, started.language, message, spoken=False)


def _recall(tenant: str, session_id: str, log: EventLog, shops: ShopKeeper) -> None:
    """A named customer's lasting wishes are the first of a new conversation."""
    state = log.state(tenant, session_id)
    if facts := shops.profiles.standing(shops.current(tenant).table.shape, state):
        log.record_edit(tenant, session_id, facts)


def check_place(request: TurnRequest, place: Place, log: EventLog) -> None:
    """Whether the message may still go where it belongs; asked by whoever holds the conversation.

    Raises:
        NotFound: the conversation that the caller names is not theirs.
        TurnConflict: two calls with one history found the same end, and the other one was first; sent again, this one
            finds its own place.
    """
    if request.session_id is not None:
        log.conversation(request.tenant, request.session_id, key_id=request.key_id, user=request.user)
    if place.after is None:
        return
    later = [turn.turn_id for turn in later_than(log.state(request.tenant, place.session_id), place.after)]
    if later != [place.repeated] * (place.repeated is not None):
        raise TurnConflict("This conversation went on meanwhile; send the message again.")


def with_history(
    context: DialogueContext, request: TurnRequest, state: ConversationState, place: Place, shop: Shop
) -> tuple[DialogueContext, tuple[Fact, ...]]:
    """What the client's own copy of the conversation adds: its lists, and wishes of a past that is not stored here."""
    history = request.history
    imported: tuple[Fact, ...] = ()
    if not state.turns and place.carried is None:
        return read_by_rules(history, shop)
    if not state.turns:
        imported = place.carried or ()
        context = replace(context, preferences=fold(imported))
    shown = lists_in(history, shop)
    if len(shown) > len(context.shown):
        context = replace(context, shown=shown, focus=context.focus or shown[-1])
    return context, imported

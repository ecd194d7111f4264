"""People and the bot: a customer asks for a person, and the team takes, answers and gives back.

The customer's side is `/v1/sessions/{id}/handoff`; `/v1/handoffs` is for keys of support agents, or, on a server
without any key, for whoever is on this machine. Knows nothing of what the bot says.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Header, Query
from pydantic import BaseModel, ConfigDict, Field

from agent.answer import Action, Citation, HandoffReason, HandoffView, ShownItem
from agent.api.context import Api, CallerApi
from agent.api.errors import ERROR_RESPONSES, ApiError, ErrorEnvelope
from agent.api.schemas import MAX_ID_CHARS, Words
from agent.api.sessions import SessionBody, session_body
from agent.log.handoffs import HandoffEntry, Waiting, name_hash
from agent.log.records import ConversationStatus, TurnView
from agent.messages import messages
from agent.support.handoff import keeping
from agent.support.handoff.keeping import CUSTOMER, LIST_LIMIT, Applied, handoffs_of
from agent.support.handoff.machine import Happening, Kind, Refusal
from agent.support.handoff.mood import Mood
from agent.support.handoff.packet import Packet
from agent.understand.persons import wants_person
from agent.understand.types import Language
from retrieval.errors import NotFound

NEW: Final = "new"
"""Instead of a session's id: a conversation in which nothing has been said yet."""
MAX_REPLY_CHARS: Final = 8_000
MAX_CONTACT_CHARS: Final = 320
"""An e-mail address has 254 at most."""

_BETWEEN_TURNS: Final[frozenset[Kind]] = frozenset({"taken_over", "returned", "closed"})
"""Of the team's: they change who answers, so no answer of the bot's may be under way."""

_RESPONSES: Final = ERROR_RESPONSES | {
    409: {"model": ErrorEnvelope, "description": "Not as things stand: `code` says why, `message` what to do"}
}
router = APIRouter(responses=_RESPONSES)
_Name = Annotated[str | None, Header(alias="Idempotency-Key", include_in_schema=False)]


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class HandoffRequest(_Request):
    """What goes with a wish for a person; all of it may be left out."""

    user: Words | None = Field(None, max_length=MAX_ID_CHARS, description="names the customer of a new conversation")
    message: Words | None = Field(None, max_length=MAX_REPLY_CHARS, description="for the team, in their own words")
    contact: Words | None = Field(None, max_length=MAX_CONTACT_CHARS, description="how to reach them; kept sealed")


class HandoffAnswer(BaseModel):
    """`message` is the one closing line, "" where it was said before; `handoff` is null while the bot answers."""

    session_id: str
    handoff: HandoffView | None
    message: str
    stored: bool


class TeamRequest(_Request):
    """Who of the team does it, and which handoff they mean: left out, the newest."""

    agent: Words | None = Field(None, max_length=MAX_ID_CHARS, description="a name that the customer may see")
    number: int | None = Field(None, ge=1)


class TakeRequest(TeamRequest):
    """`take_over`: also a conversation that the bot has; its customer is told."""

    take_over: bool = False


class ReplyRequest(TeamRequest):
    """Words for the customer, or of a note for the team alone."""

    text: Words = Field(min_length=1, max_length=MAX_REPLY_CHARS)


class TeamAnswer(BaseModel):
    """`changed` is false for what was so already; `event_id` names the line of the audit trail."""

    session_id: str
    number: int
    state: ConversationStatus
    changed: bool
    event_id: str | None


class HandoffLine(BaseModel):
    """One conversation of the list."""

    session_id: str
    number: int
    state: ConversationStatus
    reason: HandoffReason | None
    at: datetime
    last_at: datetime
    language: str
    mood: Mood
    summary: list[str]
    open_question: str


class HandoffList(BaseModel):
    """Those that wait first, the oldest first."""

    object: Literal["list"] = "list"
    data: list[HandoffLine]


class TrailLine(BaseModel):
    """One line of the audit trail: what, when, who; `agent` is the name that they gave."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    version: int
    number: int
    kind: Kind
    reason: HandoffReason | None
    at: datetime
    by: str
    agent: str | None = None
    text: str | None
    turn_id: str | None
    after_turn: int


class HandoffRecord(BaseModel):
    """Everything that the team may know: the private packet, the audit trail, the conversation."""

    session_id: str
    object: Literal["handoff"] = "handoff"
    number: int
    state: ConversationStatus
    holder: str
    packet: Packet | None
    events: list[TrailLine]
    session: SessionBody


class Suggestion(BaseModel):
    """What the bot would have said to `message`, for somebody of the team to edit and send."""

    session_id: str
    turn_id: str
    message: str
    text: str
    action: Action
    items: list[ShownItem]
    citations: list[Citation]


@router.post("/v1/sessions/{session_id}/handoff", tags=["conversations"])
async def hand_off(
    session_id: str, api: CallerApi, body: HandoffRequest | None = None, once: _Name = None
) -> HandoffAnswer:
    """Give a conversation to a person; `new` for the id begins one, where nothing has been said yet.

    Asked again it is done once. `contact` and `message` may be added while they wait.
    """
    asked = body or HandoffRequest()
    session_id, language = await api.in_thread(_asked_for, api, session_id, asked)
    async with handoffs_of(api.services).between_turns(api.tenant, session_id):
        return await api.in_thread(_hand_off, api, session_id, asked, language, once)


@router.delete("/v1/sessions/{session_id}/handoff", tags=["conversations"])
async def withdraw(session_id: str, api: CallerApi, once: _Name = None) -> HandoffAnswer:
    """The customer does not wait any more: the bot answers again. Not when somebody of the team has taken it."""
    await api.in_thread(api.services.log.conversation, api.tenant, session_id, key_id=api.key_id)
    async with handoffs_of(api.services).between_turns(api.tenant, session_id):
        return await api.in_thread(_withdraw, api, session_id, once)


@router.get("/v1/handoffs", tags=["handoffs"])
async def list_handoffs(
    api: CallerApi,
    state: Annotated[Literal["waiting", "human"] | None, Query(description="left out: both")] = None,
    limit: Annotated[int, Query(ge=1, le=LIST_LIMIT)] = 50,
) -> HandoffList:
    """Conversations that wait for a person or are with one."""
    check_team(api)
    found = await api.in_thread(handoffs_of(api.services).waiting, api.tenant, limit, state)
    return HandoffList(data=[_line(one) for one in found])


@router.get("/v1/handoffs/{session_id}", tags=["handoffs"])
async def show_handoff(session_id: str, api: CallerApi) -> HandoffRecord:
    """The packet, the audit trail and the transcript of a conversation that was handed over."""
    check_team(api)
    return await api.in_thread(_record, api, session_id)


@router.get("/v1/handoffs/{session_id}/suggestion", tags=["handoffs"])
async def suggest(session_id: str, api: CallerApi) -> Suggestion:
    """What the bot would answer to the customer's last message, with sources; nothing of it is sent or stored."""
    check_team(api)
    again = api.services.again
    turn = await api.in_thread(_last_question, api, session_id)
    if turn is None or again is None:
        raise ApiError(409, "no_suggestion", "The customer has not said anything yet that could be answered.")
    replay = await again(await api.in_thread(api.services.log.turn_input, api.tenant, turn.turn_id))
    answer = replay.answer
    return Suggestion(
        session_id=session_id,
        turn_id=turn.turn_id,
        message=turn.message,
        text=replay.reply,
        action=answer.action,
        items=answer.items,
        citations=answer.citations,
    )


@router.post("/v1/handoffs/{session_id}/take", tags=["handoffs"])
async def take(session_id: str, api: CallerApi, body: TakeRequest | None = None, once: _Name = None) -> TeamAnswer:
    """Take a conversation: others of the team see who has it."""
    return await _act(api, session_id, "taken_over" if body and body.take_over else "taken", body, once)


@router.post("/v1/handoffs/{session_id}/reply", tags=["handoffs"])
async def reply(session_id: str, body: ReplyRequest, api: CallerApi, once: _Name = None) -> TeamAnswer:
    """Say something to the customer, who sees it in the conversation; takes it where nobody has."""
    return await _act(api, session_id, "replied", body, once, body.text)


@router.post("/v1/handoffs/{session_id}/note", tags=["handoffs"])
async def note(session_id: str, body: ReplyRequest, api: CallerApi, once: _Name = None) -> TeamAnswer:
    """Write something down for the team; customers never see it."""
    return await _act(api, session_id, "noted", body, once, body.text)


@router.post("/v1/handoffs/{session_id}/return", tags=["handoffs"])
async def give_back(session_id: str, api: CallerApi, body: TeamRequest | None = None, once: _Name = None) -> TeamAnswer:
    """Give the conversation back to the bot, whose next answer begins with saying so."""
    return await _act(api, session_id, "returned", body, once)


@router.post("/v1/handoffs/{session_id}/close", tags=["handoffs"])
async def close(session_id: str, api: CallerApi, body: TeamRequest | None = None, once: _Name = None) -> TeamAnswer:
    """The request is done; whatever the customer writes next is answered by the bot, which says so."""
    return await _act(api, session_id, "closed", body, once)


def _asked_for(api: Api, session_id: str, body: HandoffRequest) -> tuple[str, Language]:
    """The conversation that is to be handed over, begun where there is none yet, and its language.

    Raises:
        ApiError: 409, nobody is handed over just now.
        NotFound: it is unknown, erased, or of another customer.
    """
    handoffs, log, running = handoffs_of(api.services), api.services.log, False
    language: Language = "zh" if api.services.settings.language == "zh" else "en"
    if session_id != NEW:
        language = log.conversation(api.tenant, session_id, key_id=api.key_id, user=body.user).language
        running = handoffs.trail(api.tenant, session_id).state.phase != "bot"
    if not running and not handoffs.possible:
        raise ApiError(409, "handoff_unavailable", handoffs.impossible_line(messages(language)))
    if session_id == NEW:
        session_id = log.start_conversation(api.tenant, api.key_id, body.user or None, language).id
    return session_id, language


def _hand_off(api: Api, session_id: str, body: HandoffRequest, language: Language, once: str | None) -> HandoffAnswer:
    handoffs = handoffs_of(api.services)
    event = Happening("asked", _named("asked", api, once), reason="button")
    applied = handoffs.hand_over(api.tenant, session_id, event, language, body.message or "")
    if body.contact or body.message:
        contact = Happening("contact", _named("contact", api, once))
        words = keeping.Words(text=body.message, contact=body.contact)
        handoffs.apply(api.tenant, session_id, contact, words)
    said = applied.entry is not None and "closing_line" in applied.effects
    line = (applied.entry.text or "") if applied.entry is not None and said else ""
    view = handoffs.view(handoffs.trail(api.tenant, session_id))
    return HandoffAnswer(session_id=session_id, handoff=view, message=line, stored=said)


def _withdraw(api: Api, session_id: str, once: str | None) -> HandoffAnswer:
    handoffs = handoffs_of(api.services)
    event = Happening("withdrawn", _named("withdrawn", api, once), by=CUSTOMER)
    applied = handoffs.apply(api.tenant, session_id, event)
    _check_refused(applied)
    view = handoffs.view(handoffs.trail(api.tenant, session_id))
    return HandoffAnswer(session_id=session_id, handoff=view, message="", stored=applied.entry is not None)


async def _act(
    api: Api, session_id: str, kind: Kind, body: TeamRequest | None, once: str | None, text: str | None = None
) -> TeamAnswer:
    check_team(api)
    asked = (api, session_id, kind, body or TeamRequest(), once, text)
    if kind not in _BETWEEN_TURNS:
        return await api.in_thread(_act_now, *asked)
    async with handoffs_of(api.services).between_turns(api.tenant, session_id):
        return await api.in_thread(_act_now, *asked)


def _act_now(
    api: Api, session_id: str, kind: Kind, body: TeamRequest, once: str | None, text: str | None
) -> TeamAnswer:
    handoffs, tenant = handoffs_of(api.services), api.tenant
    number = body.number if kind != "taken_over" else None
    event = Happening(kind, _named(kind, api, once), number, by=_who(api, body))
    words = keeping.Words(text=text, data={"agent": body.agent} if body.agent else None)
    if kind == "taken_over":
        language = api.services.log.conversation(tenant, session_id).language
        applied = handoffs.hand_over(tenant, session_id, event, language)
    else:
        applied = handoffs.apply(tenant, session_id, event, words)
    _check_refused(applied)
    state = applied.state
    return TeamAnswer(
        session_id=session_id,
        number=state.number,
        state=state.phase,
        changed=applied.entry is not None,
        event_id=applied.entry.id if applied.entry is not None else None,
    )


def _record(api: Api, session_id: str) -> HandoffRecord:
    handoffs = handoffs_of(api.services)
    view = api.services.log.session_view(api.tenant, session_id)
    trail = handoffs.trail(api.tenant, session_id)
    if not trail.entries:
        raise NotFound(f"The session {session_id!r} was never handed over; `GET /v1/handoffs` lists those that are.")
    return HandoffRecord(
        session_id=session_id,
        number=trail.state.number,
        state=trail.state.phase,
        holder=trail.state.holder,
        packet=handoffs.packet(trail, view.turns),
        events=[_trail_line(entry) for entry in trail.entries],
        session=session_body(view, handoffs),
    )


def _last_question(api: Api, session_id: str) -> TurnView | None:
    """The newest turn whose message is more than a wish for a person."""
    turns = api.services.log.session_view(api.tenant, session_id).turns
    return next(
        (turn for turn in reversed(turns) if not turn.undone and wants_person(turn.message.lower()) is None), None
    )


def _line(one: Waiting) -> HandoffLine:
    packet = Packet.model_validate((one.data or {})["packet"])
    return HandoffLine(
        session_id=one.session_id,
        number=one.number,
        state=one.status,
        reason=packet.reason,
        at=one.at,
        last_at=one.last_at,
        language=packet.language,
        mood=packet.mood,
        summary=packet.summary,
        open_question=packet.open_question,
    )


def _trail_line(entry: HandoffEntry) -> TrailLine:
    return TrailLine.model_validate(entry).model_copy(update={"agent": (entry.data or {}).get("agent")})


def check_team(api: Api) -> None:
    """Refuse who is nobody of the team.

    Raises:
        ApiError: 403.
    """
    if "handoff" not in api.caller.scopes:
        message = "This is for support agents; send a key of `server.agent_keys`, or one with the scope 'handoff'."
        raise ApiError(403, "insufficient_scope", message)


def _who(api: Api, body: TeamRequest) -> str:
    """Who of the team: the key, and the name that they gave, for one key may be a whole team's."""
    key = f"key:{api.caller.key_id}" if api.caller.key_id else "local"
    return f"{key}/{name_hash(body.agent)[:8]}" if body.agent else key


def _named(kind: str, api: Api, once: str | None) -> str:
    """The name of what is asked for: the client's, so that a repeat is known, else one of its own."""
    return f"{kind}/{api.key_id}/{once}" if once else secrets.token_hex(12)


_CONFLICTS: Final[Mapping[Refusal, str]] = {
    "stale": "This handoff is over; read the conversation again.",
    "not_handed_over": "The bot has this conversation; take it with `take_over` first.",
    "held_by_another": "Somebody else of the team has this conversation; reply in it, or let them give it back.",
    "held": "Somebody of the team has this conversation already.",
}


def _check_refused(applied: Applied) -> None:
    """Tell why nothing was changed.

    Raises:
        ApiError: 409.
    """
    if applied.refused is not None:
        raise ApiError(409, f"handoff_{applied.refused}", _CONFLICTS[applied.refused])

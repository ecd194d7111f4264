"""`/v1/sessions` and `/v1/turns`: conversations read again, erased, and explained."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from agent.answer import Action, HandoffView
from agent.api.context import Api, CallerApi
from agent.api.errors import ERROR_RESPONSES
from agent.datadir import DataDirectory
from agent.learning.forgetting import forget_owners
from agent.log.records import ConversationStatus, FeedbackKind, SessionView, ShownRow, TurnView
from agent.preferences import Fact
from agent.support.handoff.keeping import Handoffs, handoffs_of
from agent.understand.types import AskedQuestion, Intent, Language

router = APIRouter(tags=["conversations"], responses=ERROR_RESPONSES)


class _FromLog(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class ReactionBody(_FromLog):
    """A reaction in force; `item_id` null is on the whole reply."""

    item_id: str | None
    kind: FeedbackKind
    reason: str | None


class TurnBody(_FromLog):
    """One turn: `items` and `alternatives` are item ids in order, `answer` is the object as it was sent."""

    turn_id: str
    number: int
    created_at: datetime
    message: str
    reply: str
    action: Action
    items: list[str]
    alternatives: list[str]
    reactions: list[ReactionBody]
    answer: dict[str, Any]
    undone: bool


class MessageBody(_FromLog):
    """What stands in a conversation beside the turns: a reply of the team's, or a line of the bot's without a message.

    `after_turn` is the number of the turn behind which it stands; `name` is what somebody of the team calls themselves.
    """

    id: str
    at: datetime
    role: Literal["agent", "system"]
    text: str
    name: str | None
    after_turn: int


class SessionBody(BaseModel):
    """A conversation, oldest turn first; `handoff` is set while people have it."""

    id: str
    object: Literal["session"] = "session"
    created_at: datetime
    language: Language
    status: ConversationStatus
    turns: list[TurnBody]
    messages: list[MessageBody]
    handoff: HandoffView | None


class TranscriptLine(BaseModel):
    """What one of them said. `items` are ids of those shown and `sources` titles of the articles quoted in it.

    `model` and `adapter` are those that the bot's answer was made with; `undone`: the customer took the turn back.
    """

    at: datetime
    role: Literal["customer", "bot", "agent", "system"]
    text: str
    name: str | None = None
    turn_id: str | None = None
    action: Action | None = None
    items: list[str] = []
    sources: list[str] = []
    model: str | None = None
    adapter: str | None = None
    undone: bool = False


class Transcript(BaseModel):
    """A conversation as a list of who said what, oldest first, for help desks that import one."""

    session_id: str
    object: Literal["transcript"] = "transcript"
    created_at: datetime
    language: Language
    status: ConversationStatus
    lines: list[TranscriptLine]


class SessionDeleted(BaseModel):
    """The words are erased; ids and numbers stay in the log."""

    id: str
    object: Literal["session"] = "session"
    deleted: Literal[True] = True


class TraceBody(_FromLog):
    """Everything that was recorded of a turn: what was understood, shown, with which scores, and why."""

    turn_id: str
    session_id: str
    number: int
    created_at: datetime | None
    undone: bool = False
    message: str
    reply: str
    intent: Intent
    action: Action
    language: Language
    model: str
    adapter: str | None
    degraded: bool
    timings: dict[str, float | None]
    prompt_tokens: int
    completion_tokens: int
    seed: int
    exploration: float
    index_name: str | None
    facts: list[Fact]
    shown: list[ShownRow]
    focus: list[str]
    question: AskedQuestion | None
    trace: dict[str, Any]
    answer: dict[str, Any]


@router.get("/v1/sessions/{session_id}")
async def show_session(session_id: str, api: CallerApi) -> SessionBody:
    """The turns of a conversation with their items and the reactions in force."""
    return await api.in_thread(_show, api, session_id)


@router.get("/v1/sessions/{session_id}/transcript")
async def show_transcript(session_id: str, api: CallerApi) -> Transcript:
    """Who said what, in order: the customer, the bot, people of the team. With a support agent's key of any session."""
    return await api.in_thread(_transcript, api, session_id)


@router.delete("/v1/sessions/{session_id}")
async def delete_session(session_id: str, api: CallerApi) -> SessionDeleted:
    """Erase the words of a conversation, and what was copied of its customer for trainings."""
    await api.in_thread(_erase, api, session_id)
    return SessionDeleted(id=session_id)


@router.get("/v1/turns/{turn_id}/trace")
async def show_trace(turn_id: str, api: CallerApi) -> TraceBody:
    """Why a turn was answered as it was."""
    logged = await api.in_thread(api.services.log.trace, api.tenant, turn_id, key_id=api.key_id)
    return TraceBody.model_validate(logged.record).model_copy(update={"undone": logged.undone})


def _show(api: Api, session_id: str) -> SessionBody:
    view = api.services.log.session_view(api.tenant, session_id, key_id=api.key_id)
    return session_body(view, handoffs_of(api.services))


def _transcript(api: Api, session_id: str) -> Transcript:
    view = api.services.log.session_view(api.tenant, session_id, key_id=None if api.by_agent else api.key_id)
    handoffs = handoffs_of(api.services)
    between = handoffs.thread(handoffs.trail(api.tenant, session_id), view.turns)
    placed = [(turn.number, 0, line) for turn in view.turns for line in _lines_of(turn)]
    for one in between:
        role: Literal["agent", "system"] = "agent" if one.role == "agent" else "system"
        placed.append((one.after_turn, 1, TranscriptLine(at=one.at, role=role, text=one.text, name=one.name)))
    talk = view.conversation
    return Transcript(
        session_id=talk.id,
        created_at=talk.created_at,
        language=talk.language,
        status=talk.status,
        lines=[line for _, _, line in sorted(placed, key=lambda one: one[:2])],  # stable: as it was said
    )


def _lines_of(turn: TurnView) -> list[TranscriptLine]:
    """The message and the answer of a turn; none where people had the conversation."""
    said = TranscriptLine(
        at=turn.created_at, role="customer", text=turn.message, turn_id=turn.turn_id, undone=turn.undone
    )
    if not turn.reply:
        return [said]
    answer = turn.answer
    sources = [str(one.get("title", "")) for one in answer.get("citations", ())]
    made = {"model": answer.get("model"), "adapter": answer.get("adapter"), "sources": sources}
    more = {"role": "bot", "text": turn.reply, "action": turn.action, "items": list(turn.items), **made}
    return [said, said.model_copy(update=more)]


def session_body(view: SessionView, handoffs: Handoffs) -> SessionBody:
    """A conversation as it is shown to people; reads the log."""
    trail = handoffs.trail(view.conversation.tenant, view.conversation.id)
    return SessionBody(
        id=view.conversation.id,
        created_at=view.conversation.created_at,
        language=view.conversation.language,
        status=view.conversation.status,
        turns=[TurnBody.model_validate(turn) for turn in view.turns],
        messages=[MessageBody.model_validate(one) for one in handoffs.thread(trail, view.turns)],
        handoff=handoffs.view(trail),
    )


def _erase(api: Api, session_id: str) -> None:
    log, data = api.services.log, DataDirectory(api.services.settings.data_dir)
    talk = log.conversation(api.tenant, session_id, key_id=api.key_id)
    # Copies know the customer and not the conversation: the next training gets the customer's other ones anew.
    owner = talk.person_id or talk.id
    forget_owners(data, log, api.tenant, [owner])  # first: what is not in the log could not be found in a file
    log.delete_session(api.tenant, session_id, key_id=api.key_id)
    forget_owners(data, log, api.tenant, [owner])  # again: what was copied meanwhile

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
from agent.log.records import ConversationStatus, FeedbackKind, SessionView, ShownRow
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

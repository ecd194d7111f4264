"""`POST /v1/feedback` and `POST /v1/events`: what customers did with an answer, and outside of the chat."""

from __future__ import annotations

from typing import Any, Final, get_args

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, StrictFloat

from agent.api.context import CallerApi
from agent.api.errors import ERROR_RESPONSES
from agent.api.schemas import MAX_ID_CHARS, Words
from agent.log.records import Feedback, FeedbackKind, OutsideEvent, OutsideKind

MAX_COMMENT_CHARS = 8_000

router = APIRouter(tags=["feedback"], responses=ERROR_RESPONSES)


_FEEDBACK_EXAMPLES: Final[list[JsonValue]] = [
    {"turn_id": "t_4f1c", "kind": "thumb_up"},
    {"turn_id": "t_4f1c", "item_id": "heat", "kind": "reject", "reason": "seen"},
    {"turn_id": "t_4f1c", "item_id": "heat", "kind": "withdraw", "of": "reject"},
]
_WITHDRAWALS: Final[dict[str, JsonValue]] = {
    "if": {"properties": {"kind": {"const": "withdraw"}}},
    "then": {
        "required": ["of"],
        "properties": {"of": {"enum": [one for one in get_args(FeedbackKind) if one != "withdraw"]}},
    },
    "else": {"properties": {"of": {"type": "null"}}},
}
"""What the log checks: `of` belongs to `withdraw`, and names what can be taken back."""


class FeedbackRequest(BaseModel):
    """A reaction to a turn, or to one item of it. `withdraw` takes the kind named by `of` back."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", json_schema_extra={"examples": _FEEDBACK_EXAMPLES, **_WITHDRAWALS}
    )

    turn_id: Words = Field(max_length=MAX_ID_CHARS)
    kind: FeedbackKind
    item_id: Words | None = Field(None, max_length=MAX_ID_CHARS, description="left out: the whole reply")
    of: FeedbackKind | None = None
    reason: Words | None = Field(None, max_length=MAX_ID_CHARS)
    text: Words | None = Field(None, max_length=MAX_COMMENT_CHARS)


class StoredResponse(BaseModel):
    """`stored` is false for what was there already; `event_id` is null when there was nothing to withdraw."""

    stored: bool
    event_id: str | None


_EVENT_EXAMPLES: Final[list[JsonValue]] = [
    {"kind": "view", "item_id": "heat", "user": "ann"},
    {"kind": "buy", "item_id": "heat", "user": "ann", "value": 9.9, "at": "2026-01-31T12:00:00Z"},
]


class EventRequest(BaseModel):
    """Something seen outside of the chat; `value` is seconds for `dwell` and an amount for `buy`."""

    model_config = ConfigDict(frozen=True, extra="ignore", json_schema_extra={"examples": _EVENT_EXAMPLES})

    kind: OutsideKind
    item_id: Words | None = Field(None, max_length=MAX_ID_CHARS)
    turn_id: Words | None = Field(None, max_length=MAX_ID_CHARS)
    session_id: Words | None = Field(None, max_length=MAX_ID_CHARS)
    user: Words | None = Field(None, max_length=MAX_ID_CHARS)
    value: StrictFloat | None = Field(None, allow_inf_nan=False)
    at: AwareDatetime | None = Field(None, description="when it happened, with a time zone; left out: now")
    data: dict[str, Any] | None = None


@router.post("/v1/feedback")
async def record_feedback(body: FeedbackRequest, api: CallerApi) -> StoredResponse:
    """Store a reaction; the same (turn, item, kind) again is stored once.

    With the key of a support agent: a `correct` with what should have been said, or a thumb on a whole reply, of any
    conversation of the shop. It is kept as theirs, and learned from without a second look.
    """
    feedback = Feedback(body.turn_id, body.kind, body.item_id, body.of, body.reason, body.text, api.by_agent)
    stored = await api.in_thread(api.services.log.record_feedback, api.tenant, api.key_id, feedback)
    return StoredResponse(stored=stored.stored, event_id=stored.event_id)


@router.post("/v1/events")
async def record_event(body: EventRequest, api: CallerApi) -> StoredResponse:
    """Store a view, click, purchase or dwell time of the shop's own pages."""
    event = OutsideEvent(
        body.kind, body.item_id, body.turn_id, body.session_id, body.user or None, body.value, body.at, body.data
    )
    event_id = await api.in_thread(api.services.log.record_event, api.tenant, api.key_id, event)
    return StoredResponse(stored=True, event_id=event_id)

"""`/webhooks`: doors in the forms of other systems, for help desks and channels that speak those already.

Chatwoot's agent bot has no key: its webhooks are signed. They are stored and acknowledged; agent/doors answers them.
Rasa's REST channel asks and is answered in one request, with a key as everywhere. Knows nothing of turns.
"""

from __future__ import annotations

import hashlib
import time
from typing import Any, Final

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse

from agent.answer import Answer, Finished
from agent.api.border import RASA_PATH
from agent.api.context import Api, CallerApi
from agent.api.errors import ERROR_RESPONSES, ApiError, ErrorEnvelope
from agent.api.schemas import MAX_ID_CHARS, Words, as_json
from agent.api.turns import RunningTurn
from agent.doors.answering import item_body
from agent.doors.chatwoot import ChatwootEvent, Told, is_private, is_signed, told_by
from agent.log.inbox import Inbox, Received
from agent.services import Services, TurnRequest
from agent.settings import ChatwootSettings
from agent.understand.types import Language

CHATWOOT_PATH: Final = "/webhooks/chatwoot"

router = APIRouter(tags=["doors"])

_CHATWOOT_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["event"],
                    "properties": {"event": {"type": "string"}},
                    "description": "Chatwoot's own; events that we do not answer are acknowledged, too",
                }
            }
        },
    },
    "parameters": [
        {"name": f"X-Chatwoot-{name}", "in": "header", "required": False, "schema": {"type": "string"}}
        for name in ("Signature", "Timestamp", "Delivery")
    ],
}
_RASA_EXAMPLES: Final[list[JsonValue]] = [{"sender": "visitor-17", "message": "a heist film under 15 euros"}]


class Acknowledged(BaseModel):
    """`received` is false for what was told before, and for what nobody answers."""

    received: bool


class RasaMessage(BaseModel):
    """One message of a sender's; everything of one sender is one conversation."""

    model_config = ConfigDict(frozen=True, extra="ignore", json_schema_extra={"examples": _RASA_EXAMPLES})

    sender: Words = Field("default", min_length=1, max_length=MAX_ID_CHARS, description="also names the customer")
    message: Words
    metadata: dict[str, Any] | None = None


class RasaButton(BaseModel):
    """An answer to tap; `payload` is the sentence to send."""

    title: str
    payload: str


class RasaReply(BaseModel):
    """One message back: the words, a picture of an item, or the `chatalogue` object, which comes last."""

    recipient_id: str
    text: str | None = None
    image: str | None = None
    buttons: list[RasaButton] | None = None
    custom: Answer | None = None

    def shown(self) -> dict[str, Any]:
        """The fields that there are: channels show each. Inside of `custom` null stays null."""
        return {name: value for name, value in as_json(self).items() if value is not None}


@router.post(
    CHATWOOT_PATH,
    openapi_extra=_CHATWOOT_BODY | {"security": []},
    responses={
        400: {"model": ErrorEnvelope, "description": "The body is no webhook of Chatwoot's"},
        401: {"model": ErrorEnvelope, "description": "Not signed by the agent bot, or too long ago"},
        404: {"model": ErrorEnvelope, "description": "No Chatwoot is set up here"},
        503: {"model": ErrorEnvelope, "description": "It cannot be stored"},
    },
)
async def chatwoot(request: Request) -> Acknowledged:
    """Take a webhook of a Chatwoot agent bot; the answer goes there by its API, a moment later."""
    services: Services = request.app.state.services
    settings = services.settings.support.chatwoot
    if not settings.url:
        raise ApiError(404, "not_found", "No Chatwoot is set up here; see the setting 'support.chatwoot.url'.")
    body = await request.body()
    if not _is_theirs(request, settings, body):
        message = "The webhook is not signed with the agent bot's secret, or was signed more than five minutes ago."
        raise ApiError(401, "invalid_signature", message)
    try:
        told = told_by(ChatwootEvent.model_validate_json(body))
    except ValidationError:
        raise ApiError(400, "invalid_value", "The body is no webhook of Chatwoot's.") from None
    if told is None:
        return Acknowledged(received=False)
    by_people = told.means in ("replied", "opened")
    received = Received(
        services.settings.tenant, _name(request, told, body), told.place, item_body(told), by_people=by_people
    )
    return Acknowledged(received=await run_in_threadpool(Inbox(services.log).receive, received))


def _is_theirs(request: Request, settings: ChatwootSettings, body: bytes) -> bool:
    secret, headers = settings.secret.get_secret_value(), request.headers
    if secret and "x-chatwoot-signature" in headers:
        timestamp, signature = headers.get("x-chatwoot-timestamp", ""), headers["x-chatwoot-signature"]
        return is_signed(secret, timestamp, body, signature, time.time())
    # Behind a proxy everybody comes from the proxy's address, which is private.
    is_direct = "x-forwarded-for" not in headers and "forwarded" not in headers
    host = request.client.host if request.client is not None else ""
    return settings.unsigned and is_direct and is_private(host)


def _name(request: Request, told: Told, body: bytes) -> str:
    """The same for the same, however often and by whatever webhook it is told."""
    if told.message:
        return f"message/{told.account}/{told.message}"
    stamp = request.headers.get("x-chatwoot-timestamp", "")
    return request.headers.get("x-chatwoot-delivery") or hashlib.sha256(stamp.encode() + body).hexdigest()


@router.post(
    RASA_PATH,
    response_model=list[RasaReply],
    responses=ERROR_RESPONSES
    | {409: {"model": ErrorEnvelope, "description": "Two messages at once in one conversation; send it again"}},
)
async def rasa(body: RasaMessage, api: CallerApi) -> JSONResponse:
    """Answer a message in the form of Rasa's REST channel. While people have the conversation there are no words."""
    session_id = await api.in_thread(_session_of, api, body.sender)
    asked = TurnRequest(body.message, api.tenant, api.key_id, user=body.sender, session_id=session_id)
    turn = RunningTurn(api.services.chat.turn(asked))
    try:
        return JSONResponse([one.shown() for one in _replies(body.sender, await turn.finished())])
    finally:
        turn.close()


def _session_of(api: Api, sender: str) -> str:
    """The sender's conversation, begun where there is none."""
    inbox, place = Inbox(api.services.log), f"rasa/{api.key_id}/{sender}"
    talk = inbox.talk(api.tenant, place)
    if talk is not None:
        return talk.session_id
    language: Language = "zh" if api.services.settings.language == "zh" else "en"
    begun = api.services.log.start_conversation(api.tenant, api.key_id, sender, language)
    return inbox.bind(api.tenant, place, begun.id)


def _replies(sender: str, told: Finished) -> list[RasaReply]:
    answer = told.answer
    question = answer.question
    buttons = [RasaButton(title=option, payload=option) for option in question.options] if question else None
    words = [RasaReply(recipient_id=sender, text=told.reply, buttons=buttons)] if told.reply else []
    pictures = [RasaReply(recipient_id=sender, image=item.image_url) for item in answer.items if item.image_url]
    return [*words, *pictures, RasaReply(recipient_id=sender, custom=answer)]

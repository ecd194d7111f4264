"""`POST /v1/chat/completions` and the models: one message in, one answer out, plain or as a stream."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import structlog
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from agent.answer import Finished
from agent.api.context import Api, CallerApi
from agent.api.errors import ERROR_RESPONSES, ApiError, ErrorEnvelope
from agent.api.openapi import EVENT_SCHEMA
from agent.api.schemas import (
    MODEL_ID,
    AssistantMessage,
    ChatCompletion,
    ChatRequest,
    Choice,
    ModelBody,
    ModelList,
    UsageBody,
    annotations_of,
)
from agent.api.sse import ChunkWriter, TurnResponse, completion_id
from agent.api.turns import RunningTurn
from agent.services import TurnRequest

FIRST_UPDATE_S: Final = 2.0
"""How long a stream holds its status line back: an error until then is a status of its own."""

RELEASED: Final = 1_767_225_600
"""`created` of the model: the first version, Unix time in seconds."""

router = APIRouter(tags=["chat"])
_log = structlog.get_logger(__name__)


@router.post(
    "/v1/chat/completions",
    response_model=ChatCompletion,
    responses=ERROR_RESPONSES
    | {
        200: {
            "description": "A completion; with `stream`, server-sent events whose `data:` lines are chunks",
            "content": {"text/event-stream": {"schema": EVENT_SCHEMA}},
        },
        409: {"model": ErrorEnvelope, "description": "Two messages at once in one conversation; send it again"},
    },
)
async def create_completion(body: ChatRequest, request: Request, api: CallerApi) -> Response:
    """Answer the last message. Fields of OpenAI's that are not listed here are accepted and ignored."""
    _check_model(body.model)
    turn = _start(body, api)
    if not body.stream:
        return await _whole(turn, request)
    try:
        await turn.wait_for_first(FIRST_UPDATE_S)
    except BaseException:
        turn.close()
        raise
    options, ours = body.stream_options, body.chatalogue
    writer = ChunkWriter(include_usage=bool(options and options.include_usage), steps=bool(ours and ours.steps))
    return TurnResponse(turn, writer)


def _check_model(model: str) -> None:
    if model != MODEL_ID:
        message = f"The model {model!r} does not exist; this server's model is {MODEL_ID!r}."
        raise ApiError(404, "model_not_found", message, param="model")


def _start(body: ChatRequest, api: Api) -> RunningTurn:
    session_id = body.session_id
    asked = TurnRequest(
        text=body.question,
        tenant=api.tenant,
        key_id=api.key_id,
        user=body.user or None,
        session_id=session_id,
        history=() if session_id else body.history,
    )
    return RunningTurn(api.services.chat.turn(asked))


async def _whole(turn: RunningTurn, request: Request) -> Response:
    """The answer in one piece; a client that goes away meanwhile closes the turn."""
    answer, gone = asyncio.ensure_future(turn.finished()), asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            _log.info("client_gone")
            return Response(status_code=499)  # nobody reads it
        return Response(_completion(answer.result()).model_dump_json(), media_type="application/json")
    finally:
        answer.cancel()
        gone.cancel()
        turn.close()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _completion(finished: Finished) -> ChatCompletion:
    message = AssistantMessage(
        content=finished.reply, annotations=annotations_of(finished.reply, finished.answer.citations)
    )
    return ChatCompletion(
        id=completion_id(finished.answer.turn_id),
        created=int(time.time()),
        choices=[Choice(message=message)],
        usage=UsageBody.of(finished.usage),
        chatalogue=finished.answer,
    )


@router.get("/v1/models", responses=ERROR_RESPONSES)
async def list_models() -> ModelList:
    """The one model of this server."""
    return ModelList(data=[ModelBody(created=RELEASED)])


@router.get("/v1/models/{model_id}", responses=ERROR_RESPONSES)
async def show_model(model_id: str) -> ModelBody:
    """The model, if it is ours."""
    _check_model(model_id)
    return ModelBody(created=RELEASED)

"""A turn as server-sent events, the way OpenAI's clients read them: `data:` chunks, comments, `[DONE]`.

Never a named event and never a chunk without `choices`: clients in use crash on both.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any, Final

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from agent.answer import Cards, Finished, Text, Update, Waiting
from agent.api.errors import Failure, failure_of
from agent.api.schemas import MODEL_ID, Step, StepObject, UsageBody, annotations_of, as_json
from agent.api.turns import RunningTurn

BEAT_S: Final = 5.0
"""Seconds of silence after which a comment keeps proxies and clients from giving up."""

_STOPPED: Final = Failure(
    503, "server_stopped", "The server was stopped before the answer was ready; send the message again in a moment."
)
_DONE: Final = b"data: [DONE]\n\n"
_BEAT: Final = b": keep-alive\n\n"


class ChunkWriter:
    """Makes the lines of one stream. The id is known, and chunks may be made, from `open` on."""

    def __init__(self, *, include_usage: bool, steps: bool) -> None:
        self._include_usage, self._steps = include_usage, steps
        self._created = int(time.time())
        self._id = ""

    def write(self, update: Update) -> list[bytes]:
        """The lines for `update`, in order; may be none."""
        if isinstance(update, Waiting):
            return self._waiting(update)
        if isinstance(update, Text):
            if not self._id:
                raise RuntimeError("a turn sent Text before Cards")
            return [self._chunk({"content": update.delta})]
        lines = self._open(update.answer.turn_id)
        if isinstance(update, Finished):
            return lines + self._finish(update)
        return lines + self._cards(update)

    def _open(self, turn_id: str) -> list[bytes]:
        if self._id:
            return []
        self._id = completion_id(turn_id)
        return [self._chunk({"role": "assistant", "content": ""})]

    def _waiting(self, update: Waiting) -> list[bytes]:
        lines = [f": waiting, {update.ahead} ahead\n\n".encode()]
        if self._steps and self._id:
            lines.append(self._step(Step(name="waiting", ahead=update.ahead)))
        return lines

    def _cards(self, update: Cards) -> list[bytes]:
        return [self._step(Step(name="cards", items=update.answer.items))] if self._steps else []

    def _step(self, step: Step) -> bytes:
        told = StepObject(step=step).model_dump(mode="json", exclude={"step": _unset(step)})
        return self._chunk({}, chatalogue=told)

    def _finish(self, update: Finished) -> list[bytes]:
        citations = annotations_of(update.reply, update.answer.citations)
        delta = {"annotations": [as_json(citation) for citation in citations]} if citations else {}
        lines = [self._chunk(delta, finish="stop", chatalogue=as_json(update.answer))]
        if self._include_usage:
            lines.append(_data(self._head() | {"choices": [], "usage": as_json(UsageBody.of(update.usage))}))
        return [*lines, _DONE]

    def _head(self) -> dict[str, Any]:
        return {"id": self._id, "object": "chat.completion.chunk", "created": self._created, "model": MODEL_ID}

    def _chunk(
        self, delta: dict[str, Any], *, finish: str | None = None, chatalogue: dict[str, Any] | None = None
    ) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        body = self._head() | {"choices": [choice]}
        if self._include_usage:  # as OpenAI does it: null on every chunk but the one with the usage
            body["usage"] = None
        if chatalogue is not None:
            body["chatalogue"] = chatalogue
        return _data(body)


def completion_id(turn_id: str) -> str:
    """The `id` of a completion."""
    return f"chatcmpl-{turn_id}"


def _unset(step: Step) -> set[str]:
    return {"ahead"} if step.ahead is None else {"items"}


def _data(body: dict[str, Any]) -> bytes:
    # ASCII, because some clients split lines at U+2028 and U+0085 too, which JSON may hold as they are.
    return b"data: " + json.dumps(body, ensure_ascii=True, separators=(",", ":")).encode("ascii") + b"\n\n"


async def _lines(turn: RunningTurn, writer: ChunkWriter) -> AsyncIterator[bytes]:
    try:
        async for update in turn.updates(BEAT_S):
            if update is None:
                yield _BEAT
                continue
            for line in writer.write(update):
                yield line
    except Exception as error:  # the status line is out: the envelope goes into the stream, and it ends
        yield _data(failure_of(error).envelope())


class TurnResponse(StreamingResponse):
    """The stream of a turn; a client that goes away closes the turn."""

    def __init__(self, turn: RunningTurn, writer: ChunkWriter) -> None:
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        super().__init__(_lines(turn, writer), media_type="text/event-stream", headers=headers)
        self._turn = turn

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except asyncio.CancelledError:  # the server is being stopped and waits no longer
            await send({"type": "http.response.body", "body": _data(_STOPPED.envelope()), "more_body": False})
            raise
        finally:
            self._turn.close()

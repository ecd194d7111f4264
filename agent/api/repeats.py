"""`Idempotency-Key` on POST under /v1: the same key and body again is answered with what was answered before.

The answer is kept for a day, for the team that asked, and goes with the conversation when that is erased
(agent/log/repeats.py). Streams are kept as they were sent, and sent again at once. Kept is what went well: after an
error the same key may be tried again. A client that goes before the end stops nothing: what it asked for is done, and
kept for when it asks again.
"""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import suppress
from typing import Any, Final

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.api.auth import Caller
from agent.api.bodies import replayed
from agent.api.border import is_api, path_inside
from agent.api.errors import Failure
from agent.api.limits import REPLAYED
from agent.log.ids import keyed_hash
from agent.log.repeats import AnotherBody, Begun, KeptAnswer, KeptAnswers, Named, UnderWay
from agent.log.store import EventLog
from retrieval.errors import DataDirectoryError

HEADER: Final = "idempotency-key"
MAX_KEPT_BYTES: Final = 2 * 1024 * 1024
"""A longer answer is not kept; ours have some 20 KB."""

_log = structlog.get_logger(__name__)

_NAME: Final = re.compile(r"[\x21-\x7e]{1,255}")
_DONE: Final = b"data: [DONE]\n\n"

_BAD_NAME: Final = Failure(
    400,
    "invalid_idempotency_key",
    "The header Idempotency-Key must have 1 to 255 visible ASCII characters; a UUID is a good one.",
)
_UNDER_WAY: Final = Failure(
    409,
    "idempotency_in_progress",
    "The request with this Idempotency-Key is still being answered; send it again in a moment for the answer.",
    headers={"Retry-After": "1"},
)
_ANOTHER: Final = Failure(
    409,
    "idempotency_key_reused",
    "This Idempotency-Key was used for another request; take a new one for each thing that you ask.",
)


class Repeats:
    """Answers repeats from what was kept; stands inside of `Bodies`, so that a body comes in one piece."""

    def __init__(self, app: ASGIApp, log: EventLog) -> None:
        self._app, self._log, self._kept = app, log, KeptAnswers(log.database)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = Headers(scope=scope).get(HEADER) if scope["type"] == "http" and scope["method"] == "POST" else None
        if name is None or not is_api(path_inside(scope)):
            await self._app(scope, receive, send)
            return
        if not _NAME.fullmatch(name):
            await _BAD_NAME.response()(scope, receive, send)
            return
        body = (await receive()).get("body", b"")
        asked = await run_in_threadpool(self._named, scope, name, body)
        found = await self._begin(asked)
        if isinstance(found, Begun):
            await self._answer(asked, scope, replayed(body, _staying), send)
        else:
            await _answer_of(found)(scope, receive, send)

    def _named(self, scope: Scope, name: str, body: bytes) -> Named:
        caller: Caller = scope["state"]["caller"]
        secret = self._log.secret(caller.tenant)
        place = f"{path_inside(scope)}?{scope['query_string'].decode('latin-1')}"
        return Named(
            caller.tenant,
            caller.owner,
            keyed_hash(secret, "idempotency key", name),
            keyed_hash(secret, "idempotent body", place, body.decode("latin-1")),
        )

    async def _begin(self, asked: Named) -> KeptAnswer | Begun | UnderWay | AnotherBody:
        beginning = asyncio.ensure_future(run_in_threadpool(self._kept.begin, asked))
        try:
            return await asyncio.shield(beginning)
        except asyncio.CancelledError:  # the thread goes on, and may reserve what nobody will answer
            with suppress(DataDirectoryError):
                if isinstance(await beginning, Begun):
                    await run_in_threadpool(self._kept.drop, asked)
            raise

    async def _answer(self, asked: Named, scope: Scope, receive: Receive, send: Send) -> None:
        heard = _Heard()

        async def send_on(message: Message) -> None:
            heard.note(message)
            if heard.is_whole:  # kept before the client has all of it: whoever asks again then finds it
                await self._keep(asked, heard)
            with suppress(OSError):  # the client has gone, and comes back for what is kept
                await send(message)

        try:
            await self._app(scope, receive, send_on)
        finally:
            if not heard.is_settled:
                # Whatever happened, a cancellation too: the reservation must not stand in the way of another try.
                with suppress(DataDirectoryError):
                    await asyncio.shield(run_in_threadpool(self._kept.drop, asked))

    async def _keep(self, asked: Named, heard: _Heard) -> None:
        answer = heard.answer()
        try:
            if answer is None:
                await run_in_threadpool(self._kept.drop, asked)
            else:
                await run_in_threadpool(self._kept.finish, asked, answer, _conversation_of(answer))
            heard.is_settled = True
        except DataDirectoryError as error:  # the answer is worth more than its copy
            _log.error("answer_not_kept", reason=str(error))


async def _staying() -> Message:
    """A `receive` after the body: a client that goes before the end means to ask again, so nothing is stopped."""
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


class _Heard:
    """An answer as it goes by."""

    def __init__(self) -> None:
        self.is_whole = self.is_settled = False
        self._status, self._type, self._parts, self._size = 0, "", list[bytes](), 0

    def note(self, message: Message) -> None:
        """One message of it."""
        if message["type"] == "http.response.start":
            self._status = int(message["status"])
            self._type = Headers(raw=list(message["headers"])).get("content-type", "")
            return
        part = message.get("body", b"")
        self._size += len(part)
        if self._size <= MAX_KEPT_BYTES:
            self._parts.append(part)
        self.is_whole = not message.get("more_body", False)

    def answer(self) -> KeptAnswer | None:
        """What is to be kept; None for what did not go well, or is too long."""
        body = b"".join(self._parts)
        is_cut = self._type.startswith("text/event-stream") and not body.endswith(_DONE)
        if not 200 <= self._status < 300 or self._size > MAX_KEPT_BYTES or is_cut:
            return None
        return KeptAnswer(self._status, self._type, body)


def _answer_of(found: KeptAnswer | UnderWay | AnotherBody) -> Response:
    if isinstance(found, KeptAnswer):
        headers = {REPLAYED: "true", "Cache-Control": "no-cache"}
        return Response(found.body, found.status, headers, media_type=found.content_type)
    return (_UNDER_WAY if isinstance(found, UnderWay) else _ANOTHER).response()


def _conversation_of(answer: KeptAnswer) -> str | None:
    """The session id of a completion, plain or streamed, or of a handoff; None for other answers."""
    body = answer.body
    if answer.content_type.startswith("text/event-stream"):
        lines = [line for line in body.split(b"\n\n") if line.startswith(b"data: {") and b'"chatalogue"' in line]
        body = lines[-1][len(b"data: ") :] if lines else b""
    found: Any = json.loads(body) if body else None
    if isinstance(found, list):  # in the form of Rasa's channel, ours is the last
        found = found[-1].get("custom") if found and isinstance(found[-1], dict) else None
    if not isinstance(found, dict):
        return None
    ours = found.get("chatalogue", found)
    session_id = ours.get("session_id") if isinstance(ours, dict) else None
    return session_id if isinstance(session_id, str) else None

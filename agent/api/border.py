"""What every request passes before and after the routes: its id, its key, the size of its body, crashes.

Plain ASGI middleware: Starlette's `BaseHTTPMiddleware` would stand between a stream and its client.
Knows nothing of chats.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any, Final
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.api.auth import KeyRing
from agent.api.errors import MAX_BODY_BYTES, Failure, failure_of

REQUEST_ID_HEADER: Final = "x-request-id"

# What may be written into logs and headers as it came.
_SANE_ID: Final = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


def path_inside(scope: Scope) -> str:
    """The path inside the application: without the prefix that a reverse proxy left in it."""
    path, prefix = str(scope["path"]), str(scope.get("root_path", ""))
    return path[len(prefix) :] if prefix and path.startswith(prefix + "/") else path


def is_api(path: str) -> bool:
    """Whether errors at this path are OpenAI's envelope."""
    return path == "/v1" or path.startswith("/v1/")


class RequestId:
    """Gives each response its `x-request-id`, and turns a crash into the envelope.

    It catches what no handler knows because Starlette's own catch-all stands outside of every
    middleware: its 500 would have no id.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID_HEADER, "")
        request_id = given if _SANE_ID.fullmatch(given) else f"req-{uuid4().hex}"
        state: MutableMapping[str, Any] = scope.setdefault("state", {})
        state["request_id"] = request_id
        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message)[REQUEST_ID_HEADER] = request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, send_with_id)
            except Exception as error:
                if started:  # nothing can be said any more; the server logs it and cuts the connection
                    raise
                await failure_of(error).response()(scope, receive, send_with_id)


class KeyCheck:
    """Refuses requests for /v1 and /metrics without a right key; writes the key's id into the scope.

    For /readyz, which needs a key for one of its questions only, the id may be None.
    """

    def __init__(self, app: ASGIApp, keys: KeyRing) -> None:
        self._app, self._keys = app, keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = path_inside(scope)
            if is_api(path) or path in ("/metrics", "/readyz"):
                key_id = self._keys.caller(Headers(scope=scope).get("authorization"))
                if key_id is None and path != "/readyz":
                    await NO_KEY.response()(scope, receive, send)
                    return
                scope.setdefault("state", {})["key_id"] = key_id
        await self._app(scope, receive, send)


NO_KEY: Final = Failure(
    401,
    "invalid_api_key",
    "The API key is missing or wrong; send one of the server's keys as 'Authorization: Bearer KEY'.",
    headers={"WWW-Authenticate": "Bearer"},
)


class BodyLimit:
    """Refuses bodies over `MAX_BODY_BYTES`, announced or not: of the API and of the page."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and int(announced) > MAX_BODY_BYTES:
            await failure_of(HTTPException(413)).response()(scope, receive, send)
            return
        size = 0

        async def receive_limited() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > MAX_BODY_BYTES:
                raise HTTPException(413)  # FastAPI lets this kind through while it reads a body, and no other
            return message

        await self._app(scope, receive_limited, send)

"""What every request passes before and after the routes: its id, its key, the size of its body, crashes.

Plain ASGI middleware: Starlette's `BaseHTTPMiddleware` would stand between a stream and its client.
Knows nothing of chats.
"""

from __future__ import annotations

import re
import time
from collections.abc import MutableMapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.api.auth import KeyRing
from agent.api.errors import MAX_BODY_BYTES, Failure, failure_of
from agent.observe import names
from agent.observe.observer import NO_SPAN, Observer, Span

REQUEST_ID_HEADER: Final = "x-request-id"

PROBES: Final = ("/healthz", "/readyz", "/metrics")
"""Asked all day long by machines: their lines are for debugging, and they are not traced."""

NO_ANSWER: Final = 499
"""The status in the log where the client went before there was one."""

_log = structlog.get_logger(__name__)

# What may be written into logs and headers as it came.
_SANE_ID: Final = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


def path_inside(scope: Scope) -> str:
    """The path inside the application: without the prefix that a reverse proxy left in it."""
    path, prefix = str(scope["path"]), str(scope.get("root_path", ""))
    return path[len(prefix) :] if prefix and path.startswith(prefix + "/") else path


def is_api(path: str) -> bool:
    """Whether errors at this path are OpenAI's envelope."""
    return path == "/v1" or path.startswith("/v1/")


def place_of(scope: Scope) -> str:
    """The path for logs and traces, without the query. Under /v1 the route's own: ids of customers stand in them."""
    path = path_inside(scope)
    if not is_api(path):
        return path
    return str(getattr(scope.get("route"), "path", "/v1/{rest}"))


class RequestId:
    """Gives each response its `x-request-id`, its log line and its span, and turns a crash into the envelope.

    It catches what no handler knows because Starlette's own catch-all stands outside of every
    middleware: its 500 would have no id. Only requests of the API are traced: the page's are many, and its
    turns begin traces of their own.
    """

    def __init__(self, app: ASGIApp, observer: Observer) -> None:
        self._app = app
        self._observer = observer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID_HEADER, "")
        request_id = given if _SANE_ID.fullmatch(given) else f"req-{uuid4().hex}"
        state: MutableMapping[str, Any] = scope.setdefault("state", {})
        state["request_id"] = request_id
        status, began = 0, time.perf_counter()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
                MutableHeaders(scope=message)[REQUEST_ID_HEADER] = request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id), self._span(scope) as span:
            try:
                await self._app(scope, receive, send_with_id)
            except Exception as error:
                if status:  # nothing can be said any more; the server logs it and cuts the connection
                    raise
                await failure_of(error).response()(scope, receive, send_with_id)
            finally:
                span.set(names.REQUEST_ID, request_id)
                _tell(scope, span, status or NO_ANSWER, time.perf_counter() - began)

    def _span(self, scope: Scope) -> AbstractContextManager[Span]:
        if not is_api(path_inside(scope)):
            return nullcontext(NO_SPAN)
        method = str(scope["method"])
        attributes = {names.HTTP_REQUEST_METHOD: method, names.URL_SCHEME: str(scope.get("scheme", "http"))}
        return self._observer.span(method, "server", attributes=attributes, headers=Headers(scope=scope))


def _tell(scope: Scope, span: Span, status: int, seconds: float) -> None:
    """The request's line in the log, and what its span could not know before."""
    method, place = str(scope["method"]), place_of(scope)
    tell = _log.debug if path_inside(scope) in PROBES else _log.info
    tell("request", method=method, path=place, status=status, ms=round(seconds * 1e3, 1))
    span.rename(f"{method} {place}")
    span.set(names.HTTP_ROUTE, place)
    span.set(names.URL_PATH, place)
    span.set(names.HTTP_RESPONSE_STATUS_CODE, status)
    if status >= 500:
        span.fail(str(status))


class KeyCheck:
    """Refuses requests for /v1 and /metrics without a right key; writes the key's id and role into the scope.

    For /readyz, which needs a key for one of its questions only, the id may be None.
    """

    def __init__(self, app: ASGIApp, keys: KeyRing) -> None:
        self._app, self._keys = app, keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = path_inside(scope)
            if is_api(path) or path in ("/metrics", "/readyz"):
                authorization = Headers(scope=scope).get("authorization")
                key_id = self._keys.caller(authorization)
                if key_id is None and path != "/readyz":
                    await NO_KEY.response()(scope, receive, send)
                    return
                state = scope.setdefault("state", {})
                state["key_id"], state["by_agent"] = key_id, self._keys.is_agent(authorization)
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

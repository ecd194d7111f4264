"""What every request passes before and after the routes: its id, its log line, its key, crashes.

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

from agent.api.auth import Caller, KeyRing
from agent.api.errors import Failure, failure_of
from agent.api.scopes import lacks, needed_scopes
from agent.log.keys import KEY_PATTERN
from agent.observe import names
from agent.observe.observer import NO_SPAN, Observer, Span
from retrieval.errors import DataDirectoryError

REQUEST_ID_HEADER: Final = "x-request-id"

PROBES: Final = ("/healthz", "/readyz", "/metrics")
"""Asked all day long by machines: their lines are for debugging, and they are not traced."""

RASA_PATH: Final = "/webhooks/rest/webhook"
"""Of the API, in another system's form (agent/api/doors.py)."""

NO_ANSWER: Final = 499
"""The status in the log where the client went before there was one."""

_log = structlog.get_logger(__name__)

# What may be written into logs and headers as it came.
_SANE_ID: Final = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


def path_inside(scope: Scope) -> str:
    """The path inside the application: without the prefix that a reverse proxy left in it."""
    path, prefix = str(scope["path"]), str(scope.get("root_path", ""))
    return path[len(prefix) :] if prefix and path.startswith(prefix + "/") else path


def is_api(path: str) -> bool:
    """Whether errors at this path are OpenAI's envelope."""
    return path == "/v1" or path.startswith("/v1/") or path == RASA_PATH


def is_guarded(path: str) -> bool:
    """Whether callers at this path are asked who they are."""
    return is_api(path) or path in ("/metrics", "/readyz", "/mcp") or path.startswith("/mcp/")


def place_of(scope: Scope, status: int = 200) -> str:
    """The path for logs and traces, without the query. Under /v1 the route's own: ids of customers stand in them.

    A path that nothing answers is not told: anything may stand there, a key too.
    """
    path = path_inside(scope)
    if not is_api(path) or path == RASA_PATH:
        return "/{rest}" if status == 404 else path
    return str(getattr(scope.get("route"), "path", "/v1/{rest}"))


class RequestId:
    """Gives each response its `x-request-id`, its log line and its span.

    Only requests of the API are traced: the page's are many, and its turns begin traces of their own.
    """

    def __init__(self, app: ASGIApp, observer: Observer) -> None:
        self._app = app
        self._observer = observer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID_HEADER, "")
        is_sane = _SANE_ID.fullmatch(given) and not KEY_PATTERN.search(given)  # a key in the wrong header
        request_id = given if is_sane else f"req-{uuid4().hex}"
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
    method, place = str(scope["method"]), place_of(scope, status)
    tell = _log.debug if path_inside(scope) in PROBES else _log.info
    caller = _named(scope.get("state", {}).get("caller"))
    tell("request", method=method, path=place, status=status, ms=round(seconds * 1e3, 1), **caller)
    span.rename(f"{method} {place}")
    span.set(names.HTTP_ROUTE, place)
    span.set(names.URL_PATH, place)
    span.set(names.HTTP_RESPONSE_STATUS_CODE, status)
    if status >= 500:
        span.fail(str(status))


class Crashes:
    """Turns what no handler knows into the envelope.

    Starlette's own catch-all stands outside of every middleware: its 500 would have no id and no header of ours.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun = False

        async def send_on(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, send_on)
        except Exception as error:
            if has_begun:  # nothing can be said any more; the server logs it and cuts the connection
                raise
            await failure_of(error).response()(scope, receive, send)


class KeyCheck:
    """Refuses requests for /v1, /mcp and /metrics without a right key that has the scope; puts the caller in the scope.

    For /readyz, which needs a key for one of its questions only, the caller may be None. Paths with control characters
    end here: with a line break at its end a path still fits its route, but neither its scope nor its limits.
    """

    def __init__(self, app: ASGIApp, keys: KeyRing) -> None:
        self._app, self._keys = app, keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _CONTROL.search(str(scope["path"])):
            await failure_of(HTTPException(404)).response()(scope, receive, send)
            return
        if scope["type"] == "http" and is_guarded(path := path_inside(scope)):
            failure = await self._admit(scope, path)
            if failure is not None and path != "/readyz":
                await failure.response()(scope, receive, send)
                return
            caller = scope["state"]["caller"]
            with structlog.contextvars.bound_contextvars(**_named(caller)):
                await self._app(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _admit(self, scope: Scope, path: str) -> Failure | None:
        """Who calls, into the scope; what they hear instead where they may not."""
        state = scope.setdefault("state", {})
        state["caller"] = None
        try:
            caller = await self._keys.caller(Headers(scope=scope).get("authorization"))
        except DataDirectoryError as error:
            return failure_of(error)
        if caller is None:
            return NO_KEY
        needed = needed_scopes(path)
        if needed and caller.scopes.isdisjoint(needed):
            return lacks(needed)
        state["caller"] = caller
        return None


def _named(caller: Caller | None) -> dict[str, str]:
    """Who called, for the log: the key's public id."""
    return {"tenant": caller.tenant, "api_key": caller.key_id} if caller is not None and caller.key_id else {}


NO_KEY: Final = Failure(
    401,
    "invalid_api_key",
    "The API key is missing or wrong; send one of the server's keys as 'Authorization: Bearer KEY'.",
    headers={"WWW-Authenticate": "Bearer"},
)

"""Bodies of requests: how large, how deep, and how long they may take to come.

Under /v1 and at /mcp a body is read whole before any route sees it, so a client that sends a byte a minute holds no
route, no thread and no transaction; the page's own uploads pass through, counted. Knows nothing of what is in them.
"""

from __future__ import annotations

import asyncio
import re
from typing import Final

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.api.border import is_api, path_inside
from agent.api.errors import MAX_BODY_BYTES, Failure, failure_of
from agent.api.limits import MCP_PATHS

BODY_SECONDS: Final = 20.0
"""For a whole body to arrive; a megabyte at 50 KB/s. uvicorn has no such limit."""

MAX_DEPTH: Final = 32
"""Objects and lists inside of one another; a conversation has five. What reads JSON calls itself for each level."""

# Possessive, and an end that is always there: what has no closing quote is read once, not once for each quote in it.
_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_BRACKET: Final = re.compile(rb"[\[\]{}]")

_TOO_SLOW: Final = Failure(
    408,
    "body_too_slow",
    f"The body did not arrive within {BODY_SECONDS:.0f} seconds; send it again in one go.",
    headers={"Connection": "close"},
)
_TOO_DEEP: Final = Failure(
    400, "json_too_deep", f"The body has more than {MAX_DEPTH} levels of lists and objects; send a flatter one."
)


class Bodies:
    """Refuses bodies over `MAX_BODY_BYTES`, announced or not, slow ones, and JSON that is nested too deep."""

    def __init__(self, app: ASGIApp, seconds: float = BODY_SECONDS) -> None:
        self._app, self._seconds = app, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and int(announced) > MAX_BODY_BYTES:
            await failure_of(HTTPException(413)).response()(scope, receive, send)
        elif is_api(path := path_inside(scope)) or path in MCP_PATHS:
            await self._whole(scope, receive, send)
        else:
            await self._app(scope, self._limited(receive), send)

    async def _whole(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await self._read(receive)
        if isinstance(body, Failure):
            await body.response()(scope, receive, send)
        elif body is not None:  # None: the client went before it had said everything
            await self._app(scope, replayed(body, receive), send)

    async def _read(self, receive: Receive) -> bytes | Failure | None:
        parts, size, more = [], 0, True
        try:
            async with asyncio.timeout(self._seconds):
                while more:
                    message = await receive()
                    if message["type"] != "http.request":
                        return None
                    parts.append(message.get("body", b""))
                    size, more = size + len(parts[-1]), message.get("more_body", False)
                    if size > MAX_BODY_BYTES:
                        return failure_of(HTTPException(413))
        except TimeoutError:
            return _TOO_SLOW
        body = b"".join(parts)
        return _TOO_DEEP if is_too_deep(body) else body

    def _limited(self, receive: Receive) -> Receive:
        size, done, ends = 0, False, 0.0

        async def receive_limited() -> Message:
            nonlocal size, done, ends
            if done:  # a route that waits for its client to go
                return await receive()
            ends = ends or asyncio.get_running_loop().time() + self._seconds
            try:
                async with asyncio.timeout_at(ends):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408) from None
            size += len(message.get("body", b""))
            done = not message.get("more_body", False)
            if size > MAX_BODY_BYTES:
                raise HTTPException(413)  # FastAPI lets this kind through while it reads a body, and no other
            return message

        return receive_limited


def replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives `body` in one piece, then what comes after it."""
    given = False

    async def receive_again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again


def is_too_deep(body: bytes) -> bool:
    """Whether lists and objects in this JSON stand more than `MAX_DEPTH` deep; what is no JSON may be either."""
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return False
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", body)):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_DEPTH:
            return True
    return False

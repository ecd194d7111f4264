"""How long a request under /v1 or at /mcp may take: until its answer begins, and until a stream goes on.

Streams that make progress may take as long as they like. SQL that a thread waits for cannot be cut off; it has limits
of its own (agent/log/postgres.py). Knows nothing of what is answered.
"""

from __future__ import annotations

import asyncio
import json
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.api.border import is_api, path_inside
from agent.api.errors import Failure
from agent.api.limits import MCP_PATHS

KEEP_ALIVE: Final = b": keep-alive"
"""How the comments begin that a stream sends to be kept open (agent/api/sse.py): they are no progress."""

_TIMED_OUT: Final = Failure(
    504, "request_timeout", "The answer took longer than this server lets a request take; send it again in a moment."
)


class Patience:
    """Ends requests that say nothing for `seconds`: with 504, or in a stream with the envelope as its last chunk."""

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app, self._seconds = app, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = path_inside(scope) if scope["type"] == "http" else ""
        if not is_api(path) and path not in MCP_PATHS:
            await self._app(scope, receive, send)
            return
        loop, headers, is_stream = asyncio.get_running_loop(), False, False
        try:
            async with asyncio.timeout(self._seconds) as clock:

                async def send_on(message: Message) -> None:
                    nonlocal headers, is_stream
                    if clock.expired():  # the last words of what is being ended
                        return
                    if message["type"] == "http.response.start":
                        headers = True
                        is_stream = any(value.startswith(b"text/event-stream") for _, value in message["headers"])
                    elif not message.get("body", b"").startswith(KEEP_ALIVE):
                        clock.reschedule(loop.time() + self._seconds)
                    await send(message)

                await self._app(scope, receive, send_on)
        except TimeoutError:
            if not clock.expired():
                raise
            if not headers:
                await _TIMED_OUT.response()(scope, receive, send)
            elif is_stream:
                last = b"data: " + json.dumps(_TIMED_OUT.envelope()).encode() + b"\n\n"
                await send({"type": "http.response.body", "body": last, "more_body": False})
            else:
                raise  # half an answer: the server cuts the connection, which is what the client must see

"""Which of Gradio's addresses are open: what the page in the browser asks for, and nothing else.

Gradio also takes uploads of any size into a temporary folder, serves files, fetches for others (`proxy=`) and
calls functions by name, for everyone who reaches the server. This page has no file and no named function.
"""

from __future__ import annotations

import re

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from agent.api.border import path_inside

_OPEN = {
    "GET": re.compile(
        r"/|/config/?|/theme\.css|/favicon\.ico|/robots\.txt|/manifest\.json|/(?:assets|static|svelte)/.+"
        r"|/gradio_api/(?:info/?|theme\.css|startup-events|app_id/?|queue/data|heartbeat/[^/]+)"
    ),
    "POST": re.compile(r"/gradio_api/(?:queue/join|cancel|reset/?)"),
}
"""By method; HEAD is as GET. `/gradio_api/info` lists the public functions, of which there are none."""


class PageDoors:
    """ASGI application around Gradio's: 404 for every address that is not the page's."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or (scope["type"] == "http" and _is_open(scope)):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            answer = PlainTextResponse("There is nothing at this address; the page is at '/'.", 404)
            await answer(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})


def _is_open(scope: Scope) -> bool:
    method = "GET" if scope["method"] == "HEAD" else str(scope["method"])
    known = _OPEN.get(method)
    return known is not None and known.fullmatch(path_inside(scope) or "/") is not None

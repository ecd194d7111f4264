"""Who sits at the browser: a random id in a cookie of ours, and the name under which the log keeps them.

A cookie and not Gradio's `BrowserState`: the page's scripts cannot read it (HttpOnly), it never travels in
an event's payload, other sites cannot have it sent (SameSite=Lax), and it survives a restart because nothing
of it is made per process. 256 random bits cannot be guessed. The log sees only a hash of it, so that neither
the database nor an answer of the API holds what opens a browser's history.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.log.people import VISITOR

COOKIE = "chatalogue_visitor"
COOKIE_SECONDS = 400 * 24 * 3600
"""The longest time that browsers keep a cookie: 400 days."""

_ID_BYTES = 32
_ID = re.compile(r"[A-Za-z0-9_-]{43}")


def new_visitor_id() -> str:
    """A fresh id: 256 random bits, 43 characters fit for a cookie."""
    return secrets.token_urlsafe(_ID_BYTES)


def visitor_id(cookie_header: str) -> str | None:
    """The id in a Cookie header; None where there is none of ours, or one that we never made."""
    try:
        morsel = SimpleCookie(cookie_header).get(COOKIE)
    except CookieError:
        return None
    return morsel.value if morsel and _ID.fullmatch(morsel.value) else None


def user_of(visitor: str) -> str:
    """The name under which this visitor's conversations are kept: "visitor:" and a hash of the id."""
    return f"{VISITOR}{hashlib.sha256(visitor.encode()).hexdigest()[:40]}"


class PageHeaders:
    """ASGI middleware: gives a browser its id with the first page. Its policies: agent/api/security.py."""

    def __init__(self, app: ASGIApp, root_path: str = "") -> None:
        self._app = app
        self._cookie_path = root_path or "/"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add(Headers(scope=scope), scope, MutableHeaders(scope=message))
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _add(self, request: Headers, scope: Scope, answer: MutableHeaders) -> None:
        if not answer.get("content-type", "").startswith("text/html"):
            return
        if visitor_id(request.get("cookie", "")) is None:
            # A proxy that speaks TLS for us says so in this header; a wrong one only adds the attribute.
            secure = scope["scheme"] == "https" or request.get("x-forwarded-proto") == "https"
            cookie: SimpleCookie = SimpleCookie({COOKIE: new_visitor_id()})
            for name, value in {"path": self._cookie_path, "max-age": COOKIE_SECONDS, "samesite": "Lax"}.items():
                cookie[COOKIE][name] = value
            cookie[COOKIE]["httponly"], cookie[COOKIE]["secure"] = True, secure
            answer.append("Set-Cookie", cookie[COOKIE].OutputString())
            # The answer now belongs to one person: no shared cache may keep it.
            answer["Cache-Control"] = "private, no-store"

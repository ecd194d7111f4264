"""Headers that tell browsers what pages of this server may do, and keep answers of the API out of caches.

The policy of the page is as tight as Gradio lets it be: it writes scripts and styles into its page, and compiles its
templates in the browser. Nothing is loaded from other sites but pictures of the catalogue, whose addresses are the
shop's. Knows nothing of routes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.api.border import is_guarded, path_inside

_EVERYWHERE: Final[Mapping[str, str]] = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # who follows a link or sees a picture of the shop's tells nobody from where
}
_API_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"
_PAGE_POLICY: Final[Sequence[str]] = (
    "default-src 'self'",
    "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data: blob: http: https:",
    "font-src 'self' data:",
    "media-src 'self' data: blob:",
    "worker-src 'self' blob:",
    "object-src 'none'",
    "base-uri 'self'",
    "form-action 'self'",
)


class SecurityHeaders:
    """Adds them to every response; a header that a route has set itself stays."""

    def __init__(self, app: ASGIApp, frame_ancestors: Sequence[str] = ()) -> None:
        """`frame_ancestors` are the sites that may show the page in a frame, besides this one."""
        self._app = app
        self._page_policy = "; ".join([*_PAGE_POLICY, " ".join(["frame-ancestors 'self'", *frame_ancestors])])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = path_inside(scope)
        is_ours = is_guarded(path) or path in ("/healthz", "/openapi.json", "/webhooks/chatwoot")
        ours = {**_EVERYWHERE, "Content-Security-Policy": _API_POLICY if is_ours else self._page_policy}
        if is_ours:
            ours["Cache-Control"] = "no-store"  # answers have words of customers in them

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in ours.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)

"""Which browsers may talk to this server: those that show a page of its own, under a name of its own.

A web site that a user visits can send requests to a server on the user's machine: under a name that it
points there (DNS rebinding), or straight across. Neither has an API key, so where keys are set /v1 needs
none of this; the page, which knows its visitors by a cookie, always does.
"""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.api.border import is_api, path_inside
from agent.api.errors import Failure
from agent.settings import ServerSettings

_READING: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Methods that change nothing; what they read stays unseen by other origins, for no header allows it."""

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}

_FOREIGN_HOST: Final = Failure(
    421,
    "unknown_host",
    "This server does not answer under this host name; use 127.0.0.1 or localhost, or set "
    "CHATALOGUE_SERVER__API_KEYS to serve it under other names.",
)
_FOREIGN_ORIGIN: Final = Failure(
    403, "foreign_origin", "The request comes from a page of another site; send it from this server's own page."
)


class OriginCheck:
    """Refuses foreign host names where there are no keys, and requests that a foreign page sent to change something.

    Sends no CORS header of anybody: no other site may read an answer.
    """

    def __init__(self, app: ASGIApp, server: ServerSettings) -> None:
        self._app = app
        self._has_keys = bool(server.api_keys)
        self._host = server.host.lower()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_without_cors(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name in {name for name in headers if name.startswith("access-control-")}:
                    del headers[name]
            await send(message)

        path = path_inside(scope)
        failure = self._failure(scope, path)
        answer = self._app if failure is None else _refusal(failure, path)
        await answer(scope, receive, send_without_cors)

    def _failure(self, scope: Scope, path: str) -> Failure | None:
        headers = Headers(scope=scope)
        if not self._has_keys and not self._is_ours(headers.get("host", "")):
            return _FOREIGN_HOST
        if scope["method"] in _READING or (self._has_keys and is_api(path)):
            return None
        return None if _is_same_origin(headers, str(scope["scheme"])) else _FOREIGN_ORIGIN

    def _is_ours(self, host: str) -> bool:
        name = _name_and_port(f"//{host}")[0]
        if name in ("localhost", self._host.strip("[]")):
            return bool(name)
        with suppress(ValueError):
            return ipaddress.ip_address(name).is_loopback
        return False


def _is_same_origin(headers: Headers, scheme: str) -> bool:
    origin = headers.get("origin")
    # The browser's own word, which no page can write; it holds behind proxies that change the host, too.
    if origin is None or headers.get("sec-fetch-site") == "same-origin":
        return True
    # The outer name that a proxy tells: a page could send this header only after a preflight, which fails here.
    hosts = [headers.get("host", ""), headers.get("x-forwarded-host", "").split(",")[0].strip()]
    their_scheme = origin.partition("://")[0].lower()
    theirs = _name_and_port(origin, their_scheme)
    # TLS ends at the proxy, so a https origin is ours under http; a port left out is then https's.
    schemes = {scheme, their_scheme} & set(_DEFAULT_PORTS)
    return bool(theirs[0]) and any(theirs == _name_and_port(f"//{host}", one) for host in hosts for one in schemes)


def _name_and_port(url: str, scheme: str = "http") -> tuple[str, int | None]:
    """The lower-case host name without brackets, and the port; ("", None) for what is no address."""
    try:
        parts = urlsplit(url)
        return parts.hostname or "", parts.port or _DEFAULT_PORTS.get(scheme)
    except ValueError:
        return "", None


def _refusal(failure: Failure, path: str) -> Response:
    return failure.response() if is_api(path) else PlainTextResponse(failure.message, failure.status)

"""Which browsers may talk to this server: those that show a page of its own, under a name of its own.

A web site that a user visits can send requests to a server on the user's machine: under a name that it
points there (DNS rebinding), or straight across. Neither has an API key, so where keys are set /v1 needs
none of this; the page, which knows its visitors by a cookie, always does.

The pages of sites that the setting `server.cors_origins` names may call /v1 and read its answers; never with cookies,
and never the page. A key that such a page sends is known to everybody who looks at it.
"""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.api.auth import KeyRing
from agent.api.border import is_api, path_inside
from agent.api.errors import Failure, failure_of
from agent.settings import ServerSettings
from retrieval.errors import DataDirectoryError

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

_PREFLIGHT: Final = {
    "Vary": "Origin",
    "Access-Control-Allow-Methods": "GET, POST, PATCH, DELETE",
    "Access-Control-Allow-Headers": "authorization, content-type, idempotency-key, x-request-id",
    "Access-Control-Max-Age": "600",
}
_READABLE: Final = (
    "x-request-id, retry-after, idempotent-replayed, x-ratelimit-limit-requests, x-ratelimit-remaining-requests, "
    "x-ratelimit-reset-requests"
)


class OriginCheck:
    """Refuses foreign host names where there are no keys, and requests that a foreign page sent to change something.

    Sends no CORS header but its own: only sites that the settings name may read an answer of the API.
    """

    def __init__(self, app: ASGIApp, server: ServerSettings, keys: KeyRing) -> None:
        self._app, self._keys = app, keys
        self._host = server.host.lower()
        self._friends = frozenset(origin.lower() for origin in server.cors_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        path, headers = path_inside(scope), Headers(scope=scope)
        friend = headers.get("origin", "") if is_api(path) else ""
        if friend.lower() not in self._friends:
            friend = ""

        async def send_with_our_cors(message: Message) -> None:
            if message["type"] == "http.response.start":
                _write_cors(MutableHeaders(scope=message), friend, has_friends=bool(self._friends) and is_api(path))
            await send(message)

        # Whether the process lives has no secrets in it, and must be told while the database hangs.
        known = True if path == "/healthz" else await self._has_keys()
        failure = self._failure(scope, path, known, is_friend=bool(friend))
        answer: ASGIApp = self._app
        if failure is not None:
            answer = _refusal(failure, path)
        elif friend and scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            preflight = Response(status_code=204, headers={**_PREFLIGHT, "Access-Control-Allow-Origin": friend})
            await preflight(scope, receive, send)  # browsers ask this without the key
            return
        await answer(scope, receive, send_with_our_cors)

    async def _has_keys(self) -> bool | DataDirectoryError:
        try:
            return await self._keys.is_needed()
        except DataDirectoryError as error:
            return error

    def _failure(self, scope: Scope, path: str, known: bool | DataDirectoryError, *, is_friend: bool) -> Failure | None:
        headers = Headers(scope=scope)
        has_keys = known is True  # where nobody knows: as strict as without
        # /readyz is answered then, for it is now that it is asked; without a caller it tells no details.
        is_probe = path == "/readyz" and isinstance(known, DataDirectoryError)
        if not has_keys and not is_probe and not self._is_ours(headers.get("host", "")):
            return failure_of(known) if isinstance(known, DataDirectoryError) else _FOREIGN_HOST
        if scope["method"] in _READING or (has_keys and is_api(path)) or is_friend:
            return None
        return None if _is_same_origin(headers, str(scope["scheme"])) else _FOREIGN_ORIGIN

    def _is_ours(self, host: str) -> bool:
        name = _name_and_port(f"//{host}")[0]
        if name in ("localhost", self._host.strip("[]")):
            return bool(name)
        with suppress(ValueError):
            return ipaddress.ip_address(name).is_loopback
        return False


def _write_cors(headers: MutableHeaders, friend: str, *, has_friends: bool) -> None:
    """Ours and nobody else's."""
    for name in {name for name in headers if name.startswith("access-control-")}:
        del headers[name]
    if has_friends:
        headers.add_vary_header("Origin")
    if friend:
        headers["Access-Control-Allow-Origin"] = friend
        headers["Access-Control-Expose-Headers"] = _READABLE


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

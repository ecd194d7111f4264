"""`create_api`: the application, put together. The page is mounted on it at "/" by whoever serves (ui/).

Everything under /v1 answers here, unknown addresses and wrong methods too; the page never sees them.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from agent.api import chat, doors, feedback, handoffs, health, people, ratings, sessions, users
from agent.api.auth import KeyRing
from agent.api.bodies import Bodies
from agent.api.border import PROBES, RASA_PATH, Crashes, KeyCheck, RequestId, path_inside
from agent.api.errors import HANDLED, answer_error, failure_of
from agent.api.limits import MCP_PATHS, Limits
from agent.api.mcp import McpDoor
from agent.api.openapi import document, operation_id
from agent.api.origins import OriginCheck
from agent.api.patience import Patience
from agent.api.repeats import Repeats
from agent.api.security import SecurityHeaders
from agent.log.keys import KeyStore
from agent.log.usage import UsageCounter
from agent.services import Services

_ROUTERS: Final[Sequence[APIRouter]] = (
    chat.router,
    feedback.router,
    users.router,
    people.router,
    sessions.router,
    handoffs.router,
    ratings.router,
    doors.router,
    health.router,
)


def create_api(services: Services) -> FastAPI:
    """The API over `services`, which stay the caller's to close.

    Whoever serves it refuses addresses other than loopback when there are no keys, and gives
    `settings.server.root_path` to the server. Without keys it answers under loopback names and
    `settings.server.host` only.

    Raises:
        SettingsError: an API key is empty.
    """
    server, database = services.settings.server, services.log.database
    keys = KeyRing(server, services.settings.tenant, KeyStore(database))
    app = FastAPI(
        title="Chatalogue",
        version=app_version(),
        docs_url=None,  # its page loads scripts from a CDN
        redoc_url=None,
        generate_unique_id_function=operation_id,
        middleware=[
            Middleware(RequestId, observer=services.observer),
            Middleware(Crashes),
            Middleware(SecurityHeaders, frame_ancestors=server.frame_ancestors),
            Middleware(OriginCheck, server=server, keys=keys),
            Middleware(Crashes),  # again: what crashes inside has the headers of those above
            Middleware(KeyCheck, keys=keys),
            Middleware(Patience, seconds=server.request_seconds),
            Middleware(Limits, counter=UsageCounter(database), defaults=server.limits),
            Middleware(Bodies),
            Middleware(Repeats, log=services.log),
        ],
    )
    app.state.services = services
    for kind in HANDLED:
        app.add_exception_handler(kind, answer_error)
    for router in _ROUTERS:
        app.include_router(router)
    if server.mcp:
        door = McpDoor(services, app.version)
        app.router.routes.extend(Route(path, door, include_in_schema=False) for path in MCP_PATHS)
    everything_else = _Unknown()  # last: the first match wins
    app.router.routes.append(Route("/v1", everything_else, include_in_schema=False))
    app.router.routes.append(Route("/v1/{rest:path}", everything_else, include_in_schema=False))
    for path in (*PROBES, doors.CHATWOOT_PATH, RASA_PATH):  # with another method they would be the page's
        app.router.routes.append(Route(path, everything_else, include_in_schema=False))
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # FastAPI documents this way
    return app


class _Unknown:
    """Answers what no route under /v1 takes; an ASGI application, so that every method comes here."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        allowed = _methods_at(path_inside(scope))
        if allowed:
            error = HTTPException(405, headers={"Allow": ", ".join(allowed)})
        else:
            error = HTTPException(404)
        await failure_of(error).response()(scope, receive, send)


def _methods_at(path: str) -> list[str]:
    methods: set[str] = set()
    for router in _ROUTERS:
        for route in router.routes:
            if isinstance(route, APIRoute) and route.path_regex.match(path):
                methods |= route.methods or set()
    return sorted(methods)


def app_version() -> str:
    """The version of the installed package; "0" for a source tree that was never installed."""
    try:
        return version("chatalogue")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "0"


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        app.openapi_schema = document(app)
    return app.openapi_schema
